// What streams take from the heap: a little when they are made, nothing when they are stepped, opened or closed.
#include <algorithm>
#include <string>
#include <vector>

#include "check.h"
#include "core/barrier.h"
#include "core/team.h"
#include "counting.h"
#include "lstmfast/isa.h"
#include "lstmfast/stream_ids.h"
#include "lstmfast/streams.h"
#include "lstmfast/threads.h"
#include "random.h"

namespace {

using namespace lstmfast;
using test::Taken;
using test::taken_by;

std::size_t size(Index count) { return static_cast<std::size_t>(count); }

template <class T>
Network<T> network_of(const NetworkShape& shape, const KernelTable<T>& kernels) {
  const Index gate_rows = shape.gates() * shape.hidden_size;
  const Index largest = std::max(gate_rows, shape.projection_size) * std::max(shape.input_size, shape.hidden_size);
  const auto weights = test::Random(3).vector<T>(largest, 0.3);
  const T* const w = weights.data();
  const PassParameters<const T> parameters = {w, w, w, w, shape.projection_size ? w : nullptr};
  return {shape, std::vector<PassParameters<const T>>(size(shape.num_layers), parameters).data(), kernels};
}

// Makes the threads, and wakes them: short work is shared only with threads that are awake.
void wake(int threads) {
  Team team(threads);
  Barrier barrier(team.size());
  team.run([&](int) { barrier.wait(); });
}

template <class T>
void test_steps(const NetworkShape& shape, const KernelTable<T>& kernels, const std::string& what) {
  const Index most = 750;
  const Network<T> network = network_of(shape, kernels);
  const std::vector<T> x(size(most * shape.input_size), T(0.5));
  std::vector<T> y(size(most * shape.state_size()));
  for (const Index rows : {1, 64, 700})
    for (const bool listed : {false, true}) {
      const Index count = listed ? most : rows;
      Streams<T> streams(shape, count);
      streams.write(nullptr, count, nullptr, nullptr);
      std::vector<Index> slots;
      for (Index k = 0; k < rows; ++k) slots.push_back(count - 1 - k);
      for (const int threads : {1, 2}) {
        set_num_threads(threads);
        for (int repeat = 0; repeat < 2; ++repeat) {
          wake(threads);
          const Taken taken =
              taken_by([&] { streams.step(network, {rows, listed ? slots.data() : nullptr, x.data(), y.data()}); });
          CHECK(taken.allocations == 0, what + ": " + std::to_string(taken.allocations) + " allocations for " +
                                            std::to_string(rows) + (listed ? " listed rows, " : " rows, ") +
                                            std::to_string(threads) + " threads");
        }
      }
    }
}

template <class T>
void test_all_steps(const Isa& isa) {
  const KernelTable<T>& table = kernels<T>(isa);
  const std::string what = isa.name + " f" + std::to_string(8 * sizeof(T)) + " ";
  test_steps<T>({Cell::lstm, 8, 24, 1, 1, true}, table, what + "one layer");
  test_steps<T>({Cell::lstm, 8, 24, 3, 1, true}, table, what + "three layers");
  test_steps<T>({Cell::lstm, 8, 24, 1, 1, true, 7}, table, what + "projection");
  test_steps<T>({Cell::lstm, 8, 24, 3, 1, true, 7}, table, what + "projection, three layers");
  test_steps<T>({Cell::rnn_tanh, 8, 40, 3, 1, true}, table, what + "tanh, three layers");
}

void test_ids() {
  const Index count = 500;
  StreamIds ids(count);
  std::vector<Index> open(size(count)), listed(size(count));
  const Taken taken = taken_by([&] {
    for (int turn = 0; turn < 3; ++turn) {
      for (Index& id : open) id = ids.open();
      CHECK(ids.open() == -1, "all are open");
      Index at = 0;
      CHECK(ids.slots_of(open.data(), count, at), "all are found");
      open[7] = open[3];
      CHECK(!ids.slots_of(open.data(), count, at) && at == 7, "one is there twice");
      ids.list(listed.data());
      for (const Index id : listed) ids.close(StreamIds::slot_of(id));
      CHECK(!ids.slots_of(open.data(), count, at) && at == 0, "none is open");
    }
  });
  CHECK(taken.allocations == 0, std::to_string(taken.allocations) + " allocations for ids");
}

// Ten thousand streams of an LSTM of 128 units in float32, whose state is 1024 bytes.
void test_cost(const Isa& isa) {
  const Index count = 10'000, most = 1200;
  const NetworkShape shape = {Cell::lstm, 128, 128, 1, 1, true};
  const Network<float> network = network_of(shape, *isa.f32);
  Index bytes = 0, of_step = 0;
  const Taken taken = taken_by([&] {
    Streams<float> streams(shape, count);
    StreamIds ids(count);
    bytes = streams.bytes() + ids.bytes();
    std::vector<Index> slots(size(count));
    for (Index& slot : slots) slot = StreamIds::slot_of(ids.open());
    std::vector<float> x(size(count * 128)), y(x.size());
    streams.write(slots.data(), count, nullptr, nullptr);
    streams.step(network, {count, slots.data(), x.data(), y.data()});
    of_step = count * static_cast<Index>(sizeof(Index) + 2 * 128 * sizeof(float));  // slots, x and y
  });
  const Index counted = static_cast<Index>(taken.bytes) - of_step;
  CHECK(bytes >= count * 1024 && bytes <= count * most, std::to_string(bytes) + " bytes said to be held");
  CHECK(counted >= bytes && counted <= count * most, std::to_string(counted) + " bytes taken");
}

// A stream more takes its state and what its id needs: there is scratch for some rows, however many streams there are.
void test_cost_of_one_more() {
  const NetworkShape shapes[] = {{Cell::lstm, 8, 24, 1, 1, true},
                                 {Cell::lstm, 8, 24, 3, 1, true},
                                 {Cell::lstm, 8, 24, 2, 1, true, 7},
                                 {Cell::rnn_relu, 8, 24, 4, 1, true}};
  for (const NetworkShape& shape : shapes) {
    const Index few = 1000, many = 3000;
    const Index numbers = shape.num_layers * (shape.state_size() + (has_memory(shape.cell) ? shape.hidden_size : 0));
    const Index more = Streams<float>(shape, many).bytes() - Streams<float>(shape, few).bytes();
    CHECK(more == (many - few) * numbers * static_cast<Index>(sizeof(float)), "a state each");
    CHECK(StreamIds(many).bytes() - StreamIds(few).bytes() <= (many - few) * 25, "an id each");
  }
}

// Or the tests above could not fail.
void test_counting() {
  const NetworkShape shape = {Cell::lstm, 8, 24, 3, 1, true};
  Streams<float> streams(shape, 10);
  CHECK(taken_by([&] { streams.grow(20); }).allocations > 3, "growing takes memory");
  CHECK(taken_by([] { StreamIds ids(10); }).allocations > 3, "ids take memory");
  const Network<float> network = network_of(shape, *available_isas().front().f32);
  const std::vector<float> x(5 * 20 * 8);
  std::vector<float> y(5 * 20 * 24);
  streams.write(nullptr, 20, nullptr, nullptr);
  const Taken taken = taken_by([&] { streams.run(network, 5, {x.data(), 20 * 8, 8}, {y.data(), 20 * 24, 24}); });
  CHECK(taken.allocations > 0 && taken.bytes > 0, "run() takes scratch");
}

}  // namespace

int main() {
  test_counting();
  test_ids();
  const Isa& fastest = available_isas().front();
  test_cost(fastest);
  test_cost_of_one_more();
  test_steps<float>({Cell::lstm, 300, 300, 1, 1, true}, *fastest.f32, "panels of one row are shared");
  for (const Isa& isa : available_isas()) {
    test_all_steps<float>(isa);
    test_all_steps<double>(isa);
  }
  return test::finish("stream_memory");
}
