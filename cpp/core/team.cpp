// The pool behind teams: threads that spin for a short while after a job and then sleep.
//
// Made at first use and never destroyed (its threads end with the process). After fork only the calling
// thread lives on in the child: the child forgets the pool and makes a new one when it needs it.
#include "core/team.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>

#include "core/barrier.h"
#include "core/crowding.h"
#include "core/float_environment.h"
#include "core/lost_time.h"
#include "lstmfast/system.h"
#include "lstmfast/threads.h"

namespace lstmfast {
namespace {

using Job = Team::Job;

// Long enough to bridge the gap between the calls of a loop in Python, short enough not to be noticed.
constexpr auto kSpinTime = std::chrono::microseconds(50);
// GNU's OpenMP lets its threads spin for some milliseconds; this is well within.
constexpr auto kRuntimeSpinTime = std::chrono::microseconds(500);

class Worker {
 public:
  explicit Worker(int rank) : thread_([this, rank] { loop(rank); }) { thread_.detach(); }

  // The worker must be idle.
  void start(Job job, void* context, std::atomic<int>* unfinished) {
    job_ = job;
    context_ = context;
    unfinished_ = unfinished;
    has_job_.store(true);  // sequentially consistent, as is `asleep_`: one of the two sides sees the other
    if (asleep_.load()) {
      const std::lock_guard<std::mutex> lock(mutex_);
      wake_.notify_one();
    }
  }

  bool asleep() const { return asleep_.load(std::memory_order_relaxed); }

  // Wakes the worker without a job, for one that follows soon: from now on it counts as awake.
  void wake() {
    const std::lock_guard<std::mutex> lock(mutex_);
    called_ = true;
    asleep_.store(false);
    wake_.notify_one();
  }

  // Takes the job back, if the worker has not begun it.
  bool take_back() { return has_job_.load(std::memory_order_relaxed) && has_job_.exchange(false); }

 private:
  void loop(int rank) {
    const DefaultFloats floats;  // a thread begins with its maker's
    for (;;) {
      wait_for_job();
      // The caller may hand out the next job as soon as the count falls: take what is needed before.
      std::atomic<int>* const unfinished = unfinished_;
      job_(context_, rank);
      unfinished->fetch_sub(1, std::memory_order_release);
    }
  }

  void wait_for_job() {
    while (!spin_for_job() && !sleep_for_job()) {
    }
  }

  bool spin_for_job() {
    const auto deadline = std::chrono::steady_clock::now() + kSpinTime;
    do {
      for (int k = 0; k < 64; ++k) {
        if (has_job_.load(std::memory_order_relaxed) && has_job_.exchange(false)) return true;
        spin_pause();
      }
    } while (std::chrono::steady_clock::now() < deadline);
    return false;
  }

  // False when woken up without one.
  bool sleep_for_job() {
    bool job = false;
    std::unique_lock<std::mutex> lock(mutex_);
    asleep_.store(true);
    wake_.wait(lock, [&] { return (job = has_job_.exchange(false)) || called_; });
    asleep_.store(false);
    called_ = false;
    return job;
  }

  alignas(64) std::atomic<bool> has_job_{false};
  std::atomic<bool> asleep_{false};
  bool called_ = false;  // under mutex_
  Job job_ = nullptr;
  void* context_ = nullptr;
  std::atomic<int>* unfinished_ = nullptr;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::thread thread_;  // last: the loop uses all of the above
};

class Pool {
 public:
  Pool* before_fork = nullptr;  // in a child: another pool that it has abandoned, kept reachable
  Crowding crowding;
  LostTime lost_time;  // of the team that has the pool

  // False when another team has it.
  bool try_acquire() { return !taken_.exchange(true, std::memory_order_acquire); }
  void release() { taken_.store(false, std::memory_order_release); }

  // Makes workers up to `wanted`; returns how many there are, if fewer.
  int ensure_workers(int wanted) {
    const system::WithoutSignals quiet;
    try {
      while (static_cast<int>(workers_.size()) < wanted) workers_.emplace_back(static_cast<int>(workers_.size()) + 1);
    } catch (const std::system_error&) {
      // No more threads to be had: work with those there are.
    } catch (const std::bad_alloc&) {
    }
    const int have = static_cast<int>(workers_.size());
    return have < wanted ? have : wanted;
  }

