// small_network: a Network32 whose weights are smaller than float, for inference alone.
#include <vector>

#include <pybind11/stl.h>

#include "bindings/calls.h"
#include "bindings/gil.h"
#include "bindings/held.h"
#include "bindings/register.h"
#include "lstmfast/isa.h"
#include "lstmfast/named_shape.h"

namespace lstmfast::bindings {
namespace {

Weights weights_named(const std::string& name) {
  if (name == "float16") return Weights::float16;
  if (name == "bfloat16") return Weights::bfloat16;
  if (name == "int8") return Weights::int8;
  throw std::invalid_argument("weights: expected 'float16', 'bfloat16' or 'int8', got '" + name + "'");
}

// The arrays of all passes one after the other, each checked when its turn comes.
class Parameters {
 public:
  explicit Parameters(const py::sequence& given) : given_(given) {}

  template <class T>
  const T* next(std::initializer_list<Index> shape, const char* name) {
    const py::object item = given_[next_++];
    const Array<T> array = array_from<T>(item, name);
    kept_.push_back(array);  // its memory is read when all have been checked
    return dense(array, shape, name);
  }

 private:
  const py::sequence& given_;
  std::size_t next_ = 0;
  std::vector<py::object> kept_;
};

// What is rounded must have been finite, and what it is divided by must leave it so.
void require_positive(const float* numbers, Index count, const char* name) {
  for (Index k = 0; k < count; ++k)
    if (!(numbers[k] >= kLeastScale && numbers[k] <= std::numeric_limits<float>::max()))
      throw std::invalid_argument(std::string(name) + ": expected finite numbers of at least 2**-126, got " +
                                  std::to_string(numbers[k]));
}

py::object make_small_network(const std::string& cell, Index input_size, Index hidden_size, Index num_layers,
                              bool bidirectional, bool bias, const std::string& weights_name, const py::sequence& given,
                              const std::string& isa, Index proj_size, Given range_given,
                              const std::optional<GivenVariant>& variant, bool reverse, double zoneout) {
  const NetworkShape shape = checked_shape(cell, input_size, hidden_size, num_layers, bidirectional, bias, proj_size,
                                           variant, reverse, zoneout);
  if (is_norm(shape.cell))
    throw std::invalid_argument("cell: expected one that has smaller weights, got '" + cell + "'");
  const Weights kind = weights_named(weights_name);
  const bool scaled = kind == Weights::int8;
  const OptionalArray<float> input_range = optional_array_from<float>(range_given, "input_range");
  const Index matrices = proj_size ? 3 : 2;
  require_parameters(shape, (scaled ? 2 : 1) * matrices + (bias ? 2 : 0) + (shape.peephole ? 1 : 0),
                     static_cast<Index>(given.size()));

  Parameters arrays(given);
  const auto matrix = [&](Index rows, Index columns, const char* name) -> const void* {
    if (scaled) return arrays.next<std::int8_t>({rows, columns}, name);
    return arrays.next<std::uint16_t>({rows, columns}, name);
  };
  const auto scale = [&](Index rows, const char* name) -> const float* {
    if (!scaled) return nullptr;
    const float* const found = arrays.next<float>({rows}, name);
    require_positive(found, rows, name);
    return found;
  };
  std::vector<SmallParameters> passes;
  const Index gate_rows = shape.gates() * hidden_size;
  for (Index pass = 0; pass < shape.passes(); ++pass) {
    SmallParameters w = {};
    w.weight_ih = matrix(gate_rows, shape.layer_input(pass / shape.directions), "weight_ih");
    w.scale_ih = scale(gate_rows, "weight_ih_scale");
    w.weight_hh = matrix(gate_rows, shape.state_size(), "weight_hh");
    w.scale_hh = scale(gate_rows, "weight_hh_scale");
    if (bias) {
      w.bias_ih = arrays.next<float>({gate_rows}, "bias_ih");
      w.bias_hh = arrays.next<float>({gate_rows}, "bias_hh");
    }
    if (shape.peephole) w.weight_ch = arrays.next<float>({peepholes_of(shape.cell), hidden_size}, "weight_ch");
    if (proj_size) {
      w.weight_hr = matrix(proj_size, hidden_size, "weight_hr");
      w.scale_hr = scale(proj_size, "weight_hr_scale");
    }
    passes.push_back(w);
  }
  if (input_range && !scaled) throw std::invalid_argument("input_range: expected None for weights of 16 bits");
  const float* const range = dense_or_null(input_range, {input_size}, "input_range");
  if (range) require_positive(range, input_size, "input_range");
  const KernelTable<float>& table = kernels(find_isa(isa), kind);
  return object_of(
      without_gil([&] { return Shared<Network<float>>(small_network(shape, passes.data(), range, table)); }));
}

}  // namespace

void register_small_network(py::module_& m) {
  m.def("small_network", &make_small_network, py::arg("cell"), py::arg("input_size"), py::arg("hidden_size"),
        py::arg("num_layers"), py::arg("bidirectional"), py::arg("bias"), py::arg("weights"), py::arg("parameters"),
        py::arg("isa"), py::arg("proj_size") = 0, py::arg("input_range") = py::none(), py::arg("variant") = py::none(),
        py::arg("reverse") = false, py::arg("zoneout") = 0.0);
}

}  // namespace lstmfast::bindings
