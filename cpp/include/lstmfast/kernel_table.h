// The contract between the core (order of work) and the kernels (arithmetic).
//
// The core fills one of the structs below and calls one function of a KernelTable; it never knows which
// ISA answers. Sizes travel with the table, so the core packs for whatever kernel it was handed.
//
// Panels. A matrix that is multiplied from the right is packed into panels of kPanelVectors vectors of
// `lanes` columns, [panel][k][vector][lane]: one pass over k reads a panel front to back.
// Columns past the end are zero. Rows of biases are of T, weights as `KernelTable::weights` says; those of 8 bits come
// with scales (Int8Panel). What a panel's vectors hold:
//   forward    the gates of one block of `lanes` units, up to four; RNN: four such blocks. In an LSTM's last
//              panel, which may have fewer units, gates are only gate_distance() apart and fill fewer vectors.
//              k runs over [bias, x, h]: one row of biases, I rows of W_ih^T, S rows of W_hh^T.
//   backward   four blocks of `lanes` columns of W_hh (for dh) or W_ih (for dx);
//              [panel][gate][k][vector][lane] with k over the H units of each gate. With one "gate", W_hr^T with
//              k over the H units (for h), and W_hr with k over the S numbers of h (for what was projected).
//   gradients  four blocks of columns of [x, h], k over (time step, row).
// Every panel is stored kPanelVectors wide; vectors that lie wholly past the end are never computed.
// Where tiles take fewer vectors at a time, forward and backward panels are cut into strips of KernelTable::strip
// vectors, one after the other, each like a panel that is so narrow: biases, and all of k. A tile so reads memory front
// to back.
//
// Order of summation (the promise of equal bits). Every output is one chain of fused multiply-adds:
//   z      bias, then x by k, then h by k
//   dh, dx one chain by k for each gate from zero, the gates' sums then added in order i, f, g, o
//   h      with projection, one chain by k from zero; likewise its gradients
//   dW, db time steps from the last processed to the first, rows b ascending within a step, in groups of
//          kGradientTerms: one chain for each group from zero, the groups' sums added in order; so are the gradients
//          of peepholes and of gains
// Tiles are cut over outputs and never over k, so neither lanes nor tile sizes nor threads show.
//
// Pointers never alias unless said otherwise. Strides are in elements. Rows are batch rows.
#pragma once

#include <cstdint>

#include "lstmfast/types.h"

namespace lstmfast {

inline constexpr Index kPanelVectors = 4;
inline constexpr Index kGradientTerms = 128;
inline constexpr int kPeakChains = 12;
inline constexpr Index kStripeBytes = 64;
inline constexpr int kFingerprintSums = 16;
// More bytes than any weights have: none is asked for ahead of use.
inline constexpr Index kNeverAsk = INTPTR_MAX;

// Sums of products of 8 bits are exact in 32 bits over so many terms (kernels/generic/int8.h). More are summed chunk by
// chunk.
inline constexpr Index kInt8Terms = 1 << 15;
// Kernels that multiply unsigned by signed bytes store activations so much larger.
inline constexpr int kInt8Offset = 128;
// Of whole numbers 1 apart; as small as a normal float.
inline constexpr float kLeastScale = 1.17549435e-38f;
// On a kernel's stack, for rows as whole numbers: one chunk of 16 bits each, or more rows that are shorter.
inline constexpr Index kInt8ScratchBytes = 2 * kInt8Terms;

// Behind the last panel of int8 weights there is so much more memory: kernels that multiply 64 terms at once read
// weights where there are none, times zero.
inline constexpr Index kInt8Beyond = 15 * 4 * kPanelVectors * 16;

// A forward panel of int8 weights, in bytes. First come rows of `width` numbers of 32 bits: biases, the scales of the
// columns of W_ih and W_hh, and for each chunk of x and then of h what its sums start from (int8.h); then the weights
// of x and of h, [terms / together][vector][lane][together], zero where terms are past the end.
// With x_terms 0 and biases 0 it is the panel of a projection.
struct Int8Panel {
  Index width;
  Index together;  // terms that lie side by side, by KernelTable
  Index x_terms;
  Index h_terms;

