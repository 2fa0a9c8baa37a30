// AMX's tiles, which Linux grants to processes that ask, and the kernels for int8 weights that need them.
#include <string>

#include "check.h"
#include "dispatch/cpu.h"
#include "dispatch/tiles.h"
#include "lstmfast/isa.h"
#include "lstmfast/kernels.h"

#if defined(__linux__)
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

namespace {

using namespace lstmfast;

#if defined(__linux__)
// Whether `check` holds in a child of this process, which has asked for nothing yet.
template <class F>
bool in_child(F&& check) {
  const pid_t child = fork();
  if (child == 0) _exit(check() ? 0 : 1);
  int status = 1;
  return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// Linux refuses where a thread has an alternative stack that tiles would not fit on: then vectors do the work.
bool refused_means_vectors() {
  constexpr std::size_t little = 8192;
  void* const memory = mmap(nullptr, little, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  stack_t stack = {};
  stack.ss_sp = memory;
  stack.ss_size = little;
  if (memory == MAP_FAILED || sigaltstack(&stack, nullptr) != 0) return false;
  const Isa& isa = available_isas().front();
  return !tiles_granted() && &kernels(isa, Weights::int8) == isa.i8;
}

bool asks_only_when_needed() {
  const Isa& isa = available_isas().front();
  kernels(isa, Weights::bfloat16);
  return refused_means_vectors();  // had it been granted already, the little stack would be refused
}
#endif

}  // namespace

int main() {
  const Isa& isa = available_isas().front();
  CHECK(!isa.i8_tiles || detect_cpu().amx_int8, "no table for instructions that are not there");
#if defined(__linux__)
  CHECK(in_child(refused_means_vectors), "refused");
  CHECK(in_child(asks_only_when_needed), "other weights need none");
#endif
  const KernelTable<float>& table = kernels(isa, Weights::int8);
  CHECK(&table == (tiles_granted() && isa.i8_tiles ? isa.i8_tiles : isa.i8), "the faster table that may be used");
  CHECK(std::string(table.isa) == isa.name && table.weights == Weights::int8, "a table of the same kind");
  for (std::size_t k = 1; k < available_isas().size(); ++k)
    CHECK(!available_isas()[k].i8_tiles, "tiles go with the fastest ISA alone");
  return test::finish("tiles");
}
