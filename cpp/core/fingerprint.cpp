#include "lstmfast/fingerprint.h"

#include <algorithm>
#include <vector>

#include "core/range.h"
#include "core/team.h"
#include "lstmfast/threads.h"

namespace lstmfast {
namespace {

// A thread's part: less is read sooner than a thread that is awake has heard of it.
constexpr Index kPartBytes = 256 * 1024;

}  // namespace

Fingerprint fingerprint_of(const Piece* pieces, Index count, void (*kernel)(const FingerprintPart&)) {
  Index bytes = 0;
  for (Index n = 0; n < count; ++n) bytes += pieces[n].bytes;
  // Reading is brief work at any size: a loop of calls has its threads awake.
  Team team(static_cast<int>(std::clamp<Index>(bytes / kPartBytes, 1, get_num_threads())), true);
  const int parts = team.size();
  std::vector<Fingerprint> sums(static_cast<std::size_t>(parts), Fingerprint{});
  team.run([&](int rank) {
    Fingerprint own = {};
    for (Index n = 0; n < count; ++n) {
      const Index stripes = (pieces[n].bytes + kStripeBytes - 1) / kStripeBytes;
      const Range share = part_of(stripes, rank, parts);
      // Each piece has keys of its own, or pieces that change places would not be told.
      const std::uint64_t seed = static_cast<std::uint64_t>(n + 1) * 0xd1b54a32d192ed03u;
      kernel({pieces[n].data, share.begin * kStripeBytes, std::min(share.end * kStripeBytes, pieces[n].bytes), seed,
              own.data()});
    }
    sums[static_cast<std::size_t>(rank)] = own;
  });
  for (int rank = 1; rank < parts; ++rank)
    for (std::size_t k = 0; k < sums[0].size(); ++k) sums[0][k] += sums[static_cast<std::size_t>(rank)][k];
  return sums[0];
}

}  // namespace lstmfast