  // Whether the first so many workers are awake.
  bool awake(int workers) const {
    for (int k = 0; k < workers; ++k)
      if (workers_[static_cast<std::size_t>(k)].asleep()) return false;
    return true;
  }

  // Around brief work. When it follows closely on the one before, more can be expected, and at its end workers
  // are woken up for that; not at its beginning, for they would be asleep again before it is done.
  bool expects_more() const { return std::chrono::steady_clock::now() - brief_work_ended_ < kSpinTime; }
  void brief_work_ends(int workers_to_wake) {
    for (int k = 0; k < workers_to_wake; ++k) {
      Worker& worker = workers_[static_cast<std::size_t>(k)];
      if (worker.asleep()) worker.wake();
    }
    brief_work_ended_ = std::chrono::steady_clock::now();
  }

  void run(Job job, void* context, int size) {
    std::atomic<int> unfinished{size - 1};
    for (int rank = 1; rank < size; ++rank)
      workers_[static_cast<std::size_t>(rank) - 1].start(job, context, &unfinished);
    job(context, 0);
    for (int rank = 1; rank < size; ++rank)
      if (workers_[static_cast<std::size_t>(rank) - 1].take_back()) {
        job(context, rank);
        unfinished.fetch_sub(1, std::memory_order_relaxed);
      }
    spin_until([&] { return unfinished.load(std::memory_order_acquire) == 0; });
  }

