// Threads that cannot be started: calls run on those there are, with the same bits, and the next call tries again.
#include <pthread.h>
#include <signal.h>

#include <new>
#include <vector>

#include "check.h"
#include "core/team.h"
#include "lstmfast/threads.h"
#include "made_networks.h"

namespace {

using namespace lstmfast;
using test::Arrays;
using test::same_bits;

// While it lives no thread can be started: there is no room for a stack of 64 TiB.
class NoThreads {
 public:
  NoThreads() {
    pthread_getattr_default_np(&before_);
    pthread_attr_t huge;
    pthread_attr_init(&huge);
    CHECK(pthread_attr_setstacksize(&huge, std::size_t(1) << 46) == 0, "a size like any other");
    CHECK(pthread_setattr_default_np(&huge) == 0, "which all threads then have");
    pthread_attr_destroy(&huge);
    pthread_t none = {};
    CHECK(pthread_create(&none, nullptr, [](void*) -> void* { return nullptr; }, nullptr) != 0, "so none is started");
  }
  ~NoThreads() {
    pthread_setattr_default_np(&before_);
    pthread_attr_destroy(&before_);
  }
  NoThreads(const NoThreads&) = delete;
  NoThreads& operator=(const NoThreads&) = delete;

 private:
  pthread_attr_t before_;
};

// Calls that are worth several threads: of rows, and of panels with a meeting at each step.
struct Calls {
  const NetworkShape shape = {Cell::lstm, 64, 128, 2, 1, true};
  const test::Weights<float> weights{shape};
  Network<float> network{shape, weights.passes().data(), *available_isas().front().f32};
  std::vector<Arrays<float>> arrays;
  std::vector<std::vector<float>> right;

  Calls() {
    arrays.emplace_back(shape, 20, 12, false);
    arrays.emplace_back(shape, 100, 1, false);
    set_num_threads(1);
    for (Arrays<float>& call : arrays) right.push_back(results_of(call));
  }
  std::vector<float> results_of(Arrays<float>& call) {
    call.renew();
    const auto tape = network.forward(call.forward());
    network.backward(*tape, call.backward());
    return call.results();
  }
  void check(int threads, const char* what) {
    set_num_threads(threads);
    for (std::size_t k = 0; k < arrays.size(); ++k) CHECK(same_bits(results_of(arrays[k]), right[k]), what);
  }
};

bool same_signals(const sigset_t& a, const sigset_t& b) {
  for (int signal = 1; signal < NSIG; ++signal)
    if (sigismember(&a, signal) != sigismember(&b, signal)) return false;
  return true;
}

void test_none(Calls& calls) {
  sigset_t before, after;
  pthread_sigmask(SIG_SETMASK, nullptr, &before);
  {
    const NoThreads none;
    CHECK(Team(4).size() == 1, "the caller alone");
    CHECK(Team(4, true).size() == 1, "for brief work, too");
    calls.check(4, "no thread at all");
  }
  pthread_sigmask(SIG_SETMASK, nullptr, &after);
  CHECK(same_signals(before, after), "signals reach the thread that they reached before");
}

void test_some(Calls& calls) {
  CHECK(Team(2).size() == 2, "the next call tries again");
  {
    const NoThreads no_more;
    CHECK(Team(4).size() == 2, "those there are");
    calls.check(4, "one thread beside the caller's");
  }
  CHECK(Team(4).size() == 4, "and again");
  calls.check(4, "all threads");
}

// A runtime that lends threads, and then has the caller's alone, is a case for the core's own threads; where these are
// not to be had either, a call cannot be cut any more. The last test, for lent threads cannot be given back.
void test_runtime(Calls& calls) {
  lend_threads({[](void (*body)(void*), void* context, unsigned, unsigned) { body(context); }, [] { return 0; },
                [] { return 1; }, [] { return 0; }});
  const BorrowedThreads borrowed(6);
  Arrays<float>& call = calls.arrays.front();
  set_num_threads(6);
  call.renew();
  const std::vector<float> untouched = call.results();
  {
    const NoThreads none;
    bool thrown = false;
    try {
      calls.network.infer(call.forward());
    } catch (const std::bad_alloc&) {
      thrown = true;
    }
    CHECK(thrown, "std::bad_alloc, as threads.h says");
    CHECK(same_bits(call.results(), untouched), "before anything is written");
  }
  calls.check(6, "and once there are threads again");
}

}  // namespace

int main() {
  ignore_crowding(true);  // there are more threads here than CPUs
  Calls calls;
  test_none(calls);
  test_some(calls);
  test_runtime(calls);
  return test::finish("no_threads");
}
