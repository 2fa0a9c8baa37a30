// How much of the time of a team's runs some thread of it had no CPU: what a clock on the wall says went by, less what
// the thread's own clock counts. Ranks never sleep within a run, so what is missing others had.
#pragma once

#include <atomic>

#include "core/crowding.h"

namespace lstmfast {

Nanoseconds wall_time();

// Belongs to whoever holds the pool. A thread's own clock takes a system call (0.3 us), so runs that follow one another
// closely are measured together, a millisecond of them at a time; others one by one, once in a millisecond.
class LostTime {
 public:
  using Job = void (*)(void* context, int rank) noexcept;

  // A job with the clocks read around it, and itself a job: Timed::run with the Timed as context.
  struct Timed {
    Job job;
    void* context;
    Nanoseconds began;
    Nanoseconds closes;  // ranks that end from then on say what they lost
    unsigned sample;     // 0: not measured
    std::atomic<Nanoseconds> last_end{0};
    std::atomic<Nanoseconds> lost{-1};  // the most of any rank; -1: none has said

    static void run(void* timed, int rank) noexcept;
  };

  // Before and after a run by `size` threads, who run `timed`.
  void begin(Timed& timed, Job job, void* context, int size);
  void end(const Timed& timed, Crowding& crowding);

 private:
  unsigned sample_ = 0;       // the one that is open, or 0
  int size_ = 0;              // the last run's
  Nanoseconds opened_ = 0;    // the last sample, open or not
  Nanoseconds returned_ = 0;  // the last run
  Nanoseconds busy_ = 0, late_ = 0;
};

}  // namespace lstmfast
