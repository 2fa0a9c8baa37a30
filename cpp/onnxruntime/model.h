// A node's weights, packed: once for all nodes and sessions that have the same.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "lstmfast/isa.h"
#include "lstmfast/network.h"
#include "onnxruntime/node.h"
#include "onnxruntime/tensor.h"

namespace lstmfast::onnxruntime {

// By Input; those that are no weights, or not there, are empty.
using WeightTensors = std::array<Tensor, Input::count>;

// What a node's weights are made into: networks of [first direction, count), one of all directions or, where they
// differ in more than weights, one of each.
template <class T>
struct Model {
  Index input_size, hidden_size;
  std::vector<std::unique_ptr<Network<T>>> networks;
};

// Sizes I and H of a node. Throws Unfit where its weights do not fit it, or each other.
struct Sizes {
  Index input, hidden;
};
Sizes sizes_of(const NodeSpec& spec, const WeightTensors& weights);

// What the kernel of a session is to make of its weights: `native`, or smaller ones for nodes of float32.
struct Packing {
  Weights kind = Weights::native;
  const Isa* isa = nullptr;
};

// Of these weights, which must fit (sizes_of): one that was made already, or a new one. Weights that cannot be made
// smaller, for they are not finite, stay as they are. Throws std::bad_alloc.
template <class T>
std::shared_ptr<const Model<T>> model_of(const NodeSpec& spec, const WeightTensors& weights, const Packing& packing);

}  // namespace lstmfast::onnxruntime
