// What a call may be asked for beside its plain form, with the same bits: packed sequences, a tape in the caller's
// memory that is made again for the backward pass, and some gradients without the others.
#include <memory>
#include <string>
#include <vector>

#include "brief.h"
#include "check.h"
#include "lstmfast/isa.h"
#include "lstmfast/network.h"
#include "lstmfast/threads.h"
#include "random.h"

namespace {

using namespace lstmfast;
using test::Random;

// Which gradients are wanted.
struct Wanted {
  bool x = true, state = true;
  unsigned long parameters = ~0ul;  // bit 5 * pass + parameter, in the order of PassParameters; biases as a pair

  bool parameter(std::size_t k) const { return k % 5 == 3 ? parameter(k - 1) : (parameters >> k & 1) != 0; }
};

template <class T>
struct Results {
  std::vector<T> y, h_n, c_n, dx, dh0, dc0;
  std::vector<std::vector<T>> gradients;  // [5 * pass]; empty where not wanted

  bool operator==(const Results& other) const {
    return y == other.y && h_n == other.h_n && c_n == other.c_n && dx == other.dx && dh0 == other.dh0 &&
           dc0 == other.dc0 && gradients == other.gradients;
  }
};

template <class T>
class Problem {
 public:
  Problem(const NetworkShape& shape, std::vector<Index> lengths, bool dropout, const KernelTable<T>& kernels)
      : shape_(shape), lengths_(std::move(lengths)), steps_(lengths_.front()), rows_(size(lengths_)) {
    Random random(5);
    const Index gate_rows = shape.gates() * shape.hidden_size, S = shape.state_size();
    for (Index pass = 0; pass < shape.passes(); ++pass)
      for (const Index count :
           {gate_rows * shape.layer_input(pass / shape.directions), gate_rows * S, shape.bias ? gate_rows : 0,
            shape.bias ? gate_rows : 0, shape.projection_size * shape.hidden_size})
        weights_.push_back(random.vector<T>(count, 0.5));
    std::vector<PassParameters<const T>> parameters;
    for (std::size_t k = 0; k < weights_.size(); k += 5)
      parameters.push_back({weights_[k].data(), weights_[k + 1].data(), data_or_null(weights_[k + 2]),
                            data_or_null(weights_[k + 3]), data_or_null(weights_[k + 4])});
    network_ = std::make_unique<Network<T>>(shape, parameters.data(), kernels);
    x_ = random.vector<T>(steps_ * rows_ * shape.input_size);
    dy_ = random.vector<T>(steps_ * rows_ * features());
    const Index of_h = shape.passes() * rows_ * S, of_c = shape.passes() * rows_ * shape.hidden_size;
    h0_ = random.vector<T>(of_h), dh_n_ = random.vector<T>(of_h);
    c0_ = random.vector<T>(of_c), dc_n_ = random.vector<T>(of_c);
    if (dropout)
      for (const double number : random.vector<double>((shape.num_layers - 1) * steps_ * rows_ * features()))
        masks_.push_back(number < 0.5);
  }

  // With sequences as they are, padded; or packed.
  Results<T> run(bool packed, bool own_memory, const Wanted& wanted) const {
    const auto form = [&](const std::vector<T>& padded, Index width) {
      return packed ? packed_from(padded, width) : padded;
    };
    const std::vector<T> x = form(x_, shape_.input_size), dy = form(dy_, features());
    const auto masks = masks_in(packed);
    const auto sequence = [&](auto* data, Index width) {
      return Sequence<std::remove_pointer_t<decltype(data)>>{data, rows_ * width, width};
    };
    const Index places = packed ? places_of_all() : steps_ * rows_;
    const auto room = [](Index count) { return std::vector<T>(static_cast<std::size_t>(count), T(7)); };
    Results<T> r = {room(places * features()),
                    room(size(h0_)),
                    room(size(c0_)),
                    room(places * shape_.input_size),
                    room(size(h0_)),
                    room(size(c0_)),
                    {}};
    const ForwardCall<T> call = {steps_,       rows_,        sequence(x.data(), shape_.input_size),
                                 h0_.data(),   c0_.data(),   sequence(r.y.data(), features()),
                                 r.h_n.data(), r.c_n.data(), {lengths_.data(), nullptr, packed}};
    TrainingOptions<T> options;
    options.masks = masks.get();
    options.scale = T(4) / 3;
    if (!masks) {
      network_->infer(call);
      const std::vector<T> inferred = r.y;
      std::fill(r.y.begin(), r.y.end(), T(7));
      check_tape(call, options, own_memory, wanted, dy, r);
      CHECK(r.y == inferred, "infer and forward agree");
    } else {
      check_tape(call, options, own_memory, wanted, dy, r);
    }
    return r;
  }

