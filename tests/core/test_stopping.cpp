// Calls that are given up: at any moment, on any number of threads, of every cell; what is left as it was, and that the
// next call has the bits of the first.
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "lstmfast/stopping.h"
#include "lstmfast/streams.h"
#include "lstmfast/threads.h"
#include "made_networks.h"
#include "random.h"

namespace {

using namespace lstmfast;
using test::all_shapes;
using test::Arrays;
using test::named;
using test::network_of;
using test::Random;
using test::same_bits;

// Goes on for so many questions.
struct Questions {
  int left;
  int asked = 0;
  std::thread::id thread = std::this_thread::get_id();

  static bool answer(void* own) noexcept {
    Questions& self = *static_cast<Questions*>(own);
    CHECK(std::this_thread::get_id() == self.thread, "asked on the call's own thread");
    ++self.asked;
    return self.left-- > 0;
  }
};

constexpr AskedToGoOn::Patience kAlways = {std::chrono::nanoseconds(0), 1};

// Whether the call was given up.
template <class Call>
bool gives_up(Questions& questions, const Call& call) {
  const AskedToGoOn asked(Questions::answer, &questions, kAlways);
  try {
    call();
  } catch (const GivenUp&) {
    return true;
  }
  return false;
}

constexpr Index kSteps = 20, kRows = 4;
// Questions after which a call is given up. Each step of the caller's share is one, and how calls are shared may
// differ.
const std::vector<int> kMoments = {0, 1, kSteps / 2, kSteps - 1};

// A network and the arrays of its calls, in which the new state replaces the old.
struct Problem {
  const test::Weights<float> weights;
  const std::unique_ptr<Network<float>> network;
  Arrays<float> arrays;

  explicit Problem(const NetworkShape& shape, bool cut = false, Index rows = kRows)
      : weights(shape), network(network_of(shape, weights)), arrays(shape, kSteps, rows, cut) {}

  void infer() { network->infer(arrays.forward()); }
  std::unique_ptr<Tape<float>> forward() { return network->forward(arrays.forward(), {}, nullptr); }
  void backward(const Tape<float>& tape) { network->backward(tape, arrays.backward()); }

  std::vector<float> results_of_a_call() {
    arrays.renew();
    infer();
    return arrays.results();
  }
  std::vector<float> results_of_training() {
    arrays.renew();
    backward(*forward());
    return arrays.results();
  }
};

// Each question of a call in turn, or some of them, is answered with no.
template <class Call>
void give_up_at(const std::vector<int>& moments, const std::string& name, const Call& call) {
  for (const int left : moments) {
    Questions some = {left};
    CHECK(gives_up(some, [&] { call(); }), name + ": given up");
    CHECK(some.asked == left + 1, name + ": and nobody asked any more");
  }
}

void test_any_moment(const NetworkShape& shape, bool cut, Index rows, int threads) {
  set_num_threads(threads);
  const std::string name = named(shape, threads) + (cut ? ", cut" : "");
  Problem problem(shape, cut, rows);
  const std::vector<float> wanted = problem.results_of_a_call(), trained = problem.results_of_training();
  problem.arrays.renew();
  const std::vector<float> states = problem.arrays.states();

  Questions all = {1 << 30};
  problem.arrays.renew();
  CHECK(!gives_up(all, [&] { problem.infer(); }) && same_bits(problem.arrays.results(), wanted), name);
  CHECK(all.asked >= kSteps, name + ": asked all along");
  give_up_at(kMoments, name, [&] {
    problem.arrays.renew();
    try {
      problem.infer();
    } catch (const GivenUp&) {
      CHECK(same_bits(problem.arrays.states(), states), name + ": states as before");
      throw;
    }
  });
  CHECK(same_bits(problem.results_of_a_call(), wanted), name + ": the next call is whole");

  problem.arrays.renew();
  auto tape = problem.forward();
  Questions back = {1 << 30};
  CHECK(!gives_up(back, [&] { problem.backward(*tape); }) && same_bits(problem.arrays.results(), trained), name);
  CHECK(back.asked >= kSteps, name + ": asked all the way back");
  give_up_at(kMoments, name + ", backwards", [&] { problem.backward(*tape); });
  problem.backward(*tape);
  CHECK(same_bits(problem.arrays.results(), trained), name + ": the tape is as it was");
  give_up_at(kMoments, name + ", forward", [&] {
    problem.arrays.renew();
    problem.forward();
  });
  CHECK(same_bits(problem.results_of_training(), trained), name + ": the next training pass is whole");
}

// A stream's chunk leaves the stream where it was.
void test_streams() {
  const NetworkShape shape = all_shapes(20, 40).back();
  const Problem problem(shape);
  Streams<float> streams(shape, kRows);
  Random random(1);
  const auto count = static_cast<std::size_t>(kRows * shape.num_layers * 40);
  const std::vector<float> x = random.vector<float>(kSteps * kRows * 20);
  std::vector<float> y(static_cast<std::size_t>(kSteps * kRows * 40)), h(count), c(count), h_after(count),
      c_after(count);
  const auto run = [&] {
    streams.run(*problem.network, kSteps, {x.data(), kRows * 20, 20}, {y.data(), kRows * 40, 40});
  };
  run();
  streams.read(nullptr, kRows, h.data(), c.data());
  Questions some = {10};
  CHECK(gives_up(some, run), "given up");
  streams.read(nullptr, kRows, h_after.data(), c_after.data());
  CHECK(same_bits(h, h_after) && same_bits(c, c_after), "the stream is where it was");
}

// Who is asked in the midst of a call may make calls, which ask others, or nobody.
void test_calls_within() {
  struct Within {
    Problem inner{all_shapes(20, 40).front()};
    int asked = 0;
    static bool answer(void* own) noexcept {
      Within& self = *static_cast<Within*>(own);
      const int before = ++self.asked;
      if (before == 2) {
        self.inner.infer();
        CHECK(self.asked == before && !AskedToGoOn::here(), "nor is it asked by a call of its own");
      }
      if (before == 4) {
        Questions none = {0};
        CHECK(gives_up(none, [&] { self.inner.infer(); }), "the inner one is given up");
      }
      return true;
    }
  } within;
  Problem problem(all_shapes(20, 40).front());
  const std::vector<float> wanted = problem.results_of_a_call();
  {
    const AskedToGoOn asked(Within::answer, &within, kAlways);
    CHECK(same_bits(problem.results_of_a_call(), wanted) && within.asked > 4, "the outer one is not");
  }
  CHECK(!AskedToGoOn::here(), "and nobody asks any more");
}

void test_other_threads_are_not_asked() {
  Problem problem(all_shapes(20, 40).front());
  Questions mine = {0};
  const AskedToGoOn asked(Questions::answer, &mine, kAlways);
  std::thread([&] { problem.infer(); }).join();
  CHECK(mine.asked == 0, "calls of other threads go on");
}

void test_patience() {
  Problem problem(all_shapes(20, 40).front());
  Questions none = {0};
  const AskedToGoOn asked(Questions::answer, &none);
  problem.infer();
  CHECK(none.asked == 0, "a brief call asks nobody");
}

}  // namespace

int main() {
  ignore_crowding(true);  // there may be more threads here than CPUs
  for (const int threads : {1, 3})
    for (const NetworkShape& shape : all_shapes(20, 40)) {
      test_any_moment(shape, false, kRows, threads);
      test_any_moment(shape, true, kRows, threads);
      test_any_moment(shape, false, 1, threads);  // shared by panels
    }
  test_streams();
  test_calls_within();
  test_other_threads_are_not_asked();
  test_patience();
  return test::finish("stopping");
}
