#include "onnxruntime/weights.h"

#include <algorithm>

namespace lstmfast::onnxruntime {

template <class T>
NodeWeights<T>::NodeWeights(const Api& api, const NodeSpec& spec, const Packing& packing, bool constant,
                            const KernelInfo* info)
    : api_(api), spec_(spec), packing_(packing), constant_(constant), inputs_(spec.weights()) {
  if (!constant) return;
  WeightTensors found;
  for (const int input : inputs_) {
    int is_constant = 0;
    const Value* value = nullptr;
    const auto place = static_cast<std::size_t>(input);
    if (!succeeded(api, api.KernelInfoGetConstantInput_tensor()(info, place, &is_constant, &value)) || !is_constant)
      return;
    found[place] = tensor_of(api, value);
    if (!found[place].there()) return;
  }
  settle(found);
}

template <class T>
void NodeWeights<T>::settle(const WeightTensors& tensors) {
  last_ = model_of<T>(spec_, tensors, packing_);
  for (auto& copy : copies_) copy.reset();
  fixed_.store(last_.get(), std::memory_order_release);
}

template <class T>
bool NodeWeights<T>::offered(const Value* value, int input) {
  if (!constant_ || std::find(inputs_.begin(), inputs_.end(), input) == inputs_.end()) return false;
  const std::lock_guard<std::mutex> lock(mutex_);
  if (last_) return true;
  const Tensor tensor = tensor_of(api_, value);
  const auto* const bytes = tensor.as<char>();
  auto copy = std::make_unique<Copy>();
  copy->bytes.assign(bytes, bytes + tensor.bytes());
  copy->sizes.assign(tensor.sizes, tensor.sizes + tensor.rank);
  copy->element = tensor.element;
  copies_[static_cast<std::size_t>(input)] = std::move(copy);

  WeightTensors found;
  for (const int each : inputs_) {
    const auto place = static_cast<std::size_t>(each);
    const Copy* const kept = copies_[place].get();
    if (!kept) return true;
    found[place] = kept->tensor();
  }
  settle(found);
  return true;
}

template <class T>
std::shared_ptr<const Model<T>> NodeWeights<T>::model_of_call(Find find, const void* context) {
  std::unique_lock<std::mutex> lock(mutex_);
  if (constant_ && last_) return last_;
  WeightTensors found;
  for (const int input : inputs_) {
    const auto place = static_cast<std::size_t>(input);
    const Copy* const kept = copies_[place].get();
    // Of what was handed to us ONNX Runtime has nothing any more.
    found[place] = kept ? kept->tensor() : find(context, input);
  }
  if (constant_) {
    settle(found);
    return last_;
  }
  lock.unlock();
  auto model = model_of<T>(spec_, found, packing_);
  lock.lock();
  last_ = model;  // for the next call, which likely has the same
  return model;
}

template class NodeWeights<float>;
template class NodeWeights<double>;

}  // namespace lstmfast::onnxruntime
