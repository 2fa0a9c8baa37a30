// Reports of what became of nodes: lstmfast/onnxruntime.h.
#pragma once

#include "lstmfast/onnxruntime.h"

namespace lstmfast::onnxruntime {

// Nothing happens where it is not open.
void add_to_report(const std::string& name, Decision decision);

}  // namespace lstmfast::onnxruntime
