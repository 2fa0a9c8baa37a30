// The few lines that these tests need of a test framework.
#pragma once

#include <atomic>
#include <cstdio>
#include <cstring>
#include <string>

namespace test {

inline std::atomic<int> failures{0};
inline std::atomic<long> checks{0};

inline bool passed(bool ok) {
  ++checks;
  return ok;
}

inline void failed(const std::string& what, const char* file, int line) {
  ++failures;
  if (failures <= 20) std::printf("%s:%d: failed: %s\n", file, line, what.c_str());
}

// A closing line that says how much was checked; the process's exit code.
inline int finish(const char* name) {
  std::printf("%s: %ld checks, %d failed\n", name, checks.load(), failures.load());
  return failures == 0 && checks > 0 ? 0 : 1;
}

template <class T>
bool same_bits(T a, T b) {
  return std::memcmp(&a, &b, sizeof a) == 0;
}

}  // namespace test

// `what` is only made when the check has failed.
#define CHECK(condition, what) \
  (test::passed(condition) ? static_cast<void>(0) : test::failed((what), __FILE__, __LINE__))
