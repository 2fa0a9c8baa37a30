// Each allocation fails once, as in test_out_of_memory.cpp: of streams, of a pool's ids, of memory that is kept, and of
// sums over weights.
#include <memory>
#include <vector>

#include "check.h"
#include "failing.h"
#include "lstmfast/fingerprint.h"
#include "lstmfast/kept_memory.h"
#include "lstmfast/stream_ids.h"
#include "lstmfast/streams.h"
#include "lstmfast/threads.h"
#include "made_networks.h"

namespace {

using namespace lstmfast;
using test::network_of;
using test::same_bits;
using test::try_each_allocation;

// Streams: made, run, grown. Their states are those of before, and what they do next is the same.
struct StreamsMade : test::Attempt {
  const NetworkShape shape;
  std::unique_ptr<Streams<float>> streams;

  explicit StreamsMade(const NetworkShape& given) : shape(given) {}
  void call() override { streams = std::make_unique<Streams<float>>(shape, 30); }
  bool unchanged() override { return !streams; }
  bool done() override { return streams && streams->count() == 30; }
  void cleanup() override { streams.reset(); }
};

struct StreamsUsed : StreamsMade {
  const test::Weights<float> weights;
  std::unique_ptr<Network<float>> network = network_of(shape, weights);
  const std::vector<float> x = test::Random(3).vector<float>(4 * 30 * 64);
  std::vector<float> y = std::vector<float>(4 * 30 * 64, 5.0f), state_before;

  explicit StreamsUsed(const NetworkShape& given) : StreamsMade(given), weights(given) {}

  std::vector<float> state(Index count) const {
    std::vector<float> h(static_cast<std::size_t>(shape.num_layers * count * shape.state_size()));
    std::vector<float> c(static_cast<std::size_t>(shape.num_layers * count * shape.hidden_size), 0);
    std::vector<Index> slots;
    for (Index slot = 0; slot < count; ++slot) slots.push_back(slot);
    streams->read(slots.data(), count, h.data(), c.data());
    h.insert(h.end(), c.begin(), c.end());
    return h;
  }
  void step() { streams->step(*network, {30, nullptr, x.data(), y.data()}); }
  void prepare() override {
    StreamsMade::call();
    streams->write(nullptr, 30, nullptr, nullptr);
    step();
    state_before = state(30);
    y.assign(y.size(), 5.0f);
  }
  bool unchanged() override { return streams->count() == 30 && same_bits(state(30), state_before); }
  void cleanup() override {
    StreamsMade::cleanup();
    std::vector<float>().swap(state_before);
  }
};

struct StreamsRun : StreamsUsed {
  std::vector<float> right;
  explicit StreamsRun(const NetworkShape& given) : StreamsUsed(given) {
    prepare();
    call();
    right = outcome();
    cleanup();
  }
  std::vector<float> outcome() const {
    std::vector<float> all = state(30);
    all.insert(all.end(), y.begin(), y.end());
    return all;
  }
  void call() override {
    const Index I = shape.input_size, S = shape.state_size();
    streams->run(*network, 4, {x.data(), 30 * I, I}, {y.data(), 30 * S, S});
  }
  bool done() override { return same_bits(outcome(), right); }
  bool unchanged() override {
    const bool same = StreamsUsed::unchanged() && y == std::vector<float>(y.size(), 5.0f);
    call();
    return same && done();
  }
};

struct StreamsGrown : StreamsUsed {
  using StreamsUsed::StreamsUsed;
  void call() override { streams->grow(70); }
  bool done() override { return streams->count() == 70 && same_bits(state(30), state_before); }
};

// A pool's ids, and as the bindings make room in one: ids first, then states, then both are swapped in.
struct IdsMade : test::Attempt {
  std::unique_ptr<StreamIds> ids;
  void call() override { ids = std::make_unique<StreamIds>(500); }
  bool unchanged() override { return !ids; }
  bool done() override { return ids && ids->count() == 500; }
  void cleanup() override { ids.reset(); }
};

struct IdsGrown : IdsMade {
  Index first = 0, second = 0;
  void prepare() override {
    IdsMade::call();
    first = ids->open();
    second = ids->open();
    ids->close(StreamIds::slot_of(first));
  }
  void call() override { ids->grow(900); }
  bool same_ids() const {
    return ids->open_count() == 1 && ids->standing(first) == StreamIds::Standing::closed &&
           ids->standing(second) == StreamIds::Standing::open;
  }
  bool unchanged() override { return ids->count() == 500 && same_ids(); }
  bool done() override { return ids->count() == 900 && same_ids(); }
};

struct Kept : test::Attempt {
  std::unique_ptr<KeptMemory> memory;
  void call() override { memory = std::make_unique<KeptMemory>(5000); }
  bool unchanged() override { return !memory; }
  bool done() override { return memory && memory->data(); }
  void cleanup() override { memory.reset(); }
};

struct Fingerprints : test::Attempt {
  const std::vector<char> bytes = std::vector<char>(1000, 'a');
  const Piece piece = {bytes.data(), 1000};
  Fingerprint found = {};
  const Fingerprint right = fingerprint_of(&piece, 1, available_isas().front().f32->fingerprint);
  void prepare() override { found = {}; }
  void call() override { found = fingerprint_of(&piece, 1, available_isas().front().f32->fingerprint); }
  bool done() override { return found == right; }
};

void test_streams(const NetworkShape& shape) {
  StreamsMade made(shape);
  CHECK(try_each_allocation(made, "streams") >= 3, "streams take memory");
  StreamsRun run(shape);
  CHECK(try_each_allocation(run, "run") > 0, "run() takes memory");
  StreamsGrown grown(shape);
  CHECK(try_each_allocation(grown, "grow") >= 3, "growing takes memory");
}

void test_other_memory() {
  IdsMade ids;
  CHECK(try_each_allocation(ids, "ids") >= 5, "ids take memory");
  IdsGrown more;
  CHECK(try_each_allocation(more, "ids grown") >= 5, "and so do more of them");
  Kept kept;
  CHECK(try_each_allocation(kept, "kept memory") >= 2, "kept memory is memory");
  Fingerprints sums;
  CHECK(try_each_allocation(sums, "fingerprint") == 1, "sums of each thread");
}

}  // namespace

int main() {
  set_num_threads(1);
  const NetworkShape shapes[] = {
      {Cell::lstm, 8, 24, 3, 1, true}, {Cell::gru, 8, 24, 2, 1, true}, {Cell::lstm, 8, 24, 2, 1, true, 7}};
  network_of(shapes[0], test::Weights<float>(shapes[0]));  // what a process looks up once is there
  for (const NetworkShape& shape : shapes) test_streams(shape);
  test_other_memory();
  return test::finish("streams_out_of_memory");
}
