// Network32, Network64 and their tapes: arrays in, arrays out, the GIL released in between.
#include <memory>
#include <vector>

#include <pybind11/stl.h>

#include "bindings/arrays.h"
#include "bindings/gil.h"
#include "bindings/register.h"
#include "lstmfast/isa.h"
#include "lstmfast/network.h"

namespace lstmfast::bindings {
namespace {

// Arguments are shared pointers because pybind11 refuses to make one of an object that was never
// initialised (made by __new__ alone), where it would hand out a reference to nothing. None makes a null one.
template <class Object>
using Shared = std::shared_ptr<Object>;

template <class Object>
const Object& existing(const Shared<Object>& object) {
  if (!object) throw py::type_error("expected an object of this module, got None");
  return *object;
}

template <class T>
using OptionalArray = std::optional<Array<T>>;

// A tape with what it refers to: arrays must outlive it, and backward must know whose it is.
template <class T>
struct BoundTape {
  std::unique_ptr<Tape<T>> tape;
  std::shared_ptr<const Network<T>> network;
  Array<T> x, y;
  std::optional<Array<bool>> masks;
  bool batch_first;
};

Cell cell_named(const std::string& name) {
  if (name == "lstm") return Cell::lstm;
  if (name == "rnn_tanh") return Cell::rnn_tanh;
  if (name == "rnn_relu") return Cell::rnn_relu;
  throw std::invalid_argument("cell: expected 'lstm', 'rnn_tanh' or 'rnn_relu', got '" + name + "'");
}

// Sums of a few sizes, and a size times gates or directions, must not overflow; products are checked elsewhere.
constexpr Index kLargestSize = Index(1) << 40;

void require_size(Index size, const char* name) {
  if (size < 1 || size > kLargestSize)
    throw std::invalid_argument(std::string(name) + ": expected 1 to 2**40, got " + std::to_string(size));
}

template <class T>
std::shared_ptr<Network<T>> make_network(const std::string& cell, Index input_size, Index hidden_size, Index num_layers,
                                         bool bidirectional, bool bias, const py::sequence& parameters,
                                         const std::string& isa, Index proj_size) {
  require_size(input_size, "input_size");
  require_size(hidden_size, "hidden_size");
  require_size(num_layers, "num_layers");
  const NetworkShape shape = {cell_named(cell),      input_size, hidden_size, num_layers,
                              bidirectional ? 2 : 1, bias,       proj_size};
  // A state that is not given is one row of zeros as wide as the memory.
  if (proj_size < 0 || proj_size >= std::max<Index>(hidden_size, 1))
    throw std::invalid_argument("proj_size: expected 0 to " + std::to_string(hidden_size - 1) + ", got " +
                                std::to_string(proj_size));
  if (proj_size && !has_memory(shape.cell)) throw std::invalid_argument("proj_size: expected 0 for this cell");
  const Index per_pass = (bias ? 4 : 2) + (proj_size ? 1 : 0);
  const Index per_layer = per_pass * shape.directions;  // divided by, for the product could overflow
  const auto given_count = static_cast<Index>(parameters.size());
  if (given_count / per_layer != num_layers || given_count % per_layer != 0)
    throw std::invalid_argument("parameters: expected " + std::to_string(per_pass) + " arrays for each of " +
                                std::to_string(num_layers) + " layers times directions, got " +
                                std::to_string(parameters.size()));

  std::vector<Array<T>> arrays;  // keeps the memory until it is packed
  for (const py::handle item : parameters) {
    if (!py::isinstance<Array<T>>(item))
      throw py::type_error("parameters: expected arrays of the network's dtype, got " +
                           std::string(py::str(py::type::handle_of(item))));
    arrays.push_back(py::reinterpret_borrow<Array<T>>(item));
  }
  std::vector<PassParameters<const T>> weights;
  const Index gate_rows = shape.gates() * hidden_size;
  for (Index pass = 0; pass < shape.passes(); ++pass) {
    const auto* const given = &arrays[static_cast<std::size_t>(pass * per_pass)];
    PassParameters<const T> w = {};
    w.weight_ih = dense(given[0], {gate_rows, shape.layer_input(pass / shape.directions)}, "weight_ih");
    w.weight_hh = dense(given[1], {gate_rows, shape.state_size()}, "weight_hh");
    if (bias) {
      w.bias_ih = dense(given[2], {gate_rows}, "bias_ih");
      w.bias_hh = dense(given[3], {gate_rows}, "bias_hh");
    }
    if (proj_size) w.weight_hr = dense(given[per_pass - 1], {proj_size, hidden_size}, "weight_hr");
    weights.push_back(w);
  }
  const KernelTable<T>& table = kernels<T>(find_isa(isa));
  return without_gil([&] { return std::make_shared<Network<T>>(shape, weights.data(), table); });
}

// Arrays for the results of a call that brings its own; none for new ones.
template <class T>
struct GivenResults {
  OptionalArray<T> y, h_n, c_n;
};

// Where rows end and begin anew, as a call brings it.
struct GivenTimes {
  std::optional<Array<Index>> lengths;
  std::optional<Array<bool>> reset;

