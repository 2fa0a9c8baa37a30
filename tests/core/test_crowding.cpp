// Crowded CPUs: when teams give way to their callers alone, for how long, and how it is noticed.
//
// Nothing here waits for a real crowd, nor is disturbed by one: the decision is told what teams took, and a thread that
// has no CPU is one that sleeps. Both clocks see the same.
#include <chrono>
#include <thread>

#include "check.h"
#include "core/barrier.h"
#include "core/crowding.h"
#include "core/lost_time.h"
#include "core/team.h"
#include "lstmfast/threads.h"

namespace {

using namespace lstmfast;

constexpr Nanoseconds kMillisecond = 1'000'000;

// A crowding and a clock that goes only by what it is told.
struct Told {
  Crowding crowding;
  Nanoseconds now = 1000 * kMillisecond;

  bool crowded() const {
    return crowding.crowded([&] { return now; });
  }
  void run(int size, double busy, double lost) {  // milliseconds
    now += static_cast<Nanoseconds>(busy * kMillisecond);
    crowding.note(size, static_cast<Nanoseconds>(busy * kMillisecond), static_cast<Nanoseconds>(lost * kMillisecond),
                  now);
  }
  // Runs until it is crowded, at most so many.
  int until_crowded(int most, int size, double busy, double lost) {
    for (int runs = 1; runs <= most; ++runs) {
      run(size, busy, lost);
      if (crowded()) return runs;
    }
    return most + 1;
  }
  // Milliseconds until it is tried again.
  double pause() {
    const Nanoseconds begin = now;
    while (crowded()) now += kMillisecond / 4;
    return static_cast<double>(now - begin) / kMillisecond;
  }
};

void test_an_empty_machine() {
  Told told;
  for (int k = 0; k < 10'000; ++k) told.run(2, 1, 0.05);
  CHECK(!told.crowded(), "what is lost to wake-ups is no crowd");
  for (int k = 0; k < 100; ++k) {
    told.run(2, 5, 4);
    for (int good = 0; good < 20; ++good) told.run(2, 1, 0);
    CHECK(!told.crowded(), "somebody wants a CPU once in a while");
  }
}

void test_a_crowd() {
  Told told;
  CHECK(told.until_crowded(100, 2, 5, 4) <= 3, "turns of other threads, one after the other, are a crowd");
  Told long_calls;
  CHECK(long_calls.until_crowded(100, 2, 200, 150) == 1, "one long call is enough");
  Told good_before;
  for (int k = 0; k < 10'000; ++k) good_before.run(2, 1, 0);
  CHECK(good_before.until_crowded(100, 2, 5, 4) <= 3, "what went well before counts for nothing");
}

// One busy CPU of eight halves what a team of eight does, and that is four times what its caller does.
void test_large_teams() {
  Told told;
  CHECK(told.until_crowded(1000, 8, 2, 1) > 1000, "half of the time lost by eight: faster than one still");
  CHECK(told.until_crowded(1000, 8, 8, 7.5) <= 3, "nearly all of it: slower than one");
  Told two;
  CHECK(two.until_crowded(1000, 2, 2, 1) <= 20, "half of the time lost by two: no faster than one");
}

void test_pauses() {
  Told told;
  double before = 0;
  for (int attempt = 0; attempt < 8; ++attempt) {
    told.until_crowded(100, 2, 5, 4);
    const double pause = told.pause();
    CHECK(pause >= 100 && pause <= 1601, "a tenth of a second to one and a half");
    CHECK(pause >= before, "longer each time");
    if (attempt == 0) CHECK(pause < 400, "the first is short");
    before = pause;
  }
  CHECK(before > 1500, "the longest, as long as it stays crowded");
  for (int k = 0; k < 2000; ++k) told.run(2, 1, 0);
  told.until_crowded(100, 2, 5, 4);
  CHECK(told.pause() < 400, "a new crowd, and its first pause");
  Told long_calls;
  long_calls.run(2, 200, 150);
  CHECK(long_calls.pause() > 2000, "an attempt costs a small part of the pause after it");
  Told stopped;
  stopped.run(2, 3'600'000, 3'599'999);
  CHECK(stopped.pause() < 11'000, "a process that was stopped for an hour goes on as before");
}

void rest(int milliseconds) { std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds)); }

// The size of a team now, whose thread `absent` has no CPU for some milliseconds; ranks meet when it has.
int run_team(int absent, int milliseconds) {
  Team team(2);
  Barrier barrier(team.size());
  team.run([&](int rank) {
    if (team.size() > 1 && rank == absent) rest(milliseconds);
    barrier.wait();
  });
  return team.size();
}

// Until a team has so many threads; on a machine that is crowded in truth this takes a while.
bool comes_to(int size, int absent, int milliseconds) {
  for (int k = 0; k < 4000; ++k) {
    if (run_team(absent, milliseconds) == size) return true;
    if (size == 2) rest(1);
  }
  return false;
}

void test_teams_give_way() {
  for (const int absent : {0, 1}) {
    CHECK(comes_to(2, -1, 0), "a team of two");
    CHECK(comes_to(1, absent, 3), "alone, as one of the two never has a CPU");
    CHECK(run_team(absent, 3) == 1, "and stays so");
    Team brief(2, true);
    CHECK(brief.size() == 1, "brief work as well");
  }
  CHECK(comes_to(2, -1, 0), "and two again after a while");
}

// Brief runs are measured together: what happens in one of a hundred is not missed.
void test_brief_runs() {
  CHECK(comes_to(2, -1, 0), "a team of two");
  bool alone = false;
  for (int k = 0; k < 100'000 && !alone; ++k) alone = run_team(k % 100 == 99 ? 1 : -1, 4) == 1;
  CHECK(alone, "alone, as every hundredth run takes a thousand times as long");
}

void test_ignored() {
  CHECK(comes_to(1, 1, 3), "alone");
  ignore_crowding(true);
  for (int k = 0; k < 20; ++k) CHECK(run_team(1, 3) == 2, "two in any case, and at once");
  ignore_crowding(false);
}

}  // namespace

int main() {
  test_an_empty_machine();
  test_a_crowd();
  test_large_teams();
  test_pauses();
  test_teams_give_way();
  test_brief_runs();
  test_ignored();
  return test::finish("crowding");
}
