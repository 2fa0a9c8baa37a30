// What Python's objects hold, shared by threads as a Python without a GIL shares them: a stream and a pool, each behind
// its turns, while others train and call the same network, drop it, and change the number of threads. Each step is made
// whole or not at all; and under ThreadSanitizer, nothing races.
#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "bindings/streams.h"
#include "check.h"
#include "lstmfast/isa.h"
#include "lstmfast/network.h"
#include "lstmfast/threads.h"
#include "random.h"

namespace {

using namespace lstmfast;
using namespace lstmfast::bindings;
using test::Random;

constexpr int kThreads = 4, kRounds = 2000;
constexpr Index I = 8, H = 32, kOpen = 3;

std::size_t size(Index count) { return static_cast<std::size_t>(count); }

NetworkShape lstm() {
  NetworkShape shape = {};
  shape.cell = Cell::lstm;
  shape.input_size = I;
  shape.hidden_size = H;
  shape.num_layers = 1;
  shape.directions = 1;
  return shape;
}

std::shared_ptr<const Network<float>> make_network() {
  Random random(3);
  const std::vector<float> ih = random.vector<float>(4 * H * I, 0.4), hh = random.vector<float>(4 * H * H, 0.4);
  PassParameters<const float> weights = {};
  weights.weight_ih = ih.data();
  weights.weight_hh = hh.data();
  return std::make_shared<const Network<float>>(lstm(), &weights, kernels<float>(available_isas().front()));
}

// All threads begin together; each is told which it is.
template <class Body>
void together(const Body& body) {
  std::atomic<int> waiting{kThreads};
  std::vector<std::thread> threads;
  for (int k = 0; k < kThreads; ++k)
    threads.emplace_back([&, k] {
      --waiting;
      while (waiting.load() > 0) std::this_thread::yield();
      body(k);
    });
  for (std::thread& thread : threads) thread.join();
}

// Whether it was this thread's turn, and `act` was done.
template <class Act>
bool was_let(Turns& turns, const Act& act) {
  try {
    const Turn turn(turns);
    act();
    return true;
  } catch (const std::runtime_error&) {
    return false;
  }
}

// h of a stream after so many steps with this frame.
std::vector<float> after(const Network<float>& network, const std::vector<float>& frame, int steps) {
  Streams<float> alone(network.shape(), 1);
  std::vector<float> h(size(H)), c(size(H)), y(size(H));
  alone.write(nullptr, 1, nullptr, nullptr);
  for (int step = 0; step < steps; ++step) alone.step(network, {1, nullptr, frame.data(), y.data()});
  alone.read(nullptr, 1, h.data(), c.data());
  return h;
}

void test_stream() {
  const auto network = make_network();
  const std::vector<float> frame = Random(5).vector<float>(I);
  StreamBatch<float> batch(network->shape(), 1);
  std::atomic<int> steps{0};
  together([&](int k) {
    std::vector<float> h(size(H)), c(size(H)), y(size(H));
    for (int round = 0; round < kRounds; ++round) {
      if (round % 4 == k)
        was_let(batch.turns, [&] { batch.streams.read(nullptr, 1, h.data(), c.data()); });
      else
        steps += was_let(batch.turns, [&] { batch.streams.step(*network, {1, nullptr, frame.data(), y.data()}); });
    }
  });
  std::vector<float> h(size(H)), c(size(H));
  batch.streams.read(nullptr, 1, h.data(), c.data());
  CHECK(steps > 0, "no step was let");
  CHECK(h == after(*network, frame, steps), "the state is not that of " + std::to_string(steps) + " steps");
}

// Streams that nobody closes are stepped while others open and close theirs, and make room for more.
void test_pool() {
  const auto network = make_network();
  const std::vector<float> frame = Random(5).vector<float>(I);
  std::vector<float> frames;
  for (Index k = 0; k < kOpen; ++k) frames.insert(frames.end(), frame.begin(), frame.end());
  StreamPool<float> pool(network->shape(), kOpen);
  std::vector<Index> kept;
  const auto open = [&] {
    const Index id = pool.ids.open(), slot = StreamIds::slot_of(id);
    if (id >= 0) pool.streams.write(&slot, 1, nullptr, nullptr);
    return id;
  };
  for (Index k = 0; k < kOpen; ++k) kept.push_back(open());
  std::atomic<int> steps{0};
  together([&](int k) {
    std::vector<float> y(size(kOpen * H));
    for (int round = 0; round < kRounds; ++round) {
      Index own = -1, at = 0;
      if (round % 50 == k) {
        was_let(pool.turns, [&] {
          const Index more = pool.ids.count() + 1;
          StreamIds larger(pool.ids, more);
          pool.streams.grow(more);
          pool.ids.swap(larger);
        });
      } else if (round % 3 == 0) {
        was_let(pool.turns, [&] { own = open(); });
        while (own >= 0 && !was_let(pool.turns, [&] { pool.ids.close(*pool.ids.slots_of(&own, 1, at)); })) {
        }
      } else {
        steps += was_let(pool.turns, [&] {
          const Index* const slots = pool.ids.slots_of(kept.data(), kOpen, at);
          pool.streams.step(*network, {kOpen, slots, frames.data(), y.data()});
        });
      }
    }
  });
  CHECK(steps > 0, "no step was let");
  CHECK(pool.ids.open_count() == kOpen, std::to_string(pool.ids.open_count()) + " are open");
  const std::vector<float> expected = after(*network, frame, steps);
  for (const Index id : kept) {
    const Index slot = StreamIds::slot_of(id);
    std::vector<float> h(size(H)), c(size(H));
    pool.streams.read(&slot, 1, h.data(), c.data());
    CHECK(h == expected, "stream " + std::to_string(id) + " has not made " + std::to_string(steps) + " steps");
  }
}

// A network that is replaced while calls are at work lives until the last of them; its backward panels are made once,
// by whoever needs them first.
void test_network() {
  constexpr Index T = 6, B = 3;
  const std::vector<float> x = Random(7).vector<float>(T * B * I), dy = Random(8).vector<float>(T * B * H);
  auto shared = make_network();
  const auto first = shared;
  std::vector<std::vector<float>> found(size(kThreads));
  together([&](int k) {
    std::vector<float> y(size(T * B * H)), h(size(B * H)), c(size(B * H)), dx(size(T * B * I)), dh(h), dc(c);
    for (int round = 0; round < kRounds / 100; ++round) {
      set_num_threads(1 + (k + round) % 3);
      const auto network = std::atomic_load(&shared);
      ForwardCall<float> call = {};
      call.steps = T;
      call.rows = B;
      call.x = {x.data(), B * I, I};
      call.y = {y.data(), B * H, H};
      call.h_n = h.data();
      call.c_n = c.data();
      network->infer(call);
      const auto tape = network->forward(call, {}, nullptr);
      BackwardCall<float> back = {};
      back.dy = {dy.data(), B * H, H};
      back.dx = {dx.data(), B * I, I};
      back.dh0 = dh.data();
      back.dc0 = dc.data();
      const PassParameters<float> none = {};
      back.gradients = &none;
      network->backward(*tape, back);
      if (found[size(k)].empty()) found[size(k)] = dx;
      CHECK(found[size(k)] == dx, "dx differs from round to round");
      if (k == 0) std::atomic_store(&shared, make_network());
    }
  });
  for (const std::vector<float>& dx : found) CHECK(dx == found.front(), "dx differs from thread to thread");
}

}  // namespace

int main() {
  for (const int threads : {1, 2}) {
    set_num_threads(threads);
    test_stream();
    test_pool();
  }
  test_network();
  return test::finish("sharing");
}
