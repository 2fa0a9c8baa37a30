// What methods of streams and of pools do alike.
#pragma once

#include <string>

#include "bindings/calls.h"
#include "bindings/gil.h"
#include "bindings/streams.h"

namespace lstmfast::bindings {

using Ids = Array<Index>;

inline Ids ids_from(Given given, const char* name = "ids") { return array_from<Index>(given, name); }

template <class T>
const NetworkShape& one_way_shape(const Network<T>& network) {
  const NetworkShape& shape = network.shape();
  if (shape.directions != 1 || shape.reverse) throw std::invalid_argument("network: expected one direction");
  return shape;
}

template <class T>
const Network<T>& network_from(Given given, const Streams<T>& streams) {
  const Network<T>& network = object_from<Network<T>>(given, "network");
  if (!(network.shape() == streams.shape()))
    throw std::invalid_argument("network: expected one of the shape that the streams were made for");
  return network;
}

// A stream or a pool whose turn the caller has.
template <class Object>
struct Held {
  Object& object;
  Turn turn;

  explicit Held(Given self) : object(object_from<Object>(self)), turn(object.turns) {}
  Object* operator->() const { return &object; }
};

inline void require_count(Index count, Index least, Index most, const char* name) {
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
py::object step_of(Streams<T>& streams, Given network, const Index* slots, Index n, Given x_given, Given y_given) {
  const Network<T>& stepped = network_from(network, streams);
  const Array<T> x = array_from<T>(x_given, "x");
  const NetworkShape& shape = streams.shape();
  const T* const x_data = dense(x, {n, shape.input_size}, "x");
  Array<T> y = result_array<T>(optional_array_from<T>(y_given, "y"), {n, shape.state_size()}, "y");
  T* const y_data = y.mutable_data();
  without_gil_if_long(shape.terms(n), [&] { streams.step(stepped, {n, slots, x_data, y_data}); });
  return std::move(y);
}

}  // namespace lstmfast::bindings
