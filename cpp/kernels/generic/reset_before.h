// The GRU whose reset gate comes before the product: h is multiplied by r, and W_hn by what comes of it.
//
// So a step has two products with a meeting between: the first gives r and z and what x makes of n; r h goes to where a
// projection's input would, and its product with W_hn is added to n's sum. Slots are [r, z, n], kept as sums:
//   n = G(n + W_hn (r h)),  h' = n + z (h - n)
#pragma once

#include "kernels/generic/activations.h"
#include "kernels/generic/gru.h"

namespace lstmfast {
namespace {

template <class V>
LSTMFAST_INLINE Gate<V> squash_of(const Variant<typename V::Scalar>& variant) {
  return {variant.f, variant.clip};
}
template <class V>
LSTMFAST_INLINE Gate<V> candidate_of(const Variant<typename V::Scalar>& variant) {
  return {variant.g, variant.clip};
}

// Sums to where they are kept, and r h. z: [rows][panels][slot][lane].
template <class V>
void reset_before_forward(const ForwardStep<typename V::Scalar>& s, Index row, Index rows, Index panel, Index panels,
                          typename V::Scalar* z) {
  using Cell = GruResetBeforeCell;
  const auto group = CellGroup<V, Cell>::of(s, row, rows, panel, panels, z);
  const Gate<V> squash = squash_of<V>(*s.variant);
  group.keep_gates();
  for (Index r = 0; r < rows; ++r)
    for (Index b = 0; b < group.blocks; ++b) {
      const V h = load_lanes<V>(s.h[row + r] + group.unit(b), group.lanes(b));
      store_lanes(squash(GatesAt<V>{group.block(r, b)}[Cell::r]) * h, s.h_out[row + r] + group.unit(b), group.lanes(b));
    }
}

template <class V>
void candidate_step(const CandidateStep<typename V::Scalar>& s) {
  using Cell = GruResetBeforeCell;
  const Gate<V> squash = squash_of<V>(*s.variant), candidate = candidate_of<V>(*s.variant);
  const Index H = s.hidden_size;
  for (Index r = 0; r < s.rows; ++r)
    for (Index unit = s.begin; unit < s.end; unit += V::lanes) {
      const Index lanes = s.end - unit;
      const auto sum = [&](int slot) { return load_lanes<V>(s.gates[r] + slot * H + unit, lanes); };
      const V n = candidate(sum(Cell::n)), h = load_lanes<V>(s.h[r] + unit, lanes);
      store_lanes(fma(squash(sum(Cell::z)), h - n, n), s.h_out[r] + unit, lanes);
    }
}

// dz of z and n, and r h anew.
template <class V>
void reset_before_backward(const BackwardStep<typename V::Scalar>& s, Index row, Index rows, Index first_unit,
                           Index blocks, const typename V::Scalar* arriving, Index arriving_stride) {
  using Cell = GruResetBeforeCell;
  using T = typename V::Scalar;
  const Gate<V> squash = squash_of<V>(*s.variant), candidate = candidate_of<V>(*s.variant);
  const Index H = s.hidden_size;
  for (Index r = 0; r < rows; ++r) {
    const Index at = row + r;
    const T* const dh_row = arriving ? s.carry[at] : s.dh[at];
    const T* const dy_row = s.dy.there() ? s.dy[at] : nullptr;
    for (Index b = 0; b < blocks; ++b) {
      const Index unit = first_unit + b * V::lanes, lanes = H - unit;
      const auto sum = [&](int slot) { return load_lanes<V>(s.gates[at] + slot * H + unit, lanes); };
      V from_next = load_lanes<V>(dh_row + unit, lanes);
      if (arriving) from_next = V::load(arriving + r * arriving_stride + b * V::lanes) + from_next;
      const V dh = (dy_row ? load_lanes<V>(dy_row + unit, lanes) : V::set1(0)) + from_next;
      const V z_z = sum(Cell::z), z_n = sum(Cell::n), h = load_lanes<V>(s.h[at] + unit, lanes);
      const V gate = squash(z_z), n = candidate(z_n);
      const auto to = [&](int slot, V v) { store_lanes(v, s.dz[at] + slot * H + unit, lanes); };
      to(Cell::n, dh * (V::set1(1) - gate) * candidate.slope_at(z_n, n));
      to(Cell::z, dh * (h - n) * squash.slope_at(z_z, gate));
      store_lanes(dh * gate, s.carry[at] + unit, lanes);
      store_lanes(squash(sum(Cell::r)) * h, s.m[at] + unit, lanes);
    }
  }
}

template <class V>
void candidate_backward(const CandidateBackward<typename V::Scalar>& s) {
  const Gate<V> squash = squash_of<V>(*s.variant);
  for (Index r = 0; r < s.rows; ++r)
    for (Index unit = s.begin; unit < s.end; unit += V::lanes) {
      const Index lanes = s.end - unit;
      const V z_r = load_lanes<V>(s.gates[r] + GruResetBeforeCell::r * s.hidden_size + unit, lanes);
      const V reset = squash(z_r), dreset = load_lanes<V>(s.dreset[r] + unit, lanes);
      const V h = load_lanes<V>(s.h[r] + unit, lanes);
      store_lanes(dreset * h * squash.slope_at(z_r, reset), s.dz[r] + GruResetBeforeCell::r * s.hidden_size + unit,
                  lanes);
      store_lanes(fma(dreset, reset, load_lanes<V>(s.carry[r] + unit, lanes)), s.carry[r] + unit, lanes);
    }
}

}  // namespace
}  // namespace lstmfast
