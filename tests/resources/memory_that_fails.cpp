// Loaded before a process' own libraries: C++'s allocations, those of the core's buffers, and NumPy's of arrays fail
// where they are told to.
#include <dlfcn.h>
#include <stddef.h>
#include <stdlib.h>

#include <atomic>
#include <new>

namespace {

std::atomic<long> asked{0}, first{-1};  // -1: none fails
std::atomic<bool> lasting{false};
std::atomic<long> held{0};  // of C++'s and NumPy's, which can be counted

bool fails() {
  const long at = first;
  if (at < 0) return false;
  const long now = asked++;
  return now == at || (lasting && now > at);
}

void* counted(void* memory) {
  if (memory) ++held;
  return memory;
}

void* new_array(void*, size_t size) { return fails() ? nullptr : counted(malloc(size ? size : 1)); }
void* new_zeros(void*, size_t count, size_t size) {
  return fails() ? nullptr : counted(calloc(count ? count : 1, size ? size : 1));
}
void* larger_array(void*, void* memory, size_t size) {
  if (fails()) return nullptr;
  void* const moved = realloc(memory, size ? size : 1);
  return memory ? moved : counted(moved);
}
void free_array(void*, void* memory, size_t) {
  if (memory) --held;
  free(memory);
}

}  // namespace

extern "C" {

void begin_failing(long at, int and_after) {
  asked = 0;
  lasting = and_after;
  first = at;
}
void end_failing() { first = -1; }
long memory_held() { return held; }

// A PyDataMem_Handler.
struct {
  char name[127];
  unsigned char version;
  void* context;
  void* (*malloc)(void*, size_t);
  void* (*calloc)(void*, size_t, size_t);
  void* (*realloc)(void*, void*, size_t);
  void (*free)(void*, void*, size_t);
} numpy_handler = {"memory that fails", 1, nullptr, new_array, new_zeros, larger_array, free_array};

int posix_memalign(void** memory, size_t alignment, size_t size) {
  static auto* const real = reinterpret_cast<int (*)(void**, size_t, size_t)>(dlsym(RTLD_NEXT, "posix_memalign"));
  return fails() ? 12 : real(memory, alignment, size);  // ENOMEM
}

}  // extern "C"

void* operator new(size_t size) {
  if (void* const memory = fails() ? nullptr : counted(malloc(size ? size : 1))) return memory;
  throw std::bad_alloc();
}
void* operator new[](size_t size) { return operator new(size); }
void operator delete(void* memory) noexcept {
  if (memory) --held;
  free(memory);
}
void operator delete(void* memory, size_t) noexcept { operator delete(memory); }
void operator delete[](void* memory) noexcept { operator delete(memory); }
void operator delete[](void* memory, size_t) noexcept { operator delete(memory); }
