// Work without the GIL.
#pragma once

#include <Python.h>

#include <cstddef>
#include <exception>
#include <type_traits>
#if defined(__GLIBCXX__) && !defined(_WIN32)  // where ending a thread is an exception
#define LSTMFAST_THREADS_UNWIND
#include <unistd.h>
#endif

#include "bindings/python.h"
#include "lstmfast/stopping.h"

namespace lstmfast::bindings {

// Runs what comes back for the GIL. When the interpreter is ending, Python before 3.14 unwinds a daemon thread that
// does, and on the way destructors would touch objects that are not theirs any more. Stay here instead, as Python does
// since: the process ends soon. Python's functions throw nothing else; and nothing is named, for a reference to what is
// thrown then (abi::__forced_unwind) would be one to nothing.
template <class Work>
auto or_stay_here(Work&& work) {
#if defined(LSTMFAST_THREADS_UNWIND)
  try {
    return work();
  } catch (...) {
    for (;;) pause();
  }
#else
  return work();
#endif
}

inline void take_gil_back(PyThreadState* state) {
  or_stay_here([&] { PyEval_RestoreThread(state); });
}

// Has Python's handlers of signals run while this thread is without the GIL: Ctrl-C must not wait until a long call is
// done. What a handler raises ends the call, and all others, which return, let it go on. Signals are the main thread's;
// elsewhere the question finds nothing.
class SignalsHandled {
 public:
  explicit SignalsHandled(PyThreadState* state) : state_(state), asked_(ask, this) {}

 private:
  static bool ask(void* own) noexcept {
    return or_stay_here([&] {
      PyEval_RestoreThread(static_cast<SignalsHandled*>(own)->state_);
      // Since Python 3.12 it may collect garbage, on any thread: finalisers, too, come back for the GIL.
      const bool raised = PyErr_CheckSignals() != 0;  // the error stays with the thread
      PyEval_SaveThread();
      return !raised;
    });
  }

  PyThreadState* const state_;
  const AskedToGoOn asked_;
};

// Runs work(), which is the core's. Throws PythonError where a handler of signals has raised an error.
template <class Work>
auto without_gil(Work&& work) {
  PyThreadState* const state = PyEval_SaveThread();
  try {
    const SignalsHandled signals(state);
    if constexpr (std::is_void_v<decltype(work())>) {
      work();
      take_gil_back(state);
    } else {
      auto result = work();
      take_gil_back(state);
      return result;
    }
  } catch (const GivenUp&) {
    take_gil_back(state);
    throw PythonError();
  } catch (const std::exception&) {
    take_gil_back(state);
    throw;
  }
}

// Bytes that are read or written sooner than the GIL could be handed over and back (some 1.2 us); so are calls of fewer
// than kShortCall multiply-adds.
inline constexpr std::ptrdiff_t kSmallCopy = 64 * 1024;

template <class Work>
void without_gil_if_long(std::ptrdiff_t terms, Work&& work) {
  if (terms < kShortCall)
    work();
  else
    without_gil(work);
}

template <class Work>
auto without_gil_if_large(std::ptrdiff_t bytes, Work&& work) {
  return bytes < kSmallCopy ? work() : without_gil(work);
}

}  // namespace lstmfast::bindings
