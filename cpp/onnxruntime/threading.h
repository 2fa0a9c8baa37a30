// Whose threads a node's work runs on: ONNX Runtime's, as many as it has to spare, or the caller's alone.
//
// Its threads spin for a while after their work, and a pool of ours would have to share CPUs with them. So its own are
// asked to run our function several times, and those that come in time are a team (GuestTeam). Where none comes it is
// asked again after a while only (Asking).
#pragma once

#include <chrono>

#include "core/asking.h"
#include "lstmfast/threads.h"
#include "onnxruntime/errors.h"

namespace lstmfast::onnxruntime {

class Threading {
 public:
  // Runs work() on up to `threads` threads. terms: its multiply-adds.
  template <class Work>
  void run(const Api& api, const KernelContext* context, int threads, Index terms, const Work& work) {
    if (threads <= 1 || !asking_.is_time()) {
      const BorrowedThreads alone(1);
      return work();
    }
    GuestWork<Work> own(work);
    const std::chrono::nanoseconds patience = Asking::patience(terms);
    GuestTeam team(GuestWork<Work>::run, &own, threads, patience);
    const auto visits = static_cast<std::size_t>(threads);
    check(api.KernelContext_ParallelFor()(
        context, [](void* given, std::size_t) { static_cast<GuestTeam*>(given)->visit(); }, visits, visits, &team));
    asking_.note(team.size() > 1, patience);
    own.rethrow();
  }

 private:
  Asking asking_;
};

}  // namespace lstmfast::onnxruntime
