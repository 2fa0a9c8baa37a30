// What a target is: one function of bytes. It ends the process where something is not as it should be.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace fuzz {

[[noreturn]] inline void found(const std::string& what, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: found: %s\n", file, line, what.c_str());
  std::abort();
}

// The same bits, but that any NaN is as good as another: which one comes out of a sum is the CPU's affair.
template <class T>
bool alike(T a, T b) {
  return std::memcmp(&a, &b, sizeof a) == 0 || (a != a && b != b);
}
template <class T>
bool alike(const std::vector<T>& a, const std::vector<T>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t k = 0; k < a.size(); ++k)
    if (!alike(a[k], b[k])) return false;
  return true;
}

}  // namespace fuzz

// `what` is only made when it does not hold.
#define EXPECT(condition, what) ((condition) ? static_cast<void>(0) : fuzz::found((what), __FILE__, __LINE__))
