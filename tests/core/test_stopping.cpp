// Calls that are given up: at any moment, on any number of threads, of every cell; what is left as it was, and that the
// next call has the bits of the first.
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "lstmfast/isa.h"
#include "lstmfast/network.h"
#include "lstmfast/stopping.h"
#include "lstmfast/streams.h"
#include "lstmfast/threads.h"
#include "random.h"

namespace {

using namespace lstmfast;
using test::Random;

// Goes on for so many questions.
struct Questions {
  int left;
  int asked = 0;
  std::thread::id thread = std::this_thread::get_id();

  static bool answer(void* own) noexcept {
    Questions& self = *static_cast<Questions*>(own);
    CHECK(std::this_thread::get_id() == self.thread, "asked on the call's own thread");
    ++self.asked;
    return self.left-- > 0;
  }
};

constexpr AskedToGoOn::Patience kAlways = {std::chrono::nanoseconds(0), 1};

// Whether the call was given up.
template <class Call>
bool gives_up(Questions& questions, const Call& call) {
  const AskedToGoOn asked(Questions::answer, &questions, kAlways);
  try {
    call();
  } catch (const GivenUp&) {
    return true;
  }
  return false;
}

struct Case {
  std::string name;
  NetworkShape shape;
  Index steps, rows;
  std::vector<Index> lengths;
};

NetworkShape shape_of(Cell cell, Index layers, Index directions, Index proj = 0, double zoneout = 0) {
  NetworkShape shape = {};
  shape.cell = cell;
  shape.input_size = 20;
  shape.hidden_size = 40;
  shape.num_layers = layers;
  shape.directions = directions;
  shape.bias = true;
  shape.projection_size = proj;
  shape.zoneout = zoneout;
  return shape;
}

class Problem {
 public:
  explicit Problem(const Case& of) : shape_(of.shape), steps_(of.steps), rows_(of.rows), lengths_(of.lengths) {
    Random random(3);
    const Index gate_rows = shape_.gates() * shape_.hidden_size, H = shape_.hidden_size, S = shape_.state_size();
    const auto make = [&](Index count) {
      weights_.push_back(random.vector<float>(count, 0.3));
      return weights_.back().data();
    };
    weights_.reserve(100);
    std::vector<PassParameters<const float>> parameters;
    for (Index pass = 0; pass < shape_.passes(); ++pass) {
      PassParameters<const float> w = {};
      w.weight_ih = make(gate_rows * shape_.layer_input(pass / shape_.directions));
      w.weight_hh = make(gate_rows * S);
      w.bias_ih = make(gate_rows);
      w.bias_hh = make(gate_rows);
      if (shape_.projection_size) w.weight_hr = make(shape_.projection_size * H);
      if (is_norm(shape_.cell)) {
        w.gain_ih = make(gate_rows), w.gain_hh = make(gate_rows);
        w.gain_c = make(H), w.bias_c = make(H);
      }
      parameters.push_back(w);
    }
    network_ = std::make_unique<Network<float>>(shape_, parameters.data(), kernels<float>(available_isas().front()));
    x_ = random.vector<float>(steps_ * rows_ * shape_.input_size);
    dy_ = random.vector<float>(steps_ * rows_ * shape_.directions * S);
    h0_ = random.vector<float>(shape_.passes() * rows_ * S);
    c0_ = random.vector<float>(shape_.passes() * rows_ * H);
  }

  const Network<float>& network() const { return *network_; }
  bool has_memory_cell() const { return has_memory(shape_.cell); }

  // The states are replaced in their place, as `h` and `c` say.
  std::vector<float> infer(std::vector<float>& h, std::vector<float>& c) const {
    std::vector<float> y(dy_.size());
    network_->infer(call(y, h, c));
    return y;
  }

