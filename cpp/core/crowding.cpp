#include "core/crowding.h"

#include <algorithm>

#include "lstmfast/threads.h"

namespace lstmfast {
namespace {

constexpr Nanoseconds kMillisecond = 1'000'000;
// A team that works undisturbed is this much of `size` times as fast as its caller alone.
constexpr double kGain = 0.8;
// So far behind a team may fall before it is given up: somewhat more than one turn of another thread's (3 to 4 ms on
// Linux), for anything may want a CPU once.
constexpr Nanoseconds kPatience = 5 * kMillisecond;
// How long calls are alone, at first; twice as long each time that a new attempt fails, up to the most.
constexpr Nanoseconds kFirstPause = 100 * kMillisecond, kMostPause = 1600 * kMillisecond;
// And no shorter than this many times what the attempt cost, where single calls take long; but a process that was
// stopped, or its machine, was not in a crowd, and tries again before long.
constexpr Nanoseconds kCostlyAttempt = 40, kLongestPause = 6 * kMostPause;

std::atomic<bool> ignored{false};

}  // namespace

void ignore_crowding(bool ignore) { ignored.store(ignore, std::memory_order_relaxed); }

bool Crowding::is_ignored() { return ignored.load(std::memory_order_relaxed); }

void Crowding::note(int size, Nanoseconds busy, Nanoseconds lost, Nanoseconds now) {
  lost = std::clamp<Nanoseconds>(lost, 0, busy);
  const auto alone = static_cast<Nanoseconds>(kGain * size * static_cast<double>(busy - lost));
  // What goes well makes good what went badly, but nothing in advance.
  behind_ = std::max<Nanoseconds>(behind_ + busy - alone, 0);
  if (behind_ <= kPatience || is_ignored()) return;
  const Nanoseconds resumed = alone_until_.load(std::memory_order_relaxed);
  const bool again = pause_ != 0 && now - resumed < std::max(pause_, busy + kFirstPause);
  pause_ = again ? std::min(2 * pause_, kMostPause) : kFirstPause;
  alone_until_.store(now + std::max(pause_, std::min(kCostlyAttempt * behind_, kLongestPause)),
                     std::memory_order_relaxed);
  behind_ = 0;
}

}  // namespace lstmfast