  // What a padded run gave, packed.
  Results<T> packed_results(Results<T> padded) const {
    padded.y = packed_from(padded.y, features());
    padded.dx = packed_from(padded.dx, shape_.input_size);
    return padded;
  }

 private:
  template <class Vector>
  static Index size(const Vector& values) {
    return static_cast<Index>(values.size());
  }
  static const T* data_or_null(const std::vector<T>& values) { return values.empty() ? nullptr : values.data(); }
  Index features() const { return shape_.directions * shape_.state_size(); }

  Index places_of_all() const {
    Index sum = 0;
    for (const Index n : lengths_) sum += n;
    return sum;
  }

  void check_tape(const ForwardCall<T>& call, const TrainingOptions<T>& options, bool own_memory, const Wanted& wanted,
                  const std::vector<T>& dy, Results<T>& r) const {
    const Index places = size(dy) / features(), line = 64 / static_cast<Index>(sizeof(T));
    std::vector<T> block(static_cast<std::size_t>(Tape<T>::numbers(shape_, places, rows_, options) + line), T(7));
    void* aligned = block.data();
    std::size_t space = block.size() * sizeof(T);
    T* const memory = static_cast<T*>(std::align(64, 64, aligned, space));
    auto tape = network_->forward(call, options, own_memory ? memory : nullptr);
    CHECK(tape->places() == places, "places");
    if (own_memory) {
      tape.reset();
      tape = std::make_unique<Tape<T>>(shape_, call, options, memory);
    }
    std::vector<PassParameters<T>> pointers;
    for (std::size_t k = 0; k < weights_.size(); ++k)
      r.gradients.emplace_back(wanted.parameter(k) ? weights_[k].size() : 0, T(7));
    const auto to = [&](std::size_t k) { return r.gradients[k].empty() ? nullptr : r.gradients[k].data(); };
    for (std::size_t k = 0; k < weights_.size(); k += 5)
      pointers.push_back({to(k), to(k + 1), to(k + 2), to(k + 3), to(k + 4)});
    if (!wanted.x) r.dx.clear();
    BackwardCall<T> back = {{dy.data(), rows_ * features(), features()},
                            dh_n_.data(),
                            dc_n_.data(),
                            {wanted.x ? r.dx.data() : nullptr, rows_ * shape_.input_size, shape_.input_size},
                            r.dh0.data(),
                            r.dc0.data(),
                            pointers.data()};
    back.wants_state = wanted.state;
    network_->backward(*tape, back);
    if (!wanted.state) r.dh0.clear(), r.dc0.clear();
  }

  std::vector<T> packed_from(const std::vector<T>& padded, Index width) const {
    std::vector<T> packed;
    for_places([&](Index place) {
      packed.insert(packed.end(), padded.begin() + place * width, padded.begin() + (place + 1) * width);
    });
    return packed;
  }

  std::unique_ptr<bool[]> masks_in(bool packed) const {
    if (masks_.empty()) return nullptr;
    std::vector<bool> wanted;
    const Index of_layer = steps_ * rows_ * features();
    if (!packed) wanted = masks_;
    for (Index layer = 0; packed && layer < shape_.num_layers - 1; ++layer)
      for_places([&](Index place) {
        const auto first = masks_.begin() + layer * of_layer + place * features();
        wanted.insert(wanted.end(), first, first + features());
      });
    auto bools = std::make_unique<bool[]>(wanted.size());
    std::copy(wanted.begin(), wanted.end(), bools.get());
    return bools;
  }

