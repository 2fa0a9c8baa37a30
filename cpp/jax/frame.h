// What a call brings: arguments and results in their order, and attributes by their names.
#pragma once

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <string>

#include "jax/errors.h"
#include "lstmfast/types.h"

namespace lstmfast::jax {

template <class T>
inline constexpr int kTypeOf = kFloat32;
template <>
inline constexpr int kTypeOf<double> = kFloat64;
template <>
inline constexpr int kTypeOf<bool> = kPred;
template <>
inline constexpr int kTypeOf<std::int32_t> = kInt32;
template <>
inline constexpr int kTypeOf<std::int64_t> = kInt64;

template <class Sizes>
std::string shown(const Sizes& begin, const Sizes& end) {
  std::string text = "[";
  for (Sizes size = begin; size != end; ++size) text += (size == begin ? "" : ", ") + std::to_string(*size);
  return text + "]";
}

// Of which sample of several an array is, and how many there are. Samples are calls in one: each of them has arrays of
// its own, along a leading axis, or shares one that has no such axis.
struct Sample {
  Index of = -1;  // less than 0: there is but one call, and no array has the axis
  Index which = 0;
};

// Arguments or results, taken one after another.
class Taking {
 public:
  Taking(const Buffers& buffers, const char* what, Sample sample) : buffers_(buffers), what_(what), sample_(sample) {}

  // The next one, of exactly this type and shape.
  template <class T>
  T* take(const char* name, std::initializer_list<Index> sizes) {
    const XlaBuffer& buffer = next(name);
    if (buffer.dtype != kTypeOf<std::remove_const_t<T>>)
      throw std::invalid_argument(std::string(name) + ": expected XLA's element type " +
                                  std::to_string(kTypeOf<std::remove_const_t<T>>) + ", got " +
                                  std::to_string(buffer.dtype));
    return static_cast<T*>(of_sample(buffer, name, sizes, sizeof(T)));
  }

  const XlaBuffer& peek(const char* name) const {
    if (taken_ >= buffers_.count)
      throw std::invalid_argument(std::string(what_) + ": expected more than " + std::to_string(buffers_.count) +
                                  ", for there should be " + name);
    if (buffers_.types[taken_] != kBuffer)
      throw std::invalid_argument(std::string(name) + ": expected an array, got something else");
    return *static_cast<const XlaBuffer*>(buffers_.items[taken_]);
  }
  const XlaBuffer& next(const char* name) {
    const XlaBuffer& found = peek(name);
    ++taken_;
    return found;
  }

  // Where a sample's numbers are in an array of this shape.
  void* of_sample(const XlaBuffer& buffer, const char* name, std::initializer_list<Index> sizes,
                  std::size_t bytes) const {
    const auto rank = static_cast<std::int64_t>(sizes.size());
    const std::int64_t* given = buffer.sizes;
    const bool shared = buffer.rank == rank;
    if (!shared && buffer.rank == rank + 1 && *given == sample_.of)
      ++given;
    else if (!shared)
      given = nullptr;
    if (!given || !std::equal(sizes.begin(), sizes.end(), given))
      throw std::invalid_argument(std::string(name) + ": expected shape " + shown(sizes.begin(), sizes.end()) +
                                  (sample_.of >= 0 ? " for each of " + std::to_string(sample_.of) + " samples" : "") +
                                  ", got " + shown(buffer.sizes, buffer.sizes + buffer.rank));
    if (shared) return buffer.data;
    auto offset = static_cast<std::size_t>(sample_.which) * bytes;
    for (const Index size : sizes) offset *= static_cast<std::size_t>(size);
    return static_cast<char*>(buffer.data) + offset;
  }

  void end() const {
    if (taken_ != buffers_.count)
      throw std::invalid_argument(std::string(what_) + ": expected " + std::to_string(taken_) + ", got " +
                                  std::to_string(buffers_.count));
  }

 private:
  const Buffers& buffers_;
  const char* const what_;
  const Sample sample_;
  std::int64_t taken_ = 0;
};

// Attributes by their names. Those that are not there are mistakes, but for numbers that may be 0.
class Named {
 public:
  explicit Named(const Attributes& attributes) : attributes_(attributes) {}

  std::string text(const char* name) const {
    const Text& found = *static_cast<const Text*>(item(name, kString));
    return std::string(found.data, found.size);
  }
  Index integer(const char* name) const {
    const Scalar& found = *static_cast<const Scalar*>(item(name, kScalar));
    if (found.dtype != kInt64) throw std::invalid_argument(std::string(name) + ": expected an integer of 64 bits");
    std::int64_t number;
    std::memcpy(&number, found.value, sizeof number);
    return static_cast<Index>(number);
  }
  double number(const char* name) const {
    const Scalar& found = *static_cast<const Scalar*>(item(name, kScalar));
    if (found.dtype != kFloat64) throw std::invalid_argument(std::string(name) + ": expected a number of 64 bits");
    double number;
    std::memcpy(&number, found.value, sizeof number);
    return number;
  }

 private:
  const void* item(const char* name, AttributeType type) const {
    const std::size_t size = std::strlen(name);
    for (std::int64_t k = 0; k < attributes_.count; ++k) {
      const Text& each = *attributes_.names[k];
      if (each.size != size || std::memcmp(each.data, name, size) != 0) continue;
      if (attributes_.types[k] != type)
        throw std::invalid_argument(std::string(name) + ": expected an attribute of another type");
      return attributes_.items[k];
    }
    throw std::invalid_argument(std::string(name) + ": expected such an attribute, got none");
  }

  const Attributes& attributes_;
};

}  // namespace lstmfast::jax
