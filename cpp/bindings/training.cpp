#include "bindings/training.h"

#include <vector>

#include <pybind11/stl.h>

#include "bindings/gil.h"

namespace lstmfast::bindings {
namespace {

// A tape with what it refers to: arrays must outlive it, and backward must know whose it is.
template <class T>
struct BoundTape {
  std::shared_ptr<const Network<T>> network;
  Array<T> x, y;
  std::optional<Array<bool>> masks;
  OptionalArray<T> memory;  // the block; none where it is the tape's own
  bool batch_first;
  std::unique_ptr<Tape<T>> tape = nullptr;
};

// What a forward pass keeps, as a call says it.
template <class T>
struct GivenTraining {
  bool recompute;
  std::optional<Array<bool>> masks;
  T mask_scale;
  OptionalArray<T> memory;

  TrainingOptions<T> checked(const NetworkShape& shape, const ForwardArrays<T>& arrays) const {
    const Index features = shape.directions * shape.state_size();
    TrainingOptions<T> options;
    options.recompute = recompute;
    options.scale = mask_scale;
    options.masks =
        arrays.y.ndim() == 2
            ? dense_or_null(masks, {shape.num_layers - 1, arrays.y.shape(0), features}, "masks")
            : dense_or_null(masks, {shape.num_layers - 1, arrays.call.steps, arrays.call.rows, features}, "masks");
    return options;
  }

  T* block(const NetworkShape& shape, const ForwardArrays<T>& arrays, const TrainingOptions<T>& options) const {
    if (!memory) return nullptr;
    dense(*memory, {Tape<T>::numbers(shape, arrays.places(), arrays.call.rows, options)}, "memory");
    if (reinterpret_cast<std::uintptr_t>(memory->data()) % 64)
      throw std::invalid_argument("memory: expected alignment to 64 bytes");
    if (!memory->writeable()) throw std::invalid_argument("memory: expected a writeable array");
    return const_cast<T*>(memory->data());
  }
};

// Only weights of T have what training needs.
template <class T>
const NetworkShape& trainable_shape(const Shared<Network<T>>& network) {
  if (existing(network).weights() != Weights::native)
    throw std::invalid_argument("network: expected weights of the network's dtype, got smaller ones, for inference");
  return network->shape();
}

template <class T>
py::tuple forward(const Shared<Network<T>>& network, const Array<T>& x, const OptionalArray<T>& h0,
                  const OptionalArray<T>& c0, bool batch_first, const std::optional<Array<Index>>& lengths,
                  const std::optional<Array<bool>>& reset, bool recompute, const std::optional<Array<bool>>& masks,
                  T mask_scale, const OptionalArray<T>& y, const OptionalArray<T>& h_n, const OptionalArray<T>& c_n,
                  const OptionalArray<T>& memory, int threads) {
  const NetworkShape& shape = trainable_shape(network);
  ForwardArrays<T> arrays(shape, x, batch_first, {lengths, reset}, y);
  arrays.take_states(shape, h0, c0, {y, h_n, c_n});
  const GivenTraining<T> given = {recompute, masks, mask_scale, memory};
  const TrainingOptions<T> options = given.checked(shape, arrays);
  T* const block = given.block(shape, arrays, options);
  auto bound = std::make_shared<BoundTape<T>>(BoundTape<T>{network, x, arrays.y, masks, memory, batch_first});
  const BorrowedThreads borrowed(threads);
  without_gil([&] { bound->tape = network->forward(arrays.call, options, block); });
  return py::make_tuple(arrays.y, arrays.h_n, arrays.c_n, std::move(bound));
}

// The tape that forward() filled `memory` for, made again.
template <class T>
std::shared_ptr<BoundTape<T>> tape_of(const Shared<Network<T>>& network, const Array<T>& x, const Array<T>& y,
                                      const Array<T>& memory, bool batch_first,
                                      const std::optional<Array<Index>>& lengths,
                                      const std::optional<Array<bool>>& reset, bool recompute,
                                      const std::optional<Array<bool>>& masks, T mask_scale) {
  const NetworkShape& shape = trainable_shape(network);
  const ForwardArrays<T> arrays(shape, x, batch_first, {lengths, reset}, y);
  const GivenTraining<T> given = {recompute, masks, mask_scale, memory};
  const TrainingOptions<T> options = given.checked(shape, arrays);
  T* const block = given.block(shape, arrays, options);
  auto bound = std::make_shared<BoundTape<T>>(BoundTape<T>{network, x, y, masks, memory, batch_first});
  bound->tape = std::make_unique<Tape<T>>(shape, arrays.call, options, block);
  return bound;
}

// Which gradients a caller wants: x, state, and each parameter in the network's order.
struct Wanted {
  bool x, state;
  std::vector<bool> parameters;

