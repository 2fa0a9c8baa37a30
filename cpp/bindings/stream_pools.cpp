// StreamPool32 and StreamPool64.
#include <algorithm>

#include "bindings/held.h"
#include "bindings/register.h"
#include "bindings/stream_calls.h"

namespace lstmfast::bindings {
namespace {

template <class T>
using Pool = Held<StreamPool<T>>;

template <class T>
Shared<StreamPool<T>> make_pool(Given network, Index capacity) {
  const Network<T>& made_for = object_from<Network<T>>(network, "network");
  require_count(capacity, 1, StreamIds::kMostSlots, "capacity");
  const NetworkShape& shape = one_way_shape(made_for);
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

// h [L, 1, S], c [L, 1, H], or none for zero.
template <class T>
py::object open_stream(Given self, Given h_given, Given c_given) {
  const Pool<T> pool(self);
  const NetworkShape& shape = pool->streams.shape();
  const OptionalArray<T> h = optional_array_from<T>(h_given, "h"), c = optional_array_from<T>(c_given, "c");
  if (c && !has_memory(shape.cell)) throw std::invalid_argument("c: expected None, this cell has no memory");
  const T* const h_data = dense_or_null(h, {shape.num_layers, 1, shape.state_size()}, "h");
  const T* const c_data = dense_or_null(c, {shape.num_layers, 1, shape.hidden_size}, "c");
  const Index id = pool->ids.next();
  py::object made = py::int_(id);  // or a stream would be open that nobody has heard of
  if (id < 0) return made;
  pool->ids.open();  // nothing fails any more
  const Index slot = StreamIds::slot_of(id);
  pool->streams.write(&slot, 1, h_data, c_data);
  return made;
}

template <class T>
void close_streams(Given self, Given ids_given) {
  const Pool<T> pool(self);
  const Ids ids = ids_from(ids_given);
  const Index* const slots = slots_of(pool.object, ids);
  for (Index k = 0; k < ids.size(); ++k) pool->ids.close(slots[k]);
}

template <class T>
py::object step_pool(Given self, Given network, Given ids_given, Given x, Given y) {
  const Pool<T> pool(self);
  const Ids ids = ids_from(ids_given);
  return step_of(pool->streams, network, slots_of(pool.object, ids), ids.size(), x, y);
}

template <class T>
py::object read_pool(Given self, Given ids_given) {
  const Pool<T> pool(self);
  const Ids ids = ids_from(ids_given);
  const Index* const slots = slots_of(pool.object, ids);
  return states_of(pool->streams, slots, ids.size());
}

template <class T>
void write_pool(Given self, Given ids_given, Given h, Given c) {
  const Pool<T> pool(self);
  const Ids ids = ids_from(ids_given);
  set_states(pool->streams, slots_of(pool.object, ids), ids.size(), optional_array_from<T>(h, "h"),
             optional_array_from<T>(c, "c"));
}

template <class T>
void grow_pool(Given self, Index capacity) {
  const Pool<T> pool(self);
  require_count(capacity, pool->ids.count(), StreamIds::kMostSlots, "capacity");
  if (capacity == pool->ids.count()) return;
  without_gil([&] {
    StreamIds more(pool->ids, capacity);
    pool->streams.grow(capacity);
    pool->ids.swap(more);  // all memory is there, and nothing fails any more
  });
}

template <class T>
py::object capacity_of(Given self) {
  return py::int_(Pool<T>(self)->ids.count());
}

template <class T>
py::object open_count(Given self) {
  return py::int_(Pool<T>(self)->ids.open_count());
}

template <class T>
py::object pool_bytes(Given self) {
  const Pool<T> pool(self);
  return py::int_(pool->streams.bytes() + pool->ids.bytes());
}

template <class T>
bool is_open(Given self, Index id) {
  return Pool<T>(self)->ids.standing(id) == StreamIds::Standing::open;
}

Ids listed(const StreamIds& open) {
  Ids ids = new_array<Index>({open.open_count()});
  open.list(ids.mutable_data());
  return ids;
}

template <class T>
py::object open_ids(Given self) {
  return listed(Pool<T>(self)->ids);
}

// All that a pool like this one is made of, at one time: the table of ids, the open ones, and their states.
template <class T>
py::object saved_pool(Given self) {
  const Pool<T> pool(self);
  Ids table = new_array<Index>({pool->ids.count()});
  std::copy_n(pool->ids.table(), pool->ids.count(), table.mutable_data());
  const Ids ids = listed(pool->ids);
  const Index* const slots = slots_of(pool.object, ids);
  const py::tuple states = states_of(pool->streams, slots, ids.size());
  return py::make_tuple(table, ids, states[0], states[1]);
}

// The table that saved_pool() gave for a pool of this capacity; its open streams begin from zero.
template <class T>
void restore_table(Given self, Given table_given) {
  const Pool<T> pool(self);
  const Ids table = ids_from(table_given, "table");
  const Index* const entries = dense(table, {pool->ids.count()}, "table");
  for (Index slot = 0; slot < table.size(); ++slot) {
    const Index id = entries[slot] < 0 ? -1 - entries[slot] : entries[slot];
    if (StreamIds::slot_of(id) != slot || id > StreamIds::kMostId)
      throw std::invalid_argument("table: expected ids of each slot, got " + std::to_string(entries[slot]) +
                                  " for slot " + std::to_string(slot));
  }
  pool->ids.restore(entries);
  for (Index slot = 0; slot < table.size(); ++slot)
    if (entries[slot] >= 0) pool->streams.write(&slot, 1, nullptr, nullptr);
}

template <class T>
void register_pool(py::module_& m, const char* name) {
  py::class_<StreamPool<T>, Shared<StreamPool<T>>> pool(m, name, py::is_final());
  pool.def("__init__", init_with(&make_pool<T>), py::detail::is_new_style_constructor(), py::arg("network"),
           py::arg("capacity"))
      .def_property_readonly("capacity", &capacity_of<T>)
      .def_property_readonly("open_count", &open_count<T>)
      .def_property_readonly("nbytes", &pool_bytes<T>)
      .def("open", &open_stream<T>, py::arg("h") = py::none(), py::arg("c") = py::none())
      .def("close", &close_streams<T>, py::arg("ids"))
      .def("step", &step_pool<T>, py::arg("network"), py::arg("ids"), py::arg("x"), py::arg("y") = py::none())
      .def("read", &read_pool<T>, py::arg("ids"))
      .def("write", &write_pool<T>, py::arg("ids"), py::arg("h"), py::arg("c"))
      .def("grow", &grow_pool<T>, py::arg("capacity"))
      .def("is_open", &is_open<T>, py::arg("id"))
      .def("ids", &open_ids<T>)
      .def("saved", &saved_pool<T>)
      .def("restore_table", &restore_table<T>, py::arg("table"));
  remember(pool);
}

}  // namespace

void register_stream_pools(py::module_& m) {
  register_pool<float>(m, "StreamPool32");
  register_pool<double>(m, "StreamPool64");
}

}  // namespace lstmfast::bindings
