// Whether a call that is at work has been given up (lstmfast/stopping.h).
//
// Threads of a team wait for one another, so none of them may leave. Those that hear of it go through all their loops
// to the end and meet as ever, with no rows to compute.
#pragma once

#include <atomic>
#include <chrono>

#include "lstmfast/stopping.h"

namespace lstmfast {

class Watch {
 public:
  // Of a call of so many multiply-adds that begins on this thread.
  explicit Watch(Index terms) {
    if (terms < kShortCall) return;  // without a look at what is this thread's, which takes its time
    const AskedToGoOn* const here = AskedToGoOn::here();
    if (!here || terms < here->patience().terms) return;
    asked_ = here;
    last_ = Clock::now();
  }

  // Itself, or null where nobody is to be asked.
  Watch* or_null() { return asked_ ? this : nullptr; }

  // Before work of so many multiply-adds: whether it is to be left out.
  bool is_over(Index terms) {
    if (AskedToGoOn::here() == asked_) ask(terms);  // on the call's own thread
    return over_.load(std::memory_order_relaxed);
  }

  bool was_over() const { return over_.load(std::memory_order_relaxed); }

 private:
  using Clock = std::chrono::steady_clock;

  void ask(Index terms) {
    terms_ += terms;
    if (terms_ < asked_->patience().terms || over_.load(std::memory_order_relaxed)) return;
    terms_ = 0;
    if (Clock::now() - last_ < asked_->patience().pause) return;
    if (!asked_->ask()) over_.store(true, std::memory_order_relaxed);
    last_ = Clock::now();
  }

  const AskedToGoOn* asked_ = nullptr;
  Index terms_ = 0;  // since the last look at the clock
  Clock::time_point last_;
  std::atomic<bool> over_{false};
};

}  // namespace lstmfast
