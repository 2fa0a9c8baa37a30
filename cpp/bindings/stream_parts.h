// StreamParts: the base of Python's Stream and StreamPool, which holds what they consist of where it is found at once.
// In a step of a small model, looking for two attributes takes as long as all checks of the arguments together.
#pragma once

#include "bindings/python.h"

namespace lstmfast::bindings {

struct StreamParts {
  PyObject_HEAD PyObject* core;  // `_core`: a Stream32, say; null until it is set
  PyObject* model;               // `_model`; likewise
  PyObject* weak_references;
};

// The class; made once, when the module is.
Reference make_stream_parts_type();

// `object` as one, or null.
StreamParts* as_stream_parts(PyObject* object);

}  // namespace lstmfast::bindings
