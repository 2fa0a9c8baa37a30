#include "lstmfast/probes.h"

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <string>

#include "core/buffer.h"

namespace lstmfast {
namespace {

// The best rate, in 1e9 units/s, of work(repeats), which does `units` of something for each repeat.
template <class Work>
double best_rate(double seconds, double units, Work&& work) {
  using Clock = std::chrono::steady_clock;
  double best = 0;
  Index repeats = 1;
  for (double spent = 0; spent < seconds || best == 0;) {
    const auto start = Clock::now();
    work(repeats);
    const double elapsed = std::chrono::duration<double>(Clock::now() - start).count();
    spent += elapsed;
    // Rounds of about a millisecond: long against the clock, short against a disturbance.
    if (elapsed < 1e-3)
      repeats *= 2;
    else
      best = std::max(best, 1e-9 * units * static_cast<double>(repeats) / elapsed);
  }
  return best;
}

}  // namespace

template <class T>
double peak_gflops(const KernelTable<T>& kernels, double seconds) {
  return best_rate(seconds, 2.0 * static_cast<double>(kPeakChains * kernels.lanes),
                   [&](Index repeats) { kernels.multiply_adds(repeats); });
}

double load_gbps(const KernelTable<float>& kernels, Index bytes, double seconds) {
  constexpr Index size = sizeof(float);
  const Index round = kPeakChains * kernels.lanes;
  const Index count = bytes / size / round * round;
  if (count < 1)
    throw std::invalid_argument("nbytes: expected at least " + std::to_string(round * size) + ", got " +
                                std::to_string(bytes));
  Buffer<float> memory(count);  // aligned: a load across two cache lines would count double
  memory.fill_zero();
  return best_rate(seconds, static_cast<double>(count * size),
                   [&](Index repeats) { kernels.loads(count, memory.data(), repeats); });
}

template double peak_gflops(const KernelTable<float>&, double);
template double peak_gflops(const KernelTable<double>&, double);

}  // namespace lstmfast
