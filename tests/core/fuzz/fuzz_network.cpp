// Whole networks of any shape, called in any form: on each ISA the bits that scalar kernels give on one thread, and of
// a row alone those of the row in its batch.
#include <map>

#include "drawn.h"
#include "lstmfast/isa.h"
#include "lstmfast/threads.h"
#include "rounding.h"

namespace {

using namespace fuzz;

template <class T>
using Results = std::map<std::string, std::vector<T>>;

std::unique_ptr<bool[]> drawn_bools(Bytes& bytes, Index count, Index of_256) {
  test::Random random(bytes.byte());
  auto bools = std::make_unique<bool[]>(size(count));
  for (Index k = 0; k < count; ++k) bools[size(k)] = (random.next() + 1) * 128 < static_cast<double>(of_256);
  return bools;
}

// A call, as bytes choose it.
template <class T>
struct Problem {
  NetworkShape shape;
  Layout layout;
  bool lengths_given = false, recompute = false, own_memory = false, in_place = false;
  std::unique_ptr<DrawnWeights<T>> weights;
  std::vector<Index> lengths;  // [B], T where none are given
  std::unique_ptr<bool[]> reset, masks, renewed;
  std::vector<T> x, h0, c0, cut_h, cut_c, dy, dh_n, dc_n, dc;
  Index cut_rows = 0;
  unsigned given = 0, wanted = 0;

  Index H() const { return shape.hidden_size; }
  Index S() const { return shape.state_size(); }
  Index features() const { return shape.directions * S(); }
  Index of_h(Index rows) const { return shape.passes() * rows * S(); }
  Index of_c(Index rows) const { return has_memory(shape.cell) ? shape.passes() * rows * H() : 0; }
  bool gives(unsigned what) const { return (given & what) != 0; }
  bool wants(unsigned what) const { return (wanted & what) != 0; }

  explicit Problem(Bytes& bytes) : shape(drawn_shape(bytes)) {
    const Index T_ = bytes.from(0, bytes.from(0, 7) ? 7 : 40), B = bytes.from(0, bytes.from(0, 7) ? 5 : 20);
    given = bytes.bits<std::uint16_t>(), wanted = bytes.bits<std::uint16_t>();
    const std::uint8_t form = bytes.byte();
    layout = {(form & 1) != 0, (form & 2) != 0, (form & 4) != 0 ? bytes.from(0, 5) : 0, T_, B, {}};
    recompute = (form & 8) != 0, own_memory = (form & 16) != 0, in_place = (form & 32) != 0;
    lengths_given = layout.packed || (form & 64) != 0;
    for (Index b = 0; b < B; ++b) lengths.push_back(lengths_given ? bytes.from(0, T_) : T_);
    if (layout.packed) std::sort(lengths.rbegin(), lengths.rend());
    layout.lengths = lengths;
    if (gives(1)) reset = drawn_bools(bytes, T_ * B, 40);
    if (reset && gives(2)) cut_rows = gives(4) ? B : 1;
    weights = std::make_unique<DrawnWeights<T>>(shape, bytes);
    Index places = T_ * B;
    if (layout.packed) {
      places = 0;
      for (const Index length : lengths) places += length;
    }
    const auto draw = [&](Index count) { return drawn_numbers<T>(bytes, count, 1); };
    x = draw(places * shape.input_size);
    if (gives(8)) h0 = draw(of_h(B));
    if (gives(16)) c0 = draw(of_c(B));
    if (cut_rows && gives(32)) cut_h = draw(of_h(cut_rows));
    if (cut_rows && gives(64)) cut_c = draw(of_c(cut_rows));
    if (gives(128)) dy = draw(places * features());
    if (gives(256)) dh_n = draw(of_h(B));
    if (gives(512)) dc_n = draw(of_c(B));
    if (gives(1024) && has_memory(shape.cell)) dc = draw(places * shape.directions * H());
    if (gives(2048) && shape.num_layers > 1)
      masks = drawn_bools(bytes, (shape.num_layers - 1) * places * features(), 180);
    if (shape.zoneout > 0 && gives(4096)) renewed = drawn_bools(bytes, shape.passes() * places * S(), 180);
  }
};

template <class T>
const T* data_or_null(const std::vector<T>& numbers) {
  return numbers.empty() ? nullptr : numbers.data();
}

// Arrays that a forward pass writes to, and the call.
template <class T>
struct Call {
  Laid<T> x, y, c;
  std::vector<T> h0, c0, h_n, c_n;
  ForwardCall<T> forward;

