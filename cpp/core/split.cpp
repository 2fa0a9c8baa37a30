#include "core/split.h"

#include <algorithm>

namespace lstmfast {
namespace {

// Below this many multiply-adds a call is done sooner than a second thread has woken up.
constexpr Index kCallTerms = 100'000;
// Below this many a step is done sooner than two threads have met at a barrier.
constexpr Index kStepTerms = 50'000;
// Weights up to this size stay in each core's own L2 when every thread reads all of them.
constexpr Index kOwnCacheBytes = 512 * 1024;

}  // namespace

Split choose_split(const LoopSize& size, int threads) {
  const Index step = size.rows * size.step_terms;
  if (threads <= 1 || size.steps * size.directions * step < kCallTerms) return {};

  const Index row_parts = std::min<Index>(threads, size.rows);
  const bool full_tiles = size.rows >= row_parts * 2 * size.row_tile;
  if (row_parts == threads && (full_tiles || size.weight_bytes <= kOwnCacheBytes))
    return {static_cast<int>(row_parts), 1, 1};

  Split split;
  if (size.directions <= threads) split.direction_parts = static_cast<int>(size.directions);
  const Index left = threads / split.direction_parts;
  if (step >= kStepTerms * left) split.panel_parts = static_cast<int>(std::min(left, size.panels));
  if (split.threads() == 1) split.row_parts = static_cast<int>(row_parts);
  return split;
}

Share::Share(const Split& split, int rank, Index row_count, Index direction_count, Index panel_count) {
  const int panel_part = rank % split.panel_parts;
  const int row_part = rank / split.panel_parts / split.direction_parts;
  direction_part = rank / split.panel_parts % split.direction_parts;
  rows = share(row_count, row_part, split.row_parts);
  directions = share(direction_count, direction_part, split.direction_parts);
  panels = share(panel_count, panel_part, split.panel_parts);
  first_of_panels = panel_part == 0;
}

namespace {

// Threads that share rows never wait for one another.
int waiting_after_step(const Split& split) { return split.row_parts > 1 ? 1 : split.panel_parts; }
int waiting_after_layer(const Split& split) {
  return split.row_parts > 1 ? 1 : split.direction_parts * split.panel_parts;
}

}  // namespace

Meeting::Meeting(const Split& split)
    : steps_{Barrier(waiting_after_step(split)), Barrier(waiting_after_step(split))},
      layers_(waiting_after_layer(split)) {}

}  // namespace lstmfast
