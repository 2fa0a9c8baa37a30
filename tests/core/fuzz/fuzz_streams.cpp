// Calls on streams one after the other, against a state for each stream that is stepped by the network alone.
#include <algorithm>
#include <numeric>

#include "drawn.h"
#include "lstmfast/isa.h"
#include "lstmfast/streams.h"
#include "lstmfast/threads.h"

namespace {

using namespace fuzz;

template <class T>
struct States {
  std::vector<T> h, c;  // [L, n, S] and [L, n, H]
};

// What Streams must do, in the plainest way.
template <class T>
class Plain {
 public:
  Plain(const NetworkShape& shape, Index count) : shape_(shape), streams_(size(count), zero(1)) {}

  Index count() const { return static_cast<Index>(streams_.size()); }
  void grow(Index count) { streams_.resize(size(count), zero(1)); }

  States<T> zero(Index n) const {
    const Index of_c = has_memory(shape_.cell) ? shape_.hidden_size : 0;
    return {std::vector<T>(size(shape_.num_layers * n * shape_.state_size())),
            std::vector<T>(size(shape_.num_layers * n * of_c))};
  }

  void step(const Network<T>& network, Index slot, const T* x, T* y) {
    const Index I = shape_.input_size, S = shape_.state_size();
    States<T>& own = streams_[size(slot)];
    network.infer({1, 1, {x, I, I}, own.h.data(), own.c.data(), {y, S, S}, own.h.data(), own.c.data()});
  }

  States<T> read(const std::vector<Index>& slots) const {
    States<T> all = zero(static_cast<Index>(slots.size()));
    for (const auto half : {&States<T>::h, &States<T>::c}) {
      const Index width = static_cast<Index>((streams_[0].*half).size()) / shape_.num_layers;
      auto to = (all.*half).begin();
      for (Index layer = 0; layer < shape_.num_layers; ++layer)
        for (const Index slot : slots)
          to = std::copy_n((streams_[size(slot)].*half).begin() + layer * width, width, to);
    }
    return all;
  }
  // null: zero
  void write(const std::vector<Index>& slots, const std::vector<T>* h, const std::vector<T>* c) {
    const auto put = [&](std::vector<T> States<T>::* half, const std::vector<T>* from) {
      const Index n = static_cast<Index>(slots.size());
      for (Index k = 0; k < n; ++k) {
        std::vector<T>& own = streams_[size(slots[size(k)])].*half;
        const Index width = static_cast<Index>(own.size()) / shape_.num_layers;
        for (Index layer = 0; layer < shape_.num_layers; ++layer)
          for (Index u = 0; u < width; ++u)
            own[size(layer * width + u)] = from ? (*from)[size((layer * n + k) * width + u)] : T(0);
      }
    };
    put(&States<T>::h, h), put(&States<T>::c, c);
  }

