// Variants of cells: peepholes, coupled gates, clipped arguments, activations of all kinds.
//
// Of a step is kept z as the products gave it: a slope cannot be told from every function's value, and what peepholes
// add to z is made of c, which the backward pass has. With the usual functions and nothing else the bits are those of
// the plain cells.
#pragma once

#include "kernels/generic/activations.h"
#include "kernels/generic/backward.h"
#include "kernels/generic/forward.h"
#include "kernels/generic/gru.h"

namespace lstmfast {
namespace {

// A block of units of one row of an LSTM. Load: of one sum, by its place among the cell's gates.
template <class V, bool Coupled>
struct LstmVariantBlock {
  using T = typename V::Scalar;
  enum Gates { i = 0, f = 1, g = Coupled ? 1 : 2, o = Coupled ? 2 : 3, gates = Coupled ? 3 : 4 };
  // Among the peepholes.
  enum Peepholes { of_i = 0, of_f = 1, of_o = Coupled ? 1 : 2 };

  const Variant<T>& variant;
  const T* peepholes;         // of the block's first unit; null: none
  Index hidden_size;          // between them
  Index lanes;                // that are units, or more
  V z_i, z_f = {}, z_g, z_o;  // with what peepholes add, z_o once c_out is there
  V a_i, a_f, a_g, a_o = {};
  V c, c_out;

  LSTMFAST_INLINE Gate<V> squash() const { return {variant.f, variant.clip}; }
  LSTMFAST_INLINE Gate<V> candidate() const { return {variant.g, variant.clip}; }
  LSTMFAST_INLINE V peephole(int which) const { return load_lanes<V>(peepholes + which * hidden_size, lanes); }

  template <class Load>
  LSTMFAST_INLINE LstmVariantBlock(const Variant<T>& given, const T* given_peepholes, Index units, Index lane_count,
                                   V c_before, const Load& load)
      : variant(given), peepholes(given_peepholes), hidden_size(units), lanes(lane_count), c(c_before) {
    z_i = load(i);
    z_g = load(g);
    z_o = load(o);
    if constexpr (!Coupled) z_f = load(f);
    if (peepholes) {
      z_i = fma(peephole(of_i), c, z_i);
      if constexpr (!Coupled) z_f = fma(peephole(of_f), c, z_f);
    }
    a_i = squash()(z_i);
    a_f = Coupled ? V::set1(1) - a_i : squash()(z_f);
    a_g = candidate()(z_g);
  }
  LSTMFAST_INLINE void remember() { look_at(fma(a_f, c, a_i * a_g)); }
  // c_out: made by remember(), now or before.
  LSTMFAST_INLINE void look_at(V memory) {
    c_out = memory;
    if (peepholes) z_o = fma(peephole(of_o), c_out, z_o);
    a_o = squash()(z_o);
  }
  LSTMFAST_INLINE V shown() const { return activated(variant.h, c_out); }  // of c_out
};

template <class V, bool Coupled>
void lstm_variant_forward(const ForwardStep<typename V::Scalar>& s, Index row, Index rows, Index panel, Index panels,
                          typename V::Scalar* z) {
  using Cell = LstmVariant<Coupled>;
  using Block = LstmVariantBlock<V, Coupled>;
  const CellGroup<V, Cell> group = CellGroup<V, Cell>::of(s, row, rows, panel, panels, z);
  group.spread_last_block();
  if (s.h_out.there())
    for (Index r = 0; r < rows; ++r)
      for (Index b = 0; b < group.blocks; ++b) {
        const Index unit = group.unit(b), lanes = group.lanes(b);
        const GatesAt<V> sums = {group.block(r, b)};
        Block block(*s.variant, s.peepholes ? s.peepholes + unit : nullptr, s.hidden_size, lanes,
                    load_lanes<V>(s.c[row + r] + unit, lanes), [&](int gate) { return sums[gate]; });
        block.remember();
        store_lanes(block.c_out, s.c_out[row + r] + unit, lanes);
        store_lanes(block.a_o * block.shown(), s.h_out[row + r] + unit, lanes);
      }
  if (s.gates.there()) group.keep_gates();
}

template <class V, bool Coupled>
void lstm_variant_backward(const BackwardStep<typename V::Scalar>& s, Index row, Index rows, Index first_unit,
                           Index blocks, const typename V::Scalar* arriving, Index arriving_stride) {
  using T = typename V::Scalar;
  using Block = LstmVariantBlock<V, Coupled>;
  for_backward_blocks<V>(s, row, rows, first_unit, blocks, arriving, arriving_stride,
                         [&](Index at, Index unit, Index lanes, V dh) __attribute__((always_inline)) {
                           const Index H = s.hidden_size;
                           Block block(*s.variant, s.peepholes ? s.peepholes + unit : nullptr, H, lanes,
                                       load_lanes<V>(s.c[at] + unit, lanes),
                                       [&](int gate) { return load_lanes<V>(s.gates[at] + gate * H + unit, lanes); });
                           block.look_at(load_lanes<V>(s.c_out[at] + unit, lanes));
                           const V shown = block.shown();
                           const V dz_o = dh * shown * block.squash().slope_at(block.z_o, block.a_o);
                           V dc = load_lanes<V>(s.dc[at] + unit, lanes);
                           dc = fma(dh * block.a_o, slope(block.variant.h, block.c_out, shown), dc);
                           if (s.peepholes) dc = fma(dz_o, block.peephole(Block::of_o), dc);
                           // Coupled: c' = c + i (g - c).
                           const V by_i = Coupled ? block.a_g - block.c : block.a_g;
                           const V dz_i = dc * by_i * block.squash().slope_at(block.z_i, block.a_i);
                           const V dz_g = dc * block.a_i * block.candidate().slope_at(block.z_g, block.a_g);
                           V dc_before = dc * block.a_f;
                           if (s.peepholes) dc_before = fma(dz_i, block.peephole(Block::of_i), dc_before);
                           T* const dz = s.dz[at] + unit;
                           store_lanes(dz_i, dz + Block::i * H, lanes);
                           if constexpr (!Coupled) {
                             const V dz_f = dc * block.c * block.squash().slope_at(block.z_f, block.a_f);
                             if (s.peepholes) dc_before = fma(dz_f, block.peephole(Block::of_f), dc_before);
                             store_lanes(dz_f, dz + Block::f * H, lanes);
                           }
                           store_lanes(dz_g, dz + Block::g * H, lanes);
                           store_lanes(dz_o, dz + Block::o * H, lanes);
                           store_lanes(dc_before, s.dc[at] + unit, lanes);
                           if (s.m.there()) store_lanes(block.a_o * shown, s.m[at] + unit, lanes);
                         });
}

template <class V>
void rnn_variant_forward(const ForwardStep<typename V::Scalar>& s, Index row, Index rows, Index panel, Index panels,
                         typename V::Scalar* z) {
  const auto group = CellGroup<V, RnnVariantCell>::of(s, row, rows, panel, panels, z);
  const Gate<V> gate = {s.variant->f, s.variant->clip};
  if (s.h_out.there())
    for (Index r = 0; r < rows; ++r)
      for (Index b = 0; b < group.blocks; ++b)
        store_lanes(gate(GatesAt<V>{group.block(r, b)}[0]), s.h_out[row + r] + group.unit(b), group.lanes(b));
  if (s.gates.there()) group.keep_gates();
}

template <class V>
void rnn_variant_backward(const BackwardStep<typename V::Scalar>& s, Index row, Index rows, Index first_unit,
                          Index blocks, const typename V::Scalar* arriving, Index arriving_stride) {
  const Gate<V> gate = {s.variant->f, s.variant->clip};
  for_backward_blocks<V>(s, row, rows, first_unit, blocks, arriving, arriving_stride,
                         [&](Index at, Index unit, Index lanes, V dh) __attribute__((always_inline)) {
                           const V z = load_lanes<V>(s.gates[at] + unit, lanes),
                                   y = gate(z);  // h may be more than y, with zoneout
                           store_lanes(dh * gate.slope_at(z, y), s.dz[at] + unit, lanes);
                         });
}

// A block of units of one row of a GRU.
template <class V>
struct GruVariantBlock {
  V q, z_n, a_r, a_z, a_n;  // z_n: n's argument
  V z_r, z_z;

