#include "lstmfast/stopping.h"

namespace lstmfast {
namespace {

thread_local const AskedToGoOn* asked_here = nullptr;

}  // namespace

AskedToGoOn::AskedToGoOn(GoesOn goes_on, void* context, const Patience& patience)
    : goes_on_(goes_on), context_(context), patience_(patience), outer_(asked_here) {
  asked_here = this;
}

AskedToGoOn::~AskedToGoOn() { asked_here = outer_; }

const AskedToGoOn* AskedToGoOn::here() { return asked_here; }

bool AskedToGoOn::ask() const noexcept {
  asked_here = nullptr;  // what is called by who answers is another call, of an engine that knows nothing of us perhaps
  const bool goes_on = goes_on_(context_);
  asked_here = this;
  return goes_on;
}

}  // namespace lstmfast
