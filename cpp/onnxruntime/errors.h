// ONNX Runtime's errors as exceptions of ours, and ours as its own: none of ours may reach it.
#pragma once

#include <exception>
#include <new>
#include <stdexcept>
#include <string>

#include "onnxruntime/api.h"

namespace lstmfast::onnxruntime {

// An error that ONNX Runtime has reported to us, handed back as it is.
class Reported {
 public:
  explicit Reported(Status* status) : status_(status) {}
  Status* status() const { return status_; }

 private:
  Status* status_;
};

inline void check(Status* status) {
  if (status) throw Reported(status);
}

// Whether a call succeeded whose failure is an answer, too: that something is not there.
inline bool succeeded(const Api& api, Status* status) {
  if (status) api.ReleaseStatus()(status);
  return !status;
}

// Runs what ONNX Runtime has asked for.
template <class Work>
Status* reporting(const Api& api, Work&& work) noexcept {
  try {
    work();
    return nullptr;
  } catch (const Reported& reported) {
    return reported.status();
  } catch (const std::invalid_argument& error) {
    return api.CreateStatus()(kInvalidArgument, error.what());
  } catch (const std::bad_alloc&) {
    return api.CreateStatus()(kFail, "lstmfast: no memory left for this");
  } catch (const std::exception& error) {
    return api.CreateStatus()(kFail, error.what());
  } catch (...) {
    return api.CreateStatus()(kFail, "lstmfast: an error that is no std::exception");
  }
}

}  // namespace lstmfast::onnxruntime
