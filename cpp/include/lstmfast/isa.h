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
  const KernelTable<float>* f16;                 // with weights of float16
  const KernelTable<float>* bf16;                // of bfloat16
  const KernelTable<float>* i8;                  // of int8
  const KernelTable<float>* i8_tiles = nullptr;  // the same where the OS grants AMX's tiles, if there is such a table
};

// Those that the CPU has and the OS saves the registers of, fastest first; "scalar" is always the last.
const std::vector<Isa>& available_isas();

// Throws std::invalid_argument that lists the available ones.
const Isa& find_isa(const std::string& name);

template <class T>
const KernelTable<T>& kernels(const Isa& isa);

// For weights of this kind.
const KernelTable<float>& kernels(const Isa& isa, Weights weights);

}  // namespace lstmfast
