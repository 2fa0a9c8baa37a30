// What inference takes from the heap: nothing for a step, and no more for a long sequence than for a short one.
#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "brief.h"
#include "check.h"
#include "core/spare.h"
#include "counting.h"
#include "lstmfast/isa.h"
#include "lstmfast/network.h"
#include "lstmfast/threads.h"
#include "random.h"

namespace {

using namespace lstmfast;
using test::Random;
using test::Taken;

// By one call of inference, whose outputs are there before.
template <class T>
class Inference {
 public:
  Inference(const NetworkShape& shape, const KernelTable<T>& kernels) : shape_(shape) {
    Random random(3);
    std::vector<PassParameters<const T>> parameters;
    for (Index pass = 0; pass < shape.passes(); ++pass) {
      const Index gate_rows = shape.gates() * shape.hidden_size;
      weights_.push_back(random.vector<T>(gate_rows * shape.layer_input(pass / shape.directions), 0.3));
      weights_.push_back(random.vector<T>(gate_rows * shape.hidden_size, 0.3));
    }
    for (std::size_t k = 0; k < weights_.size(); k += 2)
      parameters.push_back({weights_[k].data(), weights_[k + 1].data(), nullptr, nullptr});
    packed_ = test::taken_by([&] { network_ = std::make_unique<Network<T>>(shape, parameters.data(), kernels); });
  }

  Taken of(Index steps, Index rows, bool with_state) {
    const Index features = shape_.directions * shape_.hidden_size, state = shape_.passes() * rows * shape_.hidden_size;
    const auto x = std::vector<T>(static_cast<std::size_t>(steps * rows * shape_.input_size), T(0.5));
    auto y = std::vector<T>(static_cast<std::size_t>(steps * rows * features));
    auto h = std::vector<T>(static_cast<std::size_t>(state)), c = h;
    const T* const given_h = with_state ? h.data() : nullptr;  // replaced by the new state
    const T* const given_c = with_state ? c.data() : nullptr;
    const ForwardCall<T> call = {steps,    rows,    {x.data(), rows * shape_.input_size, shape_.input_size},
                                 given_h,  given_c, {y.data(), rows * features, features},
                                 h.data(), c.data()};
    return test::taken_by([&] { network_->infer(call); });
  }

  Taken packed() const { return packed_; }

