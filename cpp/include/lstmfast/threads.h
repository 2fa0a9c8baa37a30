// How many threads a call may use, and whose. More than asked for is never used; fewer may be.
#pragma once

#include <atomic>
#include <chrono>
#include <exception>

namespace lstmfast {

void set_num_threads(int threads);  // >= 1
int get_num_threads();

// For tests that count threads: whether calls use as many where other processes want the same CPUs as elsewhere.
// Otherwise they run on their caller's thread for a while when more have shown to be slower (core/crowding.h).
void ignore_crowding(bool ignore);

// The four functions of an OpenMP runtime that it takes to run something on its threads.
struct OpenMpRuntime {
  void (*parallel)(void (*body)(void*), void* context, unsigned threads, unsigned flags);  // GOMP_parallel
  int (*thread_number)();                                                                  // omp_get_thread_num
  int (*team_size)();                                                                      // omp_get_num_threads
  int (*in_parallel)();                                                                    // omp_in_parallel
};

// Hands over a runtime whose threads calls with BorrowedThreads use from now on, in place of the core's own. It must
// stay loaded. In a child after fork its threads are not there, and the core's own are used.
void lend_threads(const OpenMpRuntime& runtime);

// While it lives, calls of this thread belong to a program whose other work runs on the runtime's threads: they use
// those, and no more than `threads` of them. Its threads spin after their work, and ours would have to share CPUs with
// them. 0: an ordinary call, on the core's own threads.
class BorrowedThreads {
 public:
  explicit BorrowedThreads(int threads);
  ~BorrowedThreads();
  BorrowedThreads(const BorrowedThreads&) = delete;
  BorrowedThreads& operator=(const BorrowedThreads&) = delete;

 private:
  const int before_;  // of a call in whose midst this one is made
};

// Threads of a program that runs a function of ours a number of times, at once or one after another as it likes, and
// promises neither: ranks of a team may wait for one another, so they must all be running. The first visitor waits a
// moment for others, and leads the work with those who have come as a team; whoever comes later has nothing to do.
class GuestTeam {
 public:
  using Job = void (*)(void* context, int rank) noexcept;

  // work: run once, by the first visitor; calls that it makes use the team's threads. It must not throw.
  // visitors: how often visit() will be called. patience: how long the first one waits for all of them.
  GuestTeam(void (*work)(void* context) noexcept, void* context, int visitors, std::chrono::nanoseconds patience)
      : work_(work), work_context_(context), visitors_(visitors), patience_(patience) {}
  GuestTeam(const GuestTeam&) = delete;
  GuestTeam& operator=(const GuestTeam&) = delete;

  void visit();
  // The same where the program does not wait for its visitors: lead() is the caller's own visit, and work is done when
  // it returns; join() is that of all others. They may come after it, so the team must live until the last has left.
  void lead();
  void join();
  // Of threads that the work had, the first visitor's included; once it is done.
  int size() const { return size_; }

  // For a Team: that of the work which this thread leads, null for none; and a job on the first `size` of its threads.
  static GuestTeam* led_here();
  void run(Job job, void* context, int size);

 private:
  void help(int rank);

  void (*const work_)(void*) noexcept;
  void* const work_context_;
  const int visitors_;
  const std::chrono::nanoseconds patience_;
  int size_ = 1;

  std::atomic<bool> has_leader_{false};
  std::atomic<int> guests_{0};  // of those that have come in time; less than 0 when it is too late
  // A job for all guests, of which those of higher ranks have no part. `posted_` counts jobs; less than 0: no more.
  alignas(64) std::atomic<int> posted_{0};
  alignas(64) std::atomic<int> unfinished_{0};
  Job job_ = nullptr;
  void* job_context_ = nullptr;
  int job_size_ = 0;
};

// Work for a GuestTeam that may throw: what it throws waits for whoever has asked for the team.
template <class Work>
class GuestWork {
 public:
  explicit GuestWork(const Work& work) : work_(work) {}
  GuestWork(const GuestWork&) = delete;
  GuestWork& operator=(const GuestWork&) = delete;

  // A GuestTeam's work, with this as its context.
  static void run(void* context) noexcept {
    GuestWork& own = *static_cast<GuestWork*>(context);
    try {
      own.work_();
    } catch (...) {
      own.error_ = std::current_exception();
    }
  }

  // Once the team is done.
  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  const Work& work_;
  std::exception_ptr error_;
};

}  // namespace lstmfast
