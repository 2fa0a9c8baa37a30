// Each allocation of each call of a network fails once, by itself and with all that come after it. A call throws
// std::bad_alloc or manages without; then everything is as it was before, nothing is left over, and the same call has
// the same bits.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "brief.h"
#include "check.h"
#include "core/barrier.h"
#include "core/team.h"
#include "failing.h"
#include "lstmfast/threads.h"
#include "made_networks.h"

namespace {

using namespace lstmfast;
using test::all_shapes;
using test::Arrays;
using test::named;
using test::network_of;
using test::same_bits;
using test::try_each_allocation;

const Isa& fastest() { return available_isas().front(); }

// New weights: made or not made. What they replace is another network, which nobody touches.
struct Packing : test::Attempt {
  const NetworkShape shape;
  const test::Weights<float> weights;
  const std::vector<PassParameters<const float>> passes = weights.passes();
  std::unique_ptr<Network<float>> made;

  explicit Packing(const NetworkShape& given) : shape(given), weights(given) {}
  void call() override { made = std::make_unique<Network<float>>(shape, passes.data(), kernels<float>(fastest())); }
  bool unchanged() override { return !made; }
  bool done() override { return made != nullptr; }
  void cleanup() override { made.reset(); }
};

// Calls of a network that was packed before. Their results are compared with those of a call that nothing happened to.
struct Called : test::Attempt {
  const NetworkShape shape;
  const test::Weights<float> weights;
  std::unique_ptr<Network<float>> network;
  Arrays<float> arrays;
  std::vector<float> untouched, right;

  Called(const NetworkShape& given, Index steps, Index rows, bool cut)
      : shape(given), weights(given), arrays(given, steps, rows, cut) {}

  // Once the most derived part is there.
  void learn() {
    prepare();
    untouched = arrays.results();
    call();
    right = arrays.results();
    cleanup();
    CHECK(!same_bits(right, untouched), "a call has results");
  }
  void prepare() override {
    arrays.renew();
    network = network_of(shape, weights);
  }
  bool done() override { return same_bits(arrays.results(), right); }
  // And the same call does then what it always does.
  bool unchanged() override {
    const bool same = same_bits(arrays.results(), untouched);
    call();
    return same && done();
  }
  void cleanup() override { network.reset(); }
};

struct Infer : Called {
  using Called::Called;
  void call() override { network->infer(arrays.forward()); }
};

// A pass forward, of which no tape is left when it fails.
struct Forward : Called {
  std::unique_ptr<Tape<float>> tape;
  TrainingOptions<float> options;

  Forward(const NetworkShape& given, Index steps, Index rows, bool cut, bool recompute)
      : Called(given, steps, rows, cut) {
    options.recompute = recompute;
    options.masks = arrays.masks();
    options.scale = 1.5f;
    if (shape.zoneout > 0) options.renewed = arrays.masks();
  }
  void call() override { tape = network->forward(arrays.forward(), options); }
  void cleanup() override {
    tape.reset();
    Called::cleanup();
  }
};

// The first backward pass of a network: it packs the weights the other way round. The tape can be used again.
struct Backward : Forward {
  using Forward::Forward;
  void prepare() override {
    Called::prepare();
    Forward::call();
  }
  void call() override { network->backward(*tape, arrays.backward()); }
  // Gradients are new arrays, of which some may be written already: those of the layers that are done.
  bool unchanged() override {
    call();
    return done();
  }
};

template <class Kind, class... Arguments>
long tried(const std::string& what, const Arguments&... arguments) {
  Kind attempt(arguments...);
  attempt.learn();
  return try_each_allocation(attempt, what);
}

void test_calls(const NetworkShape& shape, Index steps, Index rows, int threads) {
  set_num_threads(threads);
  const std::string what = named(shape, threads);
  Packing packing(shape);
  CHECK(try_each_allocation(packing, "packing " + what) >= 2, "packing takes memory");
  for (const bool cut : {false, true}) {
    if (threads > 1 && !cut) continue;  // nothing that the other has not
    const std::string in = what + (cut ? ", cut" : "");
    CHECK(tried<Infer>("infer " + in, shape, steps, rows, cut) > 0, "infer takes memory between layers");
    for (const bool recompute : {false, true}) {
      if (threads > 1 && recompute) continue;
      CHECK(tried<Forward>("forward " + in, shape, steps, rows, cut, recompute) > 2, "so does a tape");
      CHECK(tried<Backward>("backward " + in, shape, steps, rows, cut, recompute) > 5, "and so does a backward pass");
    }
  }
}

// Smaller weights.
struct SmallPacking : test::Attempt {
  const NetworkShape shape;
  const KernelTable<float>& table;
  std::vector<float> numbers = std::vector<float>(16 * 1024, 0.25f);
  std::vector<SmallParameters> passes;
  std::unique_ptr<Network<float>> made;

  SmallPacking(const NetworkShape& given, const KernelTable<float>& kernels) : shape(given), table(kernels) {
    const float* const w = numbers.data();
    const bool int8 = kernels.weights == lstmfast::Weights::int8;
    const SmallParameters pass = {w,
                                  w,
                                  shape.projection_size ? w : nullptr,
                                  w,
                                  w,
                                  int8 ? w : nullptr,
                                  int8 ? w : nullptr,
                                  int8 ? w : nullptr,
                                  nullptr};
    passes.assign(static_cast<std::size_t>(shape.passes()), pass);
  }
  void call() override { made = small_network(shape, passes.data(), numbers.data(), table); }
  bool unchanged() override { return !made; }
  bool done() override { return made != nullptr; }
  void cleanup() override { made.reset(); }
};

struct SmallInfer : SmallPacking {
  Arrays<float> arrays;
  std::vector<float> untouched, right;

