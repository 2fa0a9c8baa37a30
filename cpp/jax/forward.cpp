// Forward passes: inference, and training, which leaves a tape.
#include <cstring>

#include "core/buffer.h"
#include "jax/handler.h"
#include "lstmfast/jax.h"

namespace lstmfast::jax {
namespace {

template <class T, bool training>
struct Forward {
  static void run(const Frame& frame, const Request& request, Sample sample) {
    Taking arguments(frame.arguments, "arguments", sample), results(frame.results, "results", sample);
    const NetworkShape& shape = request.shape;
    const Extent extent = extent_of(request, arguments.peek("x"));
    const Index P = shape.passes(), B = extent.rows, S = shape.state_size(), H = shape.hidden_size;
    const bool memory = has_memory(shape.cell);
    if (!training && request.gives("dropped")) throw std::invalid_argument("dropped: expected none in inference");

    ForwardCall<T> call = {};
    call.steps = extent.steps;
    call.rows = B;
    call.x = taken_sequence<const T>(request, arguments, "x", extent, shape.input_size);
    if (request.gives("h0")) call.h0 = arguments.take<const T>("h0", {P, B, S});
    if (!memory && request.gives("c0")) throw std::invalid_argument("given: expected no c0, this cell has no memory");
    if (request.gives("c0")) call.c0 = arguments.take<const T>("c0", {P, B, H});
    const Times times = taken_times(request, arguments, extent.steps, B);
    call.times = times.row_times();
    const Weights<T> weights(shape, arguments);
    arguments.end();

    call.y = taken_sequence<T>(request, results, "y", extent, shape.directions * S);
    call.h_n = results.take<T>("h_n", {P, B, S});
    if (memory) call.c_n = results.take<T>("c_n", {P, B, H});
    if (request.wants("c")) {
      if (!memory) throw std::invalid_argument("wanted: expected no c, this cell has no memory");
      call.c = taken_sequence<T>(request, results, "c", extent, shape.directions * H);
    }
    const TrainingOptions<T> options = options_of<T>(request, times);
    const Index numbers = training ? Tape<T>::numbers(shape, extent.steps * B, B, options) : 0;
    T* tape = nullptr;
    if (training) tape = results.take<T>("tape", {numbers + TapeArray<T>::fingerprint_numbers});
    results.end();

    const Fingerprint fingerprint = fingerprint_of(weights);
    const auto kept = network_of(shape, weights, fingerprint);
    const Network<T>& network = kept->network;
    const int threads = network.threads_of_use(extent.steps, B, get_num_threads());
    run_on_threads(frame, kept->asking, threads, shape.terms(extent.steps * B), [&] {
      if (!training) return network.infer(call);
      if (!numbers || TapeArray<T>::aligned(tape)) {  // none of a call without steps or rows
        network.forward(call, options, tape);
      } else {
        const Buffer<T> own(numbers);
        network.forward(call, options, own.data());
        std::memcpy(tape, own.data(), static_cast<std::size_t>(own.bytes()));
      }
      std::memcpy(tape + numbers, fingerprint.data(), sizeof fingerprint);
    });
  }
};

template <class T>
using Inference = Forward<T, false>;
template <class T>
using Training = Forward<T, true>;

}  // namespace

Error* infer(Frame* frame) { return handle<Inference>(frame); }
Error* forward(Frame* frame) { return handle<Training>(frame); }

const std::vector<Handler>& handlers() {
  static const std::vector<Handler> all = {{"lstmfast_infer", reinterpret_cast<void*>(&infer)},
                                           {"lstmfast_forward", reinterpret_cast<void*>(&forward)},
                                           {"lstmfast_backward", reinterpret_cast<void*>(&backward)}};
  return all;
}

template <class T>
Index tape_numbers(const NetworkShape& shape, Index places, Index rows, const TrainingOptions<T>& options) {
  return Tape<T>::numbers(shape, places, rows, options) + TapeArray<T>::fingerprint_numbers;
}
template Index tape_numbers(const NetworkShape&, Index, Index, const TrainingOptions<float>&);
template Index tape_numbers(const NetworkShape&, Index, Index, const TrainingOptions<double>&);

}  // namespace lstmfast::jax
