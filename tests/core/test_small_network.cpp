// Networks of smaller weights: what every table computes is what plain loops over whole numbers do, at the largest
// sums, too; weights of 16 bits are those of a float network.
#include <cmath>
#include <cstdint>
#include <memory>
#include <vector>

#include "check.h"
#include "dispatch/cpu.h"
#include "dispatch/tiles.h"
#include "lstmfast/isa.h"
#include "lstmfast/kernels.h"
#include "lstmfast/network.h"
#include "lstmfast/threads.h"
#include "random.h"
#include "rounding.h"

namespace {

using namespace lstmfast;
using test::Random;

template <class T>
T* at(std::vector<T>& v, Index k) {
  return v.data() + k;
}
template <class T>
T& of(std::vector<T>& v, Index k) {
  return v[static_cast<std::size_t>(k)];
}

// What quantizing leaves of a matrix.
struct Matrix {
  Index rows, columns;
  std::vector<std::int8_t> whole;
  std::vector<float> scales;
  std::vector<std::uint16_t> half, brain;
  std::vector<float> from_half, from_brain;
};

// largest: all weights are +-127, in a pattern of signs.
Matrix matrix(Index rows, Index columns, Random& random, bool largest) {
  Matrix m = {rows, columns, {}, {}, {}, {}, {}, {}};
  for (Index r = 0; r < rows; ++r) m.scales.push_back(static_cast<float>(0.001 + 0.0005 * random.next()));
  for (Index k = 0; k < rows * columns; ++k) {
    const double u = random.next();
    m.whole.push_back(static_cast<std::int8_t>(largest ? (k / columns % 3 == 1 && k % 2 ? -127 : 127) : u * 127));
    // Of 16 bits: any sign, small exponents (denormals of float16 among them) and any mantissa.
    const auto bits = static_cast<std::uint16_t>(std::abs(u) * 32767);
    const auto sign = static_cast<std::uint16_t>(u < 0 ? 0x8000 : 0);
    m.half.push_back(static_cast<std::uint16_t>(sign | (bits % 0x3800)));
    m.brain.push_back(static_cast<std::uint16_t>(sign | (0x3a00 + bits % 0x500)));
    const unsigned exponent = m.half.back() >> 10 & 31u, mantissa = m.half.back() & 1023u;
    const double magnitude =
        exponent ? std::ldexp(1024 + mantissa, static_cast<int>(exponent) - 25) : std::ldexp(mantissa, -24);
    m.from_half.push_back(static_cast<float>(sign ? -magnitude : magnitude));
    const std::uint32_t wide = static_cast<std::uint32_t>(m.brain.back()) << 16;
    float number = 0;
    std::memcpy(&number, &wide, sizeof number);
    m.from_brain.push_back(number);
  }
  return m;
}

struct Config {
  NetworkShape shape;
  Index steps, rows;
  bool largest = false;  // all weights, and all x, as large as can be
  bool calibrated = false;
};

// A network's weights in every kind.
struct Model {
  Config config;
  std::vector<Matrix> ih, hh, hr;                    // [L*D]
  std::vector<std::vector<float>> bias_ih, bias_hh;  // [L*D]
  std::vector<float> range;                          // [I]; empty for none

  explicit Model(const Config& given) : config(given) {
    const NetworkShape& s = config.shape;
    Random random(5);
    const Index gate_rows = s.gates() * s.hidden_size;
    for (Index pass = 0; pass < s.passes(); ++pass) {
      ih.push_back(matrix(gate_rows, s.layer_input(pass / s.directions), random, config.largest));
      hh.push_back(matrix(gate_rows, s.state_size(), random, config.largest));
      hr.push_back(matrix(s.projection_size, s.hidden_size, random, config.largest));
      bias_ih.push_back(random.vector<float>(gate_rows));
      bias_hh.push_back(random.vector<float>(gate_rows));
    }
    if (config.calibrated)
      for (Index k = 0; k < s.input_size; ++k)
        range.push_back(static_cast<float>(std::ldexp(1.5 + random.next(), static_cast<int>(k % 9) - 4)));
  }

