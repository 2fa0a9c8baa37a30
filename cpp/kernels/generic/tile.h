// The register tile: where nearly all the time goes.
//
// z[r][n] = init[r][n] + sum over k of a[r][k] * panel[k][n], one chain for each (r, n, lane), k ascending.
// R rows times P panels of N vectors stay in registers over the whole of k.
#pragma once

#include "kernels/generic/inline.h"
#include "lstmfast/kernel_table.h"

namespace lstmfast {
namespace {

template <class T>
struct TileArgs {
  Index terms;  // k
  const T* a;   // [R][k], rows a_stride apart; or [k][R] for a tile over packed rows
  Index a_stride;
  const T* panel;  // [P][k][kPanelVectors][lane], panels panel_stride apart; N vectors are read
  Index panel_stride;
  const T* init;            // [R][P][kPanelVectors][lane]; strides may be 0 (one row of biases for all rows)
  Index init_stride;        // between rows
  Index init_panel_stride;  // between panels
  T* z;                     // [R][P][kPanelVectors][lane]; may be init
  Index z_stride;           // between rows
};

enum class Rows { strided, packed };

template <class V, int R, int P, int N, Rows layout>
LSTMFAST_TILE void tile(const TileArgs<typename V::Scalar>& args) {
  using T = typename V::Scalar;
  V acc[R][P][N];
  for (int r = 0; r < R; ++r)
    for (int p = 0; p < P; ++p)
      for (int n = 0; n < N; ++n)
        acc[r][p][n] = V::load(args.init + r * args.init_stride + p * args.init_panel_stride + n * V::lanes);

  const Index terms = args.terms;
  const Index a_stride = args.a_stride;
  const Index panel_stride = args.panel_stride;
  const T* a = args.a;
  const T* w = args.panel;
  for (Index k = 0; k < terms; ++k) {
    V row[R];
    for (int r = 0; r < R; ++r) row[r] = V::set1(layout == Rows::strided ? a[r * a_stride] : a[r]);
    for (int p = 0; p < P; ++p)
      for (int n = 0; n < N; ++n) {
        const V column = V::load(w + p * panel_stride + n * V::lanes);
        for (int r = 0; r < R; ++r) acc[r][p][n] = fma(row[r], column, acc[r][p][n]);
      }
    a += layout == Rows::strided ? 1 : R;
    w += kPanelVectors * V::lanes;
  }

  for (int r = 0; r < R; ++r)
    for (int p = 0; p < P; ++p)
      for (int n = 0; n < N; ++n) acc[r][p][n].store(args.z + r * args.z_stride + (p * kPanelVectors + n) * V::lanes);
}

// tile<V, rows, 1, vectors> for sizes known only at run time.
template <class V, int R>
void tile_of(Index rows, Index vectors, const TileArgs<typename V::Scalar>& args) {
  if constexpr (R > 1) {
    if (rows < R) return tile_of<V, R - 1>(rows, vectors, args);
  }
  switch (vectors) {
    case 1: return tile<V, R, 1, 1, Rows::strided>(args);
    case 2: return tile<V, R, 1, 2, Rows::strided>(args);
    case 3: return tile<V, R, 1, 3, Rows::strided>(args);
    default: return tile<V, R, 1, 4, Rows::strided>(args);
  }
}

}  // namespace
}  // namespace lstmfast
