// AMX: sums of products of 8 bits of up to 16 rows and 16 columns, in tiles of 16 times 64 bytes.
//
// instruction  cycles            used for
// tdpbusd      1 a row of sums   64 terms of each of 16 columns, added in 32 bits, not saturated: vpdpbusd's bits
// tileloadd    8 from L1         16 rows of activations, or 64 terms of a panel's vector, which lie as in a tile
//
// One vpdpbusd does 64 products in half a cycle, one tdpbusd 1,024 in each.
#pragma once

#include "kernels/avx512/vnni.h"
#include "kernels/generic/int8.h"

namespace lstmfast {
namespace {

// Compilers do not see what tiles are loaded from: all that was to be written there must be.
LSTMFAST_INLINE void seen_by_tiles(const void* memory) { __asm__ volatile("" : : "r"(memory) : "memory"); }

class Tiles {
 public:
  // With fewer, tiles are no faster than vectors: both read each weight once.
  static constexpr Index least_rows = 8;
  static constexpr Index most_rows = 32;

  ~Tiles() {
    if (rows_) _tile_release();  // else each switch of threads would save them
  }

  // z of up to 32 rows times one panel, as int8_tile() has it. Activations of rows lie the same distance apart, zero up
  // to a whole line; behind the panel's weights there is something that can be read, kInt8Beyond bytes
  // (kernel_table.h).
  template <class V, class Q>
  LSTMFAST_INLINE void product(const Int8TileArgs<Q>& args, Index rows, Index vectors) {
    // Two tiles of rows use each tile of weights twice. Halves, so that no row is multiplied in vain.
    const Index first = rows > 16 ? (rows + 1) / 2 : rows;
    configure(first, rows - first);
    const Operands operands = {args.rows[0], args.rows[1] - args.rows[0], args.weights, args.starts, args.words};
    if (rows > 16) {
      vectors == 1 ? two_by<1>(operands, first, 0) : two_by<2>(operands, first, 0);
      if (vectors > 2) vectors == 3 ? two_by<1>(operands, first, 2) : two_by<2>(operands, first, 2);
    } else {
      switch (vectors) {
        case 1: one_by<1>(operands); break;
        case 2: one_by<2>(operands); break;
        case 3: one_by<3>(operands); break;
        default: one_by<4>(operands);
      }
    }
    for (int r = 0; r < static_cast<int>(rows); ++r) {
      const V row_scale = V::set1(args.row_scales[r]);
      for (int n = 0; n < static_cast<int>(vectors); ++n)
        finish_sum<V, Q>(args, Q::load(sums_[r][n]), row_scale, r, 0, n);
    }
  }

 private:
  static constexpr Index kTerms = 64;    // of a tile
  static constexpr Index kColumns = 16;  // likewise
  static constexpr Index kRow =
      kPanelVectors * 64;  // bytes from four terms of a panel to the next, and of a row of sums
  static constexpr Index kStretch = kTerms / 4 * kRow;  // bytes of a panel's 64 terms

  struct Operands {
    const uint8_t* rows;
    Index distance;
    const int8_t* weights;
    const int32_t* starts;
    Index words;
  };

  // Tiles 0 to 3 hold sums, 4 and 5 rows, 6 and 7 columns.
  struct alignas(64) Shapes {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
  };

  // first, second: the rows of tiles 4 and 5.
  void configure(Index first, Index second) {
    const Index rows = first * 256 + second;
    if (rows == rows_) return;
    rows_ = rows;
    const auto f = static_cast<uint8_t>(first), s = static_cast<uint8_t>(second ? second : first);
    const bool two = second != 0;
    Shapes shapes = {
        1, 0, {}, {64, 64, 64, 64, 64, 64, 64, 64}, {f, f, two ? s : f, two ? s : f, f, s, kTerms / 4, kTerms / 4}};
    seen_by_tiles(&shapes);
    _tile_loadconfig(&shapes);
  }

  // 16 rows or fewer times N vectors.
  template <int N>
  LSTMFAST_TILE void one_by(const Operands& o) {
    seen_by_tiles(o.rows);
    // A distance of 0: each row of sums starts alike.
    _tile_loadd(0, o.starts, 0);
    if constexpr (N > 1) _tile_loadd(1, o.starts + kColumns, 0);
    if constexpr (N > 2) _tile_loadd(2, o.starts + 2 * kColumns, 0);
    if constexpr (N > 3) _tile_loadd(3, o.starts + 3 * kColumns, 0);
    const uint8_t* rows = o.rows;
    const int8_t* weights = o.weights;
    for (Index k = 0; k < o.words; k += kTerms / 4, rows += kTerms, weights += kStretch) {
      _tile_loadd(4, rows, o.distance);
      _tile_loadd(6, weights, kRow);
      _tile_dpbusd(0, 4, 6);
      if constexpr (N > 1) {
        _tile_loadd(7, weights + 64, kRow);
        _tile_dpbusd(1, 4, 7);
      }
      if constexpr (N > 2) {
        _tile_loadd(6, weights + 128, kRow);
        _tile_dpbusd(2, 4, 6);
      }
      if constexpr (N > 3) {
        _tile_loadd(7, weights + 192, kRow);
        _tile_dpbusd(3, 4, 7);
      }
    }
    _tile_stored(0, sums_[0][0], kRow);
    if constexpr (N > 1) _tile_stored(1, sums_[0][1], kRow);
    if constexpr (N > 2) _tile_stored(2, sums_[0][2], kRow);
    if constexpr (N > 3) _tile_stored(3, sums_[0][3], kRow);
  }

  // Two tiles of rows, `first` in the first, times N vectors from vector `from` on.
  template <int N>
  LSTMFAST_TILE void two_by(const Operands& o, Index first, Index from) {
    seen_by_tiles(o.rows);
    const int32_t* const starts = o.starts + from * kColumns;
    _tile_loadd(0, starts, 0);
    _tile_loadd(2, starts, 0);
    if constexpr (N > 1) {
      _tile_loadd(1, starts + kColumns, 0);
      _tile_loadd(3, starts + kColumns, 0);
    }
    const uint8_t *rows = o.rows, *others = rows + first * o.distance;
    const int8_t* weights = o.weights + from * 64;
    for (Index k = 0; k < o.words; k += kTerms / 4, rows += kTerms, others += kTerms, weights += kStretch) {
      _tile_loadd(6, weights, kRow);
      _tile_loadd(4, rows, o.distance);
      _tile_dpbusd(0, 4, 6);
      _tile_loadd(5, others, o.distance);
      _tile_dpbusd(2, 5, 6);
      if constexpr (N > 1) {
        _tile_loadd(7, weights + 64, kRow);
        _tile_dpbusd(1, 4, 7);
        _tile_dpbusd(3, 5, 7);
      }
    }
    _tile_stored(0, sums_[0][from], kRow);
    _tile_stored(2, sums_[first][from], kRow);
    if constexpr (N > 1) {
      _tile_stored(1, sums_[0][from + 1], kRow);
      _tile_stored(3, sums_[first][from + 1], kRow);
    }
  }

  Index rows_ = 0;  // what the tiles are configured for; 0: for nothing
  alignas(64) int32_t sums_[most_rows][kPanelVectors][kColumns];
};

using QuadsOrTiles = QuadsOr<Tiles>;

}  // namespace
}  // namespace lstmfast
