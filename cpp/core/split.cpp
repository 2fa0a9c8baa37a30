#include "core/split.h"

#include <algorithm>

namespace lstmfast {
namespace {

// A thread of its own is worth its waking up from this many multiply-adds on (some 10 us of them) ...
constexpr Index kThreadTerms = 250'000;
// ... and from this many on where threads wait for each other between steps, so that a late one keeps all waiting.
constexpr Index kMeetingThreadTerms = 2'000'000;
// Up to this many (some 200 us) a call is worth a thread that is awake, but not one that has to be woken up.
constexpr Index kBriefTerms = 16'000'000;
// Below this many a thread's part of a step is done sooner than the threads have met at a barrier.
constexpr Index kStepTerms = 50'000;
// Weights up to this size stay in each core's own L2 when every thread reads all of them.
constexpr Index kOwnCacheBytes = 512 * 1024;

}  // namespace

int threads_for_products(Index terms, int threads) {
  return static_cast<int>(std::clamp<Index>(terms / kMeetingThreadTerms, 1, threads));
}

bool is_brief(Index terms) { return terms < kBriefTerms; }

Split choose_split(const LoopSize& size, int threads) {
  const Index step = size.rows * size.step_terms;
  const Index call = size.terms();
  const Index worthwhile = std::clamp<Index>(call / kThreadTerms, 1, threads);
  if (worthwhile == 1) return {};

  const Index row_parts = std::min(worthwhile, size.rows);
  const bool full_tiles = size.rows >= row_parts * 2 * size.row_tile;
  if (row_parts == worthwhile && (full_tiles || size.weight_bytes <= kOwnCacheBytes))
    return {static_cast<int>(row_parts), 1, 1};

  const Index meeting = !size.meets ? worthwhile : std::clamp<Index>(call / kMeetingThreadTerms, 1, worthwhile);
  Split split;
  split.direction_parts = static_cast<int>(std::min(size.directions, meeting));
  const Index left = meeting / split.direction_parts;
  split.panel_parts = static_cast<int>(std::clamp<Index>(step / kStepTerms, 1, std::min(left, size.panels)));
  if (split.threads() == 1) split.row_parts = static_cast<int>(row_parts);
  return split;
}

Share::Share(const Split& split, int rank, Index row_count, Index direction_count, Index panel_count)
    : rows{0, row_count}, directions{0, direction_count}, panels{0, panel_count} {
  if (split.threads() == 1) return;  // without the divisions, which a short call would notice
  panel_part = rank % split.panel_parts;
  panel_parts = split.panel_parts;
  row_part = rank / split.panel_parts / split.direction_parts;
  row_parts = split.row_parts;
  direction_part = rank / split.panel_parts % split.direction_parts;
  sharer = rank % (split.panel_parts * split.direction_parts);
  sharers = split.panel_parts * split.direction_parts;
  rows = part_of(row_count, row_part, split.row_parts);
  directions = part_of(direction_count, direction_part, split.direction_parts);
  panels = part_of_panels(panel_count);
}

namespace {

// Threads that share rows never wait for one another.
int waiting_after_step(const Split& split) { return split.row_parts > 1 ? 1 : split.panel_parts; }
int waiting_after_layer(const Split& split) {
  return split.row_parts > 1 ? 1 : split.direction_parts * split.panel_parts;
}

}  // namespace

Meeting::Meeting(const Split& split, Watch* watch)
    : steps_{Barrier(waiting_after_step(split)), Barrier(waiting_after_step(split))},
      layers_(waiting_after_layer(split)),
      watch_(watch) {}

}  // namespace lstmfast
