// The handlers for XLA as capsules, which Python registers, and what can be told them.
#include "lstmfast/jax.h"

#include <pybind11/stl.h>

#include "bindings/register.h"
#include "lstmfast/named_shape.h"

namespace lstmfast::bindings {
namespace {

// How many networks are kept, and their bytes.
pybind11::tuple kept() {
  const jax::KeptNetworks found = jax::kept_networks();
  return pybind11::make_tuple(found.count, found.bytes);
}

Index tape_numbers(bool is_double, Index places, Index rows, bool recompute, bool dropout, const std::string& cell,
                   Index input_size, Index hidden_size, Index num_layers, bool bidirectional, bool bias,
                   Index proj_size, const std::optional<GivenVariant>& variant, bool reverse) {
  if (places < 0 || rows < 0) throw std::invalid_argument("places, rows: expected at least 0");
  const NetworkShape shape =
      checked_shape(cell, input_size, hidden_size, num_layers, bidirectional, bias, proj_size, variant, reverse, 0.0);
  const auto count = [&](auto options) {
    const bool any = true;
    options.recompute = recompute;
    options.masks = dropout ? &any : nullptr;
    return jax::tape_numbers(shape, places, rows, options);
  };
  return is_double ? count(TrainingOptions<double>()) : count(TrainingOptions<float>());
}

}  // namespace

void register_jax(pybind11::module_& m) {
  m.def("jax_handlers", [] {
    pybind11::dict found;
    for (const jax::Handler& each : jax::handlers()) found[each.name] = pybind11::capsule(each.function);
    return found;
  });
  m.def("jax_use_isa", [](const std::string& isa) { jax::use_isa(find_isa(isa)); }, pybind11::arg("isa"));
  m.def("jax_tape_numbers", &tape_numbers, pybind11::arg("is_double"), pybind11::arg("places"), pybind11::arg("rows"),
        pybind11::arg("recompute"), pybind11::arg("dropout"), pybind11::arg("cell"), pybind11::arg("input_size"),
        pybind11::arg("hidden_size"), pybind11::arg("num_layers"), pybind11::arg("bidirectional"),
        pybind11::arg("bias"), pybind11::arg("proj_size"), pybind11::arg("variant"), pybind11::arg("reverse"));
  m.def("jax_kept_networks", &kept);
}

}  // namespace lstmfast::bindings
