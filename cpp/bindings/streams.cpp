// Stream32 and Stream64.
#include <limits>
#include <vector>

#include "bindings/held.h"
#include "bindings/register.h"
#include "bindings/stream_calls.h"

namespace lstmfast::bindings {
namespace {

template <class T>
using Batch = Held<StreamBatch<T>>;

template <class T>
Shared<StreamBatch<T>> make_batch(Given network, Index rows) {
  const Network<T>& made_for = object_from<Network<T>>(network, "network");
  require_count(rows, 1, std::numeric_limits<Index>::max(), "rows");
  const NetworkShape& shape = one_way_shape(made_for);
  return without_gil([&] { return std::make_shared<StreamBatch<T>>(shape, rows); });
}

template <class T>
py::object rows_of_batch(Given self) {
  return py::int_(object_from<StreamBatch<T>>(self).streams.count());
}

template <class T>
py::object batch_bytes(Given self) {
  return py::int_(object_from<StreamBatch<T>>(self).streams.bytes());
}

template <class T>
py::object step_batch(Given self, Given network, Given x, Given y) {
  const Batch<T> batch(self);
  return step_of(batch->streams, network, nullptr, batch->streams.count(), x, y);
}

template <class T>
py::object run_batch(Given self, Given network, Given x, bool batch_first, Given y) {
  const Batch<T> batch(self);
  Streams<T>& streams = batch->streams;
  const Network<T>& run = network_from(network, streams);
  const NetworkShape& shape = streams.shape();
  ForwardArrays<T> arrays(shape, array_from<T>(x, "x"), batch_first, {}, optional_array_from<T>(y, "y"));
  if (arrays.call.rows != streams.count())
    throw std::invalid_argument("x: expected " + std::to_string(streams.count()) + " rows, got " +
                                std::to_string(arrays.call.rows));
  without_gil_if_long(shape.terms(arrays.places()),
                      [&] { streams.run(run, arrays.call.steps, arrays.call.x, arrays.call.y); });
  return arrays.y;
}

template <class T>
py::object read_batch(Given self) {
  const Batch<T> batch(self);
  return states_of(batch->streams, nullptr, batch->streams.count());
}

template <class T>
void write_batch(Given self, Given h, Given c) {
  const Batch<T> batch(self);
  set_states(batch->streams, nullptr, batch->streams.count(), optional_array_from<T>(h, "h"),
             optional_array_from<T>(c, "c"));
}

// h [L, n, S], c [L, n, H] of n rows, or none for zero.
template <class T>
void clear_batch(Given self, Given rows_given, Given h, Given c) {
  const Batch<T> batch(self);
  const Ids rows = ids_from(rows_given, "rows");
  const Index* const given = dense(rows, {rows.size()}, "rows");
  const std::vector<Index> slots(given, given + rows.size());  // a copy: nobody else may change them now
  for (const Index slot : slots) require_count(slot, 0, batch->streams.count() - 1, "rows");
  set_states(batch->streams, slots.data(), rows.size(), optional_array_from<T>(h, "h"), optional_array_from<T>(c, "c"));
}

template <class T>
void register_batch(py::module_& m, const char* name) {
  py::class_<StreamBatch<T>, Shared<StreamBatch<T>>> batch(m, name, py::is_final());
  batch
      .def("__init__", init_with(&make_batch<T>), py::detail::is_new_style_constructor(), py::arg("network"),
           py::arg("rows"))
      .def_property_readonly("rows", &rows_of_batch<T>)
      .def_property_readonly("nbytes", &batch_bytes<T>)
      .def("step", &step_batch<T>, py::arg("network"), py::arg("x"), py::arg("y") = py::none())
      .def("run", &run_batch<T>, py::arg("network"), py::arg("x"), py::arg("batch_first"), py::arg("y") = py::none())
      .def("read", &read_batch<T>)
      .def("write", &write_batch<T>, py::arg("h"), py::arg("c"))
      .def("clear", &clear_batch<T>, py::arg("rows"), py::arg("h") = py::none(), py::arg("c") = py::none());
  remember(batch);
}

}  // namespace

void register_streams(py::module_& m) {
  register_batch<float>(m, "Stream32");
  register_batch<double>(m, "Stream64");
}

}  // namespace lstmfast::bindings
