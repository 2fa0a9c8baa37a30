// Where packed weights lie: each has a place of its own, whatever the number of gates and the strips, and units that
// are said to lie side by side do.
#include <set>
#include <string>

#include "check.h"
#include "core/packing.h"

namespace {

using namespace lstmfast;

void test_places(Index groups, Index lanes, Index strip, Index units) {
  const PanelLayout layout = {groups, units, lanes, strip};
  constexpr Index rows = 3;
  const std::string what = std::to_string(groups) + " gates of " + std::to_string(units) + " units, " +
                           std::to_string(lanes) + " lanes, strips of " + std::to_string(strip);
  std::set<Index> places;
  for (Index group = 0; group < groups; ++group)
    for (Index unit = 0; unit < units; ++unit) {
      const Index panel = layout.panel_of(unit), column = layout.column_of(group, unit);
      CHECK(0 <= panel && panel < layout.panels() && 0 <= column && column < layout.width(), what);
      const Index first = layout.offset_of(group, unit, rows);
      for (Index r = 0; r < rows; ++r) places.insert(first + r * layout.strip_width());
      for (Index k = 1; k < layout.side_by_side(unit) && unit + k < units; ++k)
        CHECK(layout.offset_of(group, unit + k, rows) == first + k, what + ": side by side");
    }
  CHECK(static_cast<Index>(places.size()) == groups * units * rows, what);
  CHECK(*places.begin() >= 0 && *places.rbegin() < layout.panels() * layout.width() * rows, what + ": inside");
}

}  // namespace

int main() {
  for (Index groups = 1; groups <= kPanelVectors; ++groups)
    for (const Index lanes : {1, 2, 4, 8, 16})
      for (const Index strip : {1, 2, 4})
        for (Index units = 1; units <= 70; ++units) test_places(groups, lanes, strip, units);
  return test::finish("packing");
}
