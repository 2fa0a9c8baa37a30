// The LSTM with layer normalisation: kernels of its own, for a gate's argument depends on a row's sums of all gates.
//
// A step has two stages with a meeting between: products, of x and of h apart, each by panels; then whole rows. Kept of
// a step are both products, [4H] of x and [4H] of h. With norm(v) = (v - mean v) / sqrt(var v + kNormEpsilon):
//   z = gain_x norm(W_ih x) + gain_h norm(W_hh h) + bias,  c' = f c + i g,  h' = o tanh(gain_c norm(c') + bias_c)
// Sums over a row are in kSums chains, unit j in chain j % kSums, added in pairs at last: so the bits do not depend on
// how wide vectors are.
#pragma once

#include "kernels/generic/backward.h"
#include "kernels/generic/forward.h"

namespace lstmfast {
namespace {

inline constexpr int kSums = 16;

// The first n lanes of v, zero in all others.
template <class V>
LSTMFAST_INLINE V first_lanes(V v, Index n) {
  if (n >= V::lanes) return v;
  alignas(64) typename V::Scalar lanes[V::lanes] = {};
  v.store_first(lanes, n);
  return V::load(lanes);
}

// The sum of n numbers that of(first, lanes) gives vector by vector; what is past the end does not count.
template <class V, class Of>
LSTMFAST_INLINE typename V::Scalar row_sum(Index n, Of&& of) {
  using T = typename V::Scalar;
  constexpr int vectors = kSums / V::lanes;
  static_assert(kSums % V::lanes == 0);
  V sums[vectors];
  for (int k = 0; k < vectors; ++k) sums[k] = V::set1(0);
  for (Index first = 0; first < n; first += kSums)
    for (int k = 0; k < vectors; ++k) {
      const Index at = first + k * V::lanes;
      if (at < n) sums[k] = sums[k] + first_lanes(of(at, n - at), n - at);
    }
  alignas(64) T chains[kSums];
  for (int k = 0; k < vectors; ++k) sums[k].store(chains + k * V::lanes);
  for (int half = kSums / 2; half > 0; half /= 2)
    for (int k = 0; k < half; ++k) chains[k] += chains[k + half];
  return chains[0];
}

LSTMFAST_INLINE float square_root(float x) { return __builtin_sqrtf(x); }
LSTMFAST_INLINE double square_root(double x) { return __builtin_sqrt(x); }

// Of n numbers.
template <class V>
struct Moments {
  using T = typename V::Scalar;
  T mean, scale;  // scale: one over the standard deviation

  LSTMFAST_ONCE Moments(const T* v, Index n) {
    mean = row_sum<V>(
               n, [&](Index at, Index left) __attribute__((always_inline)) { return load_lanes<V>(v + at, left); }) /
           T(n);
    const T squares = row_sum<V>(n, [&](Index at, Index left) __attribute__((always_inline)) {
      const V apart = load_lanes<V>(v + at, left) - V::set1(mean);
      return apart * apart;
    });
    // NaN where the squares are more than a number holds: one over infinity would be zero, and so would all be.
    scale = T(1) / square_root(squares / T(n) + T(kNormEpsilon)) + (squares - squares);
  }
  LSTMFAST_INLINE V norm(V v) const { return (v - V::set1(mean)) * V::set1(scale); }
};

// A row's products to where they are kept: z [panels][gate][vector] of some panels, to part 0 (of x) or 4 (of h).
template <class V>
LSTMFAST_INLINE void keep_products(const typename V::Scalar* z, Index panel, Index panels, Index H,
                                   typename V::Scalar* row, int part) {
  for (Index p = 0; p < panels; ++p)
    for (int gate = 0; gate < LstmNormCell::gates; ++gate) {
      const Index unit = (panel + p) * V::lanes;
      store_lanes(V::load(z + (p * kPanelVectors + gate) * V::lanes), row + (part + gate) * H + unit, H - unit);
    }
}

// The first stage of a step: both products, to where they are kept.
template <class V, class W, int R>
LSTMFAST_ONCE void norm_forward_step(const ForwardStep<typename V::Scalar>& s) {
  using T = typename V::Scalar;
  using G = Group<V, W, R>;
  using Panels = ForwardPanels<V, W>;
  const Panels packing = {s.panels, s.input_size, s.hidden_size, s.state_size, kUnits<V, LstmNormCell>};
  alignas(64) T z[G::capacity];
  const T* scratch[G::max_rows];
  T* z_rows[G::max_rows];

  RowCut<V, R>::for_groups(s.rows, [&](Index row, Index rows) {
    const auto step_group = [&](Index panel, Index panels, bool) {
      const Index width = panels * Panels::width;
      list_scratch(z, width, rows, z_rows);
      const auto product_of = [&](const T* const* given, Index terms, const W* weights, int part) {
        GroupProduct<T, W> product = {rows,
                                      panels,
                                      kPanelVectors,
                                      s.descending,
                                      false,
                                      false,
                                      {{{given, 0, terms}, {given, 0, 0}},
                                       weights,
                                       packing.stride(),
                                       packing.strip_stride(),
                                       Zeros<V>::row,
                                       0,
                                       0,
                                       0,
                                       z_rows,
                                       0,
                                       false,
                                       nullptr}};
        group_product<V, W, R>(product);
        for (Index r = 0; r < rows; ++r)
          keep_products<V>(z_rows[r], panel, panels, s.hidden_size, s.gates[row + r], part);
      };
      const W* const weights = packing.weights(panel);
      if (s.x.there()) {
        product_of(addresses(s.x, row, rows, scratch), s.input_size, weights, 0);
      } else {
        for (Index r = 0; r < rows; ++r)
          keep_products<V>(s.z + (row + r) * s.z_stride + (panel - s.panel_begin) * Panels::width, panel, panels,
                           s.hidden_size, s.gates[row + r], 0);
      }
      product_of(addresses(s.h, row, rows, scratch), s.state_size, weights + s.input_size * Panels::strip_width, 4);
    };
    for_panel_groups(s.panel_begin, s.panel_end, G::panels_of_product(rows), s.descending, step_group);
  });
}

// What a row's sums become, and its parameters.
template <class V>
struct NormRow {
  using T = typename V::Scalar;
  const T* sums;  // [8H]
  NormParameters<T> norm;
  Index H;
  Moments<V> of_x, of_h;

