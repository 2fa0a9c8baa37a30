#include "onnxruntime/kernel.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "core/float_environment.h"
#include "lstmfast/threads.h"
#include "onnxruntime/arrays.h"
#include "onnxruntime/threading.h"
#include "onnxruntime/weights.h"

namespace lstmfast::onnxruntime {
namespace {

template <class T>
class Kernel : public KernelImpl {
 public:
  Kernel(const Api& api, const NodeSpec& spec, const Options& options, bool constant, const KernelInfo* info)
      : api_(api), spec_(spec), options_(options), weights_(api, spec, options.packing, constant, info) {
    Compute = [](KernelImpl* self, KernelContext* context) {
      Kernel& own = *static_cast<Kernel*>(self);
      return reporting(own.api_, [&] { own.run(context); });
    };
    Release = [](KernelImpl* self) { delete static_cast<Kernel*>(self); };
    PrePackWeight = [](KernelImpl* self, const Value* value, int input, void*, void*, bool* packed) {
      Kernel& own = *static_cast<Kernel*>(self);
      *packed = false;
      return reporting(own.api_, [&] { *packed = own.weights_.offered(value, input); });
    };
  }

 private:
  struct Call {
    Index steps, rows;           // T, B
    const T* x;                  // [T, B, I], or [B, T, I]
    std::vector<Index> lengths;  // [B]; empty: all are T
    const T* h0;                 // [D, B, H]; null is zero
    const T* c0;
  };

  void run(KernelContext* context) {
    const DefaultFloats floats;  // numbers of float16 are cast with those of float32
    const auto given = [&](int input) { return input_of(context, input); };
    const auto held = weights_.model(given);
    const Model<T>& model = *held.model;
    Room<T> rooms[3];
    const Call call = read(context, model, rooms);
    const Index D = spec_.directions, B = call.rows, H = model.hidden_size, steps = call.steps;
    const bool b_first = spec_.batchwise, half = spec_.element == kFloat16;

    const std::int64_t y_sizes[] = {b_first ? B : steps, b_first ? steps : D, b_first ? D : B, H};
    const std::int64_t state_sizes[] = {b_first ? B : D, b_first ? D : B, H};
    const Result<T> y(output(context, 0, y_sizes, 4), half, false, steps, D * B, H);
    const Result<T> h_n(output(context, 1, state_sizes, 3), half, b_first, D, B, H);
    const Result<T> c_n(output(context, 2, state_sizes, 3), half, b_first, spec_.has_memory() ? D : 0, B, H);

    ForwardCall<T> forward = {};
    forward.steps = steps;
    forward.rows = B;
    const Index I = model.input_size;
    forward.x = b_first ? Sequence<const T>{call.x, I, steps * I} : Sequence<const T>{call.x, B * I, I};
    forward.y = b_first ? Sequence<T>{y.data(), D * H, steps * D * H} : Sequence<T>{y.data(), D * B * H, H};
    if (!call.lengths.empty()) forward.times.lengths = call.lengths.data();
    if (B > 0) compute(context, model, forward, call, h_n.data(), c_n.data(), b_first ? H : B * H);
    lose_states(call, h_n.data(), c_n.data(), H);
    for (const Result<T>* const result : {&y, &h_n, &c_n}) result->give();
  }

  // y_direction: between the directions in y.
  void compute(KernelContext* context, const Model<T>& model, ForwardCall<T>& forward, const Call& call, T* h_n, T* c_n,
               Index y_direction) {
    const Index states = forward.rows * model.hidden_size;
    const int most = options_.threads ? options_.threads : get_num_threads();
    T* const y = forward.y.data;
    for (std::size_t k = 0; k < model.networks.size(); ++k) {
      const Network<T>& network = *model.networks[k];
      const auto first = static_cast<Index>(k);  // direction
      forward.y.data = y + first * y_direction;
      forward.direction_stride = network.shape().directions > 1 ? y_direction : 0;
      forward.h0 = call.h0 ? call.h0 + first * states : nullptr;
      forward.c0 = call.c0 ? call.c0 + first * states : nullptr;
      forward.h_n = h_n + first * states;
      forward.c_n = c_n + first * states;
      const int threads = most > 1 ? network.threads_of_use(forward.steps, forward.rows, most) : 1;
      threading_.run(api_, context, threads, network.shape().terms(forward.steps * forward.rows),
                     [&] { network.infer(forward); });
    }
  }

