// Whole networks, forward and backward: the same bits on every ISA, with any number of threads, and on
// every architecture (the checksums below were the same on x86-64 with scalar, AVX2 and AVX-512, and NEON).
#include <cinttypes>
#include <cstdint>
#include <memory>
#include <vector>

#include "brief.h"
#include "check.h"
#include "lstmfast/isa.h"
#include "lstmfast/network.h"
#include "lstmfast/threads.h"
#include "random.h"
#include "rounding.h"

namespace {

using namespace lstmfast;
using test::Random;

struct Config {
  NetworkShape shape;
  Index steps, rows;
  bool lengths = false, reset = false, masks = false;
};

// What a call may bring beside its arrays.
struct Extras {
  std::vector<Index> lengths;            // [B]
  std::unique_ptr<bool[]> reset, masks;  // [T, B], [L-1, T, B, D*S]

  explicit Extras(const Config& config) {
    const NetworkShape& s = config.shape;
    Random random(11);
    const auto draw = [&](Index count, double of_true) {
      const std::vector<double> numbers = random.vector<double>(count);  // -1 to 1
      auto bools = std::make_unique<bool[]>(static_cast<std::size_t>(count) + 1);
      for (std::size_t k = 0; k < numbers.size(); ++k) bools[k] = numbers[k] < 2 * of_true - 1;
      return bools;
    };
    if (config.lengths)
      for (Index b = 0; b < config.rows; ++b) lengths.push_back((b * 7 + 3) % (config.steps + 1));
    if (config.reset) reset = draw(config.steps * config.rows, 0.2);
    if (config.masks)
      masks = draw((s.num_layers - 1) * config.steps * config.rows * s.directions * s.state_size(), 0.6);
  }
};

// Everything that a forward and a backward pass give, as one row of numbers.
template <class T>
std::vector<T> run(const Config& config, const KernelTable<T>& kernels) {
  const NetworkShape& s = config.shape;
  const Extras extras(config);
  const Index H = s.hidden_size, S = s.state_size(), steps = config.steps, rows = config.rows;
  const Index gate_rows = s.gates() * H, state = s.passes() * rows * H, features = s.directions * S;
  Random random(7);
  std::vector<std::vector<T>> weights;
  std::vector<Index> sizes;
  for (Index pass = 0; pass < s.passes(); ++pass)
    for (const Index count :
         {gate_rows * s.layer_input(pass / s.directions), gate_rows * S, gate_rows, gate_rows, s.projection_size * H,
          s.peephole ? peepholes_of(s.cell) * H : 0, s.norm_arrays() * gate_rows}) {
      sizes.push_back(count);
      weights.push_back(random.vector<T>(count, 0.5));
    }
  std::vector<PassParameters<const T>> parameters;
  for (std::size_t k = 0; k < weights.size(); k += 7) {
    const T* const norms = weights[k + 6].data();
    parameters.push_back({weights[k].data(), weights[k + 1].data(), s.bias ? weights[k + 2].data() : nullptr,
                          s.bias ? weights[k + 3].data() : nullptr, weights[k + 4].data(), weights[k + 5].data(), norms,
                          norms + gate_rows, norms + 2 * gate_rows, norms + 3 * gate_rows});
  }
  const auto x = random.vector<T>(steps * rows * s.input_size);
  const auto h0 = random.vector<T>(state), c0 = random.vector<T>(state);
  const auto dy = random.vector<T>(steps * rows * features), dh_n = random.vector<T>(state),
             dc_n = random.vector<T>(state);

  std::vector<T> all;
  const auto take = [&](Index count) {
    all.resize(all.size() + static_cast<std::size_t>(count), T(0));
    return static_cast<Index>(all.size()) - count;
  };
  const Index y_at = take(steps * rows * features), h_at = take(state), c_at = take(state);
  const Index dx_at = take(steps * rows * s.input_size), dh_at = take(state), dc_at = take(state);
  std::vector<Index> gradient_at;
  for (const Index count : sizes) gradient_at.push_back(take(count));
  const auto to = [&](Index offset) { return all.data() + offset; };

  const Network<T> network(s, parameters.data(), kernels);
  const ForwardCall<T> call = {
      steps,     rows,      {x.data(), rows * s.input_size, s.input_size},
      h0.data(), c0.data(), {to(y_at), rows * features, features},
      to(h_at),  to(c_at),  {config.lengths ? extras.lengths.data() : nullptr, extras.reset.get()}};
  network.infer(call);
  const std::vector<T> inferred(all.begin(), all.begin() + dx_at);
  TrainingOptions<T> options;
  options.masks = extras.masks.get();
  options.scale = T(1.25);
  const auto tape = network.forward(call, options);
  if (!config.masks) CHECK(std::vector<T>(all.begin(), all.begin() + dx_at) == inferred, "infer and forward agree");
  CHECK((tape->bytes() > 0) == (rows > 0), "the tape holds something");

  std::vector<PassParameters<T>> gradients;
  for (std::size_t k = 0; k < gradient_at.size(); k += 7) {
    T* const norms = is_norm(s.cell) ? to(gradient_at[k + 6]) : nullptr;
    gradients.push_back({to(gradient_at[k]), to(gradient_at[k + 1]), s.bias ? to(gradient_at[k + 2]) : nullptr,
                         s.bias ? to(gradient_at[k + 3]) : nullptr, to(gradient_at[k + 4]),
                         s.peephole ? to(gradient_at[k + 5]) : nullptr, norms, norms + gate_rows, norms + 2 * gate_rows,
                         norms + 3 * gate_rows});
  }
  const BackwardCall<T> back = {{dy.data(), rows * features, features},
                                dh_n.data(),
                                dc_n.data(),
                                {to(dx_at), rows * s.input_size, s.input_size},
                                to(dh_at),
                                to(dc_at),
                                gradients.data()};
  network.backward(*tape, back);
  const std::vector<T> once = all;
  network.backward(*tape, back);
  CHECK(all == once, "a tape may be used twice");
  options.recompute = true;
  const auto short_tape = network.forward(call, options);
  const bool smaller = reads_gates(s.cell) && rows * steps > 0;
  CHECK((short_tape->bytes() < tape->bytes()) == smaller, "without gates a tape is smaller");
  network.backward(*short_tape, back);
  CHECK(all == once, "gates made anew have the same bits");
  return all;
}

template <class T>
std::uint64_t checksum(const std::vector<T>& values) {  // FNV-1a over the bytes
  std::uint64_t hash = 14695981039346656037u;
  for (const T& value : values) {
    unsigned char bytes[sizeof(T)];
    std::memcpy(bytes, &value, sizeof value);
    for (const unsigned char byte : bytes) hash = (hash ^ byte) * 1099511628211u;
  }
  return hash;
}

template <class T>
void test_equal_bits(const Config& config, const test::Brief& brief, const char* what) {
  std::vector<T> first;
  for (const Isa& isa : available_isas())
    for (const int threads : {1, 2, 3, 5}) {
      if (!brief.chooses(threads, 5, isa)) continue;
      set_num_threads(threads);
      const std::vector<T> now = run<T>(config, kernels<T>(isa));
      if (first.empty()) first = now;
      CHECK(now == first, std::string(what) + " " + isa.name + " with " + std::to_string(threads) + " threads");
    }
}

}  // namespace

