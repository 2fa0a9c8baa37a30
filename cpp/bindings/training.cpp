#include "bindings/training.h"

#include <vector>

#include <pybind11/stl.h>

#include "bindings/gil.h"
#include "bindings/held.h"

namespace lstmfast::bindings {
namespace {

// A tape with what it refers to: arrays must outlive it, and backward must know whose it is.
template <class T>
struct BoundTape {
  std::shared_ptr<const Network<T>> network;
  Array<T> x, y;
  OptionalArray<bool> masks, renewed;
  OptionalArray<T> memory;  // the block; none where it is the tape's own
  bool batch_first;
  std::unique_ptr<Tape<T>> tape = nullptr;
};

// What a forward pass keeps, as a call says it.
template <class T>
struct GivenTraining {
  bool recompute;
  OptionalArray<bool> masks;
  T mask_scale;
  OptionalArray<T> memory;

  GivenTraining(bool recompute_given, Given masks_given, double scale, Given memory_given)
      : recompute(recompute_given),
        masks(optional_array_from<bool>(masks_given, "masks")),
        mask_scale(static_cast<T>(scale)),
        memory(optional_array_from<T>(memory_given, "memory")) {}

  TrainingOptions<T> checked(const NetworkShape& shape, const ForwardArrays<T>& arrays) const {
    const Index features = shape.directions * shape.state_size();
    TrainingOptions<T> options;
    options.recompute = recompute;
    options.scale = mask_scale;
    options.cut_rows = arrays.call.cut.rows;
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
    require_writeable(*memory, "memory");
    return const_cast<T*>(memory->data());
  }
};

// Only weights of T have what training needs.
template <class T>
const NetworkShape& trainable_shape(const Network<T>& network) {
  if (network.weights() != Weights::native)
    throw std::invalid_argument("network: expected weights of the network's dtype, got smaller ones, for inference");
  return network.shape();
}

template <class T>
py::object forward(Given self, Given x_given, Given h0, Given c0, bool batch_first, Given lengths, Given reset,
                   bool recompute, Given masks, double mask_scale, Given y, Given h_n, Given c_n, Given memory,
                   int threads, Given cut_h, Given cut_c, bool return_c, Given renewed_given) {
  Network<T>& network = object_from<Network<T>>(self);
  const NetworkShape& shape = trainable_shape(network);
  const Array<T> x = array_from<T>(x_given, "x");
  const GivenResults<T> results(y, h_n, c_n);
  const GivenState<T> state(h0, c0);
  const GivenTraining<T> given(recompute, masks, mask_scale, memory);
  ForwardArrays<T> arrays(shape, x, batch_first, {lengths, reset}, results.y);
  arrays.take_states(shape, state, results);
  const GivenCut<T> cut(cut_h, cut_c);
  arrays.call.cut = cut.checked(shape, arrays.call.rows);
  if (return_c) arrays.take_memory(shape, batch_first);
  TrainingOptions<T> options = given.checked(shape, arrays);
  const OptionalArray<bool> renewed = optional_array_from<bool>(renewed_given, "renewed");
  if (renewed && (!(shape.zoneout > 0) || arrays.y.ndim() != 3))
    throw std::invalid_argument("renewed: expected None without zoneout, and of packed x");
  options.renewed =
      dense_or_null(renewed, {shape.passes(), arrays.call.steps, arrays.call.rows, shape.state_size()}, "renewed");
  T* const block = given.block(shape, arrays, options);
  auto bound = std::make_shared<BoundTape<T>>(
      BoundTape<T>{py::cast<Shared<Network<T>>>(self), x, arrays.y, given.masks, renewed, given.memory, batch_first});
  const BorrowedThreads borrowed(threads);
  without_gil([&] { bound->tape = network.forward(arrays.call, options, block); });
  if (return_c) return py::make_tuple(arrays.y, arrays.h_n, arrays.c_n, object_of(bound), arrays.c);
  return py::make_tuple(arrays.y, arrays.h_n, arrays.c_n, object_of(bound));
}

// The tape that forward() filled `memory` for, made again.
template <class T>
Shared<BoundTape<T>> tape_of(Given network_given, Given x_given, Given y_given, Given memory, bool batch_first,
                             Given lengths, Given reset, bool recompute, Given masks, double mask_scale,
                             Index cut_rows) {
  const Network<T>& network = object_from<Network<T>>(network_given, "network");
  const NetworkShape& shape = trainable_shape(network);
  const Array<T> x = array_from<T>(x_given, "x"), y = array_from<T>(y_given, "y");
  array_from<T>(memory, "memory");  // None is none
  const GivenTraining<T> given(recompute, masks, mask_scale, memory);
  ForwardArrays<T> arrays(shape, x, batch_first, {lengths, reset}, y);
  if (cut_rows != 0 && cut_rows != 1 && cut_rows != arrays.call.rows)
    throw std::invalid_argument("cut_rows: expected 0, 1 or " + std::to_string(arrays.call.rows) + ", got " +
                                std::to_string(cut_rows));
  arrays.call.cut.rows = cut_rows;
  const TrainingOptions<T> options = given.checked(shape, arrays);
  T* const block = given.block(shape, arrays, options);
  auto bound = std::make_shared<BoundTape<T>>(
      BoundTape<T>{py::cast<Shared<Network<T>>>(network_given), x, y, given.masks, {}, given.memory, batch_first});
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
      if (shape.peephole) g.weight_ch = add({peepholes_of(shape.cell), shape.hidden_size});
      if (shape.projection_size) g.weight_hr = add({shape.projection_size, shape.hidden_size});
      if (is_norm(shape.cell)) {
        g.gain_ih = add({gate_rows});
        g.gain_hh = add({gate_rows});
        g.gain_c = add({shape.hidden_size});
        g.bias_c = add({shape.hidden_size});
      }
      pointers.push_back(g);
    }
  }
};

