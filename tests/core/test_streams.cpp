// Streams against their network, one stream and one step at a time on one thread: the same bits, whichever slots are
// stepped, in which order, how many at once, and by how many threads.
#include <algorithm>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "check.h"
#include "core/barrier.h"
#include "core/forward_loop.h"
#include "core/packed.h"
#include "core/team.h"
#include "lstmfast/isa.h"
#include "lstmfast/streams.h"
#include "lstmfast/threads.h"
#include "random.h"

namespace {

using namespace lstmfast;
using test::Random;
using Slots = std::vector<Index>;

std::size_t size(Index count) { return static_cast<std::size_t>(count); }

Index below(Random& random, Index count) {
  return static_cast<Index>((random.next() + 1) / 2 * static_cast<double>(count));
}

Slots first(Index count) {
  Slots all(size(count));
  for (Index k = 0; k < count; ++k) all[size(k)] = k;
  return all;
}

// n of them, in a random order.
Slots some_of(Random& random, Index count, Index n) {
  Slots all = first(count);
  for (Index k = 0; k < n; ++k) std::swap(all[size(k)], all[size(k + below(random, count - k))]);
  all.resize(size(n));
  return all;
}

template <class T>
bool same(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), test::same_bits<T>);
}

template <class T>
Network<T> random_network(const NetworkShape& shape, const KernelTable<T>& kernels) {
  Random random(9);
  const Index gate_rows = shape.gates() * shape.hidden_size, biases = shape.bias ? gate_rows : 0;
  std::vector<std::vector<T>> weights;
  std::vector<PassParameters<const T>> parameters;
  for (Index layer = 0; layer < shape.num_layers; ++layer)
    for (const Index count : {gate_rows * shape.layer_input(layer), gate_rows * shape.state_size(), biases, biases,
                              shape.projection_size * shape.hidden_size})
      weights.push_back(random.vector<T>(count, 0.4));
  for (std::size_t k = 0; k < weights.size(); k += 5)
    parameters.push_back({weights[k].data(), weights[k + 1].data(), weights[k + 2].data(), weights[k + 3].data(),
                          weights[k + 4].data()});
  return {shape, parameters.data(), kernels};
}

// States of n streams as Streams has them, h [L, n, S] and c [L, n, H]; c empty for cells without.
template <class T>
struct States {
  std::vector<T> h, c;

  bool operator==(const States& other) const { return same(h, other.h) && same(c, other.c); }
};

// What Streams must do, in the plainest way: each stream has a state of its own, and is stepped alone.
template <class T>
struct Plain {
  NetworkShape shape;
  std::vector<States<T>> streams;  // each of n = 1

  Plain(const NetworkShape& s, Index count, Random& random) : shape(s) {
    const Index L = s.num_layers, of_c = has_memory(s.cell) ? L * s.hidden_size : 0;
    for (Index k = 0; k < count; ++k) streams.push_back({random.vector<T>(L * s.state_size()), random.vector<T>(of_c)});
  }

  std::vector<T> step(const Network<T>& network, const Slots& slots, const std::vector<T>& x) {
    const Index I = shape.input_size, S = shape.state_size();
    std::vector<T> y(slots.size() * size(S));
    set_num_threads(1);
    for (std::size_t k = 0; k < slots.size(); ++k) {
      T* const h = streams[size(slots[k])].h.data();
      T* const c = streams[size(slots[k])].c.data();
      network.infer({1, 1, {x.data() + k * size(I), I, I}, h, c, {y.data() + k * size(S), S, S}, h, c});
    }
    return y;
  }

  States<T> of(const Slots& slots) const {
    States<T> joined;
    for (const auto half : {&States<T>::h, &States<T>::c})
      for (Index layer = 0; layer < shape.num_layers; ++layer)
        for (const Index slot : slots) {
          const std::vector<T>& one = streams[size(slot)].*half;
          const auto width = static_cast<Index>(one.size()) / shape.num_layers;
          (joined.*half).insert((joined.*half).end(), one.begin() + layer * width, one.begin() + (layer + 1) * width);
        }
    return joined;
  }

  States<T> of_all() const { return of(first(static_cast<Index>(streams.size()))); }
};

template <class T>
States<T> read(const Streams<T>& streams, const Slots* slots = nullptr) {
  const NetworkShape& s = streams.shape();
  const Index n = slots ? static_cast<Index>(slots->size()) : streams.count();
  States<T> states = {std::vector<T>(size(s.num_layers * n * s.state_size())),
                      std::vector<T>(has_memory(s.cell) ? size(s.num_layers * n * s.hidden_size) : 0)};
  streams.read(slots ? slots->data() : nullptr, n, states.h.data(), states.c.data());
  return states;
}

