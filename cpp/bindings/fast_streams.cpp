// fast_step, fast_run, fast_pool_step: methods of Stream and StreamPool as fast methods. Usual: C-ordered arrays of the
// model's dtype; ids of int64; out: nothing, or such a writeable array that shares no memory with x.
#include <algorithm>

#include "bindings/fast_method.h"
#include "bindings/gil.h"
#include "bindings/stream_parts.h"
#include "bindings/streams.h"
#include "bindings/usual.h"

namespace lstmfast::bindings {
namespace {

// What a stream's or a pool's object has: a Stream32, say, and the model, which has the network.
struct Parts {
  Reference core, model, network;

  explicit Parts(PyObject* self) {
    StreamParts* const parts = as_stream_parts(self);
    if (!parts) return;
    take(*parts);
    if (core && model) network = attribute(model.get(), call_names.network);
  }
  bool there() const { return static_cast<bool>(network); }

 private:
  // Without a GIL another thread may be replacing them: under the lock that whoever sets an attribute takes.
  void take(StreamParts& parts) {
#if defined(Py_GIL_DISABLED)
    Py_BEGIN_CRITICAL_SECTION(&parts.ob_base);
#endif
    core = Reference::borrowed(parts.core);
    model = Reference::borrowed(parts.model);
#if defined(Py_GIL_DISABLED)
    Py_END_CRITICAL_SECTION();
#endif
  }
};

// The network, if it is one that the streams can be stepped with.
template <class T>
const Network<T>* network_for(const Streams<T>& streams, const Parts& parts) {
  const Network<T>* const network = as_bound<Network<T>>(parts.network.get());
  return network && network->shape() == streams.shape() ? network : nullptr;
}

// y of x's axes with `features` numbers in the last: new, or `out` if it is a usual one; else none.
template <class T>
Reference result_like(PyObject* x, Index features, PyObject* out, T*& data) {
  const int axes = reinterpret_cast<const ArrayParts*>(x)->axes;
  Py_ssize_t sizes[3] = {};
  std::copy_n(shape_of(x), axes, sizes);
  sizes[axes - 1] = features;
  if (!out) {
    Reference made = quick_array<T>(axes, sizes);
    data = data_of<T>(made);
    return made;
  }
  data = usual_array<T>(out, axes, kWriteable);
  if (!data || !std::equal(sizes, sizes + axes, shape_of(out))) return {};
  return Reference::borrowed(out);
}

template <class T>
bool share_memory(const T* x, Index x_count, const T* y, Index y_count) {
  return overlap(Memory<T>{x, x_count}, Memory<T>{y, y_count});
}

// One frame: x [B, I], or [I] of a single row.
template <class T>
Reference step(StreamBatch<T>& batch, const Parts& parts, PyObject* x, PyObject* out) {
  const Turn turn(batch.turns);
  Streams<T>& streams = batch.streams;
  const Network<T>* const network = network_for(streams, parts);
  if (!network) return {};
  const NetworkShape& shape = streams.shape();
  const Index rows = streams.count(), S = shape.state_size();
  const T* x_data = usual_matrix<T>(x, rows, shape.input_size);
  if (!x_data && rows == 1) {
    x_data = usual_array<T>(x, 1);
    if (x_data && shape_of(x)[0] != shape.input_size) return {};
  }
  if (!x_data) return {};
  T* y_data = nullptr;
  Reference y = result_like<T>(x, S, out, y_data);
  if (!y || share_memory<T>(x_data, rows * shape.input_size, y_data, rows * S)) return {};
  without_gil_if_long(shape.terms(rows), [&] { streams.step(*network, {rows, nullptr, x_data, y_data}); });
  return y;
}

// A chunk: x [T, B, I], [B, T, I] with batch_first, or [T, I] of a single row.
template <class T>
Reference run(StreamBatch<T>& batch, const Parts& parts, PyObject* x, PyObject* out) {
  const Turn turn(batch.turns);
  Streams<T>& streams = batch.streams;
  const Network<T>* const network = network_for(streams, parts);
  const Reference batch_first = attribute(parts.model.get(), call_names.batch_first);
  if (!network || !batch_first) return {};
  const NetworkShape& shape = streams.shape();
  const Index rows = streams.count(), I = shape.input_size, S = shape.state_size();
  const bool rows_first = batch_first.get() == Py_True;
  const T* x_data = usual_array<T>(x, 3);
  Index steps = 0;
  if (x_data) {
    const Py_ssize_t* const sizes = shape_of(x);
    if (sizes[rows_first ? 0 : 1] != rows || sizes[2] != I) return {};
    steps = sizes[rows_first ? 1 : 0];
  } else {
    x_data = usual_array<T>(x, 2);
    if (!x_data || rows != 1 || shape_of(x)[1] != I) return {};
    steps = shape_of(x)[0];
  }
  if (steps == 0) return {};
  T* y_data = nullptr;
  Reference y = result_like<T>(x, S, out, y_data);
  if (!y || share_memory<T>(x_data, steps * rows * I, y_data, steps * rows * S)) return {};
  const auto layout = [&](auto* data, Index size) {
    using Element = std::remove_pointer_t<decltype(data)>;
    return rows_first ? Sequence<Element>{data, size, steps * size} : Sequence<Element>{data, rows * size, size};
  };
  without_gil_if_long(shape.terms(steps * rows),
                      [&] { streams.run(*network, steps, layout(x_data, I), layout(y_data, S)); });
  return y;
}

// One frame of some streams: ids [n], x [n, I].
template <class T>
Reference pool_step(StreamPool<T>& pool, const Parts& parts, PyObject* ids, PyObject* x, PyObject* out) {
  const Turn turn(pool.turns);
  Streams<T>& streams = pool.streams;
  const Network<T>* const network = network_for(streams, parts);
  if (!network) return {};
  const NetworkShape& shape = streams.shape();
  const Index* const names = usual_array<Index>(ids, 1);
  if (!names) return {};
  const Index rows = shape_of(ids)[0], S = shape.state_size();
  const T* const x_data = usual_matrix<T>(x, rows, shape.input_size);
  if (!x_data || rows == 0) return {};
  T* y_data = nullptr;
  Reference y = result_like<T>(x, S, out, y_data);
  if (!y || share_memory<T>(x_data, rows * shape.input_size, y_data, rows * S)) return {};
  Index at = 0;
  const Index* const slots = pool.ids.slots_of(names, rows, at);
  if (!slots) return {};
  without_gil_if_long(shape.terms(rows), [&] { streams.step(*network, {rows, slots, x_data, y_data}); });
  return y;
}

// each(streams or pool, parts) of an object, whichever its dtype is.
template <template <class> class Bound, class Each>
Reference for_core(PyObject* self, const Each& each) {
  const Parts parts(self);
  if (!parts.there()) return {};
  if (auto* found = as_bound<Bound<float>>(parts.core.get())) return each(*found, parts);
  if (auto* found = as_bound<Bound<double>>(parts.core.get())) return each(*found, parts);
  return {};
}

}  // namespace

Reference answer_step(PyObject* const* args, Py_ssize_t count, PyObject* out) {
  if (count != 2) return {};
  return for_core<StreamBatch>(args[0],
                               [&](auto& batch, const Parts& parts) { return step(batch, parts, args[1], out); });
}

Reference answer_run(PyObject* const* args, Py_ssize_t count, PyObject* out) {
  if (count != 2) return {};
  return for_core<StreamBatch>(args[0],
                               [&](auto& batch, const Parts& parts) { return run(batch, parts, args[1], out); });
}

Reference answer_pool_step(PyObject* const* args, Py_ssize_t count, PyObject* out) {
  if (count != 3) return {};
  return for_core<StreamPool>(
      args[0], [&](auto& pool, const Parts& parts) { return pool_step(pool, parts, args[1], args[2], out); });
}

}  // namespace lstmfast::bindings
