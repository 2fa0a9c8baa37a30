#include "lstmfast/optimizing.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include "core/buffer.h"
#include "core/float_environment.h"
#include "core/range.h"
#include "core/team.h"
#include "lstmfast/threads.h"

namespace lstmfast {
namespace {

// A thread's part: less is done sooner than a thread that is awake has heard of it.
constexpr Index kPart = 32 * 1024;
// Numbers whose squares are added side by side, and then together: one sum for each block, whoever makes it.
constexpr Index kBlock = 4096, kSums = 8;

// Runs each(range) over parts of n things of so many numbers each. Memory is what they take: brief work at any size.
template <class Each>
void in_parts(Index n, Index numbers, Each&& each) {
  Team team(static_cast<int>(std::clamp<Index>(n * numbers / kPart, 1, get_num_threads())), true);
  team.run([&](int rank) {
    const DefaultFloats floats;
    each(part_of(n, rank, team.size()));
  });
}

// Without branches, for compilers to do some at a time; NaN compares as false.
template <class T>
bool is_finite(T x) {
  return std::fabs(x) <= std::numeric_limits<T>::max();
}

template <class T>
double squares_of_block(const T* x, Index n, double unit) {
  double sums[kSums] = {};
  const auto add = [&](Index k) {
    // Every square of a float is a double, so there it can wait to be divided.
    const double number = sizeof(T) == sizeof(float) ? static_cast<double>(x[k]) : static_cast<double>(x[k]) / unit;
    sums[k % kSums] += number * number;
  };
  const Index whole = n - n % kSums;
  for (Index first = 0; first < whole; first += kSums)
    for (Index k = first; k < first + kSums; ++k) add(k);
  for (Index k = whole; k < n; ++k) add(k);
  const double sum = ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
  return sizeof(T) == sizeof(float) ? sum / unit / unit : sum;
}

}  // namespace

// Magnitudes are ordered as their bits are, and above all of them come infinity and NaN: whole numbers have a largest
// one whatever comes first, so compilers can look at some at a time.
template <class T>
double largest_magnitude(const T* x, Index n) {
  using Bits = std::conditional_t<sizeof(T) == sizeof(float), std::int32_t, std::int64_t>;
  std::atomic<Bits> largest{0};
  in_parts(n, 1, [&](const Range& part) {
    Bits most = 0;
    for (Index k = part.begin; k < part.end; ++k) {
      Bits bits;
      std::memcpy(&bits, x + k, sizeof bits);
      bits &= std::numeric_limits<Bits>::max();
      most = bits > most ? bits : most;
    }
    Bits before = largest.load(std::memory_order_relaxed);
    while (before < most && !largest.compare_exchange_weak(before, most, std::memory_order_relaxed)) {
    }
  });
  const Bits bits = largest.load(std::memory_order_relaxed);
  T found;
  std::memcpy(&found, &bits, sizeof found);
  return is_finite(found) ? static_cast<double>(found) : std::numeric_limits<double>::infinity();
}

template <class T>
double sum_of_squares(const T* x, Index n, double unit) {
  const Index blocks = (n + kBlock - 1) / kBlock;
  const Buffer<double> sums(blocks);
  in_parts(blocks, kBlock, [&](const Range& part) {
    for (Index block = part.begin; block < part.end; ++block)
      sums.data()[block] = squares_of_block(x + block * kBlock, std::min(kBlock, n - block * kBlock), unit);
  });
  const DefaultFloats floats;
  double sum = 0;
  for (Index block = 0; block < blocks; ++block) sum += sums.data()[block];
  return sum;
}

template <class T>
bool adam_step(const AdamRates<T>& rates, const AdamArrays<T>& arrays) {
  std::atomic<bool> all_finite{true};
  in_parts(arrays.n, 1, [&](const Range& part) {
    const AdamRates<T> own = rates;
    const T *const w = arrays.weight, *const g = arrays.gradient, *const m = arrays.mean, *const v = arrays.square;
    T *const new_w = arrays.new_weight, *const new_m = arrays.new_mean, *const new_v = arrays.new_square;
    int strange = 0;
    // Number k of what is written is of what was read there.
#if defined(__clang__)
#pragma clang loop vectorize(assume_safety)
#elif defined(__GNUC__)
#pragma GCC ivdep
#endif
    for (Index k = part.begin; k < part.end; ++k) {
      const T mean = m[k] + own.mean_share * (g[k] - m[k]);  // so rounded that a constant g is reached
      const T square = own.square_decay * v[k] + own.square_share * (g[k] * g[k]);
      strange |= !is_finite(square);
      new_m[k] = mean;
      new_v[k] = square;
      new_w[k] = w[k] - own.rate * mean / (std::sqrt(square) / own.root_correction + own.epsilon);
    }
    if (strange) all_finite.store(false, std::memory_order_relaxed);
  });
  return all_finite.load(std::memory_order_relaxed);
}

template double largest_magnitude(const float*, Index);
template double largest_magnitude(const double*, Index);
template double sum_of_squares(const float*, Index, double);
template double sum_of_squares(const double*, Index, double);
template bool adam_step(const AdamRates<float>&, const AdamArrays<float>&);
template bool adam_step(const AdamRates<double>&, const AdamArrays<double>&);

}  // namespace lstmfast
