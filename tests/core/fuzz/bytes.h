// Bytes that a fuzzer chose, taken as whatever a target asks for. When they have run out, all is zero.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <string>
#include <vector>

#include "lstmfast/types.h"

namespace fuzz {

using lstmfast::Index;

class Bytes {
 public:
  Bytes(const std::uint8_t* data, std::size_t size) : next_(data), end_(data + size) {}

  bool empty() const { return next_ == end_; }
  std::uint8_t byte() { return empty() ? std::uint8_t(0) : *next_++; }
  bool flag() { return (byte() & 1) != 0; }

  // Any bits of a type.
  template <class T>
  T bits() {
    unsigned char raw[sizeof(T)];
    for (unsigned char& each : raw) each = byte();
    T value;
    std::memcpy(&value, raw, sizeof value);
    return value;
  }

  // first to last, of at most 65536 values.
  Index from(Index first, Index last) {
    const Index count = last - first + 1;
    const Index drawn = count <= 256 ? byte() : byte() + Index(256) * byte();
    return first + drawn % count;
  }

  template <class T>
  T one_of(std::initializer_list<T> values) {
    return values.begin()[from(0, static_cast<Index>(values.size()) - 1)];
  }

  // Small integers, and those at which something ends.
  std::int64_t integer() {
    const std::uint8_t kind = byte();
    if (kind < 128) return std::int64_t(byte()) - 64;
    if (kind < 192) return (std::int64_t(1) << byte() % 63) + byte() % 3 - 1;
    if (kind < 208) return std::numeric_limits<std::int64_t>::min() + byte() % 2;
    return bits<std::int64_t>();
  }

  std::string text(Index most) {
    std::string found;
    for (Index left = from(0, most); left > 0; --left) found += static_cast<char>(byte());
    return found;
  }

 private:
  const std::uint8_t* next_;
  const std::uint8_t* const end_;
};

}  // namespace fuzz
