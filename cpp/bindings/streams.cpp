#include "bindings/streams.h"

#include <pybind11/stl.h>

#include <limits>
#include <vector>

#include "bindings/gil.h"
#include "bindings/register.h"

namespace lstmfast::bindings {
namespace {

using Ids = Array<Index>;

template <class T>
const NetworkShape& checked_shape(const Shared<Network<T>>& network) {
  const NetworkShape& shape = existing(network).shape();
  if (shape.directions != 1) throw std::invalid_argument("network: expected one direction");
  return shape;
}

template <class T>
void require_network(const Shared<Network<T>>& network, const Streams<T>& streams) {
  if (!(existing(network).shape() == streams.shape()))
    throw std::invalid_argument("network: expected one of the shape that the streams were made for");
}

template <class Object>
Turns& turns_of(const Shared<Object>& self) {
  existing(self);
  return self->turns;
}

void require_count(Index count, Index least, Index most, const char* name) {
  if (count < least || count > most)
    throw std::invalid_argument(std::string(name) + ": expected " + std::to_string(least) + " to " +
                                std::to_string(most) + ", got " + std::to_string(count));
}

// At most, of n states.
template <class T>
Index state_bytes(const NetworkShape& shape, Index n) {
  return n * shape.num_layers * 2 * shape.hidden_size * static_cast<Index>(sizeof(T));
}

// h [L, n, S] and c [L, n, H] as new arrays; c None for a cell without memory.
template <class T>
py::tuple states_of(const Streams<T>& streams, const Index* slots, Index n) {
  const NetworkShape& shape = streams.shape();
  Array<T> h = new_array<T>({shape.num_layers, n, shape.state_size()});
  OptionalArray<T> c;
  if (has_memory(shape.cell)) c = new_array<T>({shape.num_layers, n, shape.hidden_size});
  T* const h_data = h.mutable_data();
  T* const c_data = c ? c->mutable_data() : nullptr;
  without_gil_if_large(state_bytes<T>(shape, n), [&] { streams.read(slots, n, h_data, c_data); });
  return py::make_tuple(h, c);
}

template <class T>
void set_states(Streams<T>& streams, const Index* slots, Index n, const OptionalArray<T>& h,
                const OptionalArray<T>& c) {
  const NetworkShape& shape = streams.shape();
  if (c && !has_memory(shape.cell)) throw std::invalid_argument("c: expected None, this cell has no memory");
  const T* const h_data = dense_or_null(h, {shape.num_layers, n, shape.state_size()}, "h");
  const T* const c_data = dense_or_null(c, {shape.num_layers, n, shape.hidden_size}, "c");
  without_gil_if_large(state_bytes<T>(shape, n), [&] { streams.write(slots, n, h_data, c_data); });
}

// A step of all rows, or of those in n slots.
template <class T>
Array<T> step_of(Streams<T>& streams, const Network<T>& network, const Index* slots, Index n, const Array<T>& x,
                 const OptionalArray<T>& given_y) {
  const NetworkShape& shape = streams.shape();
  const T* const x_data = dense(x, {n, shape.input_size}, "x");
  Array<T> y = result_array<T>(given_y, {n, shape.state_size()}, "y");
  T* const y_data = y.mutable_data();
  without_gil_if_long(shape.terms(n), [&] { streams.step(network, {n, slots, x_data, y_data}); });
  return y;
}

// Stream32, Stream64.

template <class T>
using Batch = Shared<StreamBatch<T>>;

template <class T>
Batch<T> make_batch(const Shared<Network<T>>& network, Index rows) {
  require_count(rows, 1, std::numeric_limits<Index>::max(), "rows");
  const NetworkShape& shape = checked_shape(network);
  return without_gil([&] { return std::make_shared<StreamBatch<T>>(shape, rows); });
}

template <class T>
Array<T> step_batch(const Batch<T>& self, const Shared<Network<T>>& network, const Array<T>& x,
                    const OptionalArray<T>& y) {
  const Turn turn(turns_of(self));
  require_network(network, self->streams);
  return step_of(self->streams, *network, nullptr, self->streams.count(), x, y);
}

template <class T>
Array<T> run_batch(const Batch<T>& self, const Shared<Network<T>>& network, const Array<T>& x, bool batch_first,
                   const OptionalArray<T>& y) {
  const Turn turn(turns_of(self));
  require_network(network, self->streams);
  ForwardArrays<T> arrays(self->streams.shape(), x, batch_first, {}, y);
  if (arrays.call.rows != self->streams.count())
    throw std::invalid_argument("x: expected " + std::to_string(self->streams.count()) + " rows, got " +
                                std::to_string(arrays.call.rows));
  const NetworkShape& shape = self->streams.shape();
  without_gil_if_long(shape.terms(arrays.places()),
                      [&] { self->streams.run(*network, arrays.call.steps, arrays.call.x, arrays.call.y); });
  return arrays.y;
}

template <class T>
py::tuple read_batch(const Batch<T>& self) {
  const Turn turn(turns_of(self));
  return states_of(self->streams, nullptr, self->streams.count());
}

template <class T>
void write_batch(const Batch<T>& self, const OptionalArray<T>& h, const OptionalArray<T>& c) {
  const Turn turn(turns_of(self));
  set_states(self->streams, nullptr, self->streams.count(), h, c);
}

template <class T>
void clear_batch(const Batch<T>& self, const Ids& rows) {
  const Turn turn(turns_of(self));
  const Index* const given = dense(rows, {rows.size()}, "rows");
  const std::vector<Index> slots(given, given + rows.size());  // a copy: nobody else may change them now
  for (const Index slot : slots) require_count(slot, 0, self->streams.count() - 1, "rows");
  set_states<T>(self->streams, slots.data(), rows.size(), {}, {});
}

// StreamPool32, StreamPool64.

template <class T>
using Pool = Shared<StreamPool<T>>;

template <class T>
Pool<T> make_pool(const Shared<Network<T>>& network, Index capacity) {
  require_count(capacity, 1, StreamIds::kMostSlots, "capacity");
  const NetworkShape& shape = checked_shape(network);
  return without_gil([&] { return std::make_shared<StreamPool<T>>(shape, capacity); });
}

// The slots of ids; an exception that says what is wrong with them.
template <class T>
const Index* slots_of(StreamPool<T>& pool, const Ids& ids) {
  const Index* const names = dense(ids, {ids.size()}, "ids");
  Index at = 0;
  if (const Index* const slots = pool.ids.slots_of(names, ids.size(), at)) return slots;
  const std::string id = std::to_string(names[at]);
  switch (pool.ids.standing(names[at])) {
    case StreamIds::Standing::open: throw std::invalid_argument("ids: expected each stream once, got " + id + " twice");
    case StreamIds::Standing::closed:
      throw std::invalid_argument("ids: expected open streams, got " + id + ", which is closed");
    default: throw std::invalid_argument("ids: expected open streams, got " + id + ", which this pool never gave");
  }
}

template <class T>
Index open_stream(const Pool<T>& self) {
  const Turn turn(turns_of(self));
  const Index id = self->ids.open();
  const Index slot = StreamIds::slot_of(id);
  if (id >= 0) self->streams.write(&slot, 1, nullptr, nullptr);
  return id;
}

template <class T>
void close_streams(const Pool<T>& self, const Ids& ids) {
  const Turn turn(turns_of(self));
  const Index* const slots = slots_of(*self, ids);
  for (Index k = 0; k < ids.size(); ++k) self->ids.close(slots[k]);
}

template <class T>
Array<T> step_pool(const Pool<T>& self, const Shared<Network<T>>& network, const Ids& ids, const Array<T>& x,
                   const OptionalArray<T>& y) {
  const Turn turn(turns_of(self));
  require_network(network, self->streams);
  return step_of(self->streams, *network, slots_of(*self, ids), ids.size(), x, y);
}

template <class T>
py::tuple read_pool(const Pool<T>& self, const Ids& ids) {
  const Turn turn(turns_of(self));
  const Index* const slots = slots_of(*self, ids);
  return states_of(self->streams, slots, ids.size());
}

template <class T>
void write_pool(const Pool<T>& self, const Ids& ids, const OptionalArray<T>& h, const OptionalArray<T>& c) {
  const Turn turn(turns_of(self));
  set_states(self->streams, slots_of(*self, ids), ids.size(), h, c);
}

template <class T>
void grow_pool(const Pool<T>& self, Index capacity) {
  const Turn turn(turns_of(self));
  require_count(capacity, self->ids.count(), StreamIds::kMostSlots, "capacity");
  if (capacity == self->ids.count()) return;
  without_gil([&] {
    StreamIds more(self->ids, capacity);
    self->streams.grow(capacity);
    self->ids.swap(more);  // all memory is there, and nothing fails any more
  });
}

template <class T>
Index capacity_of(const Pool<T>& self) {
  const Turn turn(turns_of(self));
  return self->ids.count();
}

template <class T>
Index open_count(const Pool<T>& self) {
  const Turn turn(turns_of(self));
  return self->ids.open_count();
}

template <class T>
Index pool_bytes(const Pool<T>& self) {
  const Turn turn(turns_of(self));
  return self->streams.bytes() + self->ids.bytes();
}

template <class T>
bool is_open(const Pool<T>& self, Index id) {
  const Turn turn(turns_of(self));
  return self->ids.standing(id) == StreamIds::Standing::open;
}

Ids listed(const StreamIds& open) {
  Ids ids = new_array<Index>({open.open_count()});
  open.list(ids.mutable_data());
  return ids;
}

template <class T>
Ids open_ids(const Pool<T>& self) {
  const Turn turn(turns_of(self));
  return listed(self->ids);
}

// All that a pool like this one is made of, at one time: the table of ids, the open ones, and their states.
template <class T>
py::tuple saved_pool(const Pool<T>& self) {
  const Turn turn(turns_of(self));
  Ids table = new_array<Index>({self->ids.count()});
  std::copy_n(self->ids.table(), self->ids.count(), table.mutable_data());
  const Ids ids = listed(self->ids);
  const Index* const slots = slots_of(*self, ids);
  const py::tuple states = states_of(self->streams, slots, ids.size());
  return py::make_tuple(table, ids, states[0], states[1]);
}

// The table that saved_pool() gave for a pool of this capacity; its open streams begin from zero.
template <class T>
void restore_table(const Pool<T>& self, const Ids& table) {
  const Turn turn(turns_of(self));
  const Index* const entries = dense(table, {self->ids.count()}, "table");
  for (Index slot = 0; slot < table.size(); ++slot) {
    const Index id = entries[slot] < 0 ? -1 - entries[slot] : entries[slot];
    if (StreamIds::slot_of(id) != slot || id > StreamIds::kMostId)
      throw std::invalid_argument("table: expected ids of each slot, got " + std::to_string(entries[slot]) +
                                  " for slot " + std::to_string(slot));
  }
  self->ids.restore(entries);
  for (Index slot = 0; slot < table.size(); ++slot)
    if (entries[slot] >= 0) self->streams.write(&slot, 1, nullptr, nullptr);
}

template <class T>
void register_for(py::module_& m, const char* stream_name, const char* pool_name) {
  py::class_<StreamBatch<T>, Batch<T>>(m, stream_name, py::is_final())
      .def(py::init(&make_batch<T>), py::arg("network"), py::arg("rows"))
      .def_property_readonly("rows", [](const Batch<T>& self) { return existing(self).streams.count(); })
      .def_property_readonly("nbytes", [](const Batch<T>& self) { return existing(self).streams.bytes(); })
      .def("step", &step_batch<T>, py::arg("network"), py::arg("x").noconvert(), py::arg("y").noconvert() = py::none())
      .def("run", &run_batch<T>, py::arg("network"), py::arg("x").noconvert(), py::arg("batch_first"),
           py::arg("y").noconvert() = py::none())
      .def("read", &read_batch<T>)
      .def("write", &write_batch<T>, py::arg("h").noconvert(), py::arg("c").noconvert())
      .def("clear", &clear_batch<T>, py::arg("rows").noconvert());
  py::class_<StreamPool<T>, Pool<T>>(m, pool_name, py::is_final())
      .def(py::init(&make_pool<T>), py::arg("network"), py::arg("capacity"))
      .def_property_readonly("capacity", &capacity_of<T>)
      .def_property_readonly("open_count", &open_count<T>)
      .def_property_readonly("nbytes", &pool_bytes<T>)
      .def("open", &open_stream<T>)
      .def("close", &close_streams<T>, py::arg("ids").noconvert())
      .def("step", &step_pool<T>, py::arg("network"), py::arg("ids").noconvert(), py::arg("x").noconvert(),
           py::arg("y").noconvert() = py::none())
      .def("read", &read_pool<T>, py::arg("ids").noconvert())
      .def("write", &write_pool<T>, py::arg("ids").noconvert(), py::arg("h").noconvert(), py::arg("c").noconvert())
      .def("grow", &grow_pool<T>, py::arg("capacity"))
      .def("is_open", &is_open<T>, py::arg("id"))
      .def("ids", &open_ids<T>)
      .def("saved", &saved_pool<T>)
      .def("restore_table", &restore_table<T>, py::arg("table").noconvert());
}

}  // namespace

void register_streams(py::module_& m) {
  register_for<float>(m, "Stream32", "StreamPool32");
  register_for<double>(m, "Stream64", "StreamPool64");
}

}  // namespace lstmfast::bindings