  // All gradients one after the other; given up in the backward pass alone, or in both.
  std::vector<float> train(Questions* questions, bool* given_up) const {
    std::vector<float> y(dy_.size()), h = h0_, c = c0_, all(x_.size());
    const auto tape = network_->forward(call(y, h, c), {}, nullptr);
    BackwardCall<float> back = {};
    const Index row = shape_.directions * shape_.state_size();
    back.dy = {dy_.data(), rows_ * row, row};
    std::vector<float> dx(x_.size()), dh0(h0_.size()), dc0(c0_.size());
    back.dx = {dx.data(), rows_ * shape_.input_size, shape_.input_size};
    back.dh0 = dh0.data();
    back.dc0 = dc0.data();
    back.wants_state = true;
    std::vector<std::vector<float>> gradients = weights_;
    std::vector<PassParameters<float>> to;
    std::size_t k = 0;
    for (Index pass = 0; pass < shape_.passes(); ++pass) {
      PassParameters<float> g = {};
      g.weight_ih = gradients[k++].data(), g.weight_hh = gradients[k++].data();
      g.bias_ih = gradients[k++].data(), g.bias_hh = gradients[k++].data();
      if (shape_.projection_size) g.weight_hr = gradients[k++].data();
      if (is_norm(shape_.cell)) {
        g.gain_ih = gradients[k++].data(), g.gain_hh = gradients[k++].data();
        g.gain_c = gradients[k++].data(), g.bias_c = gradients[k++].data();
      }
      to.push_back(g);
    }
    back.gradients = to.data();
    if (questions)
      *given_up = gives_up(*questions, [&] { network_->backward(*tape, back); });
    else
      network_->backward(*tape, back);
    all = dx;
    for (const auto& more : gradients) all.insert(all.end(), more.begin(), more.end());
    all.insert(all.end(), dh0.begin(), dh0.end());
    return all;
  }

  std::vector<float> h0_, c0_;

 private:
  ForwardCall<float> call(std::vector<float>& y, std::vector<float>& h, std::vector<float>& c) const {
    ForwardCall<float> call = {};
    const Index row = shape_.directions * shape_.state_size();
    call.steps = steps_;
    call.rows = rows_;
    call.x = {x_.data(), rows_ * shape_.input_size, shape_.input_size};
    call.y = {y.data(), rows_ * row, row};
    call.h0 = h.data();
    call.h_n = h.data();
    if (has_memory(shape_.cell)) call.c0 = call.c_n = c.data();
    if (!lengths_.empty()) call.times.lengths = lengths_.data();
    return call;
  }

