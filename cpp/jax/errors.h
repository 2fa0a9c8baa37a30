// XLA's errors as exceptions of ours, and ours as its own: none of ours may reach it.
#pragma once

#include <exception>
#include <new>
#include <stdexcept>
#include <string>

#include "jax/api.h"

namespace lstmfast::jax {

inline Error* error_of(const Api& api, ErrorCode code, const char* message) {
  CreateError arguments = {sizeof arguments, nullptr, message, code};
  return api.create_error(&arguments);
}

// Where a failure is an answer, too.
inline bool succeeded(const Api& api, Error* error) {
  if (!error) return true;
  DestroyError arguments = {sizeof arguments, nullptr, error};
  api.destroy_error(&arguments);
  return false;
}

// Runs what XLA has asked for.
template <class Work>
Error* reporting(const Api& api, Work&& work) noexcept {
  try {
    work();
    return nullptr;
  } catch (const std::invalid_argument& error) {
    return error_of(api, kInvalidArgument, error.what());
  } catch (const std::bad_alloc&) {
    return error_of(api, kResourceExhausted, "lstmfast: no memory left for this");
  } catch (const std::exception& error) {
    return error_of(api, kInternal, error.what());
  } catch (...) {
    return error_of(api, kUnknown, "lstmfast: an error that is no std::exception");
  }
}

}  // namespace lstmfast::jax
