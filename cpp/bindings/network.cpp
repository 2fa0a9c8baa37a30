// Network32 and Network64: arrays in, arrays out, the GIL released in between. Training is in training.cpp.
#include <memory>
#include <vector>

#include <pybind11/stl.h>

#include "bindings/calls.h"
#include "bindings/gil.h"
#include "bindings/held.h"
#include "bindings/register.h"
#include "bindings/training.h"
#include "lstmfast/isa.h"
#include "lstmfast/named_shape.h"

namespace lstmfast::bindings {
namespace {

template <class T>
std::shared_ptr<Network<T>> make_network(const std::string& cell, Index input_size, Index hidden_size, Index num_layers,
                                         bool bidirectional, bool bias, const py::sequence& parameters,
                                         const std::string& isa, Index proj_size, int threads,
                                         const std::optional<GivenVariant>& variant, bool reverse, double zoneout) {
  const NetworkShape shape = checked_shape(cell, input_size, hidden_size, num_layers, bidirectional, bias, proj_size,
                                           variant, reverse, zoneout);
  const Index per_pass = parameters_of_pass(shape);
  require_parameters(shape, per_pass, static_cast<Index>(parameters.size()));

  std::vector<Array<T>> arrays;  // keeps the memory until it is packed
  for (const py::handle item : parameters) {
    arrays.push_back(array_from<T>(py::reinterpret_borrow<py::object>(item), "parameters"));
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
    if (shape.peephole) w.weight_ch = dense(given[bias ? 4 : 2], {peepholes_of(shape.cell), hidden_size}, "weight_ch");
    if (proj_size) w.weight_hr = dense(given[per_pass - 1], {proj_size, hidden_size}, "weight_hr");
    if (is_norm(shape.cell)) {
      const auto* const norms = given + per_pass - shape.norm_arrays();
      w.gain_ih = dense(norms[0], {gate_rows}, "gain_ih");
      w.gain_hh = dense(norms[1], {gate_rows}, "gain_hh");
      w.gain_c = dense(norms[2], {hidden_size}, "gain_c");
      w.bias_c = dense(norms[3], {hidden_size}, "bias_c");
    }
    weights.push_back(w);
  }
  const KernelTable<T>& table = kernels<T>(find_isa(isa));
  const BorrowedThreads borrowed(threads);
  return without_gil([&] { return std::make_shared<Network<T>>(shape, weights.data(), table); });
}

template <class T>
py::object infer(Given self, Given x, Given h0, Given c0, bool batch_first, Given y, Given h_n, Given c_n,
                 Given lengths, Given reset, int threads, Given cut_h, Given cut_c, bool return_c) {
  const Network<T>& network = object_from<Network<T>>(self);
  const NetworkShape& shape = network.shape();
  const GivenResults<T> results(y, h_n, c_n);
  const GivenState<T> state(h0, c0);
  ForwardArrays<T> arrays(shape, array_from<T>(x, "x"), batch_first, {lengths, reset}, results.y);
  arrays.take_states(shape, state, results);
  const GivenCut<T> cut(cut_h, cut_c);
  arrays.call.cut = cut.checked(shape, arrays.call.rows);
  if (return_c) arrays.take_memory(shape, batch_first);
  // Before it is run: the new state may replace the old, and then nothing may fail any more.
  py::object made = py::make_tuple(arrays.y, arrays.h_n, arrays.c_n);
  if (return_c) made = py::make_tuple(arrays.y, arrays.h_n, arrays.c_n, arrays.c);
  const BorrowedThreads borrowed(threads);
  without_gil([&] { network.infer(arrays.call); });
  return made;
}

template <class T>
py::object isa_of(Given self) {
  return py::str(object_from<Network<T>>(self).isa());
}

template <class T>
void register_networks(py::module_& m, const char* network_name, const char* tape_name) {
  py::class_<Network<T>, std::shared_ptr<Network<T>>> network(m, network_name, py::is_final());
  network
      .def("__init__", init_with(&make_network<T>), py::detail::is_new_style_constructor(), py::arg("cell"),
           py::arg("input_size"), py::arg("hidden_size"), py::arg("num_layers"), py::arg("bidirectional"),
           py::arg("bias"), py::arg("parameters"), py::arg("isa"), py::arg("proj_size") = 0, py::arg("threads") = 0,
           py::arg("variant") = py::none(), py::arg("reverse") = false, py::arg("zoneout") = 0.0)
      .def_property_readonly("isa", &isa_of<T>)
      .def("infer", &infer<T>, py::arg("x"), py::arg("h0"), py::arg("c0"), py::arg("batch_first"),
           py::arg("y") = py::none(), py::arg("h_n") = py::none(), py::arg("c_n") = py::none(),
           py::arg("lengths") = py::none(), py::arg("reset") = py::none(), py::arg("threads") = 0,
           py::arg("cut_h") = py::none(), py::arg("cut_c") = py::none(), py::arg("return_c") = false);
  remember(network);
  register_training<T>(m, network, tape_name);
}

}  // namespace

void register_network(py::module_& m) {
  register_networks<float>(m, "Network32", "Tape32");
  register_networks<double>(m, "Network64", "Tape64");
}

}  // namespace lstmfast::bindings
