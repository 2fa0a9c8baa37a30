// Threads: every rank runs once, teams in many callers at once, barriers, a fork between two calls.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "brief.h"
#include "check.h"
#include "core/barrier.h"
#include "core/buffer.h"
#include "core/split.h"
#include "core/team.h"
#include "lstmfast/threads.h"

namespace {

using namespace lstmfast;

void test_every_rank_runs_once() {
  for (const int threads : {1, 2, 3, 8})
    for (int repeat = 0; repeat < 200; ++repeat) {
      Team team(threads);
      CHECK(team.size() == threads, "the whole team, as nobody else has the pool");
      std::vector<std::atomic<int>> runs(static_cast<std::size_t>(threads));
      team.run([&](int rank) { ++runs[static_cast<std::size_t>(rank)]; });
      for (const std::atomic<int>& count : runs) CHECK(count == 1, "each rank once");
    }
}

// Brief work: alone at first, shared when calls follow closely, alone again after a rest.
void test_brief_work() {
  const auto size_now = [] {
    Team team(2, true);
    std::atomic<int> runs{0};
    team.run([&](int) { ++runs; });
    CHECK(runs == team.size(), "each rank once");
    return team.size();
  };
  const auto rest = [] { std::this_thread::sleep_for(std::chrono::milliseconds(20)); };
  size_now();  // makes the worker, if there is none
  bool alone = false, shared = false;
  for (int attempt = 0; attempt < 100 && !(alone && shared); ++attempt) {
    rest();
    alone = alone || size_now() == 1;
    for (int repeat = 0; repeat < 20'000 && !shared; ++repeat) shared = size_now() == 2;
  }
  CHECK(alone, "a lone call wakes nobody");
  CHECK(shared, "calls in a row have company");
}

void test_barrier_orders_writes() {
  constexpr int kThreads = 4, kSteps = 500;
  Team team(kThreads);
  Barrier barrier(team.size());
  std::vector<int> written(kThreads, -1);  // plain ints: only the barrier orders them
  std::atomic<int> wrong{0};
  team.run([&](int rank) {
    for (int step = 0; step < kSteps; ++step) {
      written[static_cast<std::size_t>(rank)] = step;
      barrier.wait();
      for (int other = 0; other < team.size(); ++other)
        if (written[static_cast<std::size_t>(other)] != step) ++wrong;
      barrier.wait();
    }
  });
  CHECK(wrong == 0, "what was written before a barrier is seen after it");
}

void test_many_callers() {
  std::atomic<long> sum{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 6; ++caller)
    callers.emplace_back([&] {
      for (int repeat = 0; repeat < 300; ++repeat) {
        Team team(3);
        CHECK(team.size() >= 1 && team.size() <= 3, "all threads, or some, or the caller alone");
        const int size = team.size();
        team.run([&](int) { sum += 6 / size; });
      }
    });
  for (std::thread& caller : callers) caller.join();
  CHECK(sum == 6L * 300 * 6, "every team did its work");
}

void test_other_calls_keep_a_thread() {
  auto first = std::make_unique<Team>(3);
  const auto second = std::make_unique<Team>(3);
  CHECK(first->size() == 3 && second->size() == 1, "one has the pool");
  first.reset();
  {
    const Team third(3);
    CHECK(third.size() == 2, "the second, which is at work still, has a CPU of its own");
    const Team fourth(2);
    CHECK(fourth.size() == 1, "the third has the pool");
  }
  const Team fifth(2);
  CHECK(fifth.size() == 1, "a team of two is the caller alone beside another");
}

void test_team_inside_a_team() {
  Team outer(2);
  std::atomic<int> inner_runs{0};
  outer.run([&](int) {
    Team inner(2);  // the pool is taken: the caller alone, and no deadlock
    inner.run([&](int) { ++inner_runs; });
  });
  CHECK(inner_runs == outer.size(), "a team inside a team is its caller alone");
}

// A handler of a signal makes calls in the midst of another.
void test_borrowing_within() {
  set_num_threads(8);
  {
    const BorrowedThreads outer(3);
    {
      const BorrowedThreads inner(2);
      CHECK(get_num_threads() == 2, "the inner call's");
    }
    {
      const BorrowedThreads inner(0);
      CHECK(get_num_threads() == 8, "an ordinary one within");
    }
    CHECK(get_num_threads() == 3, "the outer call's again");
  }
  CHECK(get_num_threads() == 8, "and nobody's");
  set_num_threads(1);
}

void test_fork() {
  {
    Team team(3);
    team.run([](int) {});
  }
  const pid_t child = fork();
  if (child == 0) {
    std::atomic<int> runs{0};
    Team team(3);
    team.run([&](int) { ++runs; });
    _exit(runs == 3 ? 0 : 1);
  }
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0,
        "a child has its own pool");
  Team team(3);
  CHECK(team.size() == 3, "the parent keeps its pool");
}

void test_shares_cover_everything_once() {
  for (const Index rows : {1, 2, 7, 40})
    for (const Index directions : {1, 2})
      for (const Index panels : {1, 5, 32})
        for (const int threads : {1, 2, 3, 4, 7, 16}) {
          const LoopSize size = {100 * rows, rows, directions, panels, 1'000'000, 4'000'000, 6, true};
          const Split split = choose_split(size, threads);
          CHECK(split.threads() >= 1 && split.threads() <= threads, "no more threads than there are");
          std::vector<int> covered(static_cast<std::size_t>(rows * directions * panels), 0);
          for (int rank = 0; rank < split.threads(); ++rank) {
            const Share s(split, rank, rows, directions, panels);
            for (Index r = s.rows.begin; r < s.rows.end; ++r)
              for (Index d = s.directions.begin; d < s.directions.end; ++d)
                for (Index p = s.panels.begin; p < s.panels.end; ++p)
                  ++covered[static_cast<std::size_t>((r * directions + d) * panels + p)];
          }
          for (const int count : covered) CHECK(count == 1, "each output belongs to one thread");
        }
}

// Sizes as in test_network.cpp and tests/layers/numbers/test_bits.py: what is meant to be split is split.
void test_work_is_split_by_what_it_is() {
  const auto split = [](Index steps, Index rows, Index directions, Index hidden, int threads) {
    const Index terms = 4 * hidden * 2 * hidden;
    return choose_split({steps * rows, rows, directions, (hidden + 15) / 16, terms, terms * 4, 6, steps > 1}, threads);
  };
  CHECK(split(1, 1, 1, 40, 16).threads() == 1, "one small step");
  CHECK(split(4, 64, 1, 8, 64).threads() == 1, "many rows with nothing to do");
  CHECK(split(100, 64, 1, 64, 2).row_parts == 2, "many rows");
  CHECK(split(300, 1, 2, 64, 2).direction_parts == 2, "one row, two directions");
  CHECK(split(100, 1, 1, 256, 3).panel_parts == 3, "one row, one direction, large weights");
  CHECK(split(100, 1, 2, 256, 4).panel_parts == 2 && split(100, 1, 2, 256, 4).direction_parts == 2, "both");
  CHECK(split(1, 1, 1, 256, 2).panel_parts == 2, "one large step");
  CHECK(split(2, 1, 1, 256, 2).threads() == 1, "two such steps, with a meeting between them");
  CHECK(threads_for_products(1'000, 8) == 1 && threads_for_products(1'000'000'000, 8) == 8, "products");
}

void test_memory_that_cannot_be_had() {
  bool refused = false;
  try {
    Buffer<double> buffer(checked_product({Index(1) << 40, Index(1) << 40}));
  } catch (const std::bad_alloc&) {
    refused = true;
  }
  CHECK(refused, "sizes that overflow are bad_alloc");
}

}  // namespace

// --no-fork: for an emulator or sanitizer that does not follow a fork of a process with threads.
int main(int argc, char** argv) {
  const bool fork_too = !test::asked_for("--no-fork", argc, argv);
  ignore_crowding(true);  // there are more threads here than CPUs, and they are counted
  test_every_rank_runs_once();
  test_brief_work();
  test_barrier_orders_writes();
  test_many_callers();
  test_other_calls_keep_a_thread();
  test_team_inside_a_team();
  test_borrowing_within();
  if (fork_too) test_fork();
  test_shares_cover_everything_once();
  test_work_is_split_by_what_it_is();
  test_memory_that_cannot_be_had();
  return test::finish("team");
}