  SmallInfer(const NetworkShape& given, const KernelTable<float>& kernels)
      : SmallPacking(given, kernels), arrays(given, 9, 5, true) {
    prepare();
    untouched = arrays.results();
    call();
    right = arrays.results();
    cleanup();
  }
  void prepare() override {
    arrays.renew();
    SmallPacking::call();
  }
  void call() override { made->infer(arrays.forward()); }
  bool unchanged() override {
    const bool same = same_bits(arrays.results(), untouched);
    call();
    return same && done();
  }
  bool done() override { return same_bits(arrays.results(), right); }
};

void test_small(const Isa& isa) {
  for (const KernelTable<float>* const table : {isa.f16, isa.bf16, isa.i8})
    for (const NetworkShape& shape :
         {NetworkShape{Cell::lstm, 5, 20, 2, 1, true, 7}, NetworkShape{Cell::gru, 5, 20, 2, 2, true}}) {
      const std::string what = named(shape, 1) + ", weights " + std::to_string(static_cast<int>(table->weights));
      SmallPacking packing(shape, *table);
      CHECK(try_each_allocation(packing, "small packing " + what) >= 4, "packing takes memory");
      SmallInfer infer(shape, *table);
      CHECK(try_each_allocation(infer, "small infer " + what) > 0, "infer takes memory");
    }
}

// Work that is shared, on threads that are there already.
const NetworkShape kShared = {Cell::lstm, 64, 128, 2, 1, true};
constexpr Index kSharedSteps = 12, kSharedRows = 12;

// Threads that are sent, as JAX' and ONNX Runtime's are, while their leader's memory fails: he alone throws, and all
// others leave.
struct Guests : Called {
  static constexpr int kVisitors = 3;
  std::atomic<GuestTeam*> sent{nullptr};
  std::atomic<int> round{0}, left{0};
  std::atomic<bool> over{false};
  std::vector<std::thread> others;

  Guests() : Called(kShared, kSharedSteps, kSharedRows, true) {
    for (int k = 1; k < kVisitors; ++k)
      others.emplace_back([this] {
        for (int seen = 0; !over;)
          if (round == seen) {
            std::this_thread::yield();
          } else {
            seen = round;
            sent.load()->join();
            ++left;
          }
      });
    learn();
  }
  ~Guests() override {
    over = true;
    for (std::thread& other : others) other.join();
  }
  void call() override {
    const auto infer = [&] { network->infer(arrays.forward()); };
    GuestWork<decltype(infer)> work(infer);
    GuestTeam team(&GuestWork<decltype(infer)>::run, &work, kVisitors, std::chrono::seconds(20));
    left = 0;
    sent = &team;
    ++round;
    team.lead();
    while (left < kVisitors - 1) std::this_thread::yield();
    CHECK(team.size() == kVisitors, "all have come");
    work.rethrow();
  }
};

void test_guests() {
  Guests guests;
  CHECK(try_each_allocation(guests, "guests") > 3, "lists of each thread");
}

// The first team of a process makes the pool and its threads. Each attempt has a process of its own; in it the next
// call must find all threads after all.
void test_first_team() {
  const test::Weights<float> weights(kShared);
  set_num_threads(1);
  const auto network = network_of(kShared, weights);
  Arrays<float> arrays(kShared, kSharedSteps, kSharedRows, false);
  const std::vector<float> untouched = arrays.results();
  network->infer(arrays.forward());
  const std::vector<float> right = arrays.results();
  arrays.renew();
  set_num_threads(3);
  const auto attempt = [&](long at, test::Lack lack) {  // 0: right; 1: wrong; 2: right, and nothing has failed
    bool thrown = false;
    test::failing::arm(at, lack);
    try {
      network->infer(arrays.forward());
    } catch (const std::bad_alloc&) {
      thrown = true;
    }
    const bool failed = test::failing::disarm() > 0;
    if (!same_bits(arrays.results(), thrown ? untouched : right)) return 1;
    arrays.renew();
    network->infer(arrays.forward());
    if (!same_bits(arrays.results(), right) || Team(3).size() != 3) return 1;
    return failed ? 0 : 2;
  };
  for (const test::Lack lack : {test::Lack::once, test::Lack::from_then_on}) {
    int status = 0;
    long at = 0;
    while (status == 0 && ++at < 100) {
      const pid_t child = fork();
      if (child == 0) _exit(attempt(at, lack));
      int all = -1;
      const bool ended = waitpid(child, &all, 0) == child && WIFEXITED(all);
      status = ended ? WEXITSTATUS(all) : 1;
      CHECK(status != 1, "the first team, allocation " + std::to_string(at));
    }
    CHECK(status == 2 && at > 5, "a pool and two threads take memory, " + std::to_string(at) + " times");
  }
}

void wake(int threads) {
  Team team(threads);
  Barrier barrier(team.size());
  team.run([&](int) { barrier.wait(); });
}

}  // namespace

// --no-fork: for a sanitizer that does not follow a fork of a process with threads. --brief: fewer shapes.
int main(int argc, char** argv) {
  ignore_crowding(true);  // there are more threads here than CPUs
  if (!test::asked_for("--no-fork", argc, argv)) test_first_team();
  set_num_threads(1);
  const std::vector<NetworkShape> shapes = all_shapes(5, 20);
  network_of(shapes.front(), test::Weights<float>(shapes.front()));  // what a process looks up once is there
  const std::size_t step = test::asked_for("--brief", argc, argv) ? 4 : 1;
  for (std::size_t k = 0; k < shapes.size(); k += step) test_calls(shapes[k], 7, 4, 1);
  test_small(fastest());
  wake(3);
  test_calls(kShared, kSharedSteps, kSharedRows, 3);
  test_guests();
  return test::finish("out_of_memory");
}
