// Weights of 8 bits: activations are rounded to 8 bits as well, row by row, and products are whole numbers.
//
// Q, an ISA's int8 vectors, says how it multiplies:
//   Activation  a rounded activation as stored; `together` of them are 32 bits, multiplied with as many weights of a
//               column in one lane
//   offset      what is added to an activation to store it, 0 or kInt8Offset. Where it is not 0, sums start from minus
//               offset times the sum of the weights (Int8Panel::starts), so that they are those of the activations.
//   starts_by_row  whether sums start from row_start() of the row's activations instead, for the same reason
//   Matrix      what multiplies from Matrix::least_rows rows on instead of tiles of vectors; NoMatrix: nothing
// Sums of a chunk of kInt8Terms terms are exact in 32 bits on every ISA, however it multiplies:
//   unsigned and signed bytes, four products added to 32 bits without saturation (VNNI): activations are 1..255, and
//       sums at most 255 * 127 * 2^15 < 2^31
//   unsigned and signed bytes, pairs of products added in 16 bits (AVX2): 2 * 255 * 127 would saturate, so the unsigned
//       side is the activation's magnitude, its sign goes to the weight: 2 * 127 * 128 < 2^15
//   both widened to 16 bits, pairs of products added in 32 bits (AVX-512 without VNNI, NEON, scalar)
#pragma once

#include <stdint.h>

#include "kernels/generic/backward.h"
#include "kernels/generic/forward.h"
#include "kernels/generic/no_matrix.h"

namespace lstmfast {
namespace {

template <class Q>
inline constexpr bool kHasMatrix = Q::Matrix::least_rows != NoMatrix::least_rows;

// A row of numbers as whole ones: a = round(v * inverse), v = a * scale but for rounding. With a scale of NaN all a are
// 0, and so is the inverse.
struct RowScale {
  float scale;
  float inverse;
};

// By the largest magnitude in the row. NaN and infinities make the scale NaN, and so all that the row takes part in.
// factors: [n], what v is multiplied by first; null: one.
template <class V>
RowScale row_scale(const float* v, const float* factors, Index n) {
  V largest = V::set1(0), lost = V::set1(0);  // two of each would overlap more; rows are short
  for (Index k = 0; k < n; k += V::lanes) {
    V x = load_lanes<V>(v + k, n - k);
    if (factors) x = x * load_lanes<V>(factors + k, n - k);
    largest = at_least(abs(x), largest);
    lost = fma(x, V::set1(0), lost);  // 0, or NaN
  }
  float scale = largest_lane(largest) / 127.0f;
  if (!(scale >= kLeastScale)) scale = kLeastScale;
  scale += sum_of_lanes(lost);
  return {scale, scale == scale ? 1.0f / scale : 0.0f};
}

// n activations of a row, and zeros after them up to a whole vector and a whole word.
template <class V, class Q>
void round_row(const float* v, const float* factors, Index n, float inverse, typename Q::Activation* to) {
  const V by = V::set1(inverse);
  for (Index k = 0; k < n; k += V::lanes) {
    V x = load_lanes<V>(v + k, n - k);
    if (factors) x = x * load_lanes<V>(factors + k, n - k);
    Q::round(inverse == 0 ? by : x * by, to + k);
  }
  if constexpr (V::lanes < Q::together)
    for (Index k = n; k % Q::together; k += V::lanes) Q::round(V::set1(0), to + k);
}

// Rows of x or h as activations. They are made once, if there is room, or chunk by chunk each time.
template <class V, class Q, int MaxRows>
class Int8Rows {
 public:
  using Activation = typename Q::Activation;
  static constexpr Index room = kInt8ScratchBytes / static_cast<Index>(sizeof(Activation));

  // Activations that a row of so many takes: whole vectors, whole cache lines.
  static constexpr Index padded(Index terms) {
    constexpr Index line = 64 / static_cast<Index>(sizeof(Activation));
    return (terms + line - 1) / line * line;
  }

