// Other people's forms: gates in another order of rows, more rows than gates, outputs whose directions do not lie side
// by side. The bits are those of our own form.
#include <algorithm>
#include <string>
#include <vector>

#include "check.h"
#include "lstmfast/isa.h"
#include "lstmfast/network.h"
#include "lstmfast/threads.h"
#include "random.h"

namespace {

using namespace lstmfast;
using test::Random;

template <class T>
struct Pass {
  std::vector<T> ih, hh, bias_ih, bias_hh, ch;

  PassParameters<const T> parameters(const NetworkShape& shape, const Index* blocks) const {
    PassParameters<const T> made = {};
    made.weight_ih = ih.data();
    made.weight_hh = hh.data();
    if (shape.bias) made.bias_ih = bias_ih.data(), made.bias_hh = bias_hh.data();
    if (shape.peephole) made.weight_ch = ch.data();
    made.gate_blocks = blocks;
    return made;
  }
};

// Blocks of H rows of `from`, each put where blocks says; those that no gate has are full of `waste`.
template <class T>
std::vector<T> reordered(const std::vector<T>& from, Index block, const std::vector<Index>& blocks, Index count) {
  const T waste = T(1e30);
  std::vector<T> to(static_cast<std::size_t>(count * block), waste);
  for (std::size_t gate = 0; gate < blocks.size(); ++gate)
    std::copy_n(from.begin() + static_cast<std::ptrdiff_t>(gate) * block, block, to.begin() + blocks[gate] * block);
  return to;
}

template <class T>
std::vector<T> infer(const NetworkShape& shape, const std::vector<PassParameters<const T>>& passes, const Isa& isa) {
  constexpr Index steps = 3, rows = 2;
  const Network<T> network(shape, passes.data(), kernels<T>(isa));
  const Index D = shape.directions, H = shape.hidden_size;
  Random random(9);
  const auto x = random.vector<T>(steps * rows * shape.input_size);
  const auto h0 = random.vector<T>(shape.passes() * rows * H), c0 = random.vector<T>(shape.passes() * rows * H);
  std::vector<T> all(static_cast<std::size_t>(steps * rows * D * H + 2 * shape.passes() * rows * H), T(0));
  ForwardCall<T> call = {};
  call.steps = steps;
  call.rows = rows;
  call.x = {x.data(), rows * shape.input_size, shape.input_size};
  call.h0 = h0.data();
  call.c0 = c0.data();
  call.y = {all.data(), rows * D * H, D * H};
  call.h_n = all.data() + steps * rows * D * H;
  call.c_n = call.h_n + shape.passes() * rows * H;
  network.infer(call);
  return all;
}

template <class T>
void test_gate_order(Cell cell, bool bias, const std::vector<Index>& blocks, Index count, const Isa& isa) {
  for (const Index H : {1, 7, 16, 37})
    for (const int directions : {1, 2}) {
      NetworkShape shape = {cell, 5, H, 1, directions, bias};
      shape.peephole = peepholes_of(cell) > 0;
      if (is_variant(cell))
        shape.variant = {{Function::sigmoid, 0, 0}, {Function::tanh, 0, 0}, {Function::tanh, 0, 0}, 0.8};
      Random random(static_cast<std::uint64_t>(H));
      const Index G = shape.gates();
      std::vector<Pass<T>> ours, theirs;
      for (int d = 0; d < directions; ++d) {
        ours.push_back({random.vector<T>(G * H * 5, 0.5), random.vector<T>(G * H * H, 0.5), random.vector<T>(G * H),
                        random.vector<T>(G * H), random.vector<T>(peepholes_of(cell) * H)});
        const Pass<T>& from = ours.back();
        theirs.push_back({reordered(from.ih, H * 5, blocks, count), reordered(from.hh, H * H, blocks, count),
                          reordered(from.bias_ih, H, blocks, count), reordered(from.bias_hh, H, blocks, count),
                          from.ch});
      }
      std::vector<PassParameters<const T>> plain, other;
      for (const Pass<T>& pass : ours) plain.push_back(pass.parameters(shape, nullptr));
      for (const Pass<T>& pass : theirs) other.push_back(pass.parameters(shape, blocks.data()));
      CHECK(infer<T>(shape, other, isa) == infer<T>(shape, plain, isa),
            std::string(isa.name) + ", cell " + std::to_string(static_cast<int>(cell)) + ", H " + std::to_string(H));
    }
}

template <class T>
void test_gate_orders(const Isa& isa) {
  for (const bool bias : {true, false}) {
    for (const Cell cell : {Cell::lstm, Cell::lstm_variant}) {
      test_gate_order<T>(cell, bias, {0, 2, 3, 1}, 4, isa);  // ONNX's
      test_gate_order<T>(cell, bias, {3, 0, 5, 1}, 6, isa);
    }
    test_gate_order<T>(Cell::lstm_coupled, bias, {0, 3, 1}, 4, isa);
    for (const Cell cell : {Cell::gru, Cell::gru_variant, Cell::gru_reset_before})
      for (const std::vector<Index>& blocks : {std::vector<Index>{1, 0, 2}, {2, 1, 0}, {4, 0, 3}})
        test_gate_order<T>(cell, bias, blocks, 5, isa);
    for (const Cell cell : {Cell::rnn_tanh, Cell::rnn_relu, Cell::rnn_variant})
      test_gate_order<T>(cell, bias, {1}, 2, isa);
  }
}

// y of both directions apart from each other, with lengths and without, in rows or in steps first.
template <class T>
void test_directions_apart(Index steps, Index rows, bool lengths, bool rows_first, const Isa& isa) {
  constexpr Index I = 4, H = 21;
  const NetworkShape shape = {Cell::lstm, I, H, 1, 2, false};
  Random random(17);
  std::vector<Pass<T>> weights;
  std::vector<PassParameters<const T>> passes;
  for (int d = 0; d < 2; ++d)
    weights.push_back({random.vector<T>(4 * H * I, 0.5), random.vector<T>(4 * H * H, 0.4), {}, {}, {}});
  for (const Pass<T>& pass : weights) passes.push_back(pass.parameters(shape, nullptr));
  const Network<T> network(shape, passes.data(), kernels<T>(isa));
  const auto x = random.vector<T>(steps * rows * I);
  std::vector<Index> ends;
  for (Index b = 0; b < rows; ++b) ends.push_back((b * 5 + 2) % (steps + 1));

  std::vector<T> beside(static_cast<std::size_t>(steps * rows * 2 * H), T(7)), apart = beside;
  std::vector<T> states[2] = {std::vector<T>(static_cast<std::size_t>(4 * rows * H)), {}};
  states[1] = states[0];
  ForwardCall<T> call = {};
  call.steps = steps;
  call.rows = rows;
  call.x = {x.data(), rows * I, I};
  if (lengths) call.times.lengths = ends.data();
  call.y = {beside.data(), rows * 2 * H, 2 * H};
  call.h_n = states[0].data();
  call.c_n = call.h_n + 2 * rows * H;
  network.infer(call);
  // [T, D, B, H], or [B, D, T, H].
  call.direction_stride = rows_first ? steps * H : rows * H;
  call.y = rows_first ? Sequence<T>{apart.data(), H, 2 * steps * H} : Sequence<T>{apart.data(), 2 * rows * H, H};
  call.h_n = states[1].data();
  call.c_n = call.h_n + 2 * rows * H;
  network.infer(call);
  const std::string what = std::string(isa.name) + ", " + std::to_string(rows) + " rows" + (lengths ? ", lengths" : "");
  CHECK(states[0] == states[1], what + ": states");
  bool same = true;
  for (Index t = 0; t < steps; ++t)
    for (Index b = 0; b < rows; ++b)
      for (Index d = 0; d < 2; ++d)
        for (Index u = 0; u < H; ++u) {
          const T expected = beside[static_cast<std::size_t>((t * rows + b) * 2 * H + d * H + u)];
          const Index place = rows_first ? ((b * 2 + d) * steps + t) * H + u : ((t * 2 + d) * rows + b) * H + u;
          same = same && apart[static_cast<std::size_t>(place)] == expected;
          if (lengths && t >= ends[static_cast<std::size_t>(b)]) same = same && expected == 0;
        }
  CHECK(same, what + ": y");
}

template <class T>
void test_all(const Isa& isa) {
  test_gate_orders<T>(isa);
  for (const int threads : {1, 3}) {
    set_num_threads(threads);
    for (const auto& [steps, rows] : {std::pair<Index, Index>{1, 1}, {6, 1}, {5, 9}, {40, 26}, {300, 1}, {0, 3}})
      for (const bool lengths : {false, true})
        for (const bool rows_first : {false, true}) test_directions_apart<T>(steps, rows, lengths, rows_first, isa);
  }
}

}  // namespace

int main() {
  ignore_crowding(true);
  for (const Isa& isa : available_isas()) {
    test_all<float>(isa);
    test_all<double>(isa);
  }
  return test::finish("forms");
}
