// How these tests are cut down where they take thirty times as long, under sanitizers and emulators: --brief.
#pragma once

#include <cstring>

#include "lstmfast/isa.h"

namespace test {

inline bool asked_for(const char* option, int argc, char** argv) {
  for (int k = 1; k < argc; ++k)
    if (std::strcmp(argv[k], option) == 0) return true;
  return false;
}

#if defined(__SANITIZE_THREAD__)
inline constexpr bool kLooksForRaces = true;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
inline constexpr bool kLooksForRaces = true;
#else
inline constexpr bool kLooksForRaces = false;
#endif
#else
inline constexpr bool kLooksForRaces = false;
#endif

inline bool is_fastest(const lstmfast::Isa& isa) { return isa.name == lstmfast::available_isas().front().name; }

// With the most threads on every ISA, and without any on the fastest: with numbers between the same loops are cut in
// other places, which is a matter of bits and not of memory, and where they are cut is not the ISA's to know. One
// thread alone has nobody to race with.
inline bool is_chosen(int threads, int most, const lstmfast::Isa& isa) {
  return threads == most || (threads == 1 && is_fastest(isa) && !kLooksForRaces);
}

}  // namespace test