  // rows: [count]. memory: room for count * padded(terms), or for one chunk where `whole` is false.
  void take(const float* const* rows, Index count, Index terms, const float* factors, bool whole, Activation* memory) {
    rows_ = rows;
    terms_ = terms;
    factors_ = factors;
    whole_ = whole;
    memory_ = memory;
    for (Index r = 0; r < count; ++r) {
      const RowScale found = row_scale<V>(rows[r], factors, terms);
      scales[r] = found.scale;
      inverses_[r] = found.inverse;
      list_[r] = memory;
      if (!whole) continue;
      list_[r] = memory + r * padded(terms);
      round_row<V, Q>(rows[r], factors, terms, found.inverse, memory + r * padded(terms));
      if constexpr (kHasMatrix<Q>)  // multiplies whole lines
        for (Index k = (terms + Q::together - 1) / Q::together * Q::together; k < padded(terms); ++k)
          memory[r * padded(terms) + k] = 0;
      find_start(r, memory + r * padded(terms), terms);
    }
  }

  Index terms() const { return terms_; }

  // The rows' activations [first, first + n); [count].
  const Activation* const* chunk(Index first, Index n) {
    if (!whole_) {  // of one row
      round_row<V, Q>(rows_[0] + first, factors_ ? factors_ + first : nullptr, n, inverses_[0], memory_);
      find_start(0, memory_, n);
    }
    return list_;
  }

  float scales[MaxRows];
  int32_t starts[MaxRows];  // of the sums over the last chunk, if they start by row

 private:
  LSTMFAST_INLINE void find_start(Index r, const Activation* activations, Index n) {
    if constexpr (Q::starts_by_row) starts[r] = Q::row_start(activations, n);
  }