  template <class F>
  void for_places(F&& each) const {
    for (Index t = 0; t < steps_; ++t)
      for (Index b = 0; b < rows_; ++b)
        if (t < lengths_[static_cast<std::size_t>(b)]) each(t * rows_ + b);
  }

  const NetworkShape shape_;
  const std::vector<Index> lengths_;
  const Index steps_, rows_;
  std::vector<std::vector<T>> weights_;
  std::unique_ptr<Network<T>> network_;
  std::vector<T> x_, dy_, h0_, c0_, dh_n_, dc_n_;
  std::vector<bool> masks_;
};

// Of `all`, what is wanted.
template <class T>
Results<T> selected(Results<T> all, const Wanted& wanted) {
  if (!wanted.x) all.dx.clear();
  if (!wanted.state) all.dh0.clear(), all.dc0.clear();
  for (std::size_t k = 0; k < all.gradients.size(); ++k)
    if (!wanted.parameter(k)) all.gradients[k].clear();
  return all;
}

// Brief, on one ISA alone: no kernel knows what is asked for.
template <class T>
void test_calls(const NetworkShape& shape, const std::vector<Index>& lengths, bool dropout, const std::string& what,
                const test::Brief& brief) {
  // Nothing; x alone; states alone; one kind of parameter in all passes; one pass; the upper layers.
  const Wanted some[] = {{false, false, 0},        {true, false, 0},           {false, true, 0},
                         {false, false, 0x08421},  {false, false, 0x10842},    {false, false, 0x21084},
                         {false, false, 0x210842}, {false, false, 0x3e0},      {false, false, ~0ul << 10},
                         {true, false, 0x1f},      {false, false, 0x10 << 10}, {false, false, 0x2 << 10}};
  for (const Isa& isa : available_isas())
    for (const int threads : {1, 3}) {
      if (!brief.chooses(threads, 3, isa) || (brief.brief && !test::is_fastest(isa))) continue;
      set_num_threads(threads);
      const Problem<T> problem(shape, lengths, dropout, kernels<T>(isa));
      const std::string where = what + " " + isa.name + " with " + std::to_string(threads) + " threads";
      const Results<T> padded = problem.run(false, false, {});
      CHECK(problem.run(false, true, {}) == padded, where + ": a tape in the caller's memory");
      const Results<T> expected = problem.packed_results(padded);
      CHECK(problem.run(true, false, {}) == expected, where + ": packed");
      CHECK(problem.run(true, true, {}) == expected, where + ": packed, in the caller's memory");
      for (const Wanted& wanted : some) {
        CHECK(problem.run(false, false, wanted) == selected(padded, wanted), where + ": some gradients");
        CHECK(problem.run(true, true, wanted) == selected(expected, wanted), where + ": some gradients, packed");
      }
    }
}

}  // namespace

int main(int argc, char** argv) {
  const test::Brief brief(argc, argv);
  const std::vector<Index> few = {9, 9, 4, 3, 3, 1, 0}, one = {12}, long_and_short = {150, 40, 2, 1};
  const auto test = [&](const NetworkShape& shape, const std::vector<Index>& lengths, bool dropout, const char* what) {
    test_calls<float>(shape, lengths, dropout, what, brief);
    test_calls<double>(shape, lengths, dropout, what, brief);
  };
  test({Cell::lstm, 5, 19, 3, 2, true}, few, true, "two directions");
  test({Cell::lstm, 5, 19, 3, 1, false}, few, false, "without bias");
  test({Cell::lstm, 3, 20, 1, 1, true}, one, false, "one row");
  test({Cell::lstm, 16, 64, 3, 1, true}, long_and_short, true, "several chunks");
  test({Cell::lstm, 16, 90, 2, 2, true, 20}, long_and_short, false, "projection");
  test({Cell::rnn_tanh, 6, 70, 3, 2, true}, few, true, "rnn");
  test({Cell::gru, 6, 70, 2, 2, true}, few, true, "gru");
  test({Cell::rnn_relu, 6, 33, 2, 1, false}, long_and_short, false, "relu");
  return test::finish("calls");
}
