// A team of threads that somebody else has sent: lstmfast/threads.h.
#include <algorithm>

#include "core/barrier.h"
#include "core/float_environment.h"
#include "lstmfast/threads.h"

namespace lstmfast {
namespace {

thread_local GuestTeam* led = nullptr;

constexpr int kTooLate = -1;
constexpr int kNoMore = -1;

}  // namespace

GuestTeam* GuestTeam::led_here() { return led; }

void GuestTeam::visit() {
  if (!has_leader_.exchange(true)) return lead();
  join();
}

void GuestTeam::join() {
  int before = guests_.load();
  while (before != kTooLate)
    if (guests_.compare_exchange_weak(before, before + 1)) return help(before + 1);
}

void GuestTeam::lead() {
  const auto deadline = std::chrono::steady_clock::now() + patience_;
  while (guests_.load(std::memory_order_relaxed) < visitors_ - 1 && std::chrono::steady_clock::now() < deadline)
    spin_pause();
  size_ = 1 + guests_.exchange(kTooLate);
  led = this;
  work_(work_context_);
  led = nullptr;
  posted_.store(kNoMore, std::memory_order_release);
}

void GuestTeam::help(int rank) {
  const DefaultFloats floats;
  for (int seen = 0;;) {
    int now = seen;
    spin_until([&] { return (now = posted_.load(std::memory_order_acquire)) != seen; });
    if (now == kNoMore) return;
    seen = now;
    if (rank < job_size_) job_(job_context_, rank);
    unfinished_.fetch_sub(1, std::memory_order_release);
  }
}

void GuestTeam::run(Job job, void* context, int size) {
  job_ = job;
  job_context_ = context;
  job_size_ = size;
  unfinished_.store(size_ - 1, std::memory_order_relaxed);
  const int next = posted_.load(std::memory_order_relaxed) + 1;
  posted_.store(std::max(next, 1), std::memory_order_release);
  led = nullptr;  // a team inside the job is another one
  job(context, 0);
  led = this;
  spin_until([&] { return unfinished_.load(std::memory_order_acquire) == 0; });
}

}  // namespace lstmfast
