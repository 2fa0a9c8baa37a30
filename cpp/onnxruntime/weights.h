// The way of a node's weights from ONNX Runtime to us, which differs by version.
//
// Constants are there when a kernel is made; where they belong to an outer graph, ONNX Runtime before 1.29 has them
// only afterwards, one by one, when it offers to free its copies; and what is computed, or may be replaced by who
// calls, is there when it is called.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "onnxruntime/model.h"

namespace lstmfast::onnxruntime {

template <class T>
class NodeWeights {
 public:
  // constant: as the graph says, all that the node has are.
  NodeWeights(const Api& api, const NodeSpec& spec, const Packing& packing, bool constant, const KernelInfo* info);

  // A constant that ONNX Runtime offers; whether it is needed no more.
  bool offered(const Value* value, int input);

  // What to compute with, as long as it is held. given: finds an input of this call.
  struct Held {
    const Model<T>* model;
    std::shared_ptr<const Model<T>> owner;  // null where this object is
  };
  template <class Given>
  Held model(const Given& given) {
    if (const Model<T>* const fixed = fixed_.load(std::memory_order_acquire)) return {fixed, nullptr};
    auto owner = model_of_call(
        [](const void* context, int input) { return (*static_cast<const Given*>(context))(input); }, &given);
    return {owner.get(), owner};
  }

 private:
  using Find = Tensor (*)(const void* context, int input);
  std::shared_ptr<const Model<T>> model_of_call(Find find, const void* context);
  void settle(const WeightTensors& tensors);

  const Api& api_;
  const NodeSpec spec_;
  const Packing packing_;
  const bool constant_;
  const std::vector<int> inputs_;

  std::mutex mutex_;
  std::shared_ptr<const Model<T>> last_;         // of constants, or of the last call's weights
  std::atomic<const Model<T>*> fixed_{nullptr};  // of constants, once it is there
  // Copies of constants that have come one by one, until all are there.
  struct Copy {
    std::vector<char> bytes;
    std::vector<std::int64_t> sizes;
    ElementType element;

    Tensor tensor() const { return {bytes.data(), element, sizes.data(), sizes.size()}; }
  };
  std::array<std::unique_ptr<Copy>, Input::count> copies_;
};

}  // namespace lstmfast::onnxruntime
