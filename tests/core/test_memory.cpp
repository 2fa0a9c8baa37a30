// What inference takes from the heap: nothing for a step, and no more for a long sequence than for a short one.
//
// All that the core allocates comes from posix_memalign (its buffers) or operator new (containers), which this
// program replaces by its own that count.
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "check.h"
#include "core/spare.h"
#include "lstmfast/isa.h"
#include "lstmfast/network.h"
#include "lstmfast/threads.h"
#include "random.h"

#if defined(__GNUC__) && !defined(__clang__)
// GCC sees free() for what came from operator new, and not that both are ours.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif

namespace {

std::atomic<bool> counting{false};
std::atomic<long> allocations{0};
std::atomic<std::size_t> bytes{0};

void* counted(std::size_t alignment, std::size_t size) {
  if (counting) {
    ++allocations;
    bytes += size;
  }
  return std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}

}  // namespace

extern "C" int posix_memalign(void** memory, std::size_t alignment, std::size_t size) {
  *memory = counted(alignment, size);
  return *memory ? 0 : 12;  // ENOMEM
}
void* operator new(std::size_t size) {
  if (void* const memory = counted(alignof(std::max_align_t), size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

using namespace lstmfast;
using test::Random;

struct Taken {
  long allocations;
  std::size_t bytes;
};

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
    packed_ = measure([&] { network_ = std::make_unique<Network<T>>(shape, parameters.data(), kernels); });
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
    return measure([&] { network_->infer(call); });
  }

  Taken packed() const { return packed_; }

 private:
  template <class Work>
  static Taken measure(Work&& work) {
    Index capacity = 0;
    CHECK(!take_spare(Index(1) << 50, capacity), "nothing of that size was kept, and now nothing is");
    allocations = 0;
    bytes = 0;
    counting = true;
    work();
    counting = false;
    return {allocations, bytes};
  }

  const NetworkShape shape_;
  std::vector<std::vector<T>> weights_;
  std::unique_ptr<Network<T>> network_;
  Taken packed_;
};

// What is kept for the next call is given out again, once, if it fits, and dropped when something else is asked for.
void test_spare() {
  constexpr Index size = 4 * kLeastSpareBytes;
  Index capacity = 0;
  take_spare(Index(1) << 50, capacity);
  void* const memory = std::malloc(static_cast<std::size_t>(size));
  keep_spare(memory, size);
  CHECK(take_spare(size - size / 16, capacity) == memory, "a little less is asked for");
  CHECK(capacity == size, "all of it is given");
  CHECK(!take_spare(size, capacity), "it is given once");
  keep_spare(memory, size);
  CHECK(!take_spare(size + 1, capacity), "it is too small");
  CHECK(!take_spare(size, capacity), "so it was dropped");
  keep_spare(std::malloc(static_cast<std::size_t>(size)), size);
  CHECK(!take_spare(size / 2, capacity), "it is much too large");
  // More than may be kept is freed at once (which the sanitizers check).
  std::vector<void*> taken;
  for (Index all = 0; all < kMostSpareBytes + size; all += kMostSpareBytes / 8)
    keep_spare(std::malloc(static_cast<std::size_t>(kMostSpareBytes / 8)), kMostSpareBytes / 8);
  while (void* const kept = take_spare(kMostSpareBytes / 8, capacity)) taken.push_back(kept);
  CHECK(taken.size() == 8, "as much as may be kept");
  for (void* const kept : taken) std::free(kept);
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

int main() {
  set_num_threads(1);
  test_spare();
  for (const Isa& isa : available_isas()) {
    test_memory(*isa.f32);
    test_memory(*isa.f64);
  }
  return test::finish("memory");
}
