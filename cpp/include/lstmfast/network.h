// A whole network (layers, directions) of one cell, packed once for one ISA: forward and backward.
//
// A Network is immutable; any number of threads may call one at once. Nothing here knows Python.
// Pointers need only live for the call, except where a Tape refers to x, y and dropout masks.
#pragma once

#include <memory>

#include "lstmfast/kernel_table.h"
#include "lstmfast/types.h"

namespace lstmfast {

struct NetworkShape {
  Cell cell;
  Index input_size;   // I
  Index hidden_size;  // H
  Index num_layers;   // L
  Index directions;   // D: 1, or 2 for forward and reverse
  bool bias;
  Index projection_size = 0;     // P, of an LSTM; 0: h is not projected
  bool peephole = false;         // of an LSTM's variants: whether i and f see c, and o the new c
  Variant<double> variant = {};  // of variants
  bool reverse = false;          // of one direction: from the last step to the first
  // Probability that a number of h stays what it was; inference takes what is expected, training masks of its own.
  double zoneout = 0;

  Index gates() const { return gates_of(cell); }  // G
  Index slots() const { return slots_of(cell); }
  // Parameters beside products' weights, biases and peepholes: gain_ih, gain_hh, gain_c and bias_c of lstm_norm.
  Index norm_arrays() const { return is_norm(cell) ? 4 : 0; }
  bool runs_in_reverse(Index direction) const { return reverse || direction == 1; }
  // Whether x and h have parts in the same slots.
  bool shares_slots() const { return slots() == gates() && !resets_before(cell) && !is_norm(cell); }
  // Columns of the product that a step has after its cell: P of a projection, H of a candidate; 0 for none.
  Index second_product() const { return resets_before(cell) ? hidden_size : projection_size; }
  Index state_size() const { return projection_size ? projection_size : hidden_size; }  // S, numbers of h
  Index layer_input(Index layer) const { return layer ? directions * state_size() : input_size; }
  Index passes() const { return num_layers * directions; }  // index of a pass: layer * D + direction
  // Multiply-adds of one step of one row and pass, of the layer that has the most.
  Index step_terms() const {
    const Index above = num_layers > 1 ? layer_input(1) : 0, widest = input_size > above ? input_size : above;
    return gates() * hidden_size * (widest + state_size()) + hidden_size * projection_size;
  }
  // Of all passes; places: pairs of step and row.
  Index terms(Index places) const { return places * passes() * step_terms(); }
};

inline bool operator==(const NetworkShape& a, const NetworkShape& b) {
  return a.cell == b.cell && a.input_size == b.input_size && a.hidden_size == b.hidden_size &&
         a.num_layers == b.num_layers && a.directions == b.directions && a.bias == b.bias &&
         a.projection_size == b.projection_size && a.peephole == b.peephole && a.variant == b.variant &&
         a.reverse == b.reverse && a.zoneout == b.zoneout;
}

// How many arrays of parameters a pass has: weight_ih, weight_hh[, bias_ih, bias_hh][, weight_ch][, weight_hr]
// [, gain_ih, gain_hh, gain_c, bias_c].
inline Index parameters_of_pass(const NetworkShape& shape) {
  return (shape.bias ? 4 : 2) + (shape.peephole ? 1 : 0) + (shape.projection_size ? 1 : 0) + shape.norm_arrays();
}

// Parameters (const T) or gradients (T) of one pass, rows in gate order i, f, g, o, unless gate_blocks says otherwise.
template <class T>
struct PassParameters {
  T* weight_ih;            // [G*H, layer_input]
  T* weight_hh;            // [G*H, S]
  T* bias_ih;              // [G*H]; null without bias
  T* bias_hh;              // [G*H]; null without bias
  T* weight_hr = nullptr;  // [P, H]; null without projection
  T* weight_ch = nullptr;  // [peepholes_of(cell), H], of i, f and o; null without peepholes
  // Of lstm_norm, else null:
  T* gain_ih = nullptr;  // [4*H]
  T* gain_hh = nullptr;  // [4*H]
  T* gain_c = nullptr;   // [H]
  T* bias_c = nullptr;   // [H]
  // [G], of parameters that are packed: the block of H rows in which weight_ih, weight_hh and both biases have each
  // gate, for other people's orders; there may be more blocks than gates. null: 0, 1, ... lstm_norm has no other
  const Index* gate_blocks = nullptr;

