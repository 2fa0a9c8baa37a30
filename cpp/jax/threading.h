// Whose threads a call's work runs on: XLA's, as many as it has to spare, or the caller's alone.
//
// XLA's other work runs on them, and a pool of ours would have to share CPUs with it. XLA takes tasks and says nothing
// of when they run, nor on which thread: maybe on this one, maybe long after the work is done. So tasks join a team
// that lives as long as the last of them (GuestTeam), and nobody waits for one that has not come.
#pragma once

#include <chrono>
#include <memory>

#include "core/asking.h"
#include "jax/errors.h"
#include "lstmfast/threads.h"

namespace lstmfast::jax {

inline thread_local bool hands_out_tasks = false;

// How many threads XLA has for tasks beside the caller's; 0 where it has no pool.
inline int threads_of(const Frame& frame) {
  std::int64_t threads = 0;
  NumThreads arguments = {sizeof arguments, nullptr, frame.context, &threads};
  if (!succeeded(*frame.api, frame.api->num_threads(&arguments))) return 0;
  return static_cast<int>(std::min<std::int64_t>(threads, 4096));
}

// Asks XLA to have its threads join `team`, so many of them.
inline void invite(const Frame& frame, const std::shared_ptr<GuestTeam>& team, int guests) {
  hands_out_tasks = true;
  for (int guest = 0; guest < guests; ++guest) {
    std::unique_ptr<std::shared_ptr<GuestTeam>> own(new (std::nothrow) std::shared_ptr<GuestTeam>(team));
    if (!own) break;  // and nothing is thrown: those who have come wait for a leader
    Schedule arguments = {
        sizeof arguments, nullptr, frame.context,
        [](void* given) {
          const std::unique_ptr<std::shared_ptr<GuestTeam>> held(static_cast<std::shared_ptr<GuestTeam>*>(given));
          // On the leader's own thread it would wait for itself.
          if (!hands_out_tasks) (*held)->join();
        },
        own.get()};
    if (!succeeded(*frame.api, frame.api->schedule(&arguments))) break;
    own.release();  // the task's
  }
  hands_out_tasks = false;
}

// Runs work() on up to `threads` threads. terms: its multiply-adds.
template <class Work>
void run_on_threads(const Frame& frame, Asking& asking, int threads, Index terms, const Work& work) {
  threads = threads <= 1 ? 1 : std::min(threads, threads_of(frame) + 1);
  if (threads <= 1 || !asking.is_time()) {
    const BorrowedThreads alone(1);
    return work();
  }
  GuestWork<Work> own(work);
  const std::chrono::nanoseconds patience = Asking::patience(terms);
  const auto team = std::make_shared<GuestTeam>(GuestWork<Work>::run, &own, threads, patience);
  invite(frame, team, threads - 1);
  team->lead();
  asking.note(team->size() > 1, patience);
  own.rethrow();
}

}  // namespace lstmfast::jax
