// Memory for those who keep a network's weights and tapes elsewhere: PyTorch's tensors, say.
#include <stdlib.h>  // which says whether it is glibc's
#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include <memory>
#include <string>
#include <vector>

#include <pybind11/stl.h>

#include "bindings/calls.h"
#include "bindings/gil.h"
#include "bindings/register.h"
#include "lstmfast/fingerprint.h"
#include "lstmfast/isa.h"
#include "lstmfast/jax.h"
#include "lstmfast/kept_memory.h"

namespace lstmfast::bindings {
namespace {

// Pieces of memory by address, so that no array has to be made of each tensor: a call of a small layer would notice.
py::bytes fingerprint(const std::string& isa, const std::vector<std::uintptr_t>& addresses,
                      const std::vector<Index>& sizes, int threads) {
  if (addresses.size() != sizes.size())
    throw std::invalid_argument("sizes: expected as many as addresses, " + std::to_string(addresses.size()) + ", got " +
                                std::to_string(sizes.size()));
  std::vector<Piece> pieces;
  Index bytes = 0;
  for (std::size_t k = 0; k < sizes.size(); ++k) {
    if (sizes[k] < 0) throw std::invalid_argument("sizes: expected at least 0, got " + std::to_string(sizes[k]));
    if (sizes[k] && !addresses[k]) throw std::invalid_argument("addresses: expected memory, got 0");
    pieces.push_back({reinterpret_cast<const void*>(addresses[k]), sizes[k]});
    bytes += sizes[k];
  }
  const auto kernel = find_isa(isa).f32->fingerprint;
  const auto count = static_cast<Index>(pieces.size());
  const BorrowedThreads borrowed(threads);
  const Fingerprint sums = without_gil_if_large(bytes, [&] { return fingerprint_of(pieces.data(), count, kernel); });
  return py::bytes(reinterpret_cast<const char*>(sums.data()), sizeof sums);
}

// A new array, uninitialised, aligned to 64 bytes, in memory that the core keeps for later calls when it is freed.
template <class T>
py::object kept_array(Index count) {
  if (count < 0) throw std::invalid_argument("count: expected at least 0, got " + std::to_string(count));
  Index bytes = 0;
  if (__builtin_mul_overflow(count, static_cast<Index>(sizeof(T)), &bytes)) throw std::bad_alloc();
  auto memory = std::make_unique<KeptMemory>(bytes);
  T* const data = static_cast<T*>(memory->data());
  const py::capsule owner(memory.get(), [](void* owned) { delete static_cast<KeptMemory*>(owned); });
  memory.release();
  return Array<T>({count}, data, owner);
}

// An array over memory of somebody else's, which `owner` keeps alive. Strides are in elements.
template <class T>
py::object array_over(std::uintptr_t address, const std::vector<py::ssize_t>& shape,
                      const std::vector<py::ssize_t>& strides, Given owner) {
  if (shape.size() != strides.size()) throw std::invalid_argument("strides: expected as many as sizes");
  if (!address) throw std::invalid_argument("address: expected memory, got 0");
  std::vector<py::ssize_t> bytes(strides);
  for (py::ssize_t& stride : bytes) stride *= static_cast<py::ssize_t>(sizeof(T));
  return Array<T>(shape, bytes, reinterpret_cast<const T*>(address), owner);
}

template <class T>
void register_array_over(py::module_& m, const char* name) {
  m.def(name, &array_over<T>, py::arg("address"), py::arg("shape"), py::arg("strides"), py::arg("owner"));
}

// Drops what JAX's calls have packed, and has the allocator hand back to the system what is free in it, where it can be
// told to.
void give_back_memory() {
  without_gil([] { jax::drop_networks(); });
#if defined(__GLIBC__)
  without_gil([] { malloc_trim(0); });
#endif
}

}  // namespace

void register_memory(py::module_& m) {
  m.def("give_back_memory", &give_back_memory);
  m.def("idle_bytes", &idle_bytes);
  m.def("fingerprint", &fingerprint, py::arg("isa"), py::arg("addresses"), py::arg("sizes"), py::arg("threads") = 0);
  register_array_over<float>(m, "array32_over");
  register_array_over<double>(m, "array64_over");
  register_array_over<bool>(m, "bools_over");
  m.def("kept_array32", &kept_array<float>, py::arg("count"), py::pos_only());
  m.def("kept_array64", &kept_array<double>, py::arg("count"), py::pos_only());
}

}  // namespace lstmfast::bindings
