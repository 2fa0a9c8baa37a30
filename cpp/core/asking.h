// When it is worth asking for somebody else's threads, and for how long to wait for them.
//
// Where nobody comes (there is but one, others keep them busy, they sleep and the work is brief) they are asked again
// after a while only.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>

#include "lstmfast/types.h"

namespace lstmfast {

class Asking {
 public:
  // For work of so many multiply-adds: a quarter of what it takes on one thread; a thread that spins comes within 3 us,
  // one that sleeps in 50.
  static std::chrono::nanoseconds patience(Index terms) {
    constexpr Index terms_of_nanosecond = 40;
    return std::chrono::nanoseconds(std::clamp<Index>(terms / terms_of_nanosecond / 4, 3000, 200'000));
  }

  // Threads may lose each other's changes; only speed depends on them.
  bool is_time() const {
    const Clock::rep next = next_.load(std::memory_order_relaxed);
    return next == 0 || Clock::now().time_since_epoch().count() >= next;
  }

  // Pauses grow with each time that nobody came, from 16 times what was waited for.
  void note(bool somebody_came, std::chrono::nanoseconds waited) {
    constexpr std::chrono::nanoseconds most = std::chrono::milliseconds(100);
    const std::chrono::nanoseconds before(pause_.load(std::memory_order_relaxed));
    const auto pause = std::min(std::max(2 * before, 16 * waited), most);
    pause_.store(somebody_came ? 0 : pause.count(), std::memory_order_relaxed);
    const auto next = Clock::now() + std::chrono::duration_cast<Clock::duration>(pause);
    next_.store(somebody_came ? 0 : next.time_since_epoch().count(), std::memory_order_relaxed);
  }

 private:
  using Clock = std::chrono::steady_clock;

  std::atomic<std::chrono::nanoseconds::rep> pause_{0};
  std::atomic<Clock::rep> next_{0};  // when somebody is to be asked again; 0: at once
};

}  // namespace lstmfast
