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
  if (parts == 1) return {0, count};  // without two divisions, which a short call would notice
  return {count * part / parts, count * (part + 1) / parts};
}

}  // namespace lstmfast
