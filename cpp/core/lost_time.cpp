#include "core/lost_time.h"

#include <algorithm>
#include <chrono>

#include "lstmfast/system.h"

namespace lstmfast {
namespace {

constexpr Nanoseconds kSample = 1'000'000;
// Runs no further apart than this follow one another: what their threads do in between is small beside the runs.
constexpr Nanoseconds kGap = 50'000;

Nanoseconds cpu_time() { return system::thread_time().count(); }

void raise_to(std::atomic<Nanoseconds>& most, Nanoseconds value) {
  Nanoseconds seen = most.load(std::memory_order_relaxed);
  while (seen < value && !most.compare_exchange_weak(seen, value, std::memory_order_relaxed)) {
  }
}

// A thread's part of a sample.
struct Part {
  unsigned sample = 0;
  Nanoseconds cpu = 0;   // its clock, when it came
  Nanoseconds busy = 0;  // in runs since, from where the team began
};
thread_local Part part;

// Each sample has a name of its own, in a child after fork as well.
std::atomic<unsigned> samples{0};

}  // namespace

Nanoseconds wall_time() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

void LostTime::Timed::run(void* timed, int rank) noexcept {
  Timed& all = *static_cast<Timed*>(timed);
  if (all.sample == 0) return all.job(all.context, rank);
  // Here and not where the team began, so that a thread that came late for want of a CPU has lost that time.
  if (part.sample != all.sample) part = {all.sample, cpu_time(), 0};
  all.job(all.context, rank);
  const Nanoseconds now = wall_time();
  part.busy += now - all.began;
  raise_to(all.last_end, now);
  if (now < all.closes) return;
  raise_to(all.lost, std::max<Nanoseconds>(part.busy - (cpu_time() - part.cpu), 0));
  part.sample = 0;
}

void LostTime::begin(Timed& timed, Job job, void* context, int size) {
  const Nanoseconds now = wall_time();
  const bool follows = now - returned_ <= kGap && size == size_;
  bool measured = true;
  if (!follows || sample_ == 0) {
    measured = system::kThreadsHaveClocks && (follows || now - opened_ >= kSample);
    sample_ = 0;
    if (measured) {
      while (sample_ == 0) sample_ = samples.fetch_add(1, std::memory_order_relaxed) + 1;
      opened_ = now;
      busy_ = late_ = 0;
    }
  }
  size_ = size;
  timed.job = job;
  timed.context = context;
  timed.began = now;
  timed.closes = follows ? opened_ + kSample : now;
  timed.sample = sample_;
}

void LostTime::end(const Timed& timed, Crowding& crowding) {
  const Nanoseconds now = wall_time();
  returned_ = now;
  if (timed.sample == 0) return;
  busy_ += now - timed.began;
  late_ += now - timed.last_end.load(std::memory_order_relaxed);  // the caller had no CPU to notice the end on
  const Nanoseconds lost = timed.lost.load(std::memory_order_relaxed);
  if (lost < 0) return;
  crowding.note(size_, busy_, lost + late_, now);
  sample_ = 0;
}

}  // namespace lstmfast