  // The first row of a gate.
  Index first_row(Index gate, Index units) const { return (gate_blocks ? gate_blocks[gate] : gate) * units; }
};

// The same in a smaller kind, of float16, the bits of bfloat16, or int8. Of int8, -127..127 (-128 is taken for -127),
// with a scale for each row: a weight is the whole number times it. Biases are float.
struct SmallParameters {
  const void* weight_ih;             // [G*H, layer_input]; without what the input range divides by (small_network)
  const void* weight_hh;             // [G*H, S]
  const void* weight_hr = nullptr;   // [P, H]; null without projection
  const float* bias_ih = nullptr;    // [G*H]; null without bias
  const float* bias_hh = nullptr;    // [G*H]; null without bias
  const float* scale_ih = nullptr;   // [G*H]; null unless int8, as the others
  const float* scale_hh = nullptr;   // [G*H]
  const float* scale_hr = nullptr;   // [P]
  const float* weight_ch = nullptr;  // [peepholes_of(cell), H], always float; null without peepholes

  Index first_row(Index gate, Index units) const { return gate * units; }
};

// Where rows end and where they start anew. All is read during the call alone.
struct RowTimes {
  const Index* lengths = nullptr;  // [B], 0 to T; null: all T
  // [T, B]: cut the row before this step, and begin the next piece from zero; what is past a row's end is ignored.
  // The reverse direction begins the piece before the cut. null: none
  const bool* reset = nullptr;
  // x, y and their gradients hold the steps that rows have and nothing else: all rows of step 0, then those of step 1,
  // and so on, `row_stride` apart. Needs `lengths`, the longest first.
  bool packed = false;

  bool plain() const { return !lengths && !reset; }
};

// What pieces that begin at a cut begin from, instead of zero: each row a state of its own, or one for all.
template <class T>
struct CutState {
  Index rows = 0;        // B or 1; 0: zero
  const T* h = nullptr;  // [L*D, rows, S]; null is zero
  const T* c = nullptr;  // [L*D, rows, H]; null is zero
};

// Results share memory with nothing else, but h_n may be h0 and c_n may be c0. y may be written to before the last
// layer is run.
template <class T>
struct ForwardCall {
  Index steps;          // T
  Index rows;           // B
  Sequence<const T> x;  // [T, B, I]; rows_before of this and all others that a call brings is the core's to fill in
  const T* h0;          // [L*D, B, S]; null is zero
  const T* c0;          // [L*D, B, H]; null is zero; unused by cells without memory
  Sequence<T> y;        // [T, B, D*S]; zero past a row's end
  T* h_n;               // [L*D, B, S], after each row's own last step
  T* c_n;               // [L*D, B, H]; unused by cells without memory
  RowTimes times = {};
  CutState<T> cut = {};
  Sequence<T> c = {};  // [T, B, D*H] of the last layer, zero past a row's end; data null is not wanted
  // Between the directions in y, for infer() of one layer: y is then [T, B, S] of each. 0: side by side
  Index direction_stride = 0;
};

// What a forward pass keeps besides, and does besides, when a backward pass follows.
template <class T>
struct TrainingOptions {
  bool recompute = false;  // keep h and c alone: backward makes the gates anew, with the same bits
  // Dropout, [L-1, T, B, D*S]: outputs of all layers but the last are multiplied by `scale` where true, and else zero,
  // before the next layer reads them. Must stay as they are while the tape lives. null: none
  const bool* masks = nullptr;
  T scale = 0;
  // Zoneout, [L*D, T, B, S]: numbers of h become the step's new ones where true, and else stay. Likewise. null: all are
  // new, or expected, where the shape has a zoneout
  const bool* renewed = nullptr;
  Index cut_rows = 0;  // of ForwardCall::cut, which a tape keeps; forward() fills it in
};

// What a forward pass keeps: the gates that a cell reads (but for `recompute`) and c of every step, the initial state,
// the outputs of all layers but the last, before and after dropout; and where x, y and the masks are.
//
// All that is kept lies in one block, the tape's own or the caller's: where the caller keeps the block, the tape
// itself can go and be made again, from the same call and the block that its forward pass filled.
template <class T>
class Tape {
 public:
  struct Kept;
  // memory: numbers() of T, aligned to 64 bytes; null: the tape takes its own. Throws std::bad_alloc.
  Tape(const NetworkShape& shape, const ForwardCall<T>& call, const TrainingOptions<T>& options = {},
       T* memory = nullptr);
  ~Tape();
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  // Of T that a tape of so many rows takes. places: T * B, or the rows of a packed x.
  static Index numbers(const NetworkShape& shape, Index places, Index rows, const TrainingOptions<T>& options);