  NetworkShape shape_;
  Index steps_, rows_;
  std::vector<Index> lengths_;
  std::vector<std::vector<float>> weights_;
  std::unique_ptr<Network<float>> network_;
  std::vector<float> x_, dy_;
};

std::vector<Case> cases() {
  std::vector<Case> all = {
      {"lstm", shape_of(Cell::lstm, 1, 1), 30, 4, {}},
      {"one row", shape_of(Cell::lstm, 1, 1), 60, 1, {}},
      {"stack", shape_of(Cell::lstm, 3, 1), 40, 5, {}},
      {"both directions", shape_of(Cell::lstm, 2, 2), 20, 3, {}},
      {"lengths", shape_of(Cell::lstm, 2, 2), 20, 4, {7, 20, 0, 13}},
      {"projection", shape_of(Cell::lstm, 1, 1, 12), 20, 3, {}},
      {"zoneout", shape_of(Cell::lstm, 1, 1, 0, 0.25), 20, 3, {}},
      {"gru", shape_of(Cell::gru, 2, 1), 20, 3, {20, 20, 5}},
      {"gru, reset before", shape_of(Cell::gru_reset_before, 1, 1), 20, 3, {}},
      {"rnn", shape_of(Cell::rnn_tanh, 1, 2), 40, 9, {}},
      {"norm", shape_of(Cell::lstm_norm, 1, 1), 20, 3, {}},
  };
  return all;
}

void test_any_moment(int threads) {
  set_num_threads(threads);
  for (const Case& each : cases()) {
    const Problem problem(each);
    std::vector<float> h = problem.h0_, c = problem.c0_;
    const std::vector<float> wanted = problem.infer(h, c);
    const std::vector<float> wanted_h = h, wanted_c = c, gradients = problem.train(nullptr, nullptr);
    Questions forward = {1 << 30}, backward = {1 << 30};
    h = problem.h0_, c = problem.c0_;
    std::vector<float> y;
    CHECK(!gives_up(forward, [&] { y = problem.infer(h, c); }) && y == wanted && h == wanted_h, each.name);
    bool given_up = true;
    CHECK(problem.train(&backward, &given_up) == gradients && !given_up, each.name);
    CHECK(forward.asked > 5 && backward.asked > 5, each.name + ": asked all along");
    for (const int left : {0, 1, forward.asked / 2, forward.asked - 1}) {
      Questions some = {left};
      h = problem.h0_, c = problem.c0_;
      CHECK(gives_up(some, [&] { problem.infer(h, c); }), each.name + ": given up");
      CHECK(some.asked == left + 1, each.name + ": and nobody asked any more");
      CHECK(h == problem.h0_ && (c == problem.c0_ || !problem.has_memory_cell()), each.name + ": states as before");
      CHECK(problem.infer(h, c) == wanted && h == wanted_h && c == wanted_c, each.name + ": the next one is whole");
    }
    for (const int left : {0, backward.asked / 2, backward.asked - 1}) {
      Questions some = {left};
      problem.train(&some, &given_up);
      CHECK(given_up, each.name + ": given up backwards");
      CHECK(problem.train(nullptr, nullptr) == gradients, each.name + ": the next backward pass is whole");
    }
  }
}

// A stream's chunk leaves the stream where it was.
void test_streams() {
  const Case of = {"stack", shape_of(Cell::lstm, 2, 1), 30, 3, {}};
  const Problem problem(of);
  Streams<float> streams(of.shape, of.rows);
  Random random(1);
  const std::vector<float> x = random.vector<float>(of.steps * of.rows * 20);
  std::vector<float> y(static_cast<std::size_t>(of.steps * of.rows * 40)), h(240), c(240), h_after(240), c_after(240);
  const auto run = [&] { streams.run(problem.network(), of.steps, {x.data(), 60, 20}, {y.data(), 120, 40}); };
  run();
  streams.read(nullptr, of.rows, h.data(), c.data());
  Questions some = {10};
  CHECK(gives_up(some, run), "given up");
  streams.read(nullptr, of.rows, h_after.data(), c_after.data());
  CHECK(h == h_after && c == c_after, "the stream is where it was");
}

// Who asks in the midst of a call, with a call of its own, is asked for itself alone.
void test_calls_within() {
  const Problem problem(cases()[2]);
  struct Within {
    const Problem& problem;
    int asked = 0;
    static bool answer(void* own) noexcept {
      Within& self = *static_cast<Within*>(own);
      if (self.asked++ == 3) {
        Questions inner = {0};
        std::vector<float> h = self.problem.h0_, c = self.problem.c0_;
        CHECK(gives_up(inner, [&] { self.problem.infer(h, c); }), "the inner one is given up");
      }
      return true;
    }
  } within = {problem};
  std::vector<float> h = problem.h0_, c = problem.c0_;
  const std::vector<float> wanted = problem.infer(h, c);
  {
    const AskedToGoOn asked(Within::answer, &within, kAlways);
    h = problem.h0_, c = problem.c0_;
    CHECK(problem.infer(h, c) == wanted && within.asked > 4, "the outer one is not");
  }
  CHECK(!AskedToGoOn::here(), "and nobody asks any more");
}

void test_other_threads_are_not_asked() {
  const Problem problem(cases()[0]);
  Questions mine = {0};
  const AskedToGoOn asked(Questions::answer, &mine, kAlways);
  std::thread([&] {
    std::vector<float> h = problem.h0_, c = problem.c0_;
    problem.infer(h, c);
  }).join();
  CHECK(mine.asked == 0, "calls of other threads go on");
}

void test_patience() {
  const Problem problem(cases()[2]);
  Questions none = {0};
  const AskedToGoOn asked(Questions::answer, &none);
  std::vector<float> h = problem.h0_, c = problem.c0_;
  problem.infer(h, c);
  CHECK(none.asked == 0, "a brief call asks nobody");
}

}  // namespace

int main() {
  ignore_crowding(true);  // there may be more threads here than CPUs
  for (const int threads : {1, 3}) test_any_moment(threads);
  test_streams();
  test_calls_within();
  test_other_threads_are_not_asked();
  test_patience();
  return test::finish("stopping");
}
