// Where columns of packed weights lie: each has a place of its own, whatever the number of gates.
#include <set>
#include <string>
#include <utility>

#include "check.h"
#include "core/packing.h"

namespace {

using namespace lstmfast;

void test_places(Index groups, Index lanes, Index units) {
  const PanelLayout layout = {groups, units, lanes};
  std::set<std::pair<Index, Index>> places;
  for (Index group = 0; group < groups; ++group)
    for (Index unit = 0; unit < units; ++unit) {
      const Index panel = layout.panel_of(unit), column = layout.column_of(group, unit);
      CHECK(0 <= panel && panel < layout.panels() && 0 <= column && column < layout.width(), "inside");
      places.insert({panel, column});
    }
  CHECK(static_cast<Index>(places.size()) == groups * units,
        std::to_string(groups) + " gates of " + std::to_string(units) + " units, " + std::to_string(lanes) + " lanes");
}

}  // namespace

int main() {
  for (Index groups = 1; groups <= kPanelVectors; ++groups)
    for (const Index lanes : {1, 2, 4, 8, 16})
      for (Index units = 1; units <= 70; ++units) test_places(groups, lanes, units);
  return test::finish("packing");
}
