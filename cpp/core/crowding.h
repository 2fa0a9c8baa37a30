// Whether threads have CPUs to run on: when they have not, a team takes longer than its caller alone would.
//
// Where other processes want the same CPUs, one thread of a team is always waiting for its turn, of some milliseconds,
// and the others wait for that one. Measured on two CPUs, two processes with two threads each got a fifth of what they
// got with one thread each. Results do not depend on the number of threads, so calls are their caller's alone for a
// while, and then it is tried again.
#pragma once

#include <atomic>
#include <cstdint>

namespace lstmfast {

using Nanoseconds = std::int64_t;

// The decision. What it is told belongs to one thread at a time; crowded() may be asked by any.
class Crowding {
 public:
  // A team of `size` was at work from `now - busy` on, and for `lost` of that some thread of it had no CPU.
  void note(int size, Nanoseconds busy, Nanoseconds lost, Nanoseconds now);

  // Whether calls had better be their caller's alone. `now` is only asked for, in nanoseconds, when it matters.
  template <class Clock>
  bool crowded(const Clock& now) const {
    const Nanoseconds until = alone_until_.load(std::memory_order_relaxed);
    return until != 0 && !is_ignored() && now() < until;
  }

 private:
  static bool is_ignored();  // ignore_crowding(), in lstmfast/threads.h

  Nanoseconds behind_ = 0;  // how much longer teams have lately taken than their callers alone would have
  Nanoseconds pause_ = 0;   // the last one's length
  std::atomic<Nanoseconds> alone_until_{0};
};

}  // namespace lstmfast