 private:
  NetworkShape shape_;
  std::vector<States<T>> streams_;
};

std::vector<Index> all_of(Index count) {
  std::vector<Index> slots(size(count));
  std::iota(slots.begin(), slots.end(), Index(0));
  return slots;
}

// Some, each once, in any order.
std::vector<Index> some_of(Bytes& bytes, Index count) {
  std::vector<Index> slots = all_of(count);
  const Index n = bytes.from(0, count);
  for (Index k = 0; k < n; ++k) std::swap(slots[size(k)], slots[size(bytes.from(k, count - 1))]);
  slots.resize(size(n));
  return slots;
}

template <class T>
void check(const Streams<T>& streams, const Plain<T>& plain, const std::vector<Index>* slots) {
  const std::vector<Index> chosen = slots ? *slots : all_of(plain.count());
  const Index n = static_cast<Index>(chosen.size());
  States<T> found = plain.zero(n);
  std::fill(found.h.begin(), found.h.end(), T(7)), std::fill(found.c.begin(), found.c.end(), T(7));
  streams.read(slots ? slots->data() : nullptr, n, found.h.data(), found.c.data());
  const States<T> expected = plain.read(chosen);
  EXPECT(alike(found.h, expected.h) && alike(found.c, expected.c), "states of streams");
}

template <class T>
void calls(Bytes& bytes) {
  const std::vector<Isa>& isas = available_isas();
  const Isa& isa = isas[size(bytes.from(0, static_cast<Index>(isas.size()) - 1))];
  const NetworkShape shape = drawn_shape(bytes, 1);
  const DrawnWeights<T> weights(shape, bytes);
  const Network<T> network(shape, weights.passes(), kernels<T>(isa));
  const Index I = shape.input_size, S = shape.state_size();
  const Index first = bytes.from(1, bytes.from(0, 7) ? 6 : 150);
  Streams<T> streams(shape, first);
  Plain<T> plain(shape, first);
  streams.write(nullptr, first, nullptr, nullptr);
  const int threads = static_cast<int>(bytes.one_of<Index>({1, 1, 1, 2}));
  for (int turn = 0; turn < 12 && !bytes.empty(); ++turn) {
    set_num_threads(threads);
    const Index kind = bytes.from(0, 5), count = plain.count();
    const bool listed = bytes.flag();
    const std::vector<Index> slots = listed ? some_of(bytes, count) : all_of(count);
    const Index n = static_cast<Index>(slots.size());
    if (kind < 2) {
      const std::vector<T> x = drawn_numbers<T>(bytes, n * I, 1);
      std::vector<T> y(size(n * S), T(7)), expected(size(n * S));
      streams.step(network, {n, listed ? slots.data() : nullptr, x.data(), y.data()});
      set_num_threads(1);
      for (Index k = 0; k < n; ++k) plain.step(network, slots[size(k)], x.data() + k * I, expected.data() + k * S);
      EXPECT(alike(y, expected), "y of a step");
    } else if (kind == 2) {
      const Index steps = bytes.from(0, 5);
      const Layout layout = {bytes.flag(), false, bytes.from(0, 2), steps, count, {}};
      Laid<T> x(layout, I), y(layout, S);
      const std::vector<T> numbers = drawn_numbers<T>(bytes, steps * count * I, 1);
      x.fill(numbers);
      streams.run(network, steps, x.read(), y.sequence());
      set_num_threads(1);
      std::vector<T> expected(size(steps * count * S));
      for (Index t = 0; t < steps; ++t)
        for (Index b = 0; b < count; ++b)
          plain.step(network, b, numbers.data() + (t * count + b) * I, expected.data() + (t * count + b) * S);
      EXPECT(alike(y.numbers(), expected), "y of a chunk");
      y.expect_gaps_untouched("y");
    } else if (kind == 3) {
      const States<T> sizes = plain.zero(n);
      const auto h = drawn_numbers<T>(bytes, static_cast<Index>(sizes.h.size()), 1);
      const auto c = drawn_numbers<T>(bytes, static_cast<Index>(sizes.c.size()), 1);
      const bool has_h = bytes.flag(), has_c = bytes.flag();
      streams.write(listed ? slots.data() : nullptr, n, has_h ? h.data() : nullptr, has_c ? c.data() : nullptr);
      plain.write(slots, has_h ? &h : nullptr, has_c ? &c : nullptr);
    } else if (kind == 4 && count < 200) {
      const Index more = bytes.from(0, 9);
      streams.grow(count + more);
      plain.grow(count + more);
      const std::vector<Index> all = all_of(count + more), added(all.begin() + count, all.end());
      streams.write(added.data(), more, nullptr, nullptr);  // new ones are not set yet
    } else if (n > 0) {
      check(streams, plain, &slots);
    }
    check<T>(streams, plain, nullptr);
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes bytes(data, size);
  if (bytes.flag())
    calls<double>(bytes);
  else
    calls<float>(bytes);
  return 0;
}
