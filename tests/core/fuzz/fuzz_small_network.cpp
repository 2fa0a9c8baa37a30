// Networks of smaller weights of any shape: on each ISA what scalar kernels give on one thread; of 16 bits what the
// same weights give when they are widened first.
#include "core/rounding.h"
#include "drawn.h"
#include "lstmfast/isa.h"
#include "lstmfast/threads.h"
#include "rounding.h"

namespace {

using namespace fuzz;

constexpr Weights kKinds[] = {Weights::float16, Weights::bfloat16, Weights::int8};

struct Matrix {
  std::vector<std::uint16_t> bits;
  std::vector<std::int8_t> whole;
  std::vector<float> scales, widened;
};

// Weights that quantizing makes: finite ones, and whole numbers of at most 127.
Matrix drawn_matrix(Bytes& bytes, Weights kind, Index rows, Index columns) {
  Matrix m;
  test::Random random(bytes.byte());
  const bool largest = bytes.from(0, 7) == 7;
  for (Index k = 0; k < rows * columns; ++k) {
    const float number = static_cast<float>(random.next());
    m.whole.push_back(static_cast<std::int8_t>(largest ? (k % 2 ? -127 : 127) : number * 127));
    m.bits.push_back(kind == Weights::float16 ? to_float16(number) : to_bfloat16(number));
    m.widened.push_back(kind == Weights::float16 ? from_float16(m.bits.back())
                                                 : float_of(std::uint32_t(m.bits.back()) << 16));
  }
  for (Index row = 0; row < rows; ++row) m.scales.push_back(static_cast<float>(0.002 + 0.001 * random.next()));
  return m;
}

struct Model {
  NetworkShape shape;
  Weights kind;
  std::vector<Matrix> ih, hh, hr;
  std::vector<std::vector<float>> bias_ih, bias_hh, peepholes;
  std::vector<float> range;

  explicit Model(Bytes& bytes) : shape(drawn_shape(bytes)), kind(kKinds[bytes.from(0, 2)]) {
    if (is_norm(shape.cell)) shape.cell = Cell::lstm;  // which has no smaller weights
    const Index H = shape.hidden_size, rows = shape.gates() * H;
    for (Index pass = 0; pass < shape.passes(); ++pass) {
      ih.push_back(drawn_matrix(bytes, kind, rows, shape.layer_input(pass / shape.directions)));
      hh.push_back(drawn_matrix(bytes, kind, rows, shape.state_size()));
      hr.push_back(drawn_matrix(bytes, kind, shape.projection_size, H));
      bias_ih.push_back(drawn_numbers<float>(bytes, rows, 1));
      bias_hh.push_back(drawn_numbers<float>(bytes, rows, 1));
      peepholes.push_back(drawn_numbers<float>(bytes, peepholes_of(shape.cell) * H, 1));
    }
    if (kind == Weights::int8 && bytes.flag()) {
      test::Random random(bytes.byte());
      for (Index k = 0; k < shape.input_size; ++k) range.push_back(static_cast<float>(1.5 + random.next()));
    }
  }

  std::unique_ptr<Network<float>> network(const Isa& isa) const {
    std::vector<SmallParameters> passes;
    for (std::size_t pass = 0; pass < ih.size(); ++pass) {
      SmallParameters p = {};
      const auto set = [&](const Matrix& m, const void*& weight, const float*& scale) {
        const bool whole = kind == Weights::int8;
        weight = whole ? static_cast<const void*>(m.whole.data()) : static_cast<const void*>(m.bits.data());
        if (whole) scale = m.scales.data();
      };
      set(ih[pass], p.weight_ih, p.scale_ih);
      set(hh[pass], p.weight_hh, p.scale_hh);
      if (shape.projection_size) set(hr[pass], p.weight_hr, p.scale_hr);
      if (shape.bias) p.bias_ih = bias_ih[pass].data(), p.bias_hh = bias_hh[pass].data();
      if (shape.peephole) p.weight_ch = peepholes[pass].data();
      passes.push_back(p);
    }
    return small_network(shape, passes.data(), range.empty() ? nullptr : range.data(), kernels(isa, kind));
  }

  std::unique_ptr<Network<float>> widened(const Isa& isa) const {
    std::vector<PassParameters<const float>> passes;
    for (std::size_t pass = 0; pass < ih.size(); ++pass) {
      PassParameters<const float> p = {};
      p.weight_ih = ih[pass].widened.data(), p.weight_hh = hh[pass].widened.data();
      if (shape.projection_size) p.weight_hr = hr[pass].widened.data();
      if (shape.bias) p.bias_ih = bias_ih[pass].data(), p.bias_hh = bias_hh[pass].data();
      if (shape.peephole) p.weight_ch = peepholes[pass].data();
      passes.push_back(p);
    }
    return std::make_unique<Network<float>>(shape, passes.data(), *isa.f32);
  }
};

struct Call {
  Layout layout;
  std::vector<float> x, h0, c0;
  std::vector<Index> lengths;

  Call(Bytes& bytes, const NetworkShape& shape) {
    const std::uint8_t form = bytes.byte();
    const Index steps = bytes.from(0, 6), rows = bytes.from(0, bytes.from(0, 7) ? 5 : 20);
    layout = {(form & 1) != 0, false, (form & 2) != 0 ? bytes.from(0, 3) : 0, steps, rows, {}};
    if (form & 4)
      for (Index b = 0; b < rows; ++b) lengths.push_back(bytes.from(0, steps));
    x = drawn_numbers<float>(bytes, steps * rows * shape.input_size, 2);
    h0 = drawn_numbers<float>(bytes, shape.passes() * rows * shape.state_size(), 2);
    c0 = drawn_numbers<float>(bytes, shape.passes() * rows * shape.hidden_size, 2);
  }

  std::vector<float> run(const Network<float>& network, int threads) const {
    set_num_threads(threads);
    const NetworkShape& shape = network.shape();
    Laid<float> in(layout, shape.input_size), y(layout, shape.directions * shape.state_size());
    in.fill(x);
    std::vector<float> h_n(h0.size()), c_n(has_memory(shape.cell) ? c0.size() : 0);
    ForwardCall<float> call = {layout.steps, layout.rows,  in.read(),  h0.data(),
                               c0.data(),    y.sequence(), h_n.data(), c_n.data()};
    call.times.lengths = lengths.empty() ? nullptr : lengths.data();
    network.infer(call);
    y.expect_gaps_untouched("y");
    std::vector<float> all = y.numbers();
    all.insert(all.end(), h_n.begin(), h_n.end());
    all.insert(all.end(), c_n.begin(), c_n.end());
    return all;
  }
};

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes bytes(data, size);
  const std::vector<Isa>& isas = available_isas();
  const Isa& isa = isas[fuzz::size(bytes.from(0, static_cast<Index>(isas.size()) - 1))];
  const int threads = static_cast<int>(bytes.one_of<Index>({1, 1, 1, 3}));
  const Model model(bytes);
  const Call call(bytes, model.shape);
  const std::vector<float> found = call.run(*model.network(isa), threads);
  const Isa& plain = test::rounds_as_everywhere() ? isas.back() : isa;
  EXPECT(alike(found, call.run(*model.network(plain), 1)), isa.name + " computes something else");
  if (model.kind != Weights::int8)
    EXPECT(alike(found, call.run(*model.widened(isa), 1)), isa.name + ": widened weights are others");
  return 0;
}
