// Whose threads a node's work runs on: ONNX Runtime's, as many as it has to spare, or the caller's alone.
//
// Its threads spin for a while after their work, and a pool of ours would have to share CPUs with them. So its own are
// asked to run our function several times, and those that come in time are a team (GuestTeam). Where none comes (it has
// but one, others keep them busy, they sleep and the work is brief) it is asked less and less often.
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
    note(team.size() > 1);
    if (task.error) std::rethrow_exception(task.error);
  }

 private:
  // A quarter of what the work takes on one thread; a thread that spins comes within 3 us, one that sleeps in 50.
  static std::chrono::nanoseconds patience(Index terms) {
    constexpr Index terms_of_nanosecond = 40;
    return std::chrono::nanoseconds(std::clamp<Index>(terms / terms_of_nanosecond / 4, 3000, 200'000));
  }

  // Calls of several threads may lose each other's counts; only speed depends on it.
  bool is_time_to_ask() {
    const int left = calls_left_.load(std::memory_order_relaxed);
    if (left > 0) calls_left_.store(left - 1, std::memory_order_relaxed);
    return left <= 0;
  }
  void note(bool somebody_came) {
    constexpr int most = 1024;
    const int next = somebody_came ? 0 : std::clamp(2 * pause_.load(std::memory_order_relaxed), 1, most);
    pause_.store(next, std::memory_order_relaxed);
    calls_left_.store(next, std::memory_order_relaxed);
  }

  std::atomic<int> pause_{0}, calls_left_{0};
};

}  // namespace lstmfast::onnxruntime
