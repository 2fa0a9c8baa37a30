// A step of a lone layer on memory by address, for loops of PyTorch's modules: making arrays of tensors takes longer
// than a small step. Rows are dense, C order. What the arguments themselves show is checked, and no memory can be.
#include <cstdint>
#include <memory>
#include <new>
#include <stdexcept>

#include "bindings/fast_method.h"
#include "bindings/gil.h"
#include "bindings/python.h"
#include "lstmfast/network.h"
#include "lstmfast/threads.h"

namespace lstmfast::bindings {
namespace {

// (network, threads, rows, addresses...), with 0 for none.
class Arguments {
 public:
  static constexpr Py_ssize_t kFirst = 3;

  Arguments(PyObject* const* args, Py_ssize_t count, Py_ssize_t addresses) : args_(args) {
    if (count != kFirst + addresses) {
      PyErr_Format(PyExc_TypeError, "expected %zd arguments, got %zd", kFirst + addresses, count);
      throw PythonError();
    }
    threads = static_cast<int>(number(1));
    rows = number(2);
    if (rows < 1) throw std::invalid_argument("rows: expected at least 1");
  }

  template <class T>
  T* memory(Py_ssize_t place, bool is_needed = true) const {
    void* const found = PyLong_AsVoidPtr(args_[kFirst + place]);
    if (!found && PyErr_Occurred()) throw PythonError();
    if (!found && is_needed) throw std::invalid_argument("addresses: expected memory, got 0");
    return static_cast<T*>(found);
  }

  int threads;
  Index rows;

 private:
  Index number(Py_ssize_t place) const {
    const Py_ssize_t found = PyLong_AsSsize_t(args_[place]);
    if (found == -1 && PyErr_Occurred()) throw PythonError();
    return found;
  }

  PyObject* const* args_;
};

template <class T>
const NetworkShape& lone_layer(const Network<T>& network, bool trains) {
  const NetworkShape& shape = network.shape();
  if (shape.passes() != 1 || shape.projection_size || (trains && network.weights() != Weights::native))
    throw std::invalid_argument("network: expected one layer in one direction, without projection");
  return shape;
}

// T numbers that nobody reads afterwards.
template <class T>
class Scratch {
 public:
  explicit Scratch(Index count) {
    if (count > kOnStack) large_.reset(new T[static_cast<std::size_t>(count)]);
  }
  T* data() { return large_ ? large_.get() : small_; }

 private:
  static constexpr Index kOnStack = 2048;
  T small_[kOnStack];
  std::unique_ptr<T[]> large_;
};

template <class T>
ForwardCall<T> call_of(const NetworkShape& shape, const Arguments& given, T* y) {
  const Index I = shape.input_size, H = shape.hidden_size, rows = given.rows;
  const bool memory = has_memory(shape.cell);
  ForwardCall<T> call = {};
  call.steps = 1;
  call.rows = rows;
  call.x = {given.memory<const T>(0), rows * I, I};
  call.h0 = given.memory<const T>(1, false);
  call.c0 = given.memory<const T>(2, false);
  call.y = {y, rows * H, H};
  call.h_n = given.memory<T>(3);
  call.c_n = given.memory<T>(4, memory);
  return call;
}

struct Infer {
  static constexpr Py_ssize_t addresses = 5;

  template <class T>
  static void run(const Network<T>& network, const Arguments& given) {
    const NetworkShape& shape = lone_layer(network, false);
    Scratch<T> y(given.rows * shape.hidden_size);
    const ForwardCall<T> call = call_of(shape, given, y.data());
    without_gil_if_long(shape.terms(given.rows), [&] { network.infer(call); });
  }
};

template <class T>
T* tape_memory(const Arguments& given, Py_ssize_t place) {
  T* const block = given.memory<T>(place);
  if (reinterpret_cast<std::uintptr_t>(block) % 64) throw std::invalid_argument("tape: expected alignment to 64 bytes");
  return block;
}

struct Forward {
  static constexpr Py_ssize_t addresses = 7;

  template <class T>
  static void run(const Network<T>& network, const Arguments& given) {
    const NetworkShape& shape = lone_layer(network, true);
    const ForwardCall<T> call = call_of(shape, given, given.memory<T>(5));
    T* const block = tape_memory<T>(given, 6);
    without_gil_if_long(shape.terms(given.rows), [&] { network.forward(call, {}, block); });
  }
};

struct Backward {
  static constexpr Py_ssize_t addresses = 8;

  template <class T>
  static void run(const Network<T>& network, const Arguments& given) {
    const NetworkShape& shape = lone_layer(network, true);
    const Index I = shape.input_size, H = shape.hidden_size, rows = given.rows;
    ForwardCall<T> forward = {};
    forward.steps = 1;
    forward.rows = rows;
    forward.x = {given.memory<const T>(0), rows * I, I};
    forward.y = {given.memory<T>(1), rows * H, H};
    T* const block = tape_memory<T>(given, 2);
    const PassParameters<T> none = {};
    BackwardCall<T> call = {};
    call.dh_n = given.memory<const T>(3, false);
    call.dc_n = given.memory<const T>(4, false);
    call.dx = {given.memory<T>(5, false), rows * I, I};
    call.dh0 = given.memory<T>(6);
    call.dc0 = given.memory<T>(7, has_memory(shape.cell));
    call.gradients = &none;
    without_gil_if_long(2 * shape.terms(rows), [&] {
      const Tape<T> tape(shape, forward, {}, block);
      network.backward(tape, call);
    });
  }
};

template <class Step>
PyObject* run(PyObject*, PyObject* const* args, Py_ssize_t count) {
  try {
    const Arguments given(args, count, Step::addresses);
    const BorrowedThreads borrowed(given.threads);
    if (const auto* found = as_bound<Network<float>>(args[0]))
      Step::run(*found, given);
    else if (const auto* wide = as_bound<Network<double>>(args[0]))
      Step::run(*wide, given);
    else
      return PyErr_Format(PyExc_TypeError, "network: expected a Network32 or Network64");
    Py_RETURN_NONE;
  } catch (const PythonError&) {
  } catch (const std::invalid_argument& error) {
    PyErr_SetString(PyExc_ValueError, error.what());
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  } catch (const std::exception& error) {  // nothing may unwind through the interpreter
    PyErr_SetString(PyExc_RuntimeError, error.what());
  }
  return nullptr;
}

template <class Step>
PyMethodDef method(const char* name, const char* doc) {
  return {name, reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(&run<Step>)), METH_FASTCALL, doc};
}

}  // namespace

PyMethodDef* cell_methods() {
  static PyMethodDef methods[] = {
      method<Infer>("cell_infer", "cell_infer(network, threads: int, rows: int, /, *addresses: int) -> None"),
      method<Forward>("cell_forward", "cell_forward(network, threads: int, rows: int, /, *addresses: int) -> None"),
      method<Backward>("cell_backward", "cell_backward(network, threads: int, rows: int, /, *addresses: int) -> None"),
      {}};
  return methods;
}

}  // namespace lstmfast::bindings