  LSTMFAST_INLINE NormRow(const T* row, const NormParameters<T>& parameters, Index units)
      : sums(row), norm(parameters), H(units), of_x(row, 4 * units), of_h(row + 4 * units, 4 * units) {}

  LSTMFAST_INLINE V x_of(int gate, Index unit, Index left) const {
    return of_x.norm(load_lanes<V>(sums + gate * H + unit, left));
  }
  LSTMFAST_INLINE V h_of(int gate, Index unit, Index left) const {
    return of_h.norm(load_lanes<V>(sums + (4 + gate) * H + unit, left));
  }
  LSTMFAST_INLINE V z(int gate, Index unit, Index left) const {
    const auto own = [&](const T* v) { return load_lanes<V>(v + gate * H + unit, left); };
    return fma(own(norm.gain_x), x_of(gate, unit, left), fma(own(norm.gain_h), h_of(gate, unit, left), own(norm.bias)));
  }
};

// An activated gate of a block of units.
template <class V>
LSTMFAST_ONCE V norm_gate(const NormRow<V>& row, int gate, Index unit, Index left) {
  const V z = row.z(gate, unit, left);
  return gate == LstmNormCell::g ? tanh(z) : sigmoid(z);
}

template <class V>
void norm_step(const NormStep<typename V::Scalar>& s) {
  using T = typename V::Scalar;
  using Cell = LstmNormCell;
  const Index H = s.hidden_size;
  for (Index r = 0; r < s.rows; ++r) {
    const NormRow<V> row(s.gates[r], s.norm, H);
    const T* const c = s.c[r];
    T* const c_out = s.c_out[r];
    T* const h_out = s.h_out[r];
    for (Index unit = 0; unit < H; unit += V::lanes) {
      const Index left = H - unit;
      const V i = norm_gate(row, Cell::i, unit, left), f = norm_gate(row, Cell::f, unit, left);
      const V g = norm_gate(row, Cell::g, unit, left);
      store_lanes(fma(f, load_lanes<V>(c + unit, left), i * g), c_out + unit, left);
      store_lanes(norm_gate(row, Cell::o, unit, left), h_out + unit, left);
    }
    const Moments<V> of_c(c_out, H);
    for (Index unit = 0; unit < H; unit += V::lanes) {
      const Index left = H - unit;
      const V n = fma(load_lanes<V>(s.norm.gain_c + unit, left), of_c.norm(load_lanes<V>(c_out + unit, left)),
                      load_lanes<V>(s.norm.bias_c + unit, left));
      store_lanes(load_lanes<V>(h_out + unit, left) * tanh(n), h_out + unit, left);
    }
  }
}

// What arrives at h, to s.m.
template <class V>
void norm_backward(const BackwardStep<typename V::Scalar>& s, Index row, Index rows, Index first_unit, Index blocks,
                   const typename V::Scalar* arriving, Index arriving_stride) {
  for_backward_blocks<V>(s, row, rows, first_unit, blocks, arriving, arriving_stride,
                         [&](Index at, Index unit, Index lanes, V dh)
                             __attribute__((always_inline)) { store_lanes(dh, s.m[at] + unit, lanes); });
}

// The gradient of v [n] from that of norm(v): d, beside norm(v), to `to`, which may be d.
template <class V>
LSTMFAST_ONCE void back_through_norm(const typename V::Scalar* d, const typename V::Scalar* normed,
                                     typename V::Scalar scale, Index n, typename V::Scalar* to) {
  using T = typename V::Scalar;
  const V mean = V::set1(
      row_sum<V>(n, [&](Index at, Index left) __attribute__((always_inline)) { return load_lanes<V>(d + at, left); }) /
      T(n));
  const V along = V::set1(row_sum<V>(n,
                                     [&](Index at, Index left) __attribute__((always_inline)) {
                                       return load_lanes<V>(d + at, left) * load_lanes<V>(normed + at, left);
                                     }) /
                          T(n));
  for (Index at = 0; at < n; at += V::lanes) {
    const Index left = n - at;
    const V apart = load_lanes<V>(d + at, left) - mean - load_lanes<V>(normed + at, left) * along;
    store_lanes(apart * V::set1(scale), to + at, left);
  }
}

// dz: see NormDz in types.h.
template <class V>
void norm_backward_row(const NormBackward<typename V::Scalar>& s) {
  using T = typename V::Scalar;
  using Cell = LstmNormCell;
  const Index H = s.hidden_size;
  const V one = V::set1(1);
  for (Index r = 0; r < s.rows; ++r) {
    const NormRow<V> row(s.gates[r], s.norm, H);
    const Moments<V> of_c(s.c_out[r], H);
    T* const dz = s.dz[r];
    const auto at = [&](int slot) { return dz + slot * H; };
    const T* const dh = s.dh[r];
    T* const dc = s.dc[r];
    // Through h' = o tanh(n), and what is needed of the gates later, where their gradients will be.
    for (Index unit = 0; unit < H; unit += V::lanes) {
      const Index left = H - unit;
      const auto to = [&](int slot, V v) { store_lanes(v, at(slot) + unit, left); };
      for (int gate = 0; gate < 4; ++gate) {
        to(NormDz::normed_x + gate, row.x_of(gate, unit, left));
        to(NormDz::normed_h + gate, row.h_of(gate, unit, left));
        to(NormDz::x + gate, norm_gate(row, gate, unit, left));
      }
      const V o = load_lanes<V>(at(NormDz::x + Cell::o) + unit, left), d = load_lanes<V>(dh + unit, left);
      const V normed = of_c.norm(load_lanes<V>(s.c_out[r] + unit, left));
      const V gain = load_lanes<V>(s.norm.gain_c + unit, left);
      const V shown = tanh(fma(gain, normed, load_lanes<V>(s.norm.bias_c + unit, left)));
      const V dn = d * o * (one - shown * shown);
      to(NormDz::z + Cell::o, d * shown * (o * (one - o)));
      to(NormDz::n, dn);
      to(NormDz::normed_c, normed);
      to(NormDz::h, dn * gain);
    }
    back_through_norm<V>(at(NormDz::h), at(NormDz::normed_c), of_c.scale, H, at(NormDz::h));
    for (Index unit = 0; unit < H; unit += V::lanes) {
      const Index left = H - unit;
      const auto from = [&](int slot) { return load_lanes<V>(at(slot) + unit, left); };
      const auto to = [&](int slot, V v) { store_lanes(v, at(slot) + unit, left); };
      const V i = from(NormDz::x + Cell::i), f = from(NormDz::x + Cell::f), g = from(NormDz::x + Cell::g);
      const V d = load_lanes<V>(dc + unit, left) + from(NormDz::h);
      to(NormDz::z + Cell::i, d * g * (i * (one - i)));
      to(NormDz::z + Cell::f, d * load_lanes<V>(s.c[r] + unit, left) * (f * (one - f)));
      to(NormDz::z + Cell::g, d * i * (one - g * g));
      store_lanes(d * f, dc + unit, left);
    }
    for (Index k = 0; k < 4 * H; k += V::lanes) {
      const Index left = 4 * H - k;
      const V d = load_lanes<V>(at(NormDz::z) + k, left);
      store_lanes(d * load_lanes<V>(s.norm.gain_x + k, left), at(NormDz::x) + k, left);
      store_lanes(d * load_lanes<V>(s.norm.gain_h + k, left), at(NormDz::h) + k, left);
    }
    back_through_norm<V>(at(NormDz::x), at(NormDz::normed_x), row.of_x.scale, 4 * H, at(NormDz::x));
    back_through_norm<V>(at(NormDz::h), at(NormDz::normed_h), row.of_h.scale, 4 * H, at(NormDz::h));
  }
}

}  // namespace
}  // namespace lstmfast
