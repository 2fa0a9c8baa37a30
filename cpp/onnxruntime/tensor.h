// A tensor of ONNX Runtime's: where its numbers are, and its sizes.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>

#include "lstmfast/types.h"
#include "onnxruntime/errors.h"

namespace lstmfast::onnxruntime {

struct Tensor {
  const void* data = nullptr;  // null for none
  ElementType element = kUndefined;
  const std::int64_t* sizes = nullptr;
  std::size_t rank = 0;

  bool there() const { return data != nullptr; }
  Index size(std::size_t axis) const { return static_cast<Index>(sizes[axis]); }
  Index count() const {
    Index product = 1;
    for (std::size_t axis = 0; axis < rank; ++axis) product *= size(axis);
    return product;
  }
  Index bytes() const;
  // Arrays of NumPy's may lie anywhere, and so may constants in files of their own.
  bool is_aligned(std::size_t alignment) const { return reinterpret_cast<std::uintptr_t>(data) % alignment == 0; }
  template <class T>
  const T* as() const {
    return static_cast<const T*>(data);
  }
  bool has_sizes(std::initializer_list<Index> expected) const {
    if (rank != expected.size()) return false;
    std::size_t axis = 0;
    for (const Index each : expected)
      if (size(axis++) != each) return false;
    return true;
  }
};

inline Index element_bytes(ElementType element) {
  switch (element) {
    case kDouble: return 8;
    case kFloat:
    case kInt32: return 4;
    case kFloat16: return 2;
    default: return 1;
  }
}

inline Index Tensor::bytes() const { return count() * element_bytes(element); }

// value: null for none.
inline Tensor tensor_of(const Api& api, const Value* value) {
  Tensor tensor;
  if (!value) return tensor;
  int element = kUndefined;
  check(api.GetTensorElementTypeAndShapeDataReference()(value, &element, &tensor.sizes, &tensor.rank));
  tensor.element = static_cast<ElementType>(element);
  check(api.GetTensorData()(value, &tensor.data));
  // Of a tensor without numbers in it there may be no address.
  if (!tensor.data) tensor.data = "";
  return tensor;
}

// "[4, 8]".
template <class Sizes>
std::string shown(const Sizes& begin, const Sizes& end) {
  std::string text = "[";
  for (Sizes size = begin; size != end; ++size) text += (size == begin ? "" : ", ") + std::to_string(*size);
  return text + "]";
}
inline std::string shown(std::initializer_list<Index> sizes) { return shown(sizes.begin(), sizes.end()); }
inline std::string shown(const Tensor& tensor) { return shown(tensor.sizes, tensor.sizes + tensor.rank); }

// What a mistake in an input is told as.
inline std::string expected(const std::string& name, const std::string& what, const Tensor& got) {
  return name + ": expected " + what + ", got " + shown(got);
}

}  // namespace lstmfast::onnxruntime