  const float* const* rows_;
  const float* factors_;
  Index terms_;
  bool whole_;
  Activation* memory_;
  float inverses_[MaxRows];
  const Activation* list_[MaxRows];
};

template <class Q>
struct Int8TileArgs {
  const typename Q::Activation* const* rows;  // [R], each [words][together]
  const float* row_scales;                    // [R]
  const int32_t* row_starts;                  // [R]
  Index words;
  const int8_t* weights;  // [P][word][kPanelVectors][lane][together], panels panel_stride bytes apart
  const int32_t* starts;  // [P][kPanelVectors][lane], likewise
  const float* scales;    // [P][kPanelVectors][lane], likewise
  Index panel_stride;
  const float* init;        // [R][P][kPanelVectors][lane]; strides as in TileArgs
  Index init_stride;        // between rows
  Index init_panel_stride;  // between panels
  float* z;                 // [R][P][kPanelVectors][lane], rows z_stride apart; may be init
  Index z_stride;
};

// `bytes` further on.
template <class T>
LSTMFAST_INLINE const T* further(const T* p, Index bytes) {
  return reinterpret_cast<const T*>(reinterpret_cast<const char*>(p) + bytes);
}

// z = init + sum * row's scale * column's scale, for a vector of columns.
template <class V, class Q>
LSTMFAST_INLINE void finish_sum(const Int8TileArgs<Q>& args, Q sum, V row_scale, int r, int p, int n) {
  const V scale = V::load(further(args.scales, p * args.panel_stride) + n * V::lanes);
  const V init = V::load(args.init + r * args.init_stride + p * args.init_panel_stride + n * V::lanes);
  fma(to_float(sum) * row_scale, scale, init).store(args.z + r * args.z_stride + (p * kPanelVectors + n) * V::lanes);
}

// z of R rows times P panels of N vectors, whose sums stay in registers.
template <class V, class Q, int R, int P, int N>
LSTMFAST_TILE void int8_tile(const Int8TileArgs<Q>& args) {
  Q acc[R][P][N];
  LSTMFAST_UNROLL for (int p = 0; p < P; ++p) LSTMFAST_UNROLL for (int n = 0; n < N; ++n) {
    LSTMFAST_UNROLL for (int r = 0; r < R; ++r) {
      if constexpr (Q::offset != 0)
        acc[r][p][n] = Q::load(further(args.starts, p * args.panel_stride) + n * V::lanes);
      else if constexpr (Q::starts_by_row)
        acc[r][p][n] = Q::set1(args.row_starts[r]);
      else
        acc[r][p][n] = Q::zero();
    }
  }
  const typename Q::Activation* a[R];
  LSTMFAST_UNROLL for (int r = 0; r < R; ++r) a[r] = args.rows[r];
  const int8_t* w = args.weights;
  const Index panel_stride = args.panel_stride;
  for (Index k = 0; k < args.words; ++k) {
    typename Q::Word word[R];
    LSTMFAST_UNROLL for (int r = 0; r < R; ++r) word[r] = Q::word(a[r] + k * Q::together);
    LSTMFAST_UNROLL for (int p = 0; p < P; ++p) LSTMFAST_UNROLL for (int n = 0; n < N; ++n) {
      const auto column = Q::weights(w + p * panel_stride + n * V::lanes * Q::together);
      LSTMFAST_UNROLL for (int r = 0; r < R; ++r) acc[r][p][n] = dot(acc[r][p][n], word[r], column);
    }
    w += kPanelVectors * V::lanes * Q::together;
  }
  LSTMFAST_UNROLL for (int r = 0; r < R; ++r) {
    const V row_scale = V::set1(args.row_scales[r]);
    LSTMFAST_UNROLL for (int p = 0; p < P; ++p) LSTMFAST_UNROLL for (int n = 0; n < N; ++n)
        finish_sum<V, Q>(args, acc[r][p][n], row_scale, r, p, n);
  }
}

// int8_tile<V, Q, rows, 1, vectors> for sizes known only at run time.
template <class V, class Q, int R>
LSTMFAST_INLINE void int8_tile_of(Index rows, Index vectors, const Int8TileArgs<Q>& args) {
  if constexpr (R > 1) {
    if (rows < R) return int8_tile_of<V, Q, R - 1>(rows, vectors, args);
  }
  switch (vectors) {
    case 1: return int8_tile<V, Q, R, 1, 1>(args);
    case 2: return int8_tile<V, Q, R, 1, 2>(args);
    case 3: return int8_tile<V, Q, R, 1, 3>(args);
    default: return int8_tile<V, Q, R, 1, 4>(args);
  }
}

// Where the chains start: sums made before, or one row of biases.
template <class T>
struct ChainStart {
  const T* init;
  Index row_stride;
  Index panel_stride;
};

// Some rows times some panels, all of x and h that there is.
template <class Rows, class Matrix>
struct Int8Product {
  Index rows;
  Index panels;
  Index last_vectors;  // as in GroupProduct
  bool descending;
  ChainStart<float> start;  // of the chains
  Rows* x;                  // null: z already has it
  Rows* h;                  // null: there is none
  const Int8Panel* layout;
  const void* panel;  // the first one
  float* z;           // [rows][panels][vector][lane], rows z_stride apart
  Index z_stride;
  Matrix* matrix;
};

template <class V, class Q, int R, class Rows>
LSTMFAST_ONCE void int8_product(const Int8Product<Rows, typename Q::Matrix>& s) {
  constexpr Index width = kPanelVectors * V::lanes;
  const Int8Panel& layout = *s.layout;
  const Index stride = layout.bytes();
  for (Index done = 0; done < s.panels;) {
    // One row takes two panels at once, for more chains (group.h).
    const Index left = s.panels - done;
    const bool last_is_among = s.descending ? done == 0 : left <= 2;
    const Index count = s.rows > 1 || left == 1 || (last_is_among && s.last_vectors < kPanelVectors) ? 1 : 2;
    const Index p = s.descending ? left - count : done;
    done += count;
    const char* const panel = static_cast<const char*>(s.panel) + p * stride;
    const Index vectors = p == s.panels - 1 ? s.last_vectors : kPanelVectors;
    float* const z = s.z + p * width;
    ChainStart<float> from = {s.start.init + p * s.start.panel_stride, s.start.row_stride, s.start.panel_stride};
    const auto add = [&](Rows& operand, bool is_h) {
      for (Index first = 0, chunk = 0; first < operand.terms(); first += kInt8Terms, ++chunk) {
        const Index terms = operand.terms() - first < kInt8Terms ? operand.terms() - first : kInt8Terms;
        Int8TileArgs<Q> args = {operand.chunk(first, terms),
                                operand.scales,
                                operand.starts,
                                (terms + Q::together - 1) / Q::together,
                                reinterpret_cast<const int8_t*>(panel + layout.weights(is_h) + first * width),
                                reinterpret_cast<const int32_t*>(panel + layout.starts(is_h, chunk)),
                                reinterpret_cast<const float*>(panel + layout.scales(is_h)),
                                stride,
                                from.init,
                                from.row_stride,
                                from.panel_stride,
                                z,
                                s.z_stride};
        const auto next_rows = [&](Index rows) {
          args.rows += rows;
          args.row_scales += rows;
          args.row_starts += rows;
          args.init += rows * from.row_stride;
          args.z += rows * s.z_stride;
        };
        const auto in_matrices = [&] {
          if constexpr (kHasMatrix<Q>) {
            if (s.rows < Q::Matrix::least_rows) return false;
            for_even_parts(s.rows, Q::Matrix::most_rows, [&](Index, Index rows) {
              s.matrix->template product<V, Q>(args, rows, vectors);
              next_rows(rows);
            });
            return true;
          }
          return false;
        };
        if (!in_matrices())
          for_even_parts(s.rows, R, [&](Index, Index rows) {
            if (count == 2)
              int8_tile<V, Q, 1, 2, kPanelVectors>(args);
            else
              int8_tile_of<V, Q, R>(rows, vectors, args);
            next_rows(rows);
          });
        from = {z, s.z_stride, width};  // the next chunk goes on
      }
    };
    if (s.x) add(*s.x, false);
    if (s.h) add(*s.h, true);
  }
}

// Room for the activations of a kernel call's rows, and how many rows there is room for.
template <class V, class Q, int R>
struct Int8Scratch {
  using G = Group<V, int8_t, R>;
  using Rows = Int8Rows<V, Q, static_cast<int>(G::max_rows)>;
  using Activation = typename Q::Activation;
  using Product = Int8Product<Rows, typename Q::Matrix>;

