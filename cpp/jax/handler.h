// A handler: what XLA calls. It tells of itself, or runs a call of the core.
#pragma once

#include "jax/request.h"
#include "jax/threading.h"
#include "jax/weights.h"

namespace lstmfast::jax {

// XLA asks for the version of its interface that the handler was written for. All have what we use, from the first that
// asks; where its table is not there, it is that one (jaxlib 0.5).
inline bool tells_of_itself(const Frame& frame) {
  for (const Extension* each = frame.extensions; each; each = each->next) {
    if (each->type != kMetadata) continue;
    Metadata& metadata = *reinterpret_cast<const MetadataExtension*>(each)->metadata;
    metadata.version.major = kMajor;
    metadata.version.minor = frame.api ? std::min(kMinor, frame.api->version.minor) : kFirstMinor;
    metadata.traits = 0;
    return true;
  }
  return false;
}

// Call: a template over T whose run(frame, request, sample) is the call, or one of several in it.
template <template <class> class Call>
Error* handle(Frame* frame) {
  if (tells_of_itself(*frame) || frame->stage != kExecute) return nullptr;
  return reporting(*frame->api, [&] {
    const Request request(*frame);
    const int dtype = Taking(frame->arguments, "arguments", {}).peek("x").dtype;
    if (dtype != kFloat32 && dtype != kFloat64)
      throw std::invalid_argument("x: expected float32 or float64, got XLA's element type " + std::to_string(dtype));
    const auto run = dtype == kFloat32 ? Call<float>::run : Call<double>::run;
    if (request.samples < 0) return run(*frame, request, {});
    for (Index each = 0; each < request.samples; ++each) run(*frame, request, {request.samples, each});
  });
}

// A tape as an array of XLA's, and the fingerprint of the call's weights behind it: a backward pass finds them by that
// without reading them.
template <class T>
struct TapeArray {
  static constexpr Index fingerprint_numbers = static_cast<Index>(sizeof(Fingerprint) / sizeof(T));

  // The core's, aligned to 64 bytes; XLA's arrays are so, but it promises that nowhere.
  static bool aligned(const T* array) { return reinterpret_cast<std::uintptr_t>(array) % 64 == 0; }
};

template <class T>
TrainingOptions<T> options_of(const Request& request, const Times& times) {
  TrainingOptions<T> options;
  options.recompute = request.recompute;
  options.masks = times.dropped;
  options.scale = static_cast<T>(request.dropout_scale);
  return options;
}

Error* infer(Frame* frame);
Error* forward(Frame* frame);
Error* backward(Frame* frame);

}  // namespace lstmfast::jax
