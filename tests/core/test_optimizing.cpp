// Norms of gradients and Adam's step: the formulas of optimizing.h, to the bit, with any number of threads.
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "check.h"
#include "lstmfast/optimizing.h"
#include "lstmfast/threads.h"
#include "random.h"

namespace {

using namespace lstmfast;

template <class T>
using Numbers = std::vector<T>;

const Index kSizes[] = {0, 1, 7, 8, 9, 4095, 4096, 4097, 100'003};

template <class T>
struct Weights {
  Numbers<T> w, g, m, v;

  explicit Weights(Index n) {
    test::Random random(static_cast<std::uint64_t>(n));
    w = random.vector<T>(n), g = random.vector<T>(n, 3), m = random.vector<T>(n, 0.5), v = random.vector<T>(n);
    for (T& square : v) square *= square;
  }

  bool step(const AdamRates<T>& rates) {
    return adam_step<T>(
        rates, {static_cast<Index>(w.size()), w.data(), g.data(), m.data(), v.data(), w.data(), m.data(), v.data()});
  }
};

template <class T>
bool same(const Numbers<T>& a, const Numbers<T>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), test::same_bits<T>);
}

template <class T>
void test_adam() {
  const AdamRates<T> rates = {T(0.1), T(0.999), T(0.001), T(0.02), T(0.3), T(1e-8)};
  for (const Index n : kSizes)
    for (const int threads : {1, 2, 5}) {
      set_num_threads(threads);
      const std::string what = std::to_string(n) + " numbers, " + std::to_string(threads) + " threads";
      Weights<T> before(n), stepped(n), placed(n);
      CHECK(stepped.step(rates), what);
      Numbers<T> w = before.w, m = before.w, v = before.w;  // elsewhere
      CHECK(adam_step<T>(rates, {n, before.w.data(), before.g.data(), before.m.data(), before.v.data(), w.data(),
                                 m.data(), v.data()}),
            what);
      CHECK(same(before.w, placed.w) && same(before.m, placed.m) && same(before.v, placed.v), what + ", read only");
      CHECK(same(w, stepped.w) && same(m, stepped.m) && same(v, stepped.v), what + ", in place");
      for (std::size_t k = 0; k < w.size(); ++k) {
        const T mean = before.m[k] + rates.mean_share * (before.g[k] - before.m[k]);
        const T square = rates.square_decay * before.v[k] + rates.square_share * (before.g[k] * before.g[k]);
        const T weight = before.w[k] - rates.rate * mean / (std::sqrt(square) / rates.root_correction + rates.epsilon);
        CHECK(test::same_bits(m[k], mean) && test::same_bits(v[k], square) && test::same_bits(w[k], weight), what);
      }
      for (Index k = 0; k < n; k += std::max<Index>(n / 7, 1))
        for (const T strange : {std::numeric_limits<T>::quiet_NaN(), -std::numeric_limits<T>::infinity(),
                                std::numeric_limits<T>::max()}) {
          Weights<T> other(n);
          other.g[static_cast<std::size_t>(k)] = strange;
          CHECK(!other.step(rates), what + ", a square that is not finite");
        }
    }
  set_num_threads(1);
}

template <class T>
void test_norms() {
  for (const Index n : kSizes)
    for (const int threads : {1, 2, 5}) {
      set_num_threads(threads);
      const std::string what = std::to_string(n) + " numbers, " + std::to_string(threads) + " threads";
      Numbers<T> x = test::Random(5).vector<T>(n, 1e-3);
      double largest = 0, sum = 0;
      for (Index first = 0; first < n; first += 4096) {
        double sums[8] = {};
        for (Index k = first; k < std::min<Index>(first + 4096, n); ++k) {
          const double number = static_cast<double>(x[static_cast<std::size_t>(k)]);
          largest = std::max(largest, std::fabs(number));
          sums[(k - first) % 8] += number * number;
        }
        sum += ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
      }
      CHECK(largest_magnitude(x.data(), n) == largest, what + ", largest");
      CHECK(test::same_bits(sum_of_squares(x.data(), n, 1), sum), what + ", squares");
      const double scaled = sum_of_squares(x.data(), n, 0.01);
      CHECK(std::fabs(scaled - sum / 0.01 / 0.01) <= 1e-12 * scaled, what + ", squares in units");
      for (Index k = 0; k < n; k += std::max<Index>(n / 7, 1))
        for (const T strange : {std::numeric_limits<T>::quiet_NaN(), -std::numeric_limits<T>::quiet_NaN(),
                                std::numeric_limits<T>::infinity(), -std::numeric_limits<T>::infinity()}) {
          Numbers<T> other = x;
          other[static_cast<std::size_t>(k)] = strange;
          CHECK(std::isinf(largest_magnitude(other.data(), n)), what + ", not finite");
        }
    }
  set_num_threads(1);
  const T edges[] = {-std::numeric_limits<T>::max(), std::numeric_limits<T>::denorm_min(), T(-0.0)};
  CHECK(largest_magnitude(edges, 3) == std::numeric_limits<T>::max(), "the largest that there is");
  CHECK(largest_magnitude(edges + 1, 2) == std::numeric_limits<T>::denorm_min(), "the least");
  CHECK(largest_magnitude(edges + 2, 1) == 0, "zero");
  CHECK(sum_of_squares(edges, 1, std::numeric_limits<T>::max()) == 1, "in units of itself");
}

}  // namespace

int main() {
  test_adam<float>();
  test_adam<double>();
  test_norms<float>();
  test_norms<double>();
  return test::finish("optimizing");
}