  SmallParameters small(std::size_t pass, Weights weights) const {
    const bool bias = config.shape.bias, projection = config.shape.projection_size > 0;
    SmallParameters p = {};
    const auto set = [&](const Matrix& m, const void*& weight, const float*& scale) {
      weight = weights == Weights::int8      ? static_cast<const void*>(m.whole.data())
               : weights == Weights::float16 ? static_cast<const void*>(m.half.data())
                                             : static_cast<const void*>(m.brain.data());
      if (weights == Weights::int8) scale = m.scales.data();
    };
    set(ih[pass], p.weight_ih, p.scale_ih);
    set(hh[pass], p.weight_hh, p.scale_hh);
    if (projection) set(hr[pass], p.weight_hr, p.scale_hr);
    p.bias_ih = bias ? bias_ih[pass].data() : nullptr;
    p.bias_hh = bias ? bias_hh[pass].data() : nullptr;
    return p;
  }

  // Of float, widened from 16 bits.
  PassParameters<const float> widened(std::size_t pass, Weights weights) const {
    const bool bias = config.shape.bias;
    const auto from = [&](const Matrix& m) {
      return weights == Weights::float16 ? m.from_half.data() : m.from_brain.data();
    };
    return {from(ih[pass]), from(hh[pass]), bias ? bias_ih[pass].data() : nullptr,
            bias ? bias_hh[pass].data() : nullptr, config.shape.projection_size ? from(hr[pass]) : nullptr};
  }
};

struct Inputs {
  std::vector<float> x, h0, c0;

  explicit Inputs(const Config& config) {
    const NetworkShape& s = config.shape;
    Random random(9);
    x = random.vector<float>(config.steps * config.rows * s.input_size, 3);
    if (config.largest)
      for (float& v : x) v = v < 0 ? -3.0f : 3.0f;
    h0 = random.vector<float>(s.passes() * config.rows * s.state_size(), 2);
    c0 = random.vector<float>(s.passes() * config.rows * s.hidden_size);
  }
};

// y, h_n and c_n as one row of numbers.
std::vector<float> infer(const Network<float>& network, const Config& config, const Inputs& in) {
  const NetworkShape& s = config.shape;
  const Index features = s.directions * s.state_size(), rows = config.rows;
  const Index y = config.steps * rows * features, h = s.passes() * rows * s.state_size();
  const Index c = has_memory(s.cell) ? s.passes() * rows * s.hidden_size : 0;
  std::vector<float> all(static_cast<std::size_t>(y + h + c));
  network.infer({config.steps,
                 rows,
                 {in.x.data(), rows * s.input_size, s.input_size},
                 in.h0.data(),
                 in.c0.data(),
                 {all.data(), rows * features, features},
                 at(all, y),
                 at(all, y + h)});
  return all;
}

// The same by plain loops; of one direction. Sums of products are of 64 bits, and must fit in 32.
class Plain {
 public:
  Plain(const Model& model, const KernelTable<float>& floats) : model_(model), floats_(floats) {}

  std::vector<float> infer(const Inputs& in) const {
    const Config& config = model_.config;
    const NetworkShape& s = config.shape;
    const Index H = s.hidden_size, S = s.state_size(), rows = config.rows;
    std::vector<float> layer = in.x, h_n, c_n;
    for (Index l = 0; l < s.num_layers; ++l) {
      const auto pass = static_cast<std::size_t>(l);
      const Index I = s.layer_input(l);
      std::vector<float> y, h(in.h0.begin() + l * rows * S, in.h0.begin() + (l + 1) * rows * S);
      std::vector<float> c(in.c0.begin() + l * rows * H, in.c0.begin() + (l + 1) * rows * H);
      for (Index t = 0; t < config.steps; ++t)
        for (Index b = 0; b < rows; ++b) {
          std::vector<float> z(static_cast<std::size_t>(s.gates() * H), 0.0f);
          for (std::size_t k = 0; s.bias && k < z.size(); ++k) z[k] = model_.bias_ih[pass][k] + model_.bias_hh[pass][k];
          add(model_.ih[pass], at(layer, (t * rows + b) * I), l == 0 ? model_.range : std::vector<float>(), z);
          add(model_.hh[pass], at(h, b * S), {}, z);
          std::vector<float> m = cell(z, at(c, b * H));
          if (s.projection_size) {
            std::vector<float> projected(static_cast<std::size_t>(S), 0.0f);
            add(model_.hr[pass], m.data(), {}, projected);
            m = projected;
          }
          for (Index k = 0; k < S; ++k) of(h, b * S + k) = of(m, k);
          y.insert(y.end(), m.begin(), m.end());
        }
      layer = y;
      h_n.insert(h_n.end(), h.begin(), h.end());
      if (has_memory(s.cell)) c_n.insert(c_n.end(), c.begin(), c.end());
    }
    layer.insert(layer.end(), h_n.begin(), h_n.end());
    layer.insert(layer.end(), c_n.begin(), c_n.end());
    return layer;
  }

