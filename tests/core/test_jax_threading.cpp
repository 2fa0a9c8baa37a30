// Threads of XLA's for a call: tasks that run at once, on the caller's own thread, long after the work is done, or
// never, and an XLA that has no threads at all. The work is done once, and nobody waits for who may never come.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "core/team.h"
#include "jax/threading.h"

namespace {

using namespace lstmfast;
using namespace lstmfast::jax;

constexpr Index kTerms = Index(1) << 40;  // so much that patience is at its longest

// What XLA does with tasks.
struct ExecutionPool {
  std::int64_t threads = 8;
  bool refuses = false;  // tasks, after the first
  std::function<void(std::function<void()>)> run;
  int scheduled = 0;
};

int errors_alive = 0;

Error* fail() {
  ++errors_alive;
  return reinterpret_cast<Error*>(&errors_alive);
}
ExecutionPool& pool_of(ExecutionContext* context) { return *reinterpret_cast<ExecutionPool*>(context); }

Frame frame_of(ExecutionPool& pool) {
  static const Api api = [] {
    Api made = {};
    made.destroy_error = [](DestroyError*) { --errors_alive; };
    made.schedule = [](Schedule* asked) -> Error* {
      ExecutionPool& to = pool_of(asked->context);
      if (to.refuses && to.scheduled) return fail();
      ++to.scheduled;
      to.run([task = asked->task, data = asked->data] { task(data); });
      return nullptr;
    };
    made.num_threads = [](NumThreads* asked) -> Error* {
      if (pool_of(asked->context).threads < 0) return fail();
      *asked->threads = pool_of(asked->context).threads;
      return nullptr;
    };
    return made;
  }();
  Frame frame = {};
  frame.api = &api;
  frame.context = reinterpret_cast<ExecutionContext*>(&pool);
  return frame;
}

// Runs work that makes a team of up to `threads`, and returns the team's size; each rank has run once.
int size_of_work(ExecutionPool& pool, int threads) {
  const Frame frame = frame_of(pool);
  Asking asking;
  std::atomic<int> works{0}, runs{0};
  int size = 0;
  run_on_threads(frame, asking, threads, kTerms, [&] {
    ++works;
    Team team(std::min(threads, get_num_threads()));  // as calls of the core do
    size = team.size();
    team.run([&](int) { ++runs; });
  });
  CHECK(works == 1 && runs == size && size <= threads, "all of it once");
  CHECK(errors_alive == 0, "no error of XLA's is left behind");
  return size;
}

// Each task on a thread of its own.
struct Threads {
  std::vector<std::thread> all;
  ~Threads() {
    for (std::thread& each : all) each.join();
  }

  // Begins a task, and returns when it has had time to go as far as it gets: starting a thread takes longer than a
  // call's patience where a sanitizer or other work slows it down.
  void begin(std::function<void()> task) {
    std::atomic<bool> begun{false};
    all.emplace_back([&begun, task = std::move(task)] {
      begun = true;
      task();
    });
    while (!begun) std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
};

void test_tasks_at_once() {
  bool any = false;
  for (int repeat = 0; repeat < 30; ++repeat) {
    Threads threads;
    ExecutionPool pool;
    if (repeat % 2 == 0)
      pool.run = [&](std::function<void()> task) { threads.begin(std::move(task)); };
    else  // and where they come at the very moment, or too late
      pool.run = [&](std::function<void()> task) { threads.all.emplace_back(std::move(task)); };
    any = size_of_work(pool, 3) > 1 || any;
    CHECK(pool.scheduled == 2, "the caller is the third");
  }
  CHECK(any, "some of them came in time");
}

void test_tasks_on_the_callers_thread() {
  ExecutionPool pool;
  pool.run = [](const std::function<void()>& task) { task(); };
  CHECK(size_of_work(pool, 4) == 1 && pool.scheduled == 3, "as XLA does when its queue is full");
}

void test_late_tasks() {
  std::vector<std::function<void()>> late;
  for (int repeat = 0; repeat < 5; ++repeat) {
    ExecutionPool pool;
    pool.run = [&](std::function<void()> task) { late.push_back(std::move(task)); };
    CHECK(size_of_work(pool, 3) == 1, "alone");
  }
  CHECK(late.size() == 10, "all are there still");
  Threads threads;
  for (auto& task : late) threads.all.emplace_back(std::move(task));  // frames, works and pools are gone
}

void test_without_threads() {
  ExecutionPool none;
  none.threads = 0;
  CHECK(size_of_work(none, 4) == 1 && none.scheduled == 0, "nobody to be asked");
  ExecutionPool no_pool;
  no_pool.threads = -1;
  CHECK(size_of_work(no_pool, 4) == 1 && no_pool.scheduled == 0, "nor where there is no pool");
  ExecutionPool two;
  two.threads = 2;
  two.run = [](const std::function<void()>& task) { task(); };
  size_of_work(two, 8);
  CHECK(two.scheduled == 2, "no more than there are");
  ExecutionPool refusing;
  refusing.refuses = true;
  refusing.run = [](const std::function<void()>& task) { task(); };
  CHECK(size_of_work(refusing, 4) == 1 && refusing.scheduled == 1, "and an error is an answer");
}

void test_pauses() {
  ExecutionPool pool;
  pool.run = [](const std::function<void()>& task) { task(); };
  const Frame frame = frame_of(pool);
  Asking asking;
  for (int call = 0; call < 3; ++call) run_on_threads(frame, asking, 2, kTerms, [] {});
  CHECK(pool.scheduled == 1, "where nobody came, nobody is asked for a while");
}

void test_errors() {
  for (const int threads : {1, 3}) {
    Threads all;
    ExecutionPool pool;
    pool.run = [&](std::function<void()> task) { all.all.emplace_back(std::move(task)); };
    const Frame frame = frame_of(pool);
    Asking asking;
    std::string message;
    try {
      run_on_threads(frame, asking, threads, kTerms, [] { throw std::invalid_argument("lengths: wrong"); });
    } catch (const std::invalid_argument& error) {
      message = error.what();
    }
    CHECK(message == "lengths: wrong", "the caller's, whoever else has come");
  }
}

}  // namespace

int main() {
  ignore_crowding(true);  // there are more threads here than CPUs
  set_num_threads(8);
  test_tasks_at_once();
  test_tasks_on_the_callers_thread();
  test_late_tasks();
  test_without_threads();
  test_pauses();
  test_errors();
  return test::finish("jax_threading");
}