  template <class Load>
  LSTMFAST_INLINE GruVariantBlock(const Variant<typename V::Scalar>& variant, const Load& load) {
    const Gate<V> squash = {variant.f, variant.clip}, candidate = {variant.g, variant.clip};
    q = load(GruCell::q);
    z_r = load(GruCell::r);
    z_z = load(GruCell::z);
    a_r = squash(z_r);
    a_z = squash(z_z);
    z_n = fma(a_r, q, load(GruCell::n));
    a_n = candidate(z_n);
  }
};

template <class V>
void gru_variant_forward(const ForwardStep<typename V::Scalar>& s, Index row, Index rows, Index panel, Index panels,
                         typename V::Scalar* z) {
  const auto group = CellGroup<V, GruVariantCell>::of(s, row, rows, panel, panels, z);
  if (s.h_out.there())
    for (Index r = 0; r < rows; ++r)
      for (Index b = 0; b < group.blocks; ++b) {
        const GatesAt<V> sums = {group.block(r, b)};
        const GruVariantBlock<V> block(*s.variant, [&](int slot) { return sums[slot]; });
        const V h = load_lanes<V>(s.h[row + r] + group.unit(b), group.lanes(b));
        store_lanes(fma(block.a_z, h - block.a_n, block.a_n), s.h_out[row + r] + group.unit(b), group.lanes(b));
      }
  if (s.gates.there()) group.keep_gates();
}

template <class V>
void gru_variant_backward(const BackwardStep<typename V::Scalar>& s, Index row, Index rows, Index first_unit,
                          Index blocks, const typename V::Scalar* arriving, Index arriving_stride) {
  const Gate<V> squash = {s.variant->f, s.variant->clip}, candidate = {s.variant->g, s.variant->clip};
  for_gru_backward_blocks<V>(s, row, rows, first_unit, blocks, arriving, arriving_stride,
                             [&](Index at, Index unit, Index lanes, V dh, V h) __attribute__((always_inline)) {
                               const Index H = s.hidden_size;
                               const GruVariantBlock<V> block(*s.variant, [&](int slot) {
                                 return load_lanes<V>(s.gates[at] + slot * H + unit, lanes);
                               });
                               const V dn = dh * (V::set1(1) - block.a_z) * candidate.slope_at(block.z_n, block.a_n);
                               return GruSlots<V>{dn, dn * block.q * squash.slope_at(block.z_r, block.a_r),
                                                  dh * (h - block.a_n) * squash.slope_at(block.z_z, block.a_z),
                                                  dn * block.a_r, dh * block.a_z};
                             });
}

}  // namespace
}  // namespace lstmfast