  Index steps() const;
  Index rows() const;
  Index places() const;  // rows of x and y: T * B, or those of packed ones
  Index bytes() const;   // held, without x, y and dropout masks, which are the caller's
  const Kept& kept() const { return *kept_; }

 private:
  std::unique_ptr<Kept> kept_;
};

// What nobody wants is not computed: dx, and each pointer of the gradients, may be null; layers below the lowest of
// which anything is wanted are not gone through.
template <class T>
struct BackwardCall {
  Sequence<const T> dy;                // [T, B, D*S]; data null is zero; what is past a row's end is not read
  const T* dh_n;                       // [L*D, B, S]; null is zero
  const T* dc_n;                       // [L*D, B, H]; null is zero
  Sequence<T> dx;                      // [T, B, I]; zero past a row's end; data null is not wanted
  T* dh0;                              // [L*D, B, S]
  T* dc0;                              // [L*D, B, H]; unused by cells without memory
  const PassParameters<T>* gradients;  // [L*D], overwritten; of a pass both biases or none
  bool wants_state = true;             // dh0 and dc0, which are scratch otherwise
  Sequence<const T> dc = {};           // [T, B, D*H], gradient of ForwardCall::c; as dy
  T* dcut_h = nullptr;                 // [L*D, B, S], of what each row's cuts began from; null is not wanted
  T* dcut_c = nullptr;                 // [L*D, B, H], likewise; unused by cells without memory
};

template <class T>
class Network {
 public:
  struct Packed;
  // Copies (packs) the weights. Throws std::bad_alloc.
  Network(const NetworkShape& shape, const PassParameters<const T>* weights, const KernelTable<T>& kernels);
  explicit Network(std::unique_ptr<Packed> packed);
  ~Network();
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  const NetworkShape& shape() const;
  const char* isa() const;
  const Packed& packed() const { return *packed_; }
  // What the weights are kept as. All but `native` are for infer() alone.
  Weights weights() const;

  // Keeps nothing.
  void infer(const ForwardCall<T>& call) const;
  // How many of `threads` infer() would use for full sequences of this size.
  int threads_of_use(Index steps, Index rows, int threads) const;
  // Keeps what backward needs. The tape refers to call.x, call.y and options.masks, which must stay
  // as they are. memory: as for Tape.
  std::unique_ptr<Tape<T>> forward(const ForwardCall<T>& call, const TrainingOptions<T>& options = {},
                                   T* memory = nullptr) const;
  // `tape` is from this network's forward; it is not changed and may be used again.
  void backward(const Tape<T>& tape, const BackwardCall<T>& call) const;

 private:
  std::unique_ptr<Packed> packed_;
};

// A network of smaller weights, for inference. `weights` [L*D], of the kind that the kernels are for.
// input_range: [I], int8: x is divided by it before it is rounded, and the first layer's weight_ih is multiplied by it
// already; null for none.
std::unique_ptr<Network<float>> small_network(const NetworkShape& shape, const SmallParameters* weights,
                                              const float* input_range, const KernelTable<float>& kernels);

}  // namespace lstmfast