template <class T>
py::object backward(Given self, Given tape_given, Given dy_given, Given dh_given, Given dc_given,
                    const std::optional<std::vector<bool>>& wanted_list, int threads, Given dc_given_y,
                    bool wants_cut) {
  const Network<T>& network = object_from<Network<T>>(self);
  const BoundTape<T>& bound = object_from<BoundTape<T>>(tape_given, "tape");
  const NetworkShape& shape = network.shape();
  const OptionalArray<T> dy = optional_array_from<T>(dy_given, "dy");
  const OptionalArray<T> dh_n = optional_array_from<T>(dh_given, "dh_n");
  const OptionalArray<T> dc_n = optional_array_from<T>(dc_given, "dc_n");
  if (bound.network.get() != &network) throw std::invalid_argument("tape: expected one from this network's forward");
  const Tape<T>& tape = *bound.tape;
  const Index steps = tape.steps(), B = tape.rows(), H = shape.hidden_size, S = shape.state_size();
  const Index features = shape.directions * S, outer = bound.batch_first ? B : steps;
  const Index inner = bound.batch_first ? steps : B;
  const bool packed = bound.x.ndim() == 2, memory = has_memory(shape.cell);
  if (dc_n && !memory) throw std::invalid_argument("dc_n: expected None, this cell has no memory");
  const Wanted wanted(wanted_list, shape.passes() * parameters_of_pass(shape));

  BackwardCall<T> call = {};
  if (dy && packed) {
    require_shape(*dy, {tape.places(), features}, "dy");
    call.dy = packed_sequence(*dy, "dy");
  } else if (dy) {
    require_shape(*dy, {outer, inner, features}, "dy");
    call.dy = sequence(*dy, bound.batch_first, "dy");
  }
  call.dh_n = dense_or_null(dh_n, {shape.passes(), B, S}, "dh_n");
  call.dc_n = dense_or_null(dc_n, {shape.passes(), B, H}, "dc_n");
  OptionalArray<T> dx, dc0;
  if (wanted.x) {
    dx = packed ? new_array<T>({tape.places(), shape.input_size}) : new_array<T>({outer, inner, shape.input_size});
    call.dx = writable_sequence(*dx, bound.batch_first);
  }
  Array<T> dh0 = new_array<T>({shape.passes(), B, S});
  call.dh0 = dh0.mutable_data();
  if (memory) {
    dc0 = new_array<T>({shape.passes(), B, H});
    call.dc0 = dc0->mutable_data();
  }
  call.wants_state = wanted.state;
  const OptionalArray<T> dc = optional_array_from<T>(dc_given_y, "dc");
  if (dc && !memory) throw std::invalid_argument("dc: expected None, this cell has no memory");
  if (dc && packed) {
    require_shape(*dc, {tape.places(), shape.directions * H}, "dc");
    call.dc = packed_sequence(*dc, "dc");
  } else if (dc) {
    require_shape(*dc, {outer, inner, shape.directions * H}, "dc");
    call.dc = sequence(*dc, bound.batch_first, "dc");
  }
  OptionalArray<T> dcut_h, dcut_c;
  if (wants_cut) {
    dcut_h = new_array<T>({shape.passes(), B, S});
    call.dcut_h = dcut_h->mutable_data();
    if (memory) {
      dcut_c = new_array<T>({shape.passes(), B, H});
      call.dcut_c = dcut_c->mutable_data();
    }
  }
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
  without_gil([&] { network.backward(tape, call); });
  if (wants_cut) return py::make_tuple(dx, dh0, dc0, gradients.arrays, dcut_h, dcut_c);
  if (!wanted.state) return py::make_tuple(dx, py::none(), py::none(), gradients.arrays);
  return py::make_tuple(dx, dh0, dc0, gradients.arrays);
}

