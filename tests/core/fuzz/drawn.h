// Shapes, weights and sequences that bytes choose. Sizes are small: edges of tiles and panels are all there.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "bytes.h"
#include "jax/request.h"
#include "lstmfast/network.h"
#include "random.h"
#include "target.h"

namespace fuzz {

using namespace lstmfast;

inline std::size_t size(Index count) { return static_cast<std::size_t>(count); }

inline Activation<double> drawn_activation(Bytes& bytes) {
  const auto function = static_cast<Function>(bytes.from(0, 10));
  const double alpha = static_cast<double>(bytes.from(-8, 8)) / 4, beta = static_cast<double>(bytes.from(-8, 8)) / 4;
  return {function, alpha, beta};
}

// Sums of hidden units: mostly few, but one tile and a little more, too.
inline Index drawn_size(Bytes& bytes, Index most) {
  return bytes.from(1, bytes.from(0, 3) ? std::min<Index>(most, 9) : most);
}

inline NetworkShape drawn_shape(Bytes& bytes, Index most_directions = 2) {
  NetworkShape shape = {};
  shape.cell = static_cast<Cell>(bytes.from(0, kCells - 1));
  shape.input_size = drawn_size(bytes, 70);
  shape.hidden_size = drawn_size(bytes, 70);
  shape.num_layers = bytes.from(1, 3);
  shape.directions = bytes.from(1, most_directions);
  const std::uint8_t flags = bytes.byte();
  shape.bias = (flags & 1) != 0;
  if ((flags & 2) != 0 && has_memory(shape.cell) && !is_norm(shape.cell) && shape.hidden_size > 1)
    shape.projection_size = bytes.from(1, shape.hidden_size - 1);
  shape.peephole = (flags & 4) != 0 && peepholes_of(shape.cell) > 0;
  shape.reverse = (flags & 8) != 0 && shape.directions == 1 && most_directions > 1;
  if ((flags & 48) == 48) shape.zoneout = 0.25;
  if (is_variant(shape.cell))
    shape.variant = {drawn_activation(bytes), drawn_activation(bytes), drawn_activation(bytes),
                     static_cast<double>(bytes.from(0, 8)) / 4};
  return shape;
}

// Numbers between -scale and scale; some are what bytes say, with any bits.
template <class T>
std::vector<T> drawn_numbers(Bytes& bytes, Index count, double scale) {
  test::Random random(bytes.byte());
  std::vector<T> numbers = random.vector<T>(count, scale);
  if (count > 0 && bytes.from(0, 15) == 15)
    for (Index left = bytes.from(1, 3); left > 0; --left)
      numbers[size(bytes.from(0, std::min<Index>(count, 65536) - 1))] = bytes.bits<T>();
  return numbers;
}

template <class T>
class DrawnWeights {
 public:
  DrawnWeights(const NetworkShape& shape, Bytes& bytes) {
    const double scale = bytes.one_of({0.5, 0.1, 3.0});
    for (Index pass = 0; pass < shape.passes(); ++pass) {
      PassParameters<const T> parameters = {};
      jax::for_parameters<const T>(shape, pass, [&](auto member, const char*, std::initializer_list<Index> sizes) {
        Index count = 1;
        for (const Index each : sizes) count *= each;
        arrays_.push_back(drawn_numbers<T>(bytes, count, scale));
        parameters.*member = arrays_.back().data();
      });
      passes_.push_back(parameters);
    }
  }

  const PassParameters<const T>* passes() const { return passes_.data(); }

 private:
  std::vector<std::vector<T>> arrays_;
  std::vector<PassParameters<const T>> passes_;
};

// How [T, B, features] lie in memory.
struct Layout {
  bool batch_first, packed;
  Index gap;  // numbers between rows that are nobody's
  Index steps, rows;
  std::vector<Index> lengths;  // [B], of packed ones
};

// A sequence whose memory ends with its last number, so that AddressSanitizer sees what is beyond.
template <class T>
class Laid {
 public:
  static constexpr T kNobodys = T(-12345);

  Laid(const Layout& layout, Index features) : layout_(layout), features_(features) {
    const Index width = features + layout.gap;
    row_stride_ = layout.packed || !layout.batch_first ? width : width * layout.steps;
    step_stride_ = layout.batch_first ? width : width * layout.rows;
    Index end = 0;
    each([&](Index at) { end = std::max(end, at + features); });
    memory_.assign(size(end), kNobodys);
  }

  Sequence<T> sequence() { return {memory_.data(), step_stride_, row_stride_}; }
  Sequence<const T> read() const { return {memory_.data(), step_stride_, row_stride_}; }

  // All numbers, in the order of steps and rows.
  void fill(const std::vector<T>& numbers) {
    auto from = numbers.begin();
    each([&](Index at) {
      std::copy_n(from, features_, memory_.begin() + at);
      from += features_;
    });
  }
  std::vector<T> numbers() const {
    std::vector<T> found;
    each([&](Index at) { found.insert(found.end(), memory_.begin() + at, memory_.begin() + at + features_); });
    return found;
  }
  void expect_gaps_untouched(const std::string& what) const {
    std::vector<bool> own(memory_.size());
    each([&](Index at) { std::fill_n(own.begin() + at, features_, true); });
    for (std::size_t k = 0; k < own.size(); ++k)
      EXPECT(own[k] || memory_[k] == kNobodys, what + " writes between rows");
  }

  template <class Visit>
  void each(const Visit& visit) const {
    Index place = 0;
    for (Index t = 0; t < layout_.steps; ++t)
      for (Index b = 0; b < layout_.rows; ++b) {
        if (!layout_.packed)
          visit(t * step_stride_ + b * row_stride_);
        else if (t < layout_.lengths[size(b)])
          visit(place++ * row_stride_);
      }
  }

 private:
  Layout layout_;
  Index features_, step_stride_, row_stride_;
  std::vector<T> memory_;
};

}  // namespace fuzz
