// Instruction sets: which were compiled in, and which of them this machine has.
#pragma once

#include <string>
#include <vector>

#include "lstmfast/kernel_table.h"

namespace lstmfast {

// The kernel tables of one ISA.
struct Isa {
  std::string name;
  const KernelTable<float>* f32;
  const KernelTable<double>* f64;
};

// Those that the CPU has and the OS saves the registers of, fastest first; "scalar" is always the last.
const std::vector<Isa>& available_isas();

// Throws std::invalid_argument that lists the available ones.
const Isa& find_isa(const std::string& name);

template <class T>
const KernelTable<T>& kernels(const Isa& isa);

}  // namespace lstmfast
