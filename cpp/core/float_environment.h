// The floating-point environment of the core's arithmetic: the default one, whatever the caller's is.
//
// Programs set other ones, each thread its own: denormals flushed to zero (game engines, audio plug-ins, libraries
// linked with -ffast-math), another rounding, exceptions that trap. Results would then depend on who calls, and within
// a call on which of its threads computes what.
#pragma once

#if defined(__x86_64__) || defined(__aarch64__)
#include <cstdint>
#else
#include <cfenv>
#endif

namespace lstmfast {

#if defined(__x86_64__)

// MXCSR. What is asked for is in the bits above, flags of what has happened in the lowest six.
using FloatControl = std::uint32_t;
inline constexpr FloatControl kDefaultFloats = 0x1f80;  // to nearest, denormals as they are, nothing traps
inline FloatControl asked_for(FloatControl control) { return control & ~FloatControl{0x3f}; }

// "memory": no arithmetic on what lies in memory is moved past these.
inline FloatControl float_control() {
  FloatControl control;
  __asm__ volatile("stmxcsr %0" : "=m"(control) : : "memory");
  return control;
}
inline void set_float_control(FloatControl control) { __asm__ volatile("ldmxcsr %0" : : "m"(control) : "memory"); }

#elif defined(__aarch64__)

// FPCR. Flags of what has happened are elsewhere.
using FloatControl = std::uint64_t;
inline constexpr FloatControl kDefaultFloats = 0;
inline FloatControl asked_for(FloatControl control) { return control; }

inline FloatControl float_control() {
  FloatControl control;
  __asm__ volatile("mrs %0, fpcr" : "=r"(control) : : "memory");
  return control;
}
inline void set_float_control(FloatControl control) { __asm__ volatile("msr fpcr, %0" : : "r"(control) : "memory"); }

#endif

// While it lives, this thread has the default environment; then it has again what it had. Every way into the core that
// leads to arithmetic begins with one, on its caller's thread and on each thread that takes part.
class DefaultFloats {
 public:
#if defined(__x86_64__) || defined(__aarch64__)
  // Reading takes 5 ns at most, and does not wait in a call's way; hardly any caller has another environment.
  DefaultFloats() : before_(float_control()) {
    if (differs()) set_float_control(kDefaultFloats);
  }
  ~DefaultFloats() {
    if (differs()) set_float_control(before_);
  }
#else
  DefaultFloats() {
    std::fegetenv(&before_);
    std::fesetenv(FE_DFL_ENV);
  }
  ~DefaultFloats() { std::fesetenv(&before_); }
#endif
  DefaultFloats(const DefaultFloats&) = delete;
  DefaultFloats& operator=(const DefaultFloats&) = delete;

 private:
#if defined(__x86_64__) || defined(__aarch64__)
  bool differs() const { return __builtin_expect(asked_for(before_) != kDefaultFloats, 0); }

  const FloatControl before_;
#else
  std::fenv_t before_;
#endif
};

}  // namespace lstmfast
