// What a session asks of our provider.
#pragma once

#include <string>

#include "lstmfast/onnxruntime.h"
#include "onnxruntime/api.h"
#include "onnxruntime/model.h"

namespace lstmfast::onnxruntime {

struct Options {
  int threads = 0;     // for a node's work; 0: as many as lstmfast::get_num_threads() says at the time
  Packing packing;     // which weights, and which ISA
  std::string report;  // names the report (report.h) that says what became of each node; empty: none
};

// Throws std::invalid_argument where a value is none of those that there are.
Options read_options(const Api& api, const SessionOptions* session);

}  // namespace lstmfast::onnxruntime
