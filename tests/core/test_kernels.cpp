// Every kernel of every ISA alone, at every edge of its tiles, against the same chains written plainly.
//
// The comparison is of bits: the plain version multiplies and adds with std::fma in the order that
// kernel_table.h promises. Only where the CPU has no FMA is `scalar` compared to rounding instead.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "check.h"
#include "lstmfast/isa.h"
#include "random.h"
#include "rounding.h"

namespace {

using namespace lstmfast;
using test::Random;

template <class T>
bool agree(T got, T want) {
  if (test::rounds_as_everywhere()) return got == want || (std::isnan(got) && std::isnan(want));
  return std::abs(got - want) <= std::abs(want) * T(1e-4) + T(1e-4);
}

// All bits of T at work: products of Random's own, which are floats, are exact in double, and one that is rounded twice
// would not show.
template <class T>
std::vector<T> numbers(Random& random, Index count, double scale = 1) {
  return random.vector<T>(count, 0.97 * scale);
}

// Memory with a guard behind it, so that a store past the end is seen.
template <class T>
struct Guarded {
  std::vector<T> memory;
  Index count;
  explicit Guarded(Index n) : memory(static_cast<std::size_t>(n + 16), T(-77)), count(n) {}
  explicit Guarded(const std::vector<T>& values) : Guarded(static_cast<Index>(values.size())) {
    std::copy(values.begin(), values.end(), memory.begin());
  }
  T* data() { return memory.data(); }
  T& operator[](Index k) { return memory[static_cast<std::size_t>(k)]; }
  bool intact() const {
    return std::all_of(memory.begin() + count, memory.end(), [](T v) { return v == T(-77); });
  }
};

template <class T>
const T& at(const std::vector<T>& v, Index k) {
  return v[static_cast<std::size_t>(k)];
}

// Columns of a packing: unit u of gate g among `groups` gates. Written from kernel_table.h alone.
struct Layout {
  Index groups, lanes, strip;
  Index width() const { return kPanelVectors * lanes; }
  Index units_per_panel() const { return groups > 1 ? lanes : width(); }
  Index panels(Index units) const { return (units + units_per_panel() - 1) / units_per_panel(); }
  Index panel(Index unit) const { return unit / units_per_panel(); }
  // Of `units` units.
  Index column(Index group, Index unit, Index units) const {
    if (groups > 1 && panel(unit) == panels(units) - 1) {
      const Index last = units - panel(unit) * lanes;  // how many are in this panel
      const Index apart = last * 4 <= lanes ? lanes / 4 : last * 2 <= lanes ? lanes / 2 : lanes;
      return group * apart + unit % lanes;
    }
    return groups > 1 ? group * lanes + unit % lanes : unit % width();
  }
  // Of row r of so many in each strip.
  std::size_t place(Index group, Index unit, Index units, Index r, Index of_strip) const {
    const Index side_by_side = strip * lanes, in_panel = column(group, unit, units);
    const Index before = panel(unit) * kPanelVectors / strip + in_panel / side_by_side;
    return static_cast<std::size_t>((before * of_strip + r) * side_by_side + in_panel % side_by_side);
  }
};

// Of two row counts, one asks for what comes next, however small it is.
Index asks(Index rows) { return rows / 2 % 2 == 0 ? 0 : kNeverAsk; }

std::string describe(const char* what, const char* isa, std::size_t bytes, Index a, Index b, Index c) {
  return std::string(what) + " " + isa + " f" + std::to_string(bytes * 8) + " sizes " + std::to_string(a) + " " +
         std::to_string(b) + " " + std::to_string(c);
}

// Rows as kernels take them: a stride apart, or listed.
template <class T>
class RowsOf {
 public:
  RowsOf(T* data, Index stride, Index rows, bool listed) : rows_{data, stride, nullptr} {
    for (Index r = 0; r < rows; ++r) addresses_.push_back(data + r * stride);
    if (listed && data) rows_ = {nullptr, 0, addresses_.data()};
  }
  RowsOf(const RowsOf&) = delete;
  operator Rows<T>() const { return rows_; }
  Places<T> places(Index rows) const { return {{rows_.data, 0, rows_.stride}, rows, rows_.listed}; }