 private:
  static void add(const Matrix& m, const float* v, const std::vector<float>& range, std::vector<float>& z) {
    std::vector<float> scaled(v, v + m.columns);
    for (std::size_t k = 0; k < range.size(); ++k) scaled[k] *= 1.0f / range[k];
    float largest = 0;
    for (const float number : scaled) largest = std::fmax(largest, std::fabs(number));
    const float scale = std::fmax(largest / 127.0f, kLeastScale), inverse = 1.0f / scale;
    for (Index r = 0; r < m.rows; ++r)
      for (Index first = 0; first < m.columns; first += kInt8Terms) {
        std::int64_t sum = 0;
        for (Index k = first; k < std::min(first + kInt8Terms, m.columns); ++k) {
          const long whole = std::lrint(scaled[static_cast<std::size_t>(k)] * inverse);
          CHECK(whole >= -127 && whole <= 127, "activations fit in 8 bits");
          sum += whole * m.whole[static_cast<std::size_t>(r * m.columns + k)];
        }
        CHECK(sum == static_cast<std::int32_t>(sum), "sums fit in 32 bits");
        float& to = of(z, r);
        to = std::fma(static_cast<float>(sum) * scale, m.scales[static_cast<std::size_t>(r)], to);
      }
  }

  // Gates by the functions that the kernels are made of; c in place.
  std::vector<float> cell(std::vector<float>& z, float* c) const {
    const Index H = model_.config.shape.hidden_size;
    std::vector<float> h(static_cast<std::size_t>(H));
    if (model_.config.shape.cell == Cell::rnn_relu) {
      for (Index k = 0; k < H; ++k) of(h, k) = std::fmax(of(z, k), 0.0f);
      return h;
    }
    if (model_.config.shape.cell == Cell::rnn_tanh) {
      floats_.tanh(H, z.data(), h.data());
      return h;
    }
    for (const Index gate : {0, 1, 3}) floats_.sigmoid(H, at(z, gate * H), at(z, gate * H));
    floats_.tanh(H, at(z, 2 * H), at(z, 2 * H));
    for (Index k = 0; k < H; ++k) c[k] = std::fma(of(z, H + k), c[k], of(z, k) * of(z, 2 * H + k));
    floats_.tanh(H, c, h.data());
    for (Index k = 0; k < H; ++k) of(h, k) = of(z, 3 * H + k) * of(h, k);
    return h;
  }

