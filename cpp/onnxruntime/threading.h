// Whose threads a node's work runs on: ONNX Runtime's, as many as it has to spare, or the caller's alone.
//
// Its threads spin for a while after their work, and a pool of ours would have to share CPUs with them. So its own are
// asked to run our function several times, and those that come in time are a team (GuestTeam). Where none comes (it has
// but one, others keep them busy, they sleep and the work is brief) it is asked again after a while only.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>

#include "lstmfast/threads.h"
#include "onnxruntime/errors.h"

namespace lstmfast::onnxruntime {

class Threading {
 public:
  // Runs work() on up to `threads` threads. terms: its multiply-adds.
  template <class Work>
  void run(const Api& api, const KernelContext* context, int threads, Index terms, const Work& work) {
    if (threads <= 1 || !is_time_to_ask()) {
      const BorrowedThreads alone(1);
      return work();
    }
    struct Task {
      const Work& work;
      std::exception_ptr error;
    } task = {work, nullptr};
    const auto run = [](void* given) noexcept {
      Task& own = *static_cast<Task*>(given);
      try {
        own.work();
      } catch (...) {
        own.error = std::current_exception();
      }
    };
    GuestTeam team(run, &task, threads, patience(terms));
    const auto visits = static_cast<std::size_t>(threads);
    check(api.KernelContext_ParallelFor()(
        context, [](void* given, std::size_t) { static_cast<GuestTeam*>(given)->visit(); }, visits, visits, &team));
    note(team.size() > 1, patience(terms));
    if (task.error) std::rethrow_exception(task.error);
  }

 private:
  // A quarter of what the work takes on one thread; a thread that spins comes within 3 us, one that sleeps in 50.
  static std::chrono::nanoseconds patience(Index terms) {
    constexpr Index terms_of_nanosecond = 40;
    return std::chrono::nanoseconds(std::clamp<Index>(terms / terms_of_nanosecond / 4, 3000, 200'000));
  }

  using Clock = std::chrono::steady_clock;

  // Threads may lose each other's changes; only speed depends on them.
  bool is_time_to_ask() const {
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

  std::atomic<std::chrono::nanoseconds::rep> pause_{0};
  std::atomic<Clock::rep> next_{0};  // when somebody is to be asked again; 0: at once
};

}  // namespace lstmfast::onnxruntime