  [[gnu::always_inline]] inline Index stored(Index terms) const { return (terms + together - 1) / together * together; }
  [[gnu::always_inline]] inline Index chunks(Index terms) const { return (terms + kInt8Terms - 1) / kInt8Terms; }
  [[gnu::always_inline]] inline Index scales(bool h) const { return (h ? 2 : 1) * 4 * width; }
  [[gnu::always_inline]] inline Index starts(bool h, Index chunk) const {
    return (3 + (h ? chunks(x_terms) : 0) + chunk) * 4 * width;
  }
  [[gnu::always_inline]] inline Index weights(bool h) const {
    return starts(true, chunks(h_terms)) + (h ? stored(x_terms) : 0) * width;
  }
  [[gnu::always_inline]] inline Index bytes() const { return weights(true) + stored(h_terms) * width; }
};

// Between the gates of the `units` units of an LSTM's panel: a vector, or half of one, or a quarter.
[[gnu::always_inline]] constexpr Index gate_distance(Index units, Index lanes) {
  return 4 * units <= lanes ? lanes / 4 : 2 * units <= lanes ? lanes / 2 : lanes;
}

// Rows of one step: `stride` apart from `data` on, or each at an address of its own.
template <class T>
struct Rows {
  T* data;
  Index stride;
  T* const* listed;  // [rows], or null

