// The backward pass of a training forward pass, from its arguments, its y and the tape that it left.
#include <cstring>

#include "core/buffer.h"
#include "jax/handler.h"

namespace lstmfast::jax {
namespace {

// Where gradients of the weights go; what nobody wants is null.
template <class T>
std::vector<PassParameters<T>> taken_gradients(const Request& request, Taking& results, std::vector<T>& unwanted) {
  std::vector<PassParameters<T>> gradients;
  const std::string& wanted = request.gradients;
  const NetworkShape& shape = request.shape;
  const auto count = static_cast<std::size_t>(shape.passes() * parameters_of_pass(shape));
  if (wanted.size() != count)
    throw std::invalid_argument("gradients: expected a sign for each of " + std::to_string(count) + " weights, got '" +
                                wanted + "'");
  std::size_t next = 0;
  for (Index pass = 0; pass < shape.passes(); ++pass) {
    PassParameters<T> g = {};
    for_parameters<T>(shape, pass, [&](auto member, const char* name, std::initializer_list<Index> sizes) {
      if (wanted[next++] == '1') g.*member = results.take<T>(name, sizes);
    });
    if (!g.bias_ih != !g.bias_hh) {  // the core makes both or none
      unwanted.resize(static_cast<std::size_t>(shape.gates() * shape.hidden_size));
      (g.bias_ih ? g.bias_hh : g.bias_ih) = unwanted.data();
    }
    gradients.push_back(g);
  }
  return gradients;
}

template <class T>
struct Backward {
  static void run(const Frame& frame, const Request& request, Sample sample) {
    Taking arguments(frame.arguments, "arguments", sample), results(frame.results, "results", sample);
    const NetworkShape& shape = request.shape;
    const Extent extent = extent_of(request, arguments.peek("x"));
    const Index P = shape.passes(), B = extent.rows, S = shape.state_size(), H = shape.hidden_size;
    const Index features = shape.directions * S, places = extent.steps * B;
    const bool memory = has_memory(shape.cell);

    ForwardCall<T> made = {};  // the call that left the tape
    made.steps = extent.steps;
    made.rows = B;
    made.x = taken_sequence<const T>(request, arguments, "x", extent, shape.input_size);
    const Sequence<const T> y = taken_sequence<const T>(request, arguments, "y", extent, features);
    made.y = {const_cast<T*>(y.data), y.step_stride, y.row_stride};  // which a tape reads
    TrainingOptions<T> options;
    const bool any = true;
    options.masks = request.gives("dropped") ? &any : nullptr;
    options.recompute = request.recompute;
    const Index numbers = Tape<T>::numbers(shape, places, B, options);
    const T* const tape = arguments.take<const T>("tape", {numbers + TapeArray<T>::fingerprint_numbers});
    const Times times = taken_times(request, arguments, extent.steps, B);
    made.times = times.row_times();
    options = options_of<T>(request, times);
    const Weights<T> weights(shape, arguments);

    BackwardCall<T> call = {};
    if (request.gives("dy")) call.dy = taken_sequence<const T>(request, arguments, "dy", extent, features);
    if (request.gives("dh_n")) call.dh_n = arguments.take<const T>("dh_n", {P, B, S});
    if (!memory && (request.gives("dc_n") || request.gives("dc")))
      throw std::invalid_argument("given: expected no dc_n and dc, this cell has no memory");
    if (request.gives("dc_n")) call.dc_n = arguments.take<const T>("dc_n", {P, B, H});
    if (request.gives("dc")) call.dc = taken_sequence<const T>(request, arguments, "dc", extent, shape.directions * H);
    arguments.end();

    if (request.wants("x")) call.dx = taken_sequence<T>(request, results, "dx", extent, shape.input_size);
    call.wants_state = request.wants("state");
    Buffer<T> scratch;
    if (call.wants_state) {
      call.dh0 = results.take<T>("dh0", {P, B, S});
      if (memory) call.dc0 = results.take<T>("dc0", {P, B, H});
    } else {
      const Index h = checked_product({P, B, S}), c = memory ? checked_product({P, B, H}) : 0;
      scratch = Buffer<T>(h + c);
      call.dh0 = scratch.data();
      if (memory) call.dc0 = scratch.data() + h;
    }
    std::vector<T> unwanted_bias;
    const std::vector<PassParameters<T>> gradients = taken_gradients(request, results, unwanted_bias);
    call.gradients = gradients.data();
    results.end();

    Fingerprint fingerprint;
    std::memcpy(fingerprint.data(), tape + numbers, sizeof fingerprint);
    const auto kept = network_of(shape, weights, fingerprint);
    const Network<T>& network = kept->network;
    Buffer<T> copy;
    if (numbers && !TapeArray<T>::aligned(tape)) {  // none of a call without steps or rows
      copy = Buffer<T>(numbers);
      std::memcpy(copy.data(), tape, static_cast<std::size_t>(copy.bytes()));
    }
    // A backward pass only reads it.
    T* const memory_of_tape = copy.data() ? copy.data() : const_cast<T*>(tape);
    const int threads = network.threads_of_use(extent.steps, B, get_num_threads());
    run_on_threads(frame, kept->asking, threads, 2 * shape.terms(places), [&] {
      const Tape<T> again(shape, made, options, memory_of_tape);
      network.backward(again, call);
    });
    has_been_trained(kept.get());
  }
};

}  // namespace

Error* backward(Frame* frame) { return handle<Backward>(frame); }

}  // namespace lstmfast::jax