  bool whole;       // rows fit, or else one goes chunk by chunk
  Index most_rows;  // at a time
  Rows x, h;
  typename Q::Matrix matrix;
  alignas(64) Activation memory[Rows::room];

  // x_terms, h_terms: 0 for none.
  Int8Scratch(Index x_terms, Index h_terms) {
    const Index row = Rows::padded(x_terms) + Rows::padded(h_terms);
    whole = x_terms <= kInt8Terms && h_terms <= kInt8Terms && row <= Rows::room;
    const Index fit = whole ? Rows::room / row : 1;
    most_rows = fit < G::max_rows ? fit : G::max_rows;
  }

  void take_x(const float* const* rows, Index count, Index terms, const float* factors) {
    x.take(rows, count, terms, factors, whole, memory);
  }
  void take_h(const float* const* rows, Index count, Index terms, Index x_terms) {
    h.take(rows, count, terms, nullptr, whole, whole ? memory + count * Rows::padded(x_terms) : memory);
  }
};

// A packing of int8 weights. packed: where the units are; of one gate for a projection's.
template <class V, class Q>
struct Int8Packing {
  static constexpr Index width = kPanelVectors * V::lanes;
  Int8Panel layout;
  const void* panels;
  Index units;
  PanelUnits<V> packed;

  const void* panel(Index p) const { return static_cast<const char*>(panels) + p * layout.bytes(); }
  ChainStart<float> biases(Index p) const {
    return {static_cast<const float*>(panel(p)), 0, layout.bytes() / static_cast<Index>(sizeof(float))};
  }
  Index vectors(Index p) const { return packed.vectors(units, p); }
};

template <class V, class Q, int R>
LSTMFAST_ONCE void int8_forward_step_with(const ForwardStep<float>& s, const PanelUnits<V>& units,
                                          ForwardCell<float> cell) {
  using Scratch = Int8Scratch<V, Q, R>;
  using G = typename Scratch::G;
  constexpr Index width = G::panel_width;
  const Int8Packing<V, Q> packing = {{width, Q::together, s.input_size, s.state_size}, s.panels, s.hidden_size, units};
  const bool has_x = s.x.there();
  const Index x_terms = has_x ? s.input_size : 0;
  Scratch scratch(x_terms, s.state_size);
  alignas(64) float z[G::capacity];
  const float* x_scratch[G::max_rows];
  const float* h_scratch[G::max_rows];

  for_even_parts(s.rows, scratch.most_rows, [&](Index row, Index rows) {
    if (has_x) scratch.take_x(addresses(s.x, row, rows, x_scratch), rows, s.input_size, s.x_factors);
    scratch.take_h(addresses(s.h, row, rows, h_scratch), rows, s.state_size, x_terms);
    const auto step_group = [&](Index panel, Index panels, bool) {
      ChainStart<float> start = packing.biases(panel);
      if (!has_x) start = {s.z + row * s.z_stride + (panel - s.panel_begin) * width, s.z_stride, width};
      const Index last_vectors = rows == 1 ? kPanelVectors : packing.vectors(panel + panels - 1);
      int8_product<V, Q, R>(typename Scratch::Product{rows, panels, last_vectors, s.descending, start,
                                                      has_x ? &scratch.x : nullptr, &scratch.h, &packing.layout,
                                                      packing.panel(panel), z, panels * width, &scratch.matrix});
      cell(s, row, rows, panel, panels, z);
    };
    for_panel_groups(s.panel_begin, s.panel_end, G::panels_for(rows), s.descending, step_group);
  });
}

// Rows outermost, so that each is rounded once.
template <class V, class Q, int R>
LSTMFAST_ONCE void int8_input_product_with(const InputProduct<float>& s, const PanelUnits<V>& units) {
  using Scratch = Int8Scratch<V, Q, R>;
  using G = typename Scratch::G;
  constexpr Index width = G::panel_width;
  const Int8Packing<V, Q> packing = {{width, Q::together, s.input_size, s.state_size}, s.panels, s.hidden_size, units};
  const Index z_stride = (s.panel_end - s.panel_begin) * width;
  if (s.rows == 0) return;
  Scratch scratch(s.input_size, 0);
  const float* x_scratch[G::max_rows];

  for_even_parts(s.rows, scratch.most_rows, [&](Index row, Index rows) {
    scratch.take_x(addresses(s.x, row, rows, x_scratch), rows, s.input_size, s.x_factors);
    float* const z = s.z + row * z_stride;
    const auto product_of_group = [&](Index panel, Index panels, bool) {
      const Index last = panel + panels - 1, last_vectors = packing.vectors(last);
      int8_product<V, Q, R>(typename Scratch::Product{rows, panels, last_vectors, false, packing.biases(panel),
                                                      &scratch.x, nullptr, &packing.layout, packing.panel(panel),
                                                      z + (panel - s.panel_begin) * width, z_stride, &scratch.matrix});
      zero_vectors_past_end<V>(z + (last - s.panel_begin) * width, z_stride, rows, last_vectors);
    };
    for_panel_groups(s.panel_begin, s.panel_end, G::panels_for(rows), false, product_of_group);
  });
}

// h = W_hr m, the only product of a gate's kind that inference has.
template <class V, class Q, int R>
void int8_gate_product(const GateProduct<float>& s) {
  using Scratch = Int8Scratch<V, Q, R>;
  using G = typename Scratch::G;
  constexpr Index width = G::panel_width;
  const Int8Packing<V, Q> packing = {{width, Q::together, 0, s.terms}, s.panels, s.columns, kUnits<V, RnnTanhCell>};
  if (s.rows == 0) return;
  Scratch scratch(0, s.terms);
  alignas(64) float total[G::capacity];
  const float* m_scratch[G::max_rows];
  float* out_scratch[G::max_rows];

  for_even_parts(s.rows, scratch.most_rows, [&](Index row, Index rows) {
    scratch.take_h(addresses(s.dz, row, rows, m_scratch), rows, s.terms, 0);
    float* const* const out_rows = addresses(s.out, row, rows, out_scratch);
    const auto product_of_group = [&](Index panel, Index panels, bool) {
      const Index last_vectors = packing.vectors(panel + panels - 1);
      int8_product<V, Q, R>(typename Scratch::Product{rows, panels, last_vectors, false, packing.biases(panel), nullptr,
                                                      &scratch.h, &packing.layout, packing.panel(panel), total,
                                                      panels * width, &scratch.matrix});
      store_products<V>(s, rows, panel, panels, last_vectors, total, out_rows);
    };
    for_panel_groups(s.panel_begin, s.panel_end, G::panels_for(rows), false, product_of_group);
  });
}

}  // namespace
}  // namespace lstmfast