template <class T>
py::object tape_bytes(Given self) {
  const BoundTape<T>& bound = object_from<BoundTape<T>>(self);
  return py::int_(bound.tape->bytes() + (bound.masks ? bound.masks->nbytes() : 0) +
                  (bound.renewed ? bound.renewed->nbytes() : 0));
}

template <class T>
Index tape_size(Given self, Index places, Index rows, bool recompute, bool dropout, Index cut_rows) {
  if (places < 0 || rows < 0 || cut_rows < 0)
    throw std::invalid_argument("places, rows, cut_rows: expected at least 0");
  const bool any = true;
  TrainingOptions<T> options;
  options.recompute = recompute;
  options.masks = dropout ? &any : nullptr;
  options.cut_rows = cut_rows;
  return Tape<T>::numbers(object_from<Network<T>>(self).shape(), places, rows, options);
}

}  // namespace

template <class T>
void register_training(py::module_& m, py::class_<Network<T>, std::shared_ptr<Network<T>>>& network,
                       const char* tape_name) {
  py::class_<BoundTape<T>, Shared<BoundTape<T>>> tape(m, tape_name, py::is_final());
  remember(tape);
  tape.def("__init__", init_with(&tape_of<T>), py::detail::is_new_style_constructor(), py::arg("network"), py::arg("x"),
           py::arg("y"), py::arg("memory"), py::arg("batch_first"), py::arg("lengths") = py::none(),
           py::arg("reset") = py::none(), py::arg("recompute") = false, py::arg("masks") = py::none(),
           py::arg("mask_scale") = 0.0, py::arg("cut_rows") = 0)
      .def_property_readonly("nbytes", &tape_bytes<T>);
  network
      .def("forward", &forward<T>, py::arg("x"), py::arg("h0"), py::arg("c0"), py::arg("batch_first"),
           py::arg("lengths") = py::none(), py::arg("reset") = py::none(), py::arg("recompute") = false,
           py::arg("masks") = py::none(), py::arg("mask_scale") = 0.0, py::arg("y") = py::none(),
           py::arg("h_n") = py::none(), py::arg("c_n") = py::none(), py::arg("memory") = py::none(),
           py::arg("threads") = 0, py::arg("cut_h") = py::none(), py::arg("cut_c") = py::none(),
           py::arg("return_c") = false, py::arg("renewed") = py::none())
      .def("backward", &backward<T>, py::arg("tape"), py::arg("dy"), py::arg("dh_n"), py::arg("dc_n"),
           py::arg("wanted") = py::none(), py::arg("threads") = 0, py::arg("dc") = py::none(),
           py::arg("wants_cut") = false)
      .def("tape_size", &tape_size<T>, py::arg("places"), py::arg("rows"), py::arg("recompute") = false,
           py::arg("dropout") = false, py::arg("cut_rows") = 0);
}

template void register_training<float>(py::module_&, py::class_<Network<float>, std::shared_ptr<Network<float>>>&,
                                       const char*);
template void register_training<double>(py::module_&, py::class_<Network<double>, std::shared_ptr<Network<double>>>&,
                                        const char*);

}  // namespace lstmfast::bindings