  [[gnu::always_inline]] inline T* operator[](Index r) const { return listed ? listed[r] : data + r * stride; }
  [[gnu::always_inline]] inline bool there() const { return data || listed; }
};

// Rows of several steps, counted on from step to step; or each at an address of its own.
template <class T>
struct Places {
  Sequence<T> steps;
  Index rows_per_step;
  T* const* listed;  // [rows], or null
};

// z = bias + x W_ih^T for panels [panel_begin, panel_end) and some rows, to be continued by ForwardStep::z.
template <class T>
struct InputProduct {
  Index rows;
  Index input_size;
  Index hidden_size;
  Index state_size;
  Index panel_begin, panel_end;
  const void* panels;            // forward packing, panel 0 first
  Places<const T> x;             // [rows, I]
  T* z;                          // [rows][panel_end - panel_begin][vector][lane]; zero in vectors past the end
  const T* x_factors = nullptr;  // [I], int8 weights: what x is multiplied by before it is rounded; null: one
  Index ask_from = kNeverAsk;    // bytes of these panels from which on each tile asks for a part of the next panel
};

// One time step of one layer and direction for panels [panel_begin, panel_end).
template <class T>
struct ForwardStep {
  Index rows;
  Index input_size;
  Index hidden_size;
  Index state_size;  // S: H, or with projection P
  Index panel_begin, panel_end;
  bool descending;     // walk the panels from the last to the first: what was touched last is in cache
  const void* panels;  // forward packing, panel 0 first
  Rows<const T> x;     // [rows, I]; not there when z holds bias + x W_ih^T
  const T* z;          // [rows][panel_end - panel_begin][vector][lane]; null when x is given
  Index z_stride;
  Rows<const T> h;  // [rows, S], state before the step
  Rows<const T> c;  // [rows, H], memory before the step; not there for cells without one
  Rows<T> h_out;    // [rows, H], state after the step, or what is yet to be multiplied (of gru_reset_before r h);
                    // not there: gates alone
  Rows<T> c_out;    // [rows, H], memory after the step; may be c itself
  Rows<T>
      gates;  // [rows][G][H] activated gates (of a variant z), kept for the backward pass; not there to keep nothing
  const T* x_factors;                   // as in InputProduct
  Index ask_from = kNeverAsk;           // likewise
  const Variant<T>* variant = nullptr;  // of a variant
  const T* peepholes = nullptr;         // [peepholes_of(cell), H] likewise; null: none
};

// One time step backwards: dh = dy + dz_next W_hh, then through the cell to dz.
template <class T>
struct BackwardStep {
  Index rows;
  Index hidden_size;
  Index panel_begin, panel_end;
  bool descending;
  const T* panels;             // backward packing of W_hh, panel 0 first
  Rows<const T> dz_next;       // [rows][G][H] of the following step, of slots that h has a part in; not there when dh
                               // is given instead
  Rows<const T> dh;            // [rows, H] gradient arriving at the state after this step, without dy
  Rows<const T> dy;            // [rows, H] gradient of this step's output; not there is zero
  Rows<const T> gates;         // [rows][G][H] activated gates of this step; not there where the cell does not read them
  Rows<const T> h_out;         // [rows, H] state after this step; not there for an LSTM
  Rows<const T> h;             // [rows, H] state before this step; there for cells that read it, as is:
  Rows<T> carry;               // [rows, H] of the gradient of the state, what comes past dz_next from the step after;
                               // overwritten with the same for the step before. May be dh
  Rows<const T> c_out;         // [rows, H] memory after this step; not there for cells without one
  Rows<const T> c;             // [rows, H] memory before this step; likewise
  Rows<T> dc;                  // [rows, H] gradient of the memory, updated in place; likewise
  Rows<T> dz;                  // [rows][G][H] gradient before the activations
  Rows<T> m;                   // [rows, H] what a projection saw, o * tanh(c_out), made anew; not there without one.
                               // Likewise r h of gru_reset_before; and of lstm_norm dh, all that arrives
  Index ask_from = kNeverAsk;  // as in InputProduct
  const Variant<T>* variant = nullptr;  // as in ForwardStep
  const T* peepholes = nullptr;         // likewise
};

// What is left of a step of gru_reset_before once W_hn (r h) is there, for units [begin, end): n, and the new h.
template <class T>
struct CandidateStep {
  Index rows;
  Index hidden_size;
  Index begin, end;
  const Variant<T>* variant;
  Rows<const T> gates;  // [rows][3][H] sums of r, z and n
  Rows<const T> h;      // [rows, H], state before the step
  Rows<T> h_out;        // [rows, H]
};

// The same backwards, once dz_n W_hn is there: dz of r, and what comes past the products to the state before.
template <class T>
struct CandidateBackward {
  Index rows;
  Index hidden_size;
  Index begin, end;
  const Variant<T>* variant;
  Rows<const T> gates;   // [rows][3][H]
  Rows<const T> h;       // [rows, H], state before the step
  Rows<const T> dreset;  // [rows, H], gradient of r h
  Rows<T> carry;         // [rows, H], as in BackwardStep, to be added to
  Rows<T> dz;            // [rows][3][H], of r
};

// out = dz W for a backward packing of W: dx from W_ih, dh before the first step from W_hh; the projections.
template <class T>
struct GateProduct {
  Index rows;
  Index gates;    // G
  Index terms;    // in each gate's chain
  Index columns;  // of W
  Index panel_begin, panel_end;
  const void* panels;          // backward packing of W, panel 0 first
  Places<const T> dz;          // [rows][G][terms]
  Places<T> out;               // [rows, columns]
  bool accumulate;             // out += instead of out =
  Index ask_from = kNeverAsk;  // as in InputProduct
};

// dW[r, :] += sum over k of dz[k][r] * inputs[k, :] and db[r] += sum over k of dz[k][r], k ascending from zero.
template <class T>
struct GradientProduct {
  Index terms;         // of each chain: pairs of time step and batch row
  Index packed_terms;  // that inputs have room for: the distance between their panels
  Index rows;          // of dW
  Index columns;       // of the inputs
  const T* const* dz;  // [terms], each [rows]
  const T* inputs;     // gradients packing of [x, h]
  T* dw;               // [panel][tile of row_tile rows][row][vector][lane], added to
  T* db;               // [rows], added to
};

// sum[n] += sum over k of a[k][a_first + n] * b[k][b_first + n] for n from begin to end, a chain by k that goes on from
// what is there.
template <class T>
struct ElementProduct {
  Index terms;
  Index begin, end;
  const T* const* a;  // [terms]
  Index a_first;
  const T* const* b;  // [terms]
  Index b_first;
  T* sum;
};

// Added to the variance, as haste and PyTorch's LayerNorm do.
inline constexpr double kNormEpsilon = 1e-5;

// Parameters of lstm_norm beside the products' weights.
template <class T>
struct NormParameters {
  const T* bias;    // [4H], both biases
  const T* gain_x;  // [4H]
  const T* gain_h;  // [4H]
  const T* gain_c;  // [H]
  const T* bias_c;  // [H]
};

// What is left of a step of lstm_norm once both products are there, of whole rows.
template <class T>
struct NormStep {
  Index rows;
  Index hidden_size;
  NormParameters<T> norm;
  Rows<const T> gates;  // [rows][8][H], W_ih x and W_hh h
  Rows<const T> c;      // [rows, H]
  Rows<T> c_out;        // [rows, H], may be c itself
  Rows<T> h_out;        // [rows, H]
};

// The same backwards.
template <class T>
struct NormBackward {
  Index rows;
  Index hidden_size;
  NormParameters<T> norm;
  Rows<const T> gates;  // [rows][8][H]
  Rows<const T> dh;     // [rows, H], all that arrives
  Rows<const T> c_out;  // [rows, H]
  Rows<const T> c;      // [rows, H]
  Rows<T> dc;           // [rows, H], updated in place
  Rows<T> dz;           // [rows][NormDz::count][H]
};

// Sums over bytes [begin, end) of memory, begin a multiple of kStripeBytes, that tell whether the memory has changed.
struct FingerprintPart {
  const void* data;
  Index begin, end;
  std::uint64_t seed;
  std::uint64_t* sums;  // [kFingerprintSums], added to
};

// Tables of smaller weights are for inference: the functions of training, probes and fingerprints are null.
template <class T>
struct KernelTable {
  const char* isa;                                        // name as in LSTMFAST_ISA
  Weights weights;                                        // that the panels hold
  Index together;                                         // terms that int8 panels have side by side; else 1
  Index lanes;                                            // elements of T in a vector
  Index strip;                                            // vectors that lie side by side in a panel
  Index row_tile;                                         // rows that one pass over a panel serves
  Index busy_rows;                                        // from so many on that keeps the units busy
  void (*input_product[kCells])(const InputProduct<T>&);  // by Cell
  void (*forward_step[kCells])(const ForwardStep<T>&);    // by Cell
  void (*backward_step[kCells])(const BackwardStep<T>&);  // by Cell
  void (*gate_product)(const GateProduct<T>&);
  void (*gradient_product)(const GradientProduct<T>&);
  void (*candidate_step)(const CandidateStep<T>&);
  void (*candidate_backward)(const CandidateBackward<T>&);
  void (*norm_step)(const NormStep<T>&);
  void (*norm_backward)(const NormBackward<T>&);
  void (*element_product)(const ElementProduct<T>&);
  void (*sigmoid)(Index n, const T* x, T* y);  // y may be x
  void (*tanh)(Index n, const T* x, T* y);     // y may be x
  void (*fingerprint)(const FingerprintPart&);
  // Probes of the machine, for comparisons with its limits.
  double (*multiply_adds)(Index repeats);                  // kPeakChains vectors of them, `repeats` times
  double (*loads)(Index n, const T* from, Index repeats);  // n elements, a multiple of kPeakChains * lanes
};

}  // namespace lstmfast
