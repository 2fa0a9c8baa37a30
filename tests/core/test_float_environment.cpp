// The core's results are the same whatever floating-point environment its callers and lent threads have, denormals and
// traps included, and each thread has its own again afterwards.
#include "core/float_environment.h"

#include <atomic>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "brief.h"
#include "check.h"
#include "lstmfast/fingerprint.h"
#include "lstmfast/isa.h"
#include "lstmfast/network.h"
#include "lstmfast/streams.h"
#include "lstmfast/threads.h"
#include "random.h"

#if defined(__x86_64__) || defined(__aarch64__)

namespace {

using namespace lstmfast;
using test::Random;

struct Environment {
  const char* name;
  FloatControl control;
};

#if defined(__x86_64__)
constexpr Environment kEnvironments[] = {
    {"flush to zero", 0x9f80},
    {"denormals are zero", 0x1fc0},
    {"both", 0x9fc0},
    {"down", 0x3f80},
    {"up", 0x5f80},
    {"towards zero", 0x7f80},
    {"with flags of what happened", 0x1fbf},
    {"all exceptions trap", 0x0000},
};
#else
constexpr Environment kEnvironments[] = {
    {"flush to zero", 1u << 24}, {"up", 1u << 22},          {"down", 2u << 22},
    {"towards zero", 3u << 22},  {"default NaN", 1u << 25},
};
#endif

// In this environment for a scope. Nothing is computed in it but what the core does.
class Host {
 public:
  explicit Host(FloatControl control) : before_(float_control()) {
    set_float_control(control);
    has_ = asked_for(float_control());
  }
  ~Host() { set_float_control(before_); }
  bool unchanged() const { return asked_for(float_control()) == has_; }

 private:
  FloatControl before_, has_;
};

// What a runtime would be whose threads all have an environment of their own.
FloatControl lent_control = kDefaultFloats;
std::atomic<int> lent_changed{0};
thread_local int lent_rank = 0;
thread_local int lent_size = 1;

void lent_parallel(void (*body)(void*), void* context, unsigned threads, unsigned) {
  std::vector<std::thread> others;
  const auto run = [&](int rank) {
    const Host host(lent_control);
    lent_rank = rank, lent_size = static_cast<int>(threads);
    body(context);
    lent_rank = 0, lent_size = 1;
    if (!host.unchanged()) ++lent_changed;
  };
  for (unsigned rank = 1; rank < threads; ++rank) others.emplace_back(run, static_cast<int>(rank));
  run(0);
  for (std::thread& other : others) other.join();
}
const OpenMpRuntime kLent = {lent_parallel, [] { return lent_rank; }, [] { return lent_size; }, [] { return 0; }};

// All that a network computes from numbers of which many are denormal, or become so on the way.
template <class T>
class Problem {
 public:
  Problem(const NetworkShape& shape, Index steps, Index rows) : shape_(shape), steps_(steps), rows_(rows) {
    Random random(3);
    const Index gate_rows = shape.gates() * shape.hidden_size, S = shape.state_size();
    for (Index pass = 0; pass < shape.passes(); ++pass)
      for (const Index count :
           {gate_rows * shape.layer_input(pass / shape.directions), gate_rows * S, gate_rows, gate_rows})
        weights_.push_back(tiny(random, count));
    for (auto& w : weights_)
      if (w.size() == static_cast<std::size_t>(gate_rows))  // biases: sums of two denormals, or of numbers of any size
        for (std::size_t k = 0; k < w.size(); k += 3) w[k] = static_cast<T>(random.next());
    x_ = random.vector<T>(steps * rows * shape.input_size);
    dy_ = tiny(random, steps * rows * shape.directions * S);
    h0_ = tiny(random, shape.passes() * rows * S);
    c0_ = tiny(random, shape.passes() * rows * shape.hidden_size);
  }

  std::unique_ptr<Network<T>> network(const KernelTable<T>& kernels) const {
    std::vector<PassParameters<const T>> parameters;
    for (std::size_t k = 0; k < weights_.size(); k += 4)
      parameters.push_back(
          {weights_[k].data(), weights_[k + 1].data(), weights_[k + 2].data(), weights_[k + 3].data()});
    return std::make_unique<Network<T>>(shape_, parameters.data(), kernels);
  }

  // Memory for results is taken before, so that the host does nothing but call.
  struct Results {
    std::vector<T> y, h_n, c_n, dx, dh0, dc0, stream_y, h, c;
    std::vector<std::vector<T>> gradients;
    std::vector<PassParameters<T>> pointers;