  Wanted(const std::optional<std::vector<bool>>& given, Index parameter_count) {
    const auto count = static_cast<std::size_t>(parameter_count);
    if (given && given->size() != count + 2)
      throw std::invalid_argument("wanted: expected " + std::to_string(count + 2) + " bools, got " +
                                  std::to_string(given->size()));
    x = !given || (*given)[0];
    state = !given || (*given)[1];
    parameters = given ? std::vector<bool>(given->begin() + 2, given->end()) : std::vector<bool>(count, true);
  }
};

// New arrays for the parameters' gradients, None where one is not wanted.
template <class T>
struct ParameterGradients {
  py::list arrays;
  std::vector<PassParameters<T>> pointers;

  ParameterGradients(const NetworkShape& shape, const std::vector<bool>& wanted) {
    const Index gate_rows = shape.gates() * shape.hidden_size, S = shape.state_size();
    std::size_t next = 0;
    const auto add = [&](std::initializer_list<Index> sizes) -> T* {
      if (!wanted[next++]) {
        arrays.append(py::none());
        return nullptr;
      }
      Array<T> array = new_array<T>(sizes);
      arrays.append(array);
      return array.mutable_data();
    };
    for (Index pass = 0; pass < shape.passes(); ++pass) {
      PassParameters<T> g = {};
      g.weight_ih = add({gate_rows, shape.layer_input(pass / shape.directions)});
      g.weight_hh = add({gate_rows, S});
      if (shape.bias) {
        g.bias_ih = add({gate_rows});
        g.bias_hh = add({gate_rows});
      }
      if (shape.projection_size) g.weight_hr = add({shape.projection_size, shape.hidden_size});
      pointers.push_back(g);
    }
  }
};

template <class T>
py::tuple backward(const Shared<Network<T>>& network, const Shared<BoundTape<T>>& bound, const OptionalArray<T>& dy,
                   const OptionalArray<T>& dh_n, const OptionalArray<T>& dc_n,
                   const std::optional<std::vector<bool>>& wanted_list, int threads) {
  const NetworkShape& shape = existing(network).shape();
  if (existing(bound).network != network) throw std::invalid_argument("tape: expected one from this network's forward");
  const Tape<T>& tape = *bound->tape;
  const Index steps = tape.steps(), B = tape.rows(), H = shape.hidden_size, S = shape.state_size();
  const Index features = shape.directions * S, outer = bound->batch_first ? B : steps;
  const Index inner = bound->batch_first ? steps : B;
  const bool packed = bound->x.ndim() == 2, memory = has_memory(shape.cell);
  if (dc_n && !memory) throw std::invalid_argument("dc_n: expected None, this cell has no memory");
  const Wanted wanted(wanted_list, shape.passes() * parameters_of_pass(shape));

  BackwardCall<T> call = {};
  if (dy && packed) {
    require_shape(*dy, {tape.places(), features}, "dy");
    call.dy = packed_sequence(*dy, "dy");
  } else if (dy) {
    require_shape(*dy, {outer, inner, features}, "dy");
    call.dy = sequence(*dy, bound->batch_first, "dy");
  }
  call.dh_n = dense_or_null(dh_n, {shape.passes(), B, S}, "dh_n");
  call.dc_n = dense_or_null(dc_n, {shape.passes(), B, H}, "dc_n");
  OptionalArray<T> dx, dc0;
  if (wanted.x) {
    dx = packed ? new_array<T>({tape.places(), shape.input_size}) : new_array<T>({outer, inner, shape.input_size});
    call.dx = writable_sequence(*dx, bound->batch_first);
  }
  Array<T> dh0 = new_array<T>({shape.passes(), B, S});
  call.dh0 = dh0.mutable_data();
  if (memory) {
    dc0 = new_array<T>({shape.passes(), B, H});
    call.dc0 = dc0->mutable_data();
  }
  call.wants_state = wanted.state;
  const ParameterGradients<T> gradients(shape, wanted.parameters);
  std::vector<PassParameters<T>> pointers = gradients.pointers;
  std::vector<T> unwanted_bias;  // the core makes both or none
  for (PassParameters<T>& g : pointers)
    if (!g.bias_ih != !g.bias_hh) {
      unwanted_bias.resize(static_cast<std::size_t>(shape.gates() * H));
      (g.bias_ih ? g.bias_hh : g.bias_ih) = unwanted_bias.data();
    }
  call.gradients = pointers.data();
  const BorrowedThreads borrowed(threads);
  without_gil([&] { network->backward(tape, call); });
  if (!wanted.state) return py::make_tuple(dx, py::none(), py::none(), gradients.arrays);
  return py::make_tuple(dx, dh0, dc0, gradients.arrays);
}

}  // namespace

template <class T>
void register_training(py::module_& m, py::class_<Network<T>, std::shared_ptr<Network<T>>>& network,
                       const char* tape_name) {
  py::class_<BoundTape<T>, std::shared_ptr<BoundTape<T>>>(m, tape_name, py::is_final())
      .def(py::init(&tape_of<T>), py::arg("network"), py::arg("x").noconvert(), py::arg("y").noconvert(),
           py::arg("memory").noconvert(), py::arg("batch_first"), py::arg("lengths").noconvert() = py::none(),
           py::arg("reset").noconvert() = py::none(), py::arg("recompute") = false,
           py::arg("masks").noconvert() = py::none(), py::arg("mask_scale") = T(0))
      .def_property_readonly("nbytes", [](const Shared<BoundTape<T>>& bound) {
        return existing(bound).tape->bytes() + (bound->masks ? bound->masks->nbytes() : 0);
      });
  network
      .def("forward", &forward<T>, py::arg("x").noconvert(), py::arg("h0").noconvert(), py::arg("c0").noconvert(),
           py::arg("batch_first"), py::arg("lengths").noconvert() = py::none(),
           py::arg("reset").noconvert() = py::none(), py::arg("recompute") = false,
           py::arg("masks").noconvert() = py::none(), py::arg("mask_scale") = T(0),
           py::arg("y").noconvert() = py::none(), py::arg("h_n").noconvert() = py::none(),
           py::arg("c_n").noconvert() = py::none(), py::arg("memory").noconvert() = py::none(), py::arg("threads") = 0)
      .def("backward", &backward<T>, py::arg("tape"), py::arg("dy").noconvert(), py::arg("dh_n").noconvert(),
           py::arg("dc_n").noconvert(), py::arg("wanted") = py::none(), py::arg("threads") = 0)
      .def(
          "tape_size",
          [](const Shared<Network<T>>& self, Index places, Index rows, bool recompute, bool dropout) {
            if (places < 0 || rows < 0) throw std::invalid_argument("places, rows: expected at least 0");
            const bool any = true;
            TrainingOptions<T> options;
            options.recompute = recompute;
            options.masks = dropout ? &any : nullptr;
            return Tape<T>::numbers(existing(self).shape(), places, rows, options);
          },
          py::arg("places"), py::arg("rows"), py::arg("recompute") = false, py::arg("dropout") = false);
}

template void register_training<float>(py::module_&, py::class_<Network<float>, std::shared_ptr<Network<float>>>&,
                                       const char*);
template void register_training<double>(py::module_&, py::class_<Network<double>, std::shared_ptr<Network<double>>>&,
                                        const char*);

}  // namespace lstmfast::bindings