template <class T>
void write_all(Streams<T>& streams, const Plain<T>& plain) {
  const States<T> states = plain.of_all();
  streams.write(nullptr, streams.count(), states.h.data(), states.c.data());
}

// Short work is shared only with threads that are awake.
void wake(int threads) {
  Team team(threads);
  Barrier barrier(team.size());
  team.run([&](int) { barrier.wait(); });
}

struct Case {
  const char* name;
  NetworkShape shape;
  std::vector<Index> rows;
  std::vector<int> threads = {1, 2, 5};
};

// How the steps were to be shared, of all tests together.
bool shared_rows = false, shared_panels_of_layers = false, shared_panels_of_blocks = false;

template <class T>
void note_split(const Network<T>& network, const KernelTable<T>& kernels, Index rows, int threads) {
  const NetworkShape& shape = network.shape();
  const PanelLayout& layout = network.packed().forward.front().layout();
  const Split split = choose_split(forward_size(shape, kernels, layout, rows, rows, 1), threads);
  shared_rows |= split.row_parts > 1;
  shared_panels_of_layers |= split.panel_parts > 1 && shape.num_layers > 1;
  shared_panels_of_blocks |= split.panel_parts > 1 && rows > 128;
}

// Two steps of so many rows: of all streams in their order, and of some in any.
template <class T>
void test_steps(const Case& each, const KernelTable<T>& kernels, const std::string& what) {
  const auto network = random_network<T>(each.shape, kernels);
  Random random(4);
  for (const Index rows : each.rows)
    for (const bool listed : {false, true}) {
      const Index count = listed ? rows + 23 : rows;
      const Plain<T> before(each.shape, count, random);
      Plain<T> after = before;
      Slots slots[2];
      std::vector<T> x[2], y[2];
      for (const int step : {0, 1}) {
        slots[step] = listed ? some_of(random, count, rows) : first(count);
        x[step] = random.vector<T>(rows * each.shape.input_size);
        y[step] = after.step(network, slots[step], x[step]);
      }
      for (const int threads : each.threads) {
        const std::string where = what + ", " + std::to_string(rows) + (listed ? " listed rows, " : " rows, ") +
                                  std::to_string(threads) + " threads: ";
        Streams<T> streams(each.shape, count);
        write_all(streams, before);
        set_num_threads(threads);
        note_split(network, kernels, rows, threads);
        for (const int step : {0, 1}) {
          std::vector<T> given(y[step].size(), T(7));
          wake(threads);
          streams.step(network, {rows, listed ? slots[step].data() : nullptr, x[step].data(), given.data()});
          CHECK(same(given, y[step]), where + "y of step " + std::to_string(step));
        }
        CHECK(read(streams) == after.of_all(), where + "states");
      }
    }
}

// Several steps at once, in both orders of rows and steps.
template <class T>
void test_run(const NetworkShape& shape, const KernelTable<T>& kernels, const std::string& what) {
  const auto network = random_network<T>(shape, kernels);
  const Index steps = 9, rows = 4, I = shape.input_size, S = shape.state_size();
  Random random(6);
  const Plain<T> before(shape, rows, random);
  const auto x = random.vector<T>(steps * rows * I);
  Streams<T> one_by_one(shape, rows);
  write_all(one_by_one, before);
  std::vector<T> y(size(steps * rows * S));
  for (Index t = 0; t < steps; ++t)
    one_by_one.step(network, {rows, nullptr, x.data() + t * rows * I, y.data() + t * rows * S});
  for (const bool rows_first : {false, true})
    for (const int threads : {1, 2}) {
      set_num_threads(threads);
      // [T, B, width] in the order of this run.
      const auto sequence = [&](auto* data, Index width) {
        using Element = std::remove_pointer_t<decltype(data)>;
        return rows_first ? Sequence<Element>{data, width, steps * width}
                          : Sequence<Element>{data, rows * width, width};
      };
      std::vector<T> x_in_order(x.size()), y_in_order(y.size(), T(7)), y_back(y.size());
      for (Index k = 0; k < steps * rows; ++k)
        std::copy_n(x.data() + k * I, I, sequence(x_in_order.data(), I).at(k / rows, k % rows));
      Streams<T> at_once(shape, rows);
      write_all(at_once, before);
      const std::vector<T>& given = x_in_order;
      at_once.run(network, steps, sequence(given.data(), I), sequence(y_in_order.data(), S));
      for (Index k = 0; k < steps * rows; ++k)
        std::copy_n(sequence(y_in_order.data(), S).at(k / rows, k % rows), S, y_back.data() + k * S);
      CHECK(same(y_back, y), what + ": y of run()");
      CHECK(read(at_once) == read(one_by_one), what + ": states after run()");
    }
}