 private:
  const NetworkShape shape_;
  std::vector<std::vector<T>> weights_;
  std::unique_ptr<Network<T>> network_;
  Taken packed_;
};

// What is kept for the next call is given out again, once, if it fits; what nobody wants for long is freed.
void test_spare() {
  constexpr Index size = 4 * kLeastSpareBytes;
  const auto memory_of = [](Index wanted) { return std::malloc(static_cast<std::size_t>(wanted)); };
  Index capacity = 0;
  drop_spares();
  void* const memory = memory_of(size);
  keep_spare(memory, size);
  CHECK(!take_spare(size + 1, capacity), "it is too small");
  CHECK(!take_spare(size / 2, capacity), "it is much too large");
  CHECK(take_spare(size - size / 16, capacity) == memory, "a little less is asked for");
  CHECK(capacity == size, "all of it is given");
  CHECK(!take_spare(size, capacity), "it is given once");
  keep_spare(memory, size);
  for (int request = 0; request <= kMostPassed; ++request) CHECK(!take_spare(2 * size, capacity), "too small");
  CHECK(!take_spare(size, capacity), "passed over so often, it was freed");
  keep_spare(memory_of(size), size);
  drop_spares();
  CHECK(!take_spare(size, capacity), "all are freed on demand");
  // More than may be kept is freed at once (which the sanitizers check).
  std::vector<void*> taken;
  constexpr Index eighth = kMostSpareBytes / 8;
  for (int n = 0; n < 10; ++n) keep_spare(memory_of(eighth), eighth);
  while (void* const kept = take_spare(eighth, capacity)) taken.push_back(kept);
  CHECK(taken.size() == 8, "as much as may be kept");
  for (void* const kept : taken) std::free(kept);
}

// Steps of training take nothing large from the system but the first times: whether the tape is freed before the next
// forward pass or after it, and with new weights at each step.
template <class T>
void test_training(const KernelTable<T>& kernels) {
  const NetworkShape shape = {Cell::lstm, 40, 64, 2, 1, false};
  const Index steps = 50, rows = 16, H = shape.hidden_size;
  Random random(3);
  std::vector<std::vector<T>> weights, gradients;
  std::vector<PassParameters<const T>> parameters;
  std::vector<PassParameters<T>> into;
  for (Index pass = 0; pass < 2; ++pass)
    for (const Index columns : {shape.layer_input(pass), H}) {
      weights.push_back(random.vector<T>(4 * H * columns, 0.3));
      gradients.push_back(weights.back());
    }
  for (std::size_t k = 0; k < weights.size(); k += 2) {
    parameters.push_back({weights[k].data(), weights[k + 1].data(), nullptr, nullptr});
    into.push_back({gradients[k].data(), gradients[k + 1].data(), nullptr, nullptr});
  }
  const auto x = random.vector<T>(steps * rows * 40);
  auto dx = x, y = random.vector<T>(steps * rows * H), state = random.vector<T>(4 * rows * H);
  T* const h = state.data();
  T* const c = h + 2 * rows * H;
  const ForwardCall<T> forward = {steps, rows, {x.data(), rows * 40, 40}, nullptr, nullptr, {y.data(), rows * H, H},
                                  h,     c};
  const BackwardCall<T> backward = {
      {y.data(), rows * H, H}, nullptr, nullptr, {dx.data(), rows * 40, 40}, h, c, into.data()};
  for (const bool rebound : {false, true})
    for (const bool updated : {false, true}) {
      auto network = std::make_unique<Network<T>>(shape, parameters.data(), kernels);
      std::unique_ptr<Tape<T>> tape;
      const auto step = [&] {
        auto next = network->forward(forward);
        tape = std::move(next);  // where it was rebound, the one before lived until now
        network->backward(*tape, backward);
        if (!rebound) tape.reset();
        if (updated) network = std::make_unique<Network<T>>(shape, parameters.data(), kernels);
      };
      for (int n = 0; n < 4; ++n) step();
      test::counting::large = 0;
      test::counting::on = true;
      for (int n = 0; n < 4; ++n) step();
      test::counting::on = false;
      CHECK(test::counting::large == 0, std::string(kernels.isa) + (rebound ? " rebound" : "") +
                                            (updated ? " updated" : "") + ": " + std::to_string(test::counting::large) +
                                            " large blocks in four steps");
    }
}

template <class T>
void test_memory(const KernelTable<T>& kernels) {
  constexpr Index size = sizeof(T);
  for (const Cell cell : {Cell::lstm, Cell::rnn_tanh}) {
    const std::string what =
        std::string(kernels.isa) + " f" + std::to_string(8 * size) + " cell " + std::to_string(static_cast<int>(cell));
    for (const Index hidden : {24, 64, 200}) {
      Inference<T> one({cell, 16, hidden, 1, 1, false}, kernels);
      for (const bool with_state : {false, true}) {
        CHECK(one.of(1, 1, with_state).allocations == 0, what + ": a step of one row");
        CHECK(one.of(1, 9, with_state).allocations == 0, what + ": a step of nine rows");
      }
      // Padded to whole panels, with a row of biases and a row of zeros: the weights once, and nothing like twice.
      const Index gates = gates_of(cell), width = kPanelVectors * kernels.lanes;
      const Index padded = (gates * hidden + width - 1) / width * width;
      const Index least = gates * hidden * (16 + hidden) * size;
      const Index most = padded * (1 + 16 + hidden) * size + hidden * size + 4096;
      const auto taken = static_cast<Index>(one.packed().bytes);
      CHECK(least <= taken && taken <= most, what + ": weights " + std::to_string(taken) + " bytes, expected " +
                                                 std::to_string(least) + " to " + std::to_string(most));
    }
    // Beyond the merged products of both lengths: then nothing may depend on the length.
    for (const Index layers : {1, 3})
      for (const Index rows : {2, 40}) {
        Inference<T> deep({cell, 16, 24, layers, 1, false}, kernels);
        const Index steps = rows == 2 ? 1500 : 80;  // longer than the chunks in which layers take turns
        const Taken shorter = deep.of(steps, rows, true), longer = deep.of(3 * steps, rows, true);
        CHECK(longer.bytes == shorter.bytes,
              what + ": " + std::to_string(layers) + " layers take " + std::to_string(shorter.bytes) +
                  " bytes, and for three times the steps " + std::to_string(longer.bytes));
        CHECK(longer.bytes < 2 * 1024 * 1024, what + ": scratch");
      }
    // Two directions need all of the layer before: y and one more of its size.
    Inference<T> both({cell, 16, 24, 3, 2, false}, kernels);
    const Index steps = 4000;
    CHECK(both.of(steps, 1, true).bytes <= static_cast<std::size_t>(steps * 48 * size + 128 * 1024),
          what + ": directions");
  }
}

}  // namespace

// Brief, on one ISA alone: what a call takes is the core's to know.
int main(int argc, char** argv) {
  const bool brief = test::asked_for("--brief", argc, argv);
  set_num_threads(1);
  test_spare();
  for (const Isa& isa : available_isas()) {
    test_training(*isa.f32);
    test_memory(*isa.f32);
    test_memory(*isa.f64);
    if (brief) break;
  }
  return test::finish("memory");
}
