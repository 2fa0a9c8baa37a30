// A node's work: its inputs and outputs as ONNX Runtime has them, and a call of the core.
#pragma once

#include "onnxruntime/api.h"
#include "onnxruntime/node.h"
#include "onnxruntime/options.h"

namespace lstmfast::onnxruntime {

// constant: whether all weights of the node are constants of the graph.
KernelImpl* make_kernel(const Api& api, const NodeSpec& spec, const Options& options, bool constant,
                        const KernelInfo* info);

}  // namespace lstmfast::onnxruntime