 private:
  std::vector<T*> addresses_;
  Rows<T> rows_;
};

template <class T>
T activate(void (*function)(Index, const T*, T*), T x) {
  T y;
  function(1, &x, &y);
  return y;
}

template <class T>
void test_gate_product(const KernelTable<T>& k, Index rows, Index columns, Index hidden, Index gates, bool accumulate,
                       bool listed = false) {
  Random random(static_cast<std::uint64_t>(rows * 1000 + columns));
  const Layout layout = {1, k.lanes, k.strip};
  const auto w = numbers<T>(random, gates * hidden * columns);
  const auto dz = numbers<T>(random, rows * gates * hidden);
  std::vector<T> panels(static_cast<std::size_t>(layout.panels(columns) * gates * hidden * layout.width()), T(0));
  for (Index c = 0; c < columns; ++c)
    for (Index r = 0; r < gates * hidden; ++r)
      panels[layout.place(0, c, columns, r, gates * hidden)] = at(w, r * columns + c);
  Guarded<T> out(numbers<T>(random, rows * columns));
  const std::vector<T> before = out.memory;
  const RowsOf<const T> listed_dz(dz.data(), gates * hidden, rows, listed);
  const RowsOf<T> listed_out(out.data(), columns, rows, listed);
  // Or some of the rows as a second step, and the steps in descending order.
  const Index per_step = rows % 3 == 0 && rows > 0 ? rows / 3 : rows;
  const Index first = per_step ? rows - per_step : 0;
  GateProduct<T> product = {rows,
                            gates,
                            hidden,
                            columns,
                            0,
                            layout.panels(columns),
                            panels.data(),
                            listed_dz.places(rows),
                            listed_out.places(rows),
                            accumulate,
                            asks(rows)};
  if (!listed) {
    product.dz = {{dz.data() + first * gates * hidden, -per_step * gates * hidden, gates * hidden}, per_step, nullptr};
    product.out = {{out.data() + first * columns, -per_step * columns, columns}, per_step, nullptr};
  }
  k.gate_product(product);
  for (Index r = 0; r < rows; ++r)
    for (Index c = 0; c < columns; ++c) {
      T total = 0;
      for (Index g = 0; g < gates; ++g) {
        T chain = 0;
        for (Index u = 0; u < hidden; ++u)
          chain = std::fma(at(dz, (r * gates + g) * hidden + u), at(w, (g * hidden + u) * columns + c), chain);
        total = g == 0 ? chain : total + chain;
      }
      if (accumulate) total = at(before, r * columns + c) + total;
      CHECK(agree(out[r * columns + c], total), describe("gate_product", k.isa, sizeof(T), rows, columns, hidden));
    }
  CHECK(out.intact(), describe("gate_product guard", k.isa, sizeof(T), rows, columns, hidden));
}

template <class T>
void test_gradient_product(const KernelTable<T>& k, Index terms, Index rows, Index columns) {
  Random random(static_cast<std::uint64_t>(terms * 1000 + columns));
  const Layout layout = {1, k.lanes, k.strip};
  const Index panels = layout.panels(columns), width = layout.width(), tiles = (rows + k.row_tile - 1) / k.row_tile;
  const Index room = terms + 3;
  const auto dz = numbers<T>(random, terms * rows);
  const auto inputs = numbers<T>(random, panels * room * width);
  Guarded<T> dw(numbers<T>(random, panels * tiles * k.row_tile * width)), db(numbers<T>(random, rows));
  const std::vector<T> before = dw.memory, db_before = db.memory;
  std::vector<const T*> dz_rows;
  for (Index n = 0; n < terms; ++n) dz_rows.push_back(dz.data() + n * rows);
  k.gradient_product({terms, room, rows, columns, dz_rows.data(), inputs.data(), dw.data(), db.data()});
  const std::string what = describe("gradient_product", k.isa, sizeof(T), terms, rows, columns);
  for (Index r = 0; r < rows; ++r) {
    for (Index c = 0; c < columns; ++c) {
      const Index to = ((c / width * tiles + r / k.row_tile) * k.row_tile + r % k.row_tile) * width + c % width;
      T chain = 0;
      for (Index n = 0; n < terms; ++n)
        chain = std::fma(at(dz, n * rows + r), at(inputs, (c / width * room + n) * width + c % width), chain);
      CHECK(agree(dw[to], at(before, to) + chain), what);
    }
    T sum = 0;
    for (Index n = 0; n < terms; ++n) sum += at(dz, n * rows + r);
    CHECK(agree(db[r], at(db_before, r) + sum), what + " bias");
  }
  CHECK(dw.intact() && db.intact(), what + " guard");
}

// One step forward with the input product inside the step and made before it, then the step backward.
template <class T>
void test_steps(const KernelTable<T>& k, Cell cell, Index rows, Index input, Index hidden, Index state, bool descending,
                bool listed) {
  const auto which = static_cast<int>(cell);
  const Index gates = gates_of(cell);
  const bool memory = has_memory(cell);
  Random random(static_cast<std::uint64_t>(rows * 10000 + input * 100 + hidden));
  const Layout layout = {gates, k.lanes, k.strip};
  const Index panels = layout.panels(hidden), rows_of_k = 1 + input + state;
  const auto w = numbers<T>(random, gates * hidden * rows_of_k);  // [gate, unit][1 + I + S]
  std::vector<T> packed(static_cast<std::size_t>(panels * rows_of_k * layout.width()), T(0));
  for (Index g = 0; g < gates; ++g)
    for (Index u = 0; u < hidden; ++u)
      for (Index r = 0; r < rows_of_k; ++r)
        packed[layout.place(g, u, hidden, r, rows_of_k)] = at(w, (g * hidden + u) * rows_of_k + r);
  const auto x = numbers<T>(random, rows * input);
  const auto h = numbers<T>(random, rows * state);
  const auto c = numbers<T>(random, rows * hidden, 2);
  const RowsOf<const T> x_rows(x.data(), input, rows, listed), h_rows(h.data(), state, rows, listed);
  const RowsOf<const T> c_rows(memory ? c.data() : nullptr, hidden, rows, listed);

  for (const bool merged : {false, true}) {
    Guarded<T> h_out(rows * hidden), c_out(rows * hidden), kept(rows * gates * hidden);
    std::vector<T> z(static_cast<std::size_t>(rows * panels * layout.width()));
    const RowsOf<T> h_out_rows(h_out.data(), hidden, rows, listed);
    const RowsOf<T> c_out_rows(memory ? c_out.data() : nullptr, hidden, rows, listed);
    const RowsOf<T> gate_rows(kept.data(), gates * hidden, rows, listed);
    ForwardStep<T> step = {};
    step.rows = rows;
    step.input_size = input;
    step.hidden_size = hidden;
    step.state_size = state;
    step.panel_end = panels;
    step.descending = descending;
    step.panels = packed.data();
    step.x = x_rows;
    if (merged) {
      const Index per_step = rows % 2 == 0 && rows > 0 ? rows / 2 : rows;
      Places<const T> places = x_rows.places(rows);
      if (!listed) places = {{x.data(), per_step * input, input}, per_step, nullptr};
      k.input_product[which](
          {rows, input, hidden, state, 0, panels, packed.data(), places, z.data(), nullptr, asks(rows)});
      step.x = {};
      step.z = z.data();
      step.z_stride = panels * layout.width();
    }
    step.h = h_rows;
    step.c = c_rows;
    step.h_out = h_out_rows;
    step.c_out = c_out_rows;
    step.gates = gate_rows;
    step.ask_from = asks(rows);
    k.forward_step[which](step);

    const std::string what = describe(merged ? "forward merged" : "forward", k.isa, sizeof(T), rows, input, hidden);
    for (Index r = 0; r < rows; ++r)
      for (Index u = 0; u < hidden; ++u) {
        T a[4] = {};
        for (Index g = 0; g < gates; ++g) {
          const T* const row = &at(w, (g * hidden + u) * rows_of_k);
          T chain = row[0];
          for (Index n = 0; n < input; ++n) chain = std::fma(at(x, r * input + n), row[1 + n], chain);
          for (Index n = 0; n < state; ++n) chain = std::fma(at(h, r * state + n), row[1 + input + n], chain);
          a[g] = cell == Cell::rnn_relu             ? (T(0) > chain ? T(0) : chain)
                 : cell == Cell::rnn_tanh || g == 2 ? activate(k.tanh, chain)
                                                    : activate(k.sigmoid, chain);
          CHECK(agree(kept[(r * gates + g) * hidden + u], a[g]), what + " gate");
        }
        T expected = a[0];
        if (memory) {
          const T expected_c = std::fma(a[1], at(c, r * hidden + u), a[0] * a[2]);
          CHECK(agree(c_out[r * hidden + u], expected_c), what + " c");
          expected = a[3] * activate(k.tanh, expected_c);
        }
        CHECK(agree(h_out[r * hidden + u], expected), what + " h");
      }
    CHECK(h_out.intact() && c_out.intact() && kept.intact(), what + " guard");

    // Gates alone, as they are made anew: the same, and nothing else is written.
    Guarded<T> again(rows * gates * hidden);
    const std::vector<T> h_before = h_out.memory, c_before = c_out.memory;
    const RowsOf<T> again_rows(again.data(), gates * hidden, rows, listed);
    step.c = {};
    step.h_out = step.c_out = {};
    step.gates = again_rows;
    k.forward_step[which](step);
    CHECK(again.memory == kept.memory && h_out.memory == h_before && c_out.memory == c_before, what + " gates alone");
  }
}

template <class T>
void test_backward_step(const KernelTable<T>& k, Cell cell, Index rows, Index hidden, bool last, bool listed) {
  const auto which = static_cast<int>(cell);
  const Index gates = gates_of(cell);
  const bool memory = has_memory(cell);
  Random random(static_cast<std::uint64_t>(rows * 100 + hidden));
  const Layout layout = {1, k.lanes, k.strip};
  const Index panels = layout.panels(hidden), terms = gates * hidden;
  const auto w = numbers<T>(random, terms * hidden);  // [G*H, H]
  std::vector<T> packed(static_cast<std::size_t>(panels * terms * layout.width()), T(0));
  for (Index c = 0; c < hidden; ++c)
    for (Index r = 0; r < terms; ++r) packed[layout.place(0, c, hidden, r, terms)] = at(w, r * hidden + c);
  auto gate_values = numbers<T>(random, rows * terms);
  for (T& a : gate_values) a = std::abs(a);
  auto h_out = numbers<T>(random, rows * hidden);
  if (!h_out.empty() && cell == Cell::rnn_relu) h_out.back() = std::numeric_limits<T>::quiet_NaN();
  const auto c_out = numbers<T>(random, rows * hidden, 2);
  const auto c = numbers<T>(random, rows * hidden, 2), dh = numbers<T>(random, rows * hidden);
  const auto dy = numbers<T>(random, rows * hidden), dz_next = numbers<T>(random, rows * terms);
  Guarded<T> dc(numbers<T>(random, rows * hidden)), dz(rows * terms), m(rows * hidden);
  const std::vector<T> dc_before = dc.memory;
  const auto read = [&](const std::vector<T>& v, Index stride) {
    return RowsOf<const T>(v.data(), stride, rows, listed);
  };
  const RowsOf<const T> next_rows = read(dz_next, terms), dh_rows = read(dh, hidden), dy_rows = read(dy, hidden);
  const RowsOf<const T> gate_rows = read(gate_values, terms), h_rows = read(h_out, hidden);
  const RowsOf<const T> c_out_rows = read(c_out, hidden), c_rows = read(c, hidden);
  const RowsOf<T> dc_rows(dc.data(), hidden, rows, listed), dz_rows(dz.data(), terms, rows, listed);
  const RowsOf<T> m_rows(m.data(), hidden, rows, listed);
  BackwardStep<T> step = {};
  step.ask_from = asks(rows);
  step.rows = rows;
  step.hidden_size = hidden;
  step.panel_end = panels;
  step.panels = packed.data();
  if (!last) step.dz_next = next_rows;
  step.dh = dh_rows;
  step.dy = dy_rows;
  step.gates = gate_rows;
  step.h_out = h_rows;
  step.c_out = c_out_rows;
  step.c = c_rows;
  step.dc = dc_rows;
  step.dz = dz_rows;
  if (memory) step.m = m_rows;
  k.backward_step[which](step);

  const std::string what = describe("backward", k.isa, sizeof(T), rows, hidden, last);
  for (Index r = 0; r < rows; ++r)
    for (Index u = 0; u < hidden; ++u) {
      T arriving = at(dh, r * hidden + u);
      if (!last)
        for (Index g = 0; g < gates; ++g) {
          T chain = 0;
          for (Index n = 0; n < hidden; ++n)
            chain = std::fma(at(dz_next, r * terms + g * hidden + n), at(w, (g * hidden + n) * hidden + u), chain);
          arriving = g == 0 ? chain : arriving + chain;
        }
      const T d = at(dy, r * hidden + u) + arriving;
      const T out = at(h_out, r * hidden + u);
      const auto gate = [&](Index g) { return at(gate_values, r * terms + g * hidden + u); };
      const auto got = [&](Index g) { return dz[r * terms + g * hidden + u]; };
      if (cell == Cell::rnn_tanh) CHECK(agree(got(0), d * (1 - out * out)), what);
      if (cell == Cell::rnn_relu) CHECK(agree(got(0), out <= 0 ? T(0) : d), what);
      if (!memory) continue;
      const T i = gate(0), f = gate(1), g = gate(2), o = gate(3);
      const T tanh_c = activate(k.tanh, at(c_out, r * hidden + u));
      const T dc_out = std::fma(d * o, 1 - tanh_c * tanh_c, at(dc_before, r * hidden + u));
      CHECK(agree(got(0), dc_out * g * (i * (1 - i))), what + " i");
      CHECK(agree(got(1), dc_out * at(c, r * hidden + u) * (f * (1 - f))), what + " f");
      CHECK(agree(got(2), dc_out * i * (1 - g * g)), what + " g");
      CHECK(agree(got(3), d * tanh_c * (o * (1 - o))), what + " o");
      CHECK(agree(dc[r * hidden + u], dc_out * f), what + " dc");
      CHECK(agree(m[r * hidden + u], o * tanh_c), what + " m");
    }
  CHECK(dz.intact() && dc.intact() && m.intact(), what + " guard");
}

// A GRU's step forward, with the input product inside and made before it, and backward: slots [n, r, z, q].
template <class T>
void test_gru(const KernelTable<T>& k, Index rows, Index input, Index hidden, bool descending, bool listed) {
  const auto which = static_cast<int>(Cell::gru);
  const Index H = hidden, width = kPanelVectors * k.lanes, side_by_side = k.strip * k.lanes, terms = 3 * H;
  const Index panels = (H + k.lanes - 1) / k.lanes, rows_of_k = 1 + input + H;
  Random random(static_cast<std::uint64_t>(rows * 10000 + input * 100 + hidden));
  const auto w = numbers<T>(random, 4 * H * rows_of_k);  // [slot, unit][1 + I + H]; q's x and n's h are not read
  std::vector<T> packed(static_cast<std::size_t>(panels * width * rows_of_k), T(0));
  for (Index slot = 0; slot < 4; ++slot)
    for (Index u = 0; u < H; ++u)
      for (Index r = 0; r < rows_of_k; ++r) {
        const Index strip = u / k.lanes * (kPanelVectors / k.strip) + slot / k.strip;
        const Index to = (strip * rows_of_k + r) * side_by_side + slot % k.strip * k.lanes + u % k.lanes;
        packed[static_cast<std::size_t>(to)] = at(w, (slot * H + u) * rows_of_k + r);
      }
  const auto x = numbers<T>(random, rows * input), h = numbers<T>(random, rows * H);
  const RowsOf<const T> x_rows(x.data(), input, rows, listed), h_rows(h.data(), H, rows, listed);
  std::vector<T> first;
  for (const bool merged : {false, true}) {
    Guarded<T> h_out(rows * H), kept(rows * 4 * H), again(rows * 4 * H);
    std::vector<T> z(static_cast<std::size_t>(rows * panels * width));
    const RowsOf<T> h_out_rows(h_out.data(), H, rows, listed), kept_rows(kept.data(), 4 * H, rows, listed);
    const RowsOf<T> again_rows(again.data(), 4 * H, rows, listed);
    ForwardStep<T> step = {};
    step.rows = rows;
    step.input_size = input;
    step.hidden_size = step.state_size = H;
    step.panel_end = panels;
    step.descending = descending;
    step.panels = packed.data();
    step.x = x_rows;
    if (merged) {
      k.input_product[which](
          {rows, input, H, H, 0, panels, packed.data(), x_rows.places(rows), z.data(), nullptr, asks(rows)});
      step.x = {};
      step.z = z.data();
      step.z_stride = panels * width;
    }
    step.h = h_rows;
    step.h_out = h_out_rows;
    step.gates = kept_rows;
    k.forward_step[which](step);
    const std::string what = describe(merged ? "gru merged" : "gru", k.isa, sizeof(T), rows, input, H);
    for (Index r = 0; r < rows; ++r)
      for (Index u = 0; u < H; ++u) {
        T sums[4];
        for (Index slot = 0; slot < 4; ++slot) {
          const T* const row = &at(w, (slot * H + u) * rows_of_k);
          sums[slot] = row[0];
          if (slot < 3)
            for (Index n = 0; n < input; ++n) sums[slot] = std::fma(at(x, r * input + n), row[1 + n], sums[slot]);
          if (slot > 0)
            for (Index n = 0; n < H; ++n) sums[slot] = std::fma(at(h, r * H + n), row[1 + input + n], sums[slot]);
        }
        const T reset = activate(k.sigmoid, sums[1]), gate = activate(k.sigmoid, sums[2]);
        const T candidate = activate(k.tanh, std::fma(reset, sums[3], sums[0]));
        const T want[4] = {candidate, reset, gate, sums[3]};
        for (Index slot = 0; slot < 4; ++slot)
          CHECK(agree(kept[(r * 4 + slot) * H + u], want[slot]), what + " slot " + std::to_string(slot));
        CHECK(agree(h_out[r * H + u], std::fma(gate, at(h, r * H + u) - candidate, candidate)), what + " h");
      }
    CHECK(h_out.intact() && kept.intact(), what + " guard");
    step.h_out = {};
    step.gates = again_rows;
    k.forward_step[which](step);
    CHECK(again.memory == kept.memory, what + " gates alone");
    first = kept.memory;
  }

  const Layout layout = {1, k.lanes, k.strip};
  const auto w_back = numbers<T>(random, terms * H);  // [3 H, H]
  std::vector<T> packed_back(static_cast<std::size_t>(layout.panels(H) * terms * layout.width()), T(0));
  for (Index c = 0; c < H; ++c)
    for (Index r = 0; r < terms; ++r) packed_back[layout.place(0, c, H, r, terms)] = at(w_back, r * H + c);
  const auto dz_next = numbers<T>(random, rows * terms), dh = numbers<T>(random, rows * H);
  const auto dy = numbers<T>(random, rows * H), carry_before = numbers<T>(random, rows * H);
  for (const bool last : {false, true}) {
    Guarded<T> dz(rows * 4 * H), carry(carry_before);
    const RowsOf<const T> next_rows(dz_next.data(), terms, rows, listed), dh_rows(dh.data(), H, rows, listed);
    const RowsOf<const T> dy_rows(dy.data(), H, rows, listed), gate_rows(first.data(), 4 * H, rows, listed);
    const RowsOf<T> dz_rows(dz.data(), 4 * H, rows, listed), carry_rows(carry.data(), H, rows, listed);
    BackwardStep<T> step = {};
    step.ask_from = asks(rows);
    step.rows = rows;
    step.hidden_size = H;
    step.panel_end = layout.panels(H);
    step.descending = descending;
    step.panels = packed_back.data();
    if (!last) step.dz_next = next_rows;
    step.dh = dh_rows;
    step.dy = dy_rows;
    step.gates = gate_rows;
    step.h = h_rows;
    step.carry = carry_rows;
    step.dz = dz_rows;
    k.backward_step[which](step);
    const std::string what = describe("gru backward", k.isa, sizeof(T), rows, H, last);
    for (Index r = 0; r < rows; ++r)
      for (Index u = 0; u < H; ++u) {
        T from_next = at(dh, r * H + u);
        if (!last) {
          T arriving = 0;
          for (Index g = 0; g < 3; ++g) {
            T chain = 0;
            for (Index n = 0; n < H; ++n)
              chain = std::fma(at(dz_next, r * terms + g * H + n), at(w_back, (g * H + n) * H + u), chain);
            arriving = g == 0 ? chain : arriving + chain;
          }
          from_next = arriving + at(carry_before, r * H + u);
        }
        const T d = at(dy, r * H + u) + from_next;
        const auto gate = [&](Index slot) { return at(first, (r * 4 + slot) * H + u); };
        const T n = gate(0), reset = gate(1), update = gate(2), q = gate(3);
        const T dn = d * (1 - update) * (1 - n * n);
        const T want[4] = {dn, dn * q * (reset * (1 - reset)), d * (at(h, r * H + u) - n) * (update * (1 - update)),
                           dn * reset};
        for (Index slot = 0; slot < 4; ++slot)
          CHECK(agree(dz[(r * 4 + slot) * H + u], want[slot]), what + " slot " + std::to_string(slot));
        CHECK(agree(carry[r * H + u], d * update), what + " carry");
      }
    CHECK(dz.intact() && carry.intact(), what + " guard");
  }
}

template <class T>
void test_table(const KernelTable<T>& k) {
  const Index width = kPanelVectors * k.lanes;
  std::vector<Index> rows, sizes = {1, 2, k.lanes - 1, k.lanes, k.lanes + 1, 3 * k.lanes, width, width + 1};
  for (Index r = 0; r <= k.row_tile + 1; ++r) rows.push_back(r);
  rows.push_back(2 * k.row_tile + 1);
  rows.push_back(8 * k.row_tile + 1);  // more than a group
  std::sort(sizes.begin(), sizes.end());
  sizes.erase(std::unique(sizes.begin(), sizes.end()), sizes.end());
  sizes.erase(std::remove(sizes.begin(), sizes.end(), 0), sizes.end());
  for (const Index r : rows)
    for (const Index n : sizes) {
      test_gate_product(k, r, n, Index(5), 4, false);
      test_gate_product(k, r, n, Index(3), 1, true);
      test_gate_product(k, r, n, Index(3), 4, true, true);
      test_gru(k, r, Index(3), n, n % 2 == 0, r % 2 == 0);
      for (const Cell cell : {Cell::lstm, Cell::rnn_tanh, Cell::rnn_relu}) {
        test_steps(k, cell, r, Index(3), n, n, n % 2 == 0, false);
        test_steps(k, cell, r, Index(3), n, (n + 1) / 2, n % 2 == 1, true);
        test_backward_step(k, cell, r, n, r % 2 == 0, false);
        test_backward_step(k, cell, r, n, r % 2 == 1, true);
      }
    }
  // Every way to cut rows into tiles, and several panels, which tiles may go across; the last one with one to four
  // vectors.
  for (const Index r : {4, 7, 8, 10, 11, 16, 22, 50, 53}) {
    for (const Index blocks : {9, 10, 11, 12, 13}) {
      const Index n = (blocks - 1) * k.lanes + 1;
      test_gate_product(k, r, n, Index(2), 4, blocks % 2 == 0, r % 2 == 0);
      test_steps(k, Cell::rnn_tanh, r, Index(2), n, Index(3), r % 2 == 0, false);
      test_backward_step(k, Cell::rnn_relu, r, n, r % 2 == 0, false);
    }
    for (const Index panels : {2, 3, 4})
      test_steps(k, Cell::lstm, r, Index(3), panels * k.lanes - 1, Index(2), panels % 2 == 0, r % 2 == 0);
  }
  for (const Index terms : {63, 64, 257}) {
    test_gate_product(k, k.row_tile + 1, Index(2), terms, 1, false);
    test_steps(k, Cell::lstm, k.row_tile + 1, terms, Index(2), Index(2), false, false);
  }
  // So many terms that tiles may be cut otherwise.
  for (Index r = 1; r <= k.row_tile + 1; ++r) {
    test_gate_product(k, r, width + 1, Index(1001), 1, false);
    test_steps(k, Cell::lstm, r, Index(3), Index(2), Index(1001), false, false);
  }
  // So many panels and rows that factors may be copied, of more tiles than at once.
  for (const Index terms : {1, 6, 128}) test_gradient_product(k, terms, 17 * k.row_tile + 1, 7 * width - 1);
  for (const Index n : sizes)
    for (const Index terms : {0, 1, 2, 17})
      for (const Index r : {k.row_tile - 1, 3 * k.row_tile, 3 * k.row_tile + 1}) test_gradient_product(k, terms, r, n);
}

}  // namespace

int main() {
  for (const Isa& isa : available_isas()) {
    test_table(*isa.f32);
    test_table(*isa.f64);
  }
  return test::finish("kernels");
}