  explicit Call(const Problem<T>& p)
      : x(p.layout, p.shape.input_size),
        y(p.layout, p.features()),
        c(p.layout, p.shape.directions * p.H()),
        h0(p.h0),
        c0(p.c0) {
    const Index B = p.layout.rows;
    x.fill(p.x);
    h_n.assign(size(p.of_h(B)), T(7)), c_n.assign(size(p.of_c(B)), T(7));
    forward = {p.layout.steps, B, x.read(), data_or_null(h0), data_or_null(c0), y.sequence(), h_n.data(), c_n.data()};
    if (p.in_place && !h0.empty()) forward.h_n = h0.data();
    if (p.in_place && !c0.empty()) forward.c_n = c0.data();
    forward.times = {p.lengths_given ? p.lengths.data() : nullptr, p.reset.get(), p.layout.packed};
    forward.cut = {p.cut_rows, data_or_null(p.cut_h), data_or_null(p.cut_c)};
    if (p.wants(1) && has_memory(p.shape.cell)) forward.c = c.sequence();
  }

  void take(Results<T>& results, const std::string& name) const {
    results[name + " y"] = y.numbers();
    results[name + " h_n"] = std::vector<T>(forward.h_n, forward.h_n + h_n.size());
    results[name + " c_n"] = std::vector<T>(forward.c_n, forward.c_n + c_n.size());
    if (forward.c.data) results[name + " c"] = c.numbers();
    x.expect_gaps_untouched("x"), y.expect_gaps_untouched("y"), c.expect_gaps_untouched("c");
  }
};

template <class T>
void go_back(const Problem<T>& p, const Network<T>& network, const Tape<T>& tape, Results<T>& results,
             const std::string& name) {
  const Index B = p.layout.rows;
  Laid<T> dy(p.layout, p.features()), dx(p.layout, p.shape.input_size), dc(p.layout, p.shape.directions * p.H());
  if (!p.dy.empty()) dy.fill(p.dy);
  if (!p.dc.empty()) dc.fill(p.dc);
  std::vector<T> dh0(size(p.of_h(B))), dc0(size(p.of_c(B))), dcut_h(size(p.of_h(B))), dcut_c(size(p.of_c(B)));
  std::vector<std::vector<T>> arrays;
  std::vector<PassParameters<T>> gradients;
  unsigned long number = 0;
  for (Index pass = 0; pass < p.shape.passes(); ++pass) {
    PassParameters<T> g = {};
    jax::for_parameters<T>(p.shape, pass, [&](auto member, const char* which, std::initializer_list<Index> sizes) {
      Index count = 1;
      for (const Index each : sizes) count *= each;
      if (std::strncmp(which, "bias_hh", 7) != 0) ++number;  // of a pass both biases or none
      if (!p.wants(1u << (4 + number % 12))) return;
      arrays.emplace_back(size(count), T(7));
      g.*member = arrays.back().data();
    });
    gradients.push_back(g);
  }
  BackwardCall<T> call = {p.dy.empty() ? Sequence<const T>{} : dy.read(),
                          data_or_null(p.dh_n),
                          data_or_null(p.dc_n),
                          p.wants(2) ? dx.sequence() : Sequence<T>{},
                          dh0.data(),
                          dc0.data(),
                          gradients.data()};
  call.wants_state = p.wants(4);
  if (!p.dc.empty()) call.dc = dc.read();
  if (p.wants(8) && p.cut_rows) call.dcut_h = dcut_h.data(), call.dcut_c = dcut_c.data();
  network.backward(tape, call);
  if (p.wants(2)) results[name + " dx"] = dx.numbers();
  if (p.wants(4)) results[name + " dh0"] = dh0, results[name + " dc0"] = dc0;
  if (call.dcut_h) results[name + " dcut_h"] = dcut_h, results[name + " dcut_c"] = dcut_c;
  for (std::size_t k = 0; k < arrays.size(); ++k) results[name + " gradient " + std::to_string(k)] = arrays[k];
  dx.expect_gaps_untouched("dx");
}

template <class T>
Results<T> run(const Problem<T>& p, const KernelTable<T>& kernels, int threads) {
  set_num_threads(threads);
  Results<T> results;
  const Network<T> network(p.shape, p.weights->passes(), kernels);
  {
    Call<T> call(p);
    network.infer(call.forward);
    call.take(results, "infer");
  }
  Call<T> call(p);
  TrainingOptions<T> options;
  options.recompute = p.recompute;
  options.masks = p.masks.get();
  options.scale = T(1.25);
  options.renewed = p.renewed.get();
  Index places = 0;
  call.y.each([&](Index) { ++places; });
  TrainingOptions<T> kept = options;
  kept.cut_rows = p.cut_rows;
  const Index count = Tape<T>::numbers(p.shape, places, p.layout.rows, kept);
  std::unique_ptr<T, void (*)(void*)> memory(
      p.own_memory ? static_cast<T*>(std::aligned_alloc(64, size((count * sizeof(T) + 63) / 64 * 64 + 64))) : nullptr,
      std::free);
  const auto tape = network.forward(call.forward, options, memory.get());
  call.take(results, "forward");
  go_back(p, network, *tape, results, "backward");
  if (!p.masks && !p.renewed)
    for (const char* const name : {" y", " h_n", " c_n"})
      EXPECT(alike(results["infer" + std::string(name)], results["forward" + std::string(name)]),
             "infer and forward differ:" + std::string(name));
  return results;
}

// One row of a batch, in a call of its own.
template <class T>
void compare_row(Bytes& bytes, const Problem<T>& p, const KernelTable<T>& kernels, const Results<T>& all) {
  if (p.layout.packed || p.layout.rows == 0 || p.cut_rows) return;
  const Index B = p.layout.rows, row = bytes.from(0, B - 1), I = p.shape.input_size, F = p.features();
  std::vector<T> x, y;
  const auto resets = std::make_unique<bool[]>(size(p.layout.steps));
  for (Index t = 0; t < p.layout.steps; ++t) {
    const auto from = p.x.begin() + (t * B + row) * I;
    x.insert(x.end(), from, from + I);
    const auto part = all.at("infer y").begin() + (t * B + row) * F;
    y.insert(y.end(), part, part + F);
    resets[size(t)] = p.reset && p.reset[size(t * B + row)];
  }
  const auto of_row = [&](const std::vector<T>& state, Index width) {
    std::vector<T> found;
    for (Index pass = 0; !state.empty() && pass < p.shape.passes(); ++pass)
      found.insert(found.end(), state.begin() + (pass * B + row) * width, state.begin() + (pass * B + row + 1) * width);
    return found;
  };
  const std::vector<T> h0 = of_row(p.h0, p.S()), c0 = of_row(p.c0, p.H());
  std::vector<T> alone(y.size()), h_n(size(p.of_h(1))), c_n(size(p.of_c(1)));
  const Network<T> network(p.shape, p.weights->passes(), kernels);
  ForwardCall<T> call = {p.layout.steps,       1,          {x.data(), I, I}, data_or_null(h0), data_or_null(c0),
                         {alone.data(), F, F}, h_n.data(), c_n.data()};
  call.times = {p.lengths_given ? &p.lengths[size(row)] : nullptr, p.reset ? resets.get() : nullptr, false};
  network.infer(call);
  EXPECT(alike(alone, y), "y of a row alone");
  EXPECT(alike(h_n, of_row(all.at("infer h_n"), p.S())), "h_n of a row alone");
  if (has_memory(p.shape.cell)) EXPECT(alike(c_n, of_row(all.at("infer c_n"), p.H())), "c_n of a row alone");
}

template <class T>
void one_call(Bytes& bytes) {
  const std::vector<Isa>& isas = available_isas();
  const Isa& isa = isas[size(bytes.from(0, static_cast<Index>(isas.size()) - 1))];
  const int threads = static_cast<int>(bytes.one_of<Index>({1, 1, 1, 1, 1, 2, 3}));
  const Problem<T> problem(bytes);
  const Isa& plain = test::rounds_as_everywhere() ? isas.back() : isa;
  const Results<T> expected = run(problem, kernels<T>(plain), 1), found = run(problem, kernels<T>(isa), threads);
  for (const auto& [name, numbers] : expected)
    EXPECT(alike(numbers, found.at(name)), isa.name + " on " + std::to_string(threads) + " threads: " + name);
  compare_row(bytes, problem, kernels<T>(isa), found);
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes bytes(data, size);
  if (bytes.flag())
    one_call<double>(bytes);
  else
    one_call<float>(bytes);
  return 0;
}