  // ONNX Runtime's own operators lose the initial state of a row without steps, and so do ours in its place. Those that
  // it has none of keep it.
  void lose_states(const Call& call, T* h_n, T* c_n, Index H) const {
    if (spec_.batchwise || spec_.element == kDouble || (call.steps > 0 && call.lengths.empty())) return;
    for (Index d = 0; d < spec_.directions; ++d)
      for (Index b = 0; b < call.rows; ++b) {
        if (call.steps > 0 && call.lengths[static_cast<std::size_t>(b)] > 0) continue;
        std::fill_n(h_n + (d * call.rows + b) * H, H, T(0));
        if (spec_.has_memory()) std::fill_n(c_n + (d * call.rows + b) * H, H, T(0));
      }
  }

  // One that the node has.
  Tensor input_of(const KernelContext* context, int input) const {
    const Value* value = nullptr;
    check(api_.KernelContext_GetInput()(context, static_cast<std::size_t>(input), &value));
    return tensor_of(api_, value);
  }

  Call read(const KernelContext* context, const Model<T>& model, Room<T>* rooms) const {
    Call call = {};
    const Tensor x = input_of(context, Input::x);
    if (x.rank != 3) throw std::invalid_argument(expected("X", "three axes", x));
    if (x.size(2) != model.input_size)
      throw std::invalid_argument(expected("X", std::to_string(model.input_size) + " numbers a step, as W has", x));
    call.x = taken<T>(x, false, rooms[0]);
    call.steps = x.size(spec_.batchwise ? 1 : 0);
    call.rows = x.size(spec_.batchwise ? 0 : 1);
    if (spec_.has_lengths) call.lengths = checked_lengths(input_of(context, Input::lengths), call);
    if (spec_.has_h0) call.h0 = initial(context, Input::initial_h, "initial_h", call.rows, model.hidden_size, rooms[1]);
    if (spec_.has_c0) call.c0 = initial(context, Input::initial_c, "initial_c", call.rows, model.hidden_size, rooms[2]);
    return call;
  }

  static std::vector<Index> checked_lengths(const Tensor& lengths, const Call& call) {
    if (!lengths.has_sizes({call.rows}))
      throw std::invalid_argument(
          expected("sequence_lens", "[" + std::to_string(call.rows) + "], one for each row", lengths));
    std::vector<Index> found;
    for (Index b = 0; b < call.rows; ++b) {
      std::int32_t length;
      std::memcpy(&length, lengths.as<char>() + b * static_cast<Index>(sizeof length), sizeof length);
      if (length < 0 || length > call.steps)
        throw std::invalid_argument("sequence_lens: expected 0 to " + std::to_string(call.steps) + ", got " +
                                    std::to_string(length) + " for row " + std::to_string(b));
      found.push_back(length);
    }
    // Plain calls are faster.
    const bool all = std::all_of(found.begin(), found.end(), [&](Index length) { return length == call.steps; });
    return all ? std::vector<Index>() : found;
  }

  // [D, B, H].
  const T* initial(const KernelContext* context, int input, const char* name, Index B, Index H, Room<T>& room) const {
    const Tensor state = input_of(context, input);
    const Index D = spec_.directions, first = spec_.batchwise ? B : D, second = spec_.batchwise ? D : B;
    if (!state.has_sizes({first, second, H}))
      throw std::invalid_argument(expected(name, shown({first, second, H}), state));
    return taken<T>(state, spec_.batchwise, room);
  }

  // Null where nobody wants it.
  void* output(KernelContext* context, std::size_t index, const std::int64_t* sizes, std::size_t rank) const {
    if (!spec_.wants[index]) return nullptr;
    Value* value = nullptr;
    void* data = nullptr;
    check(api_.KernelContext_GetOutput()(context, index, sizes, rank, &value));
    check(api_.GetTensorMutableData()(value, &data));
    return data;
  }

  const Api& api_;
  const NodeSpec spec_;
  const Options options_;
  NodeWeights<T> weights_;
  Threading threading_;
};

}  // namespace

KernelImpl* make_kernel(const Api& api, const NodeSpec& spec, const Options& options, bool constant,
                        const KernelInfo* info) {
  if (spec.element == kDouble) return new Kernel<double>(api, spec, options, constant, info);
  return new Kernel<float>(api, spec, options, constant, info);
}

}  // namespace lstmfast::onnxruntime
