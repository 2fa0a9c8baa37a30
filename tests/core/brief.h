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

inline bool is_fastest(const lstmfast::Isa& isa) { return isa.name == lstmfast::available_isas().front().name; }

// Which runs of many a test makes. --brief leaves out those that are the same loops cut in other places, which is a
// matter of bits and not of memory; --most-threads those without threads, too: under ThreadSanitizer one alone has
// nobody to race with, and under an emulator how loops are cut over threads is not the CPU's to know.
struct Brief {
  bool brief, most_threads;

  Brief(int argc, char** argv)
      : brief(asked_for("--brief", argc, argv)), most_threads(asked_for("--most-threads", argc, argv)) {}

  // Brief, on every ISA with the most threads, and on the fastest without any.
  bool chooses(int threads, int most, const lstmfast::Isa& isa) const {
    return !brief || threads == most || (threads == 1 && is_fastest(isa) && !most_threads);
  }
};

}  // namespace test