 private:
  std::atomic<bool> taken_{false};
  std::chrono::steady_clock::time_point brief_work_ended_{};
  std::deque<Worker> workers_;  // a deque never moves what it holds
};

std::atomic<Pool*> current_pool{nullptr};
// Calls now at work that several threads would be of use for.
std::atomic<int> callers{0};
std::atomic<int> num_threads{1};
thread_local int borrowed_limit = 0;  // of this thread's calls, on a runtime's threads; 0: an ordinary call

// A runtime's threads, in the process that it was lent to.
OpenMpRuntime runtime = {};
std::atomic<bool> has_runtime{false};
std::atomic<std::chrono::steady_clock::rep> runtime_work_ended{0};

// The pools of this process's ancestors, whose threads are not in this process.
Pool* abandoned_pools = nullptr;

void abandon_pool() {
  has_runtime.store(false);
  callers.store(0);
  if (Pool* const pool = current_pool.exchange(nullptr)) {
    pool->before_fork = abandoned_pools;
    abandoned_pools = pool;
  }
}

// Sees to it, once, that a child forgets threads that it does not have; false where that cannot be.
bool forgets_in_child() {
  static const bool registered = system::in_children(abandon_pool);
  return registered;
}

// Null where no pool would be safe.
Pool* find_pool() {
  if (!forgets_in_child()) return nullptr;
  Pool* found = current_pool.load(std::memory_order_acquire);
  if (found) return found;
  Pool* const made = new Pool;
  if (current_pool.compare_exchange_strong(found, made)) return made;
  delete made;  // another thread was quicker
  return found;
}

std::chrono::steady_clock::rep now() { return std::chrono::steady_clock::now().time_since_epoch().count(); }

// Whether brief work may hope to find the runtime's threads spinning, or to leave them so for what follows: some of
// ours has just ended.
bool runtime_is_awake() {
  return now() - runtime_work_ended.load(std::memory_order_relaxed) <
         std::chrono::steady_clock::duration(kRuntimeSpinTime).count();
}

// Runs all ranks at once on the runtime's threads. False, and nothing was run, where it gives fewer than that: ranks
// wait for one another, so one thread cannot run two. All the program's threads are called, also for fewer ranks: a
// runtime may end those that a smaller team leaves out, and the program's next operator would have to make them again.
bool run_on_runtime(Job job, void* context, int size) {
  struct Work {
    Job job;
    void* context;
    int size;
    std::atomic<bool> done;
  } work = {job, context, size, {false}};
  runtime.parallel(
      [](void* given) {
        Work& all = *static_cast<Work*>(given);
        const int rank = runtime.thread_number();
        if (runtime.team_size() < all.size || rank >= all.size) return;
        const DefaultFloats floats;
        all.job(all.context, rank);
        all.done.store(true, std::memory_order_relaxed);
      },
      &work, static_cast<unsigned>(std::max(size, borrowed_limit)), 0);
  return work.done.load(std::memory_order_relaxed);
}

}  // namespace

void set_num_threads(int threads) { num_threads.store(threads, std::memory_order_relaxed); }
int get_num_threads() {
  if (const GuestTeam* const guests = GuestTeam::led_here()) return guests->size();
  const int threads = num_threads.load(std::memory_order_relaxed);
  return borrowed_limit > 0 && borrowed_limit < threads ? borrowed_limit : threads;
}

void lend_threads(const OpenMpRuntime& lent) {
  if (!forgets_in_child()) return;
  runtime = lent;
  has_runtime.store(true, std::memory_order_release);
}

BorrowedThreads::BorrowedThreads(int threads) : before_(borrowed_limit) { borrowed_limit = threads; }
BorrowedThreads::~BorrowedThreads() { borrowed_limit = before_; }

Team::Team(int threads, bool brief) : brief_(brief && threads > 1) {
  if (threads <= 1) return;
  Pool* const pool = find_pool();  // whose forgetting after fork counts for the runtime and the callers, too
  const int others = callers.fetch_add(1, std::memory_order_relaxed);
  is_counted_ = true;
  if (GuestTeam* const guests = GuestTeam::led_here()) {
    size_ = std::min(threads, guests->size());  // all of them are running
    guests_ = size_ > 1 ? guests : nullptr;
    return;
  }
  if (!pool || pool->crowding.crowded(wall_time) || !pool->try_acquire()) return;
  if (borrowed_limit > 0 && has_runtime.load(std::memory_order_acquire)) {
    on_runtime_ = true;
    holds_pool_ = !runtime.in_parallel() && (!brief || runtime_is_awake());
    size_ = holds_pool_ ? threads : 1;
    if (!holds_pool_) pool->release();
    return;
  }
  // Other callers have CPUs of their own: with a team for one and a thread for each of the others there would be more
  // threads than CPUs, and those that meet would wait for those that are not running.
  threads = std::min(threads, std::max(threads, get_num_threads()) - others);
  if (threads <= 1) {
    pool->release();
    return;
  }
  const int workers = pool->ensure_workers(threads - 1);
  if (!brief || pool->awake(workers)) size_ = 1 + workers;
  if (brief && pool->expects_more()) workers_to_wake_ = workers;
  holds_pool_ = size_ > 1;
  if (!holds_pool_) pool->release();  // others may need it meanwhile
}

Team::~Team() {
  if (is_counted_) callers.fetch_sub(1, std::memory_order_relaxed);
  if (guests_ || (!holds_pool_ && !brief_)) return;
  Pool* const pool = current_pool.load();
  if (on_runtime_) {
    runtime_work_ended.store(now(), std::memory_order_relaxed);
    if (pool && holds_pool_) pool->release();
    return;
  }
  if (!pool || (!holds_pool_ && !pool->try_acquire())) return;
  if (brief_) pool->brief_work_ends(workers_to_wake_);
  pool->release();
}

void Team::run_job(Job job, void* context) {
  if (size_ == 1) return job(context, 0);
  if (guests_) return guests_->run(job, context, size_);
  Pool* const pool = current_pool.load();
  LostTime::Timed timed;
  pool->lost_time.begin(timed, job, context, size_);
  if (!on_runtime_ || !run_on_runtime(LostTime::Timed::run, &timed, size_)) {
    // For a runtime the pool has no workers yet.
    if (on_runtime_ && pool->ensure_workers(size_ - 1) < size_ - 1) throw std::bad_alloc();
    pool->run(LostTime::Timed::run, &timed, size_);
  }
  pool->lost_time.end(timed, pool->crowding);
}

}  // namespace lstmfast
