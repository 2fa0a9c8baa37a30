// Parts of a count of things.
#pragma once

#include "lstmfast/types.h"

namespace lstmfast {

// [begin, end).
struct Range {
  Index begin, end;
  Index size() const { return end - begin; }
};

// Part `part` of `parts` nearly equal ones.
inline Range part_of(Index count, Index part, Index parts) {
  return {count * part / parts, count * (part + 1) / parts};
}

}  // namespace lstmfast