// States of some slots, zero where none are given; more slots.
template <class T>
void test_states(const NetworkShape& shape, const KernelTable<T>& kernels, const std::string& what) {
  const auto network = random_network<T>(shape, kernels);
  const Index count = 40, n = 11, more = 100;
  Random random(8);
  Plain<T> plain(shape, count, random);
  Streams<T> streams(shape, count);
  CHECK(streams.shape() == shape && streams.count() == count, what + ": as made");
  write_all(streams, plain);
  for (const unsigned given : {0u, 1u, 2u, 3u}) {  // bits: h, c
    const Slots slots = some_of(random, count, n);
    const States<T> some = Plain<T>(shape, n, random).of_all();
    streams.write(slots.data(), n, given & 1 ? some.h.data() : nullptr, given & 2 ? some.c.data() : nullptr);
    const States<T> now = read(streams, &slots);
    CHECK(same(now.h, given & 1 ? some.h : std::vector<T>(some.h.size())), what + ": h written");
    CHECK(same(now.c, given & 2 ? some.c : std::vector<T>(some.c.size())), what + ": c written");
    for (const Index slot : slots) {
      const Slots one = {slot};
      plain.streams[size(slot)] = read(streams, &one);
    }
    CHECK(read(streams) == plain.of_all(), what + ": the others stay");
  }
  streams.grow(more);
  plain.streams.resize(size(more), Plain<T>(shape, 1, random).of_all());
  const Slots old = some_of(random, count, count), mixed = {count, 5, more - 1, 0};
  CHECK(streams.count() == more && read(streams, &old) == plain.of(old), what + ": more slots");
  for (Index slot = count; slot < more; ++slot)
    streams.write(&slot, 1, plain.streams[size(slot)].h.data(), plain.streams[size(slot)].c.data());
  const auto x = random.vector<T>(4 * shape.input_size);
  const auto y = plain.step(network, mixed, x);
  std::vector<T> given(y.size());
  streams.step(network, {4, mixed.data(), x.data(), given.data()});
  CHECK(same(given, y) && read(streams) == plain.of_all(), what + ": a step of old and new slots");
}

template <class T>
void test_all(const Isa& isa) {
  const std::vector<Index> any = {1, 7, 130, 600};
  const Case cases[] = {
      {"one layer", {Cell::lstm, 5, 9, 1, 1, true}, any},
      {"three layers", {Cell::lstm, 3, 17, 3, 1, true}, any},
      {"projection", {Cell::lstm, 4, 18, 1, 1, true, 7}, any},
      {"projection, three layers", {Cell::lstm, 4, 13, 3, 1, true, 5}, any},
      {"tanh", {Cell::rnn_tanh, 6, 21, 2, 1, true}, any},
      {"relu without bias", {Cell::rnn_relu, 2, 11, 3, 1, false}, any},
      // So many weights that threads share the panels, of more than one block of rows, too.
      {"large", {Cell::lstm, 300, 300, 1, 1, true}, {1, 5}},
      {"large, three layers", {Cell::lstm, 20, 430, 3, 1, true}, {1}},
      {"large, projection", {Cell::lstm, 100, 400, 2, 1, true, 150}, {5}},
      {"large, tanh", {Cell::rnn_tanh, 600, 900, 1, 1, true}, {1, 3}},
      {"large, blocks", {Cell::rnn_tanh, 10, 270, 2, 1, true}, {130}, {24}},
  };
  const KernelTable<T>& table = kernels<T>(isa);
  for (const Case& each : cases) {
    const std::string what = isa.name + " f" + std::to_string(8 * sizeof(T)) + " " + each.name;
    test_steps(each, table, what);
    if (each.rows != any) continue;
    test_run(each.shape, table, what);
    test_states(each.shape, table, what);
  }
}

}  // namespace

int main() {
  for (const Isa& isa : available_isas()) {
    test_all<float>(isa);
    test_all<double>(isa);
  }
  CHECK(shared_rows && shared_panels_of_layers && shared_panels_of_blocks, "every way to share steps");
  return test::finish("streams");
}