    bool same_as(const Results& other) const {
      const auto same = [](const std::vector<T>& a, const std::vector<T>& b) {
        return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
      };
      bool all = same(y, other.y) && same(h_n, other.h_n) && same(c_n, other.c_n) && same(dx, other.dx) &&
                 same(dh0, other.dh0) && same(dc0, other.dc0) && same(stream_y, other.stream_y) && same(h, other.h) &&
                 same(c, other.c) && gradients.size() == other.gradients.size();
      for (std::size_t k = 0; all && k < gradients.size(); ++k) all = same(gradients[k], other.gradients[k]);
      return all;
    }
    Index denormals() const {
      Index found = 0;
      for (const auto* part : {&y, &h_n, &c_n, &dx, &dh0, &dc0, &h, &c})
        for (const T value : *part) found += std::fpclassify(value) == FP_SUBNORMAL;
      for (const auto& part : gradients)
        for (const T value : part) found += std::fpclassify(value) == FP_SUBNORMAL;
      return found;
    }
  };

  Results room() const {
    const auto of = [](Index count) { return std::vector<T>(static_cast<std::size_t>(count), T(7)); };
    const Index S = shape_.state_size(), of_h = static_cast<Index>(h0_.size()), of_c = static_cast<Index>(c0_.size());
    Results r = {of(static_cast<Index>(dy_.size())),
                 of(of_h),
                 of(of_c),
                 of(static_cast<Index>(x_.size())),
                 of(of_h),
                 of(of_c),
                 of(steps_ * rows_ * S),
                 of(of_h),
                 of(of_c),
                 {},
                 {}};
    for (const auto& w : weights_) r.gradients.emplace_back(w.size(), T(7));
    for (std::size_t k = 0; k < weights_.size(); k += 4)
      r.pointers.push_back(
          {r.gradients[k].data(), r.gradients[k + 1].data(), r.gradients[k + 2].data(), r.gradients[k + 3].data()});
    return r;
  }

  // Training, which includes inference's forward pass; and streams, where the network has one direction.
  void run(const Network<T>& network, bool infer, Results& r) const {
    const Index I = shape_.input_size, features = shape_.directions * shape_.state_size();
    const Sequence<const T> x = {x_.data(), rows_ * I, I};
    const ForwardCall<T> call = {
        steps_, rows_, x, h0_.data(), c0_.data(), {r.y.data(), rows_ * features, features}, r.h_n.data(), r.c_n.data()};
    if (infer) return network.infer(call);
    const auto tape = network.forward(call);
    BackwardCall<T> back = {{dy_.data(), rows_ * features, features},
                            h0_.data(),
                            c0_.data(),
                            {r.dx.data(), rows_ * I, I},
                            r.dh0.data(),
                            r.dc0.data(),
                            r.pointers.data()};
    network.backward(*tape, back);
  }
  void run_streams(const Network<T>& network, Streams<T>& streams, bool in_chunks, Results& r) const {
    const Index I = shape_.input_size, S = shape_.state_size();
    streams.write(nullptr, rows_, h0_.data(), c0_.data());
    if (in_chunks)
      streams.run(network, steps_, {x_.data(), rows_ * I, I}, {r.stream_y.data(), rows_ * S, S});
    else
      for (Index t = 0; t < steps_; ++t)
        streams.step(network, {rows_, nullptr, x_.data() + t * rows_ * I, r.stream_y.data() + t * rows_ * S});
    streams.read(nullptr, rows_, r.h.data(), r.c.data());
  }

  const NetworkShape& shape() const { return shape_; }
  Index rows() const { return rows_; }

 private:
  // Around the smallest normal number.
  static std::vector<T> tiny(Random& random, Index count) {
    std::vector<T> values = random.vector<T>(count);
    for (T& value : values) value *= std::numeric_limits<T>::min() * 4;
    return values;
  }