// --first: for emulated CPUs of an architecture that has run them all, the first of them alone, and the checksum.
int main(int argc, char** argv) {
  const bool first_alone = test::asked_for("--first", argc, argv);
  const test::Brief brief(argc, argv);
  const Activation<double> sigmoid = {Function::sigmoid, 0, 0}, tanh = {Function::tanh, 0, 0};
  const Variant<double> usual = {sigmoid, tanh, tanh, 0};
  const Variant<double> hard = {{Function::hard_sigmoid, 0.2, 0.5}, {Function::softsign, 0, 0}, tanh, 0.7};
  const Variant<double> soft = {sigmoid, {Function::elu, 0.5, 0}, {Function::softplus, 0, 0}, 2};
  const Config small = {{Cell::lstm, 5, 19, 2, 2, true}, 9, 7};
  const Config of_other_cells[] = {
      {{Cell::lstm, 5, 19, 1, 1, true, 7}, 9, 7, true, true},  // projection
      {{Cell::rnn_tanh, 5, 19, 1, 1, true}, 9, 7},
      {{Cell::rnn_relu, 5, 19, 1, 1, true}, 9, 7},
      {{Cell::gru, 5, 19, 2, 2, true}, 9, 20},  // more than 128 terms of the weights' gradients
      {{Cell::lstm_variant, 5, 19, 1, 1, true, 0, true, hard}, 9, 7},
      {{Cell::lstm_coupled, 5, 19, 1, 1, true, 0, true, soft}, 9, 7},
      {{Cell::rnn_variant, 5, 19, 1, 1, true, 0, false, soft}, 9, 7},
      {{Cell::gru_variant, 5, 19, 1, 1, true, 0, false, soft}, 9, 7},
      {{Cell::gru_reset_before, 5, 19, 1, 1, true, 0, false, hard}, 9, 7},
      {{Cell::lstm_norm, 5, 19, 1, 1, true}, 9, 7},
  };
  const Config configs[] = {
      small,
      {{Cell::lstm, 3, 20, 1, 1, false}, 40, 1},   // merged input products, odd sizes
      {{Cell::lstm, 70, 200, 2, 1, true}, 20, 2},  // panels split over threads
      {{Cell::lstm, 8, 64, 1, 2, true}, 300, 1},   // directions split over threads
      {{Cell::lstm, 16, 32, 3, 1, true}, 70, 40},  // rows split over threads, chunks backward
      {{Cell::rnn_tanh, 6, 70, 2, 2, true}, 11, 4},
      {{Cell::rnn_relu, 6, 33, 3, 1, false}, 11, 4},
      {{Cell::gru, 5, 19, 2, 2, true}, 9, 7},
      {{Cell::gru, 70, 200, 2, 1, true}, 20, 2, true, true},        // panels split over threads
      {{Cell::gru, 16, 32, 3, 1, true}, 70, 40, true, true, true},  // rows, and several chunks
      {{Cell::gru, 3, 20, 1, 1, false}, 40, 1},
      {{Cell::lstm, 5, 19, 2, 2, true}, 9, 7, true, false, true},
      {{Cell::lstm, 5, 19, 3, 1, true}, 60, 7, true, true, true},  // several chunks forward and backward
      {{Cell::lstm, 16, 32, 1, 1, true}, 70, 40, true, true},      // rows split over threads
      {{Cell::lstm, 70, 200, 2, 1, true}, 20, 2, true, true},      // panels split over threads
      {{Cell::lstm, 5, 37, 2, 2, true, 11}, 9, 7},                 // projection
      {{Cell::lstm, 5, 37, 2, 2, false, 11}, 9, 7, true, true, true},
      {{Cell::lstm, 70, 200, 1, 1, true, 90}, 20, 2, true},        // and panels split
      {{Cell::lstm, 16, 64, 2, 1, true, 20}, 40, 40, true, true},  // and rows
      {{Cell::rnn_tanh, 6, 70, 2, 2, true}, 30, 4, true, true, true},
      {{Cell::rnn_relu, 6, 33, 3, 1, false}, 11, 4, true, true},
      {{Cell::lstm_variant, 5, 19, 2, 2, true, 0, true, usual}, 9, 7, true, true, true},
      {{Cell::lstm_variant, 70, 200, 1, 1, false, 90, true, hard}, 20, 2},            // panels split over threads
      {{Cell::lstm_coupled, 16, 32, 3, 1, true, 0, true, soft}, 70, 40, true, true},  // rows, and several chunks
      {{Cell::lstm_coupled, 5, 37, 2, 1, true, 11, false, hard, true}, 9, 7},         // in reverse
      {{Cell::lstm, 5, 37, 3, 1, true, 0, false, {}, true}, 90, 7, true, true, true},
      {{Cell::rnn_variant, 6, 70, 2, 2, true, 0, false, soft}, 30, 4, true, true, true},
      {{Cell::gru_variant, 5, 19, 2, 2, true, 0, false, soft}, 9, 7},
      {{Cell::gru_variant, 70, 200, 2, 1, true, 0, false, hard}, 20, 2, true, true},  // panels split over threads
      {{Cell::gru_reset_before, 5, 19, 2, 2, true, 0, false, soft}, 9, 7, true, true, true},
      {{Cell::gru_reset_before, 70, 200, 2, 1, true, 0, false, usual}, 20, 2, true, true},  // panels split over threads
      {{Cell::gru_reset_before, 16, 32, 3, 1, false, 0, false, usual}, 70, 40},             // rows, and several chunks
      {{Cell::lstm_norm, 5, 19, 2, 2, true}, 9, 7, true, true, true},
      {{Cell::lstm_norm, 70, 200, 1, 1, true}, 20, 2, true, true},  // panels split over threads
      {{Cell::lstm_norm, 16, 32, 3, 1, false}, 70, 40},             // rows, and several chunks
      {{Cell::lstm, 2, 3, 2, 2, true}, 0, 4, true, true},           // no steps
      {{Cell::lstm, 2, 3, 2, 2, true}, 0, 4},
      {{Cell::lstm, 2, 3, 2, 2, true}, 4, 0},  // no rows
  };
  for (const Config& config : configs) {
    test_equal_bits<float>(config, brief, "float");
    test_equal_bits<double>(config, brief, "double");
    if (first_alone) break;
  }
  const std::uint64_t sum32 = checksum(run<float>(small, kernels<float>(available_isas().front())));
  const std::uint64_t sum64 = checksum(run<double>(small, kernels<double>(available_isas().front())));
  std::printf("checksums: %016" PRIx64 " %016" PRIx64 "\n", sum32, sum64);
  if (test::rounds_as_everywhere()) {
    CHECK(sum32 == 0xbd98270b9a8096c1u, "float checksum");
    CHECK(sum64 == 0x6cf378d63c4a8562u, "double checksum");
  }
  std::vector<float> all32;
  std::vector<double> all64;
  for (const Config& config : of_other_cells) {
    const auto some32 = run<float>(config, kernels<float>(available_isas().front()));
    const auto some64 = run<double>(config, kernels<double>(available_isas().front()));
    all32.insert(all32.end(), some32.begin(), some32.end());
    all64.insert(all64.end(), some64.begin(), some64.end());
  }
  const std::uint64_t others32 = checksum(all32), others64 = checksum(all64);
  std::printf("checksums of other cells: %016" PRIx64 " %016" PRIx64 "\n", others32, others64);
  if (test::rounds_as_everywhere()) {
    CHECK(others32 == 0x70ecca51d3d676f7u, "float checksum of other cells");
    CHECK(others64 == 0x437739bada884560u, "double checksum of other cells");
  }
  return test::finish("network");
}
