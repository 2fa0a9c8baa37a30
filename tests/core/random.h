// Numbers that are the same on every machine and library.
#pragma once

#include <cstdint>
#include <vector>

#include "lstmfast/types.h"

namespace test {

using lstmfast::Index;

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed * 2654435769u + 1) {}

  // Uniform in [-1, 1), exactly representable in float.
  double next() {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;  // Knuth, MMIX
    return static_cast<double>(static_cast<std::int32_t>(state_ >> 32) >> 9) / 4194304.0;
  }

  template <class T>
  std::vector<T> vector(Index count, double scale = 1) {
    std::vector<T> values(static_cast<std::size_t>(count));
    for (T& value : values) value = static_cast<T>(next() * scale);
    return values;
  }

 private:
  std::uint64_t state_;
};

}  // namespace test