  NetworkShape shape_;
  Index steps_, rows_;
  std::vector<std::vector<T>> weights_;
  std::vector<T> x_, dy_, h0_, c0_;
};

template <class T>
typename Problem<T>::Results all_of(const Problem<T>& problem, const KernelTable<T>& kernels, const std::string& what,
                                    FloatControl control, int lent) {
  auto results = problem.room();
  const bool one_way = problem.shape().directions == 1;
  std::unique_ptr<Streams<T>> streams;
  if (one_way) streams = std::make_unique<Streams<T>>(problem.shape(), problem.rows());
  bool unchanged = false;
  {
    const Host host(control);
    const BorrowedThreads borrowed(lent);
    const auto network = problem.network(kernels);
    problem.run(*network, true, results);
    problem.run(*network, false, results);
    if (one_way) problem.run_streams(*network, *streams, false, results);
    if (one_way) problem.run_streams(*network, *streams, true, results);
    unchanged = host.unchanged();
  }
  CHECK(unchanged, what + ": the caller has its environment again");
  return results;
}

template <class T>
void test_networks(const Isa& isa, const KernelTable<T>& kernels) {
  // Numbers of a variant that floats round, when a network is made.
  const Variant<double> rounded = {{Function::leaky_relu, 0.1, 0}, {Function::tanh, 0, 0}, {Function::tanh, 0, 0}, 0.3};
  const std::vector<Problem<T>> problems = {
      {{Cell::lstm, 5, 19, 2, 1, true}, 4, 3},
      {{Cell::lstm, 40, 96, 1, 1, true}, 6, 9},
      {{Cell::lstm, 5, 33, 1, 2, true}, 4, 40},
      {{Cell::rnn_tanh, 5, 33, 2, 2, true}, 4, 40},
      {{Cell::rnn_variant, 5, 33, 2, 1, true, 0, false, rounded}, 4, 40},
  };
  for (std::size_t k = 0; k < problems.size(); ++k) {
    set_num_threads(1);
    const auto expected = all_of(problems[k], kernels, "default", kDefaultFloats, 0);
    CHECK(expected.denormals() > 20, "this test has denormals to lose");
    for (const Environment& environment : kEnvironments)
      for (const int threads : {1, 3})
        for (const int lent : {0, 3}) {
          if (lent > threads) continue;
          set_num_threads(threads);
          lent_control = environment.control;
          const std::string what = std::string(isa.name) + ", problem " + std::to_string(k) + ", " + environment.name +
                                   ", " + std::to_string(threads) + " threads, lent " + std::to_string(lent);
          const auto found = all_of(problems[k], kernels, what, environment.control, lent);
          CHECK(found.same_as(expected), what);
        }
  }
  CHECK(lent_changed == 0, "lent threads have their environment again");
}

// The pool's threads begin with the environment of whoever makes them, and a fingerprint, without any arithmetic of
// floats, is the first call here that does.
void make_pool() {
  const Isa& isa = available_isas().front();
  const std::vector<char> memory(16 << 20);
  const Piece piece = {memory.data(), static_cast<Index>(memory.size())};
  set_num_threads(4);
  const Host host(kEnvironments[0].control);
  for (int repeat = 0; repeat < 100; ++repeat) fingerprint_of(&piece, 1, isa.f32->fingerprint);
}

// Weights of 8 bits: scales, and sums of biases.
void test_small_networks(const Isa& isa) {
  constexpr Index I = 5, H = 19, G = 4, T = 4, B = 3;
  Random random(8);
  std::vector<std::int8_t> ih, hh;
  for (Index k = 0; k < G * H * I; ++k) ih.push_back(static_cast<std::int8_t>(127 * random.next()));
  for (Index k = 0; k < G * H * H; ++k) hh.push_back(static_cast<std::int8_t>(127 * random.next()));
  std::vector<float> scales(static_cast<std::size_t>(G * H), std::ldexp(1.0f, -126));
  std::vector<float> bias = random.vector<float>(G * H, std::ldexp(1.0, -127)),
                     x = random.vector<float>(T * B * I, 1e-3);
  SmallParameters weights = {ih.data(), hh.data()};
  weights.bias_ih = weights.bias_hh = bias.data();
  weights.scale_ih = weights.scale_hh = scales.data();
  const NetworkShape shape = {Cell::lstm, I, H, 1, 1, true};
  const auto run = [&](FloatControl control) {
    std::vector<float> y(T * B * H), h(B * H), c(B * H);
    const Host host(control);
    const auto network = small_network(shape, &weights, nullptr, kernels(isa, Weights::int8));
    network->infer({T, B, {x.data(), B * I, I}, nullptr, nullptr, {y.data(), B * H, H}, h.data(), c.data()});
    CHECK(host.unchanged(), "the caller has its environment again");
    return y;
  };
  const std::vector<float> expected = run(kDefaultFloats);
  for (const Environment& environment : kEnvironments)
    CHECK(run(environment.control) == expected, std::string(isa.name) + ", int8, " + environment.name);
}

// What is tested is there: without a guard this machine's arithmetic differs.
void test_hosts_differ() {
  volatile float small = std::numeric_limits<float>::min(), half = 0.5f;
  const Host host(kEnvironments[0].control);
  const float product = small * half;
  CHECK(!(product > 0), "denormals are flushed");
  {
    const DefaultFloats floats;
    const float kept = small * half;
    CHECK(kept > 0, "denormals are kept");
  }
  CHECK(host.unchanged(), "and then flushed again");
}

}  // namespace

// Brief, on one ISA alone: the environment is set where a call enters the core, above all kernels.
int main(int argc, char** argv) {
  const bool brief = test::asked_for("--brief", argc, argv);
  test_hosts_differ();
  ignore_crowding(true);  // other threads are to compute, also on a busy machine
  make_pool();
  lend_threads(kLent);
  for (const Isa& isa : available_isas()) {
    test_networks<float>(isa, *isa.f32);
    test_networks<double>(isa, *isa.f64);
    test_small_networks(isa);
    if (brief) break;
  }
  return test::finish("float_environment");
}

#else

int main() { return 0; }

#endif