  const Model& model_;
  const KernelTable<float>& floats_;
};

std::unique_ptr<Network<float>> network_of(const Model& model, const KernelTable<float>& kernels) {
  std::vector<SmallParameters> passes;
  for (std::size_t pass = 0; pass < model.ih.size(); ++pass) passes.push_back(model.small(pass, kernels.weights));
  const bool ranged = kernels.weights == Weights::int8 && model.config.calibrated;
  return small_network(model.config.shape, passes.data(), ranged ? model.range.data() : nullptr, kernels);
}

// Every int8 table of this machine, also those that another one stands in front of.
std::vector<const KernelTable<float>*> int8_tables() {
  std::vector<const KernelTable<float>*> tables;
  for (const Isa& isa : available_isas()) tables.push_back(isa.i8);
#if defined(LSTMFAST_X86)
  if (detect_cpu().avx512_vnni) tables.push_back(&kAvx512I8);
#if defined(LSTMFAST_AMX)
  if (tiles_granted()) tables.push_back(&kAvx512AmxI8);
#endif
#endif
  return tables;
}

std::string described(const Config& c, const KernelTable<float>& k) {
  const NetworkShape& s = c.shape;
  return std::string(k.isa) + " together " + std::to_string(k.together) + ", cell " +
         std::to_string(static_cast<int>(s.cell)) + " I=" + std::to_string(s.input_size) +
         " H=" + std::to_string(s.hidden_size) + " P=" + std::to_string(s.projection_size) +
         " L=" + std::to_string(s.num_layers) + " D=" + std::to_string(s.directions) + " T=" + std::to_string(c.steps) +
         " B=" + std::to_string(c.rows);
}

bool same(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

void test_int8(const Config& config) {
  const Model model(config);
  const Inputs in(config);
  std::vector<float> first;
  for (const KernelTable<float>* table : int8_tables()) {
    CHECK(table->weights == Weights::int8, "the table's kind");
    const auto network = network_of(model, *table);
    for (const int threads : {1, 3}) {
      set_num_threads(threads);
      const std::vector<float> found = infer(*network, config, in);
      if (first.empty()) {
        first = config.shape.directions == 1 ? Plain(model, *available_isas().back().f32).infer(in) : found;
        for (const float number : first) CHECK(number == number, "no NaN");
      }
      if (test::rounds_as_everywhere()) CHECK(same(found, first), "int8, " + described(config, *table));
    }
  }
  set_num_threads(1);
}

void test_halves(const Config& config) {
  const Model model(config);
  const Inputs in(config);
  for (const Isa& isa : available_isas())
    for (const Weights weights : {Weights::float16, Weights::bfloat16}) {
      const KernelTable<float>& table = kernels(isa, weights);
      CHECK(table.weights == weights, "the table's kind");
      std::vector<PassParameters<const float>> passes;
      for (std::size_t pass = 0; pass < model.ih.size(); ++pass) passes.push_back(model.widened(pass, weights));
      const Network<float> floats(config.shape, passes.data(), *isa.f32);
      CHECK(same(infer(*network_of(model, table), config, in), infer(floats, config, in)),
            "16 bits, " + described(config, table));
    }
}

// A number that is not finite makes its own row NaN, and no other.
void test_lost_rows() {
  const Config config = {{Cell::lstm, 5, 7, 1, 1, true}, 3, 4};
  const Model model(config);
  const Inputs clean(config);
  for (const KernelTable<float>* table : int8_tables())
    for (const float wrong : {std::nanf(""), HUGE_VALF, -HUGE_VALF})
      for (const bool in_state : {false, true}) {
        const auto network = network_of(model, *table);
        Inputs in = clean;
        (in_state ? of(in.h0, 2 * 7 + 6) : of(in.x, 2 * 5)) = wrong;  // row 2, of the first step
        const std::vector<float> found = infer(*network, config, in), expected = infer(*network, config, clean);
        for (Index t = 0; t < 3; ++t)
          for (Index b = 0; b < 4; ++b)
            for (Index u = 0; u < 7; ++u) {
              const auto k = static_cast<std::size_t>((t * 4 + b) * 7 + u);
              CHECK(b == 2 ? found[k] != found[k] : test::same_bits(found[k], expected[k]), "a row that is lost");
            }
      }
}

}  // namespace

int main() {
  const std::vector<Config> configs = {
      {{Cell::lstm, 1, 1, 1, 1, true}, 3, 1},
      {{Cell::lstm, 3, 5, 1, 1, true}, 4, 2},
      {{Cell::lstm, 20, 33, 1, 1, false}, 5, 1},
      {{Cell::lstm, 17, 70, 2, 1, true}, 6, 7},
      {{Cell::lstm, 64, 64, 1, 1, true}, 3, 50},
      {{Cell::lstm, 40, 20, 2, 2, true}, 4, 3},
      {{Cell::lstm, 9, 24, 2, 1, true, 7}, 4, 5},
      {{Cell::lstm, 30, 90, 1, 1, true, 67}, 3, 1},
      {{Cell::rnn_tanh, 13, 130, 1, 1, true}, 4, 3},
      {{Cell::rnn_relu, 8, 67, 1, 1, true}, 3, 2},
      {{Cell::lstm, 11, 16, 1, 1, true}, 3, 4, false, true},
      {{Cell::lstm, 300, 300, 1, 1, true}, 2, 2},  // of use to more threads than one
      // Rows of one matrix, of two of unlike size, of several pairs; terms of whole ones and of a part.
      {{Cell::lstm, 65, 30, 1, 1, true}, 3, 16},
      {{Cell::lstm, 128, 80, 1, 1, true}, 3, 17},
      {{Cell::rnn_relu, 3, 53, 1, 1, true}, 3, 31},
      {{Cell::lstm, 200, 129, 1, 1, true}, 2, 33},
      {{Cell::lstm, 60, 40, 1, 1, true, 21}, 2, 100},
  };
  for (const Config& config : configs) {
    test_int8(config);
    test_halves(config);
  }
  // The largest sums: one chunk of x, more than one, and h as well.
  for (const Index terms : {Index(2000), kInt8Terms, kInt8Terms + 1, 2 * kInt8Terms + 6})
    for (const Index rows : {1, 7}) test_int8({{Cell::lstm, terms, 2, 1, 1, true}, 2, rows, true});
  test_int8({{Cell::rnn_tanh, 2, 600, 1, 1, true}, 2, 2, true});
  test_lost_rows();
  return test::finish("small networks");
}
