// Streams and pools of them as Python objects.
#pragma once

#include "bindings/turn.h"
#include "lstmfast/stream_ids.h"
#include "lstmfast/streams.h"

namespace lstmfast::bindings {

// One stream of B rows that are stepped together.
template <class T>
struct StreamBatch {
  StreamBatch(const NetworkShape& shape, Index rows) : streams(shape, rows) {
    streams.write(nullptr, rows, nullptr, nullptr);
  }

  Streams<T> streams;
  Turns turns;
};

// Streams that are opened, closed and stepped by id.
template <class T>
struct StreamPool {
  StreamPool(const NetworkShape& shape, Index capacity) : streams(shape, capacity), ids(capacity) {}

  Streams<T> streams;
  StreamIds ids;
  Turns turns;
};

}  // namespace lstmfast::bindings
