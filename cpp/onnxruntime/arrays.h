// ONNX Runtime's arrays in the core's form, and back: states with their axes the other way round, numbers of float16.
#pragma once

#include <cstdint>
#include <cstring>

#include "core/buffer.h"
#include "core/rounding.h"
#include "onnxruntime/tensor.h"

namespace lstmfast::onnxruntime {

// Memory for one call: of the stack where it is small, for a step takes not much longer than malloc.
template <class T>
class Room {
 public:
  T* take(Index count) {
    if (count <= kSmall) return small_;
    large_ = Buffer<T>(count);
    return large_.data();
  }

 private:
  static constexpr Index kSmall = 4096 / static_cast<Index>(sizeof(T));
  alignas(64) T small_[kSmall];
  Buffer<T> large_;
};

// [outer, inner, n] of From, at any address, as it is or, swapped, as [inner, outer, n] of To, at any address; each
// number as `convert` has it.
template <class From, class To, class Convert>
void copy_axes(const void* from, Index outer, Index inner, Index n, bool swapped, void* to, const Convert& convert) {
  constexpr Index from_bytes = sizeof(From), to_bytes = sizeof(To);
  for (Index a = 0; a < outer; ++a)
    for (Index b = 0; b < inner; ++b) {
      const auto* const source = static_cast<const char*>(from) + (a * inner + b) * n * from_bytes;
      auto* const target = static_cast<char*>(to) + (swapped ? b * outer + a : a * inner + b) * n * to_bytes;
      for (Index k = 0; k < n; ++k) {
        From number;
        std::memcpy(&number, source + k * from_bytes, sizeof number);
        const To converted = convert(number);
        std::memcpy(target + k * to_bytes, &converted, sizeof converted);
      }
    }
}

// A tensor [outer, inner, n] of T or, where that is float, of float16, as an array of T: itself, or a copy.
template <class T>
const T* taken(const Tensor& tensor, bool swapped, Room<T>& room) {
  swapped = swapped && tensor.size(0) > 1 && tensor.size(1) > 1;
  const bool half = tensor.element == kFloat16;
  if (!swapped && !half && tensor.is_aligned(alignof(T))) return tensor.as<T>();
  T* const to = room.take(tensor.count());
  const Index outer = tensor.size(0), inner = tensor.size(1), n = tensor.size(2);
  if (half)
    copy_axes<std::uint16_t, T>(tensor.data, outer, inner, n, swapped, to, [](auto x) { return T(from_float16(x)); });
  else
    copy_axes<T, T>(tensor.data, outer, inner, n, swapped, to, [](T x) { return x; });
  return to;
}

// An array that the core writes and ONNX Runtime gets: its own where the form is the same.
template <class T>
class Result {
 public:
  // Of what nobody wants `out` is null. [outer, inner, n] as the core has it.
  Result(void* out, bool half, bool swapped, Index outer, Index inner, Index n)
      : out_(out),
        half_(half),
        swapped_(swapped && outer > 1 && inner > 1),
        outer_(outer),
        inner_(inner),
        n_(n),
        data_(out && !half && !swapped_ && reinterpret_cast<std::uintptr_t>(out) % alignof(T) == 0
                  ? static_cast<T*>(out)
                  : room_.take(checked_product({outer, inner, n}))) {}
  Result(const Result&) = delete;
  Result& operator=(const Result&) = delete;

  T* data() const { return data_; }
  void give() const {
    if (!out_ || data_ == out_) return;
    if (half_)
      copy_axes<T, std::uint16_t>(data_, outer_, inner_, n_, swapped_, out_,
                                  [](T x) { return cast_to_float16(static_cast<float>(x)); });
    else
      copy_axes<T, T>(data_, outer_, inner_, n_, swapped_, out_, [](T x) { return x; });
  }

 private:
  void* const out_;
  const bool half_, swapped_;
  const Index outer_, inner_, n_;
  Room<T> room_;
  T* const data_;
};

}  // namespace lstmfast::onnxruntime