  RowTimes checked(Index steps, Index rows) const {
    RowTimes times = {dense_or_null(lengths, {rows}, "lengths"), dense_or_null(reset, {steps, rows}, "reset")};
    for (Index b = 0; times.lengths && b < rows; ++b)
      if (times.lengths[b] < 0 || times.lengths[b] > steps)
        throw std::invalid_argument("lengths: expected 0 to " + std::to_string(steps) + ", got " +
                                    std::to_string(times.lengths[b]));
    return times;
  }
};

// The arrays of one forward call: checked inputs, outputs that were given or are new.
template <class T>
struct ForwardArrays {
  Array<T> y, h_n;
  OptionalArray<T> c_n;
  ForwardCall<T> call;

  ForwardArrays(const NetworkShape& shape, const Array<T>& x, const OptionalArray<T>& h0, const OptionalArray<T>& c0,
                bool batch_first, const GivenTimes& times, const GivenResults<T>& given = {}) {
    if (x.ndim() != 3 || x.shape(2) != shape.input_size)
      throw std::invalid_argument("x: expected three axes, the last of size " + std::to_string(shape.input_size) +
                                  ", got shape " + shape_text(x));
    const Index H = shape.hidden_size, S = shape.state_size();
    const bool memory = has_memory(shape.cell);
    call.steps = x.shape(batch_first ? 1 : 0);
    call.rows = x.shape(batch_first ? 0 : 1);
    call.x = sequence(x, batch_first, "x");
    call.times = times.checked(call.steps, call.rows);
    call.h0 = dense_or_null(h0, {shape.passes(), call.rows, S}, "h0");
    call.c0 = dense_or_null(c0, {shape.passes(), call.rows, H}, "c0");
    if (c0 && !memory) throw std::invalid_argument("c0: expected None, this cell has no memory");
    y = result_array<T>(given.y, x.shape(0), x.shape(1), shape.directions * S, "y");
    call.y = writable_sequence(y, batch_first);
    h_n = result_array<T>(given.h_n, shape.passes(), call.rows, S, "h_n");
    call.h_n = h_n.mutable_data();
    call.c_n = nullptr;
    if (given.c_n && !memory) throw std::invalid_argument("c_n: expected None, this cell has no memory");
    if (memory) {
      c_n = result_array<T>(given.c_n, shape.passes(), call.rows, H, "c_n");
      call.c_n = c_n->mutable_data();
    }
  }
};

template <class T>
py::tuple infer(const Shared<Network<T>>& network, const Array<T>& x, const OptionalArray<T>& h0,
                const OptionalArray<T>& c0, bool batch_first, const OptionalArray<T>& y, const OptionalArray<T>& h_n,
                const OptionalArray<T>& c_n, const std::optional<Array<Index>>& lengths,
                const std::optional<Array<bool>>& reset) {
  ForwardArrays<T> arrays(existing(network).shape(), x, h0, c0, batch_first, {lengths, reset}, {y, h_n, c_n});
  without_gil([&] { network->infer(arrays.call); });
  return py::make_tuple(arrays.y, arrays.h_n, arrays.c_n);
}

template <class T>
py::tuple forward(const Shared<Network<T>>& network, const Array<T>& x, const OptionalArray<T>& h0,
                  const OptionalArray<T>& c0, bool batch_first, const std::optional<Array<Index>>& lengths,
                  const std::optional<Array<bool>>& reset, bool recompute, const std::optional<Array<bool>>& masks,
                  T mask_scale) {
  const NetworkShape& shape = existing(network).shape();
  ForwardArrays<T> arrays(shape, x, h0, c0, batch_first, {lengths, reset});
  const ForwardCall<T>& call = arrays.call;
  TrainingOptions<T> options;
  options.recompute = recompute;
  options.masks = dense_or_null(
      masks, {shape.num_layers - 1, call.steps, call.rows, shape.directions * shape.state_size()}, "masks");
  options.scale = mask_scale;
  auto bound = std::make_shared<BoundTape<T>>(BoundTape<T>{nullptr, network, x, arrays.y, masks, batch_first});
  without_gil([&] { bound->tape = network->forward(call, options); });
  return py::make_tuple(arrays.y, arrays.h_n, arrays.c_n, std::move(bound));
}

template <class T>
py::tuple backward(const Shared<Network<T>>& network, const Shared<BoundTape<T>>& bound, const OptionalArray<T>& dy,
                   const OptionalArray<T>& dh_n, const OptionalArray<T>& dc_n) {
  const NetworkShape& shape = existing(network).shape();
  if (existing(bound).network != network) throw std::invalid_argument("tape: expected one from this network's forward");
  const Tape<T>& tape = *bound->tape;
  const Index steps = tape.steps(), B = tape.rows(), H = shape.hidden_size, S = shape.state_size();
  const Index gate_rows = shape.gates() * H;
  const bool memory = has_memory(shape.cell);
  if (dc_n && !memory) throw std::invalid_argument("dc_n: expected None, this cell has no memory");

  BackwardCall<T> call = {};
  if (dy) {
    const Index outer = bound->batch_first ? B : steps, inner = bound->batch_first ? steps : B;
    require_shape(*dy, {outer, inner, shape.directions * S}, "dy");
    call.dy = sequence(*dy, bound->batch_first, "dy");
  }
  call.dh_n = dense_or_null(dh_n, {shape.passes(), B, S}, "dh_n");
  call.dc_n = dense_or_null(dc_n, {shape.passes(), B, H}, "dc_n");
  Array<T> dx = new_sequence<T>(steps, B, shape.input_size, bound->batch_first);
  call.dx = writable_sequence(dx, bound->batch_first);
  Array<T> dh0 = new_array<T>(shape.passes(), B, S);
  call.dh0 = dh0.mutable_data();
  OptionalArray<T> dc0;
  if (memory) {
    dc0 = new_array<T>(shape.passes(), B, H);
    call.dc0 = dc0->mutable_data();
  }
  py::list gradients;
  std::vector<PassParameters<T>> pointers;
  const auto add = [&](std::vector<py::ssize_t> sizes) {
    Array<T> array(sizes);
    gradients.append(array);
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
    if (shape.projection_size) g.weight_hr = add({shape.projection_size, H});
    pointers.push_back(g);
  }
  call.gradients = pointers.data();
  without_gil([&] { network->backward(tape, call); });
  return py::make_tuple(dx, dh0, dc0, gradients);
}

template <class T>
void register_for(py::module_& m, const char* network_name, const char* tape_name) {
  py::class_<BoundTape<T>, std::shared_ptr<BoundTape<T>>>(m, tape_name, py::is_final())
      .def_property_readonly("nbytes", [](const Shared<BoundTape<T>>& bound) {
        return existing(bound).tape->bytes() + (bound->masks ? bound->masks->nbytes() : 0);
      });
  py::class_<Network<T>, std::shared_ptr<Network<T>>>(m, network_name, py::is_final())
      .def(py::init(&make_network<T>), py::arg("cell"), py::arg("input_size"), py::arg("hidden_size"),
           py::arg("num_layers"), py::arg("bidirectional"), py::arg("bias"), py::arg("parameters"), py::arg("isa"),
           py::arg("proj_size") = 0)
      .def_property_readonly("isa", [](const Shared<Network<T>>& network) { return existing(network).isa(); })
      .def("infer", &infer<T>, py::arg("x").noconvert(), py::arg("h0").noconvert(), py::arg("c0").noconvert(),
           py::arg("batch_first"), py::arg("y").noconvert() = py::none(), py::arg("h_n").noconvert() = py::none(),
           py::arg("c_n").noconvert() = py::none(), py::arg("lengths").noconvert() = py::none(),
           py::arg("reset").noconvert() = py::none())
      .def("forward", &forward<T>, py::arg("x").noconvert(), py::arg("h0").noconvert(), py::arg("c0").noconvert(),
           py::arg("batch_first"), py::arg("lengths").noconvert() = py::none(),
           py::arg("reset").noconvert() = py::none(), py::arg("recompute") = false,
           py::arg("masks").noconvert() = py::none(), py::arg("mask_scale") = T(0))
      .def("backward", &backward<T>, py::arg("tape"), py::arg("dy").noconvert(), py::arg("dh_n").noconvert(),
           py::arg("dc_n").noconvert());
}

}  // namespace

void register_network(py::module_& m) {
  register_for<float>(m, "Network32", "Tape32");
  register_for<double>(m, "Network64", "Tape64");
}

}  // namespace lstmfast::bindings
