// Threads that somebody else sends: whoever comes in time is part of the team, whoever comes later has nothing to do,
// and nobody is waited for who may never come.
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "check.h"
#include "core/barrier.h"
#include "core/team.h"
#include "lstmfast/isa.h"
#include "lstmfast/network.h"
#include "lstmfast/threads.h"
#include "random.h"

namespace {

using namespace lstmfast;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr nanoseconds kLong = std::chrono::seconds(20);  // nobody waits for as long, unless a visitor never comes

// Calls a lambda as a GuestTeam's work.
template <class Work>
class Guests : public GuestTeam {
 public:
  Guests(const Work& work, int visitors, nanoseconds patience)
      : GuestTeam([](void* own) noexcept { static_cast<Guests*>(own)->work_(); }, this, visitors, patience),
        work_(work) {}

 private:
  const Work work_;
};
template <class Work>
Guests(const Work&, int, nanoseconds) -> Guests<Work>;

// visits, one on each of as many threads.
void visit_at_once(GuestTeam& team, int visits) {
  std::vector<std::thread> others;
  for (int k = 1; k < visits; ++k) others.emplace_back([&] { team.visit(); });
  team.visit();
  for (std::thread& other : others) other.join();
}

void test_visitors_at_once() {
  for (const int visitors : {1, 2, 3, 5})
    for (int repeat = 0; repeat < 40; ++repeat) {
      std::atomic<int> works{0}, wrong{0};
      std::vector<std::atomic<int>> runs(static_cast<std::size_t>(visitors));
      Guests guests(
          [&] {
            ++works;
            Team team(visitors);
            if (team.size() != visitors || get_num_threads() != visitors) ++wrong;
            team.run([&](int rank) { ++runs[static_cast<std::size_t>(rank)]; });
          },
          visitors, kLong);
      visit_at_once(guests, visitors);
      CHECK(works == 1 && wrong == 0 && guests.size() == visitors, "one leads, and all have come");
      for (const std::atomic<int>& count : runs) CHECK(count == 1, "each rank once");
      CHECK(!GuestTeam::led_here(), "and nobody leads any more");
    }
}

void test_one_after_another() {
  int works = 0, size = 0;
  Guests guests(
      [&] {
        ++works;
        Team team(4);
        size = team.size();
        int runs = 0;
        team.run([&](int) { ++runs; });
        CHECK(runs == 1, "the caller's own");
      },
      4, milliseconds(1));
  for (int visit = 0; visit < 4; ++visit) guests.visit();
  CHECK(works == 1 && size == 1 && guests.size() == 1, "the first visitor is alone, and the others do nothing");
}

void test_late_visitors() {
  std::atomic<bool> begun{false}, go_on{false};
  std::atomic<int> works{0}, left{0};
  Guests guests(
      [&] {
        ++works;
        begun = true;
        while (!go_on) spin_pause();
      },
      3, milliseconds(1));
  std::thread leader([&] { guests.visit(); });
  while (!begun) std::this_thread::yield();
  for (int k = 0; k < 2; ++k) {
    std::thread late([&] {
      guests.visit();
      ++left;
    });
    late.join();  // while the work goes on
  }
  CHECK(left == 2, "they are sent away");
  go_on = true;
  leader.join();
  guests.visit();
  CHECK(works == 1 && guests.size() == 1, "and when it is done, too");
}

// Patience for three, of whom two come.
void test_some_visitors() {
  std::atomic<int> runs{0};
  Guests guests(
      [&] {
        Team team(3);
        team.run([&](int) { ++runs; });
      },
      3, milliseconds(300));
  visit_at_once(guests, 2);
  CHECK(guests.size() == runs && runs <= 2, "as many as have come");
  guests.visit();
  CHECK(guests.size() == runs && runs <= 2, "no more");
}

// Jobs on all threads, on some, with barriers in them, and teams of one between.
void test_several_jobs() {
  constexpr int visitors = 4, jobs = 200;
  std::atomic<int> wrong{0};
  Guests guests(
      [&] {
        for (int job = 0; job < jobs; ++job) {
          const int size = 1 + job % visitors;
          Team team(size, job % 3 == 0);
          if (team.size() != size) ++wrong;
          Barrier barrier(team.size());
          std::vector<int> written(static_cast<std::size_t>(size), 0);  // plain: the barrier orders them
          std::atomic<int> runs{0};
          team.run([&](int rank) {
            written[static_cast<std::size_t>(rank)] = job;
            barrier.wait();
            for (const int other : written)
              if (other != job) ++wrong;
            ++runs;
          });
          if (runs != size) ++wrong;
        }
      },
      visitors, kLong);
  visit_at_once(guests, visitors);
  CHECK(wrong == 0 && guests.size() == visitors, "every job on its ranks");
}

// Which is another one, of the core's own threads: those of the job are at work.
void test_a_team_inside_a_job() {
  constexpr int visitors = 3, repeats = 50;
  std::atomic<int> outer_runs{0}, wrong{0};
  Guests guests(
      [&] {
        for (int repeat = 0; repeat < repeats; ++repeat) {
          Team outer(visitors);
          outer.run([&](int rank) {
            ++outer_runs;
            if (rank != 0) std::this_thread::sleep_for(std::chrono::microseconds(100));
            std::atomic<int> inner_runs{0};
            Team inner(visitors);
            inner.run([&](int) { ++inner_runs; });
            if (inner_runs != inner.size()) ++wrong;
          });
          if (outer_runs != (repeat + 1) * visitors) ++wrong;
        }
      },
      visitors, kLong);
  visit_at_once(guests, visitors);
  CHECK(outer_runs == repeats * visitors && wrong == 0, "each team runs its own job");
}

// Many of them at once, each with its own visitors, beside calls on the core's own threads.
void test_many_at_once() {
  std::atomic<long> sum{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 3; ++caller)
    callers.emplace_back([&] {
      for (int repeat = 0; repeat < 30; ++repeat) {
        Guests guests(
            [&] {
              Team team(2);
              const int size = team.size();
              team.run([&](int) { sum += 2 / size; });
            },
            2, std::chrono::microseconds(200));
        visit_at_once(guests, 2);
        Team own(2);
        const int size = own.size();
        own.run([&](int) { sum += 2 / size; });
      }
    });
  for (std::thread& caller : callers) caller.join();
  CHECK(sum == 3L * 30 * 4, "every team did its work");
}

// A network's own call, which makes teams as it likes.
void test_networks() {
  struct Case {
    Index steps, rows, input, hidden;
    int directions;
  };
  for (const Case& each : {Case{12, 13, 16, 48, 1}, Case{60, 1, 20, 60, 2}, Case{20, 1, 70, 256, 1}}) {
    const NetworkShape shape = {Cell::lstm, each.input, each.hidden, 1, each.directions, true};
    const Index D = each.directions, H = each.hidden, rows = 4 * H;
    test::Random random(3);
    std::vector<std::vector<float>> weights;
    std::vector<PassParameters<const float>> passes;
    for (Index d = 0; d < D; ++d)
      for (const Index count : {rows * each.input, rows * H, rows, rows})
        weights.push_back(random.vector<float>(count, 0.3));
    for (std::size_t k = 0; k < weights.size(); k += 4)
      passes.push_back({weights[k].data(), weights[k + 1].data(), weights[k + 2].data(), weights[k + 3].data()});
    const Network<float> network(shape, passes.data(), kernels<float>(available_isas().front()));
    const auto x = random.vector<float>(each.steps * each.rows * each.input);
    const auto infer = [&] {
      std::vector<float> all(static_cast<std::size_t>(D * H * each.rows * (each.steps + 2)));
      ForwardCall<float> call = {};
      call.steps = each.steps;
      call.rows = each.rows;
      call.x = {x.data(), each.rows * each.input, each.input};
      call.y = {all.data(), each.rows * D * H, D * H};
      call.h_n = all.data() + each.steps * each.rows * D * H;
      call.c_n = call.h_n + D * each.rows * H;
      network.infer(call);
      return all;
    };
    const BorrowedThreads alone(1);
    const std::vector<float> expected = infer();
    for (const int visitors : {2, 3})
      for (int repeat = 0; repeat < 5; ++repeat) {
        std::vector<float> found;
        Guests guests([&] { found = infer(); }, visitors, kLong);
        visit_at_once(guests, visitors);
        CHECK(found == expected && guests.size() == visitors, "the same bits");
      }
    CHECK(network.threads_of_use(each.steps, each.rows, 1) == 1, "never more than there are");
    CHECK(network.threads_of_use(1000, 64, 2) == 2, "what is worth two threads");
    CHECK(network.threads_of_use(1, 0, 8) == 1 && network.threads_of_use(0, 1, 8) == 1, "nothing to do");
  }
}

}  // namespace

int main() {
  ignore_crowding(true);  // there are more threads here than CPUs
  test_visitors_at_once();
  test_one_after_another();
  test_late_visitors();
  test_some_visitors();
  test_several_jobs();
  test_a_team_inside_a_job();
  test_many_at_once();
  test_networks();
  return test::finish("guest_team");
}
