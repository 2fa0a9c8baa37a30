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

// At least `count` numbers, in an odd number of cache lines: rows that far apart are spread over all sets of L1.
template <class T>
constexpr Index odd_lines(Index count) {
  constexpr Index line = 64 / static_cast<Index>(sizeof(T));
  const Index lines = (count + line - 1) / line;
  return (lines % 2 ? lines : lines + 1) * line;
}

}  // namespace lstmfast
