// The caches that the machine has, and what is decided by them.
#include "lstmfast/heuristics.h"

#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "check.h"

namespace {

using namespace lstmfast;

constexpr Index KiB = 1 << 10, MiB = 1 << 20;

std::string said(const Caches& c) {
  return std::to_string(c.l1d) + ", " + std::to_string(c.l2) + ", " + std::to_string(c.l3);
}

bool same(const Caches& a, const Caches& b) { return a.l1d == b.l1d && a.l2 == b.l2 && a.l3 == b.l3; }

// A core's folder as Linux has it.
void test_sysfs() {
  namespace fs = std::filesystem;
  const fs::path folder = fs::temp_directory_path() / ("lstmfast-caches-" + std::to_string(getpid()));
  const char* const lines[][3] = {
      {"1", "Data", "48K"}, {"1", "Instruction", "32K"}, {"2", "Unified", "1280K"}, {"3", "Unified", "32M"}};
  int k = 0;
  for (const auto& [level, type, size] : lines) {
    const fs::path index = folder / "cache" / ("index" + std::to_string(k++));
    fs::create_directories(index);
    std::ofstream(index / "level") << level << '\n';
    std::ofstream(index / "type") << type << '\n';
    std::ofstream(index / "size") << size << '\n';
  }
  const Caches found = caches_in_sysfs(folder.string());
  CHECK(same(found, {48 * KiB, 1280 * KiB, 32 * MiB}), said(found));
  CHECK(same(caches_in_sysfs((folder / "nothing").string()), {}), "a folder that is not there");
  fs::remove_all(folder);
}

// Two ways to ask: the CPU itself, and Linux, where it tells.
void test_machine() {
  const Caches in_sysfs = caches_in_sysfs("/sys/devices/system/cpu/cpu0");
  std::printf("caches: %s; in sysfs: %s\n", said(caches()).c_str(), said(in_sysfs).c_str());
  if (in_sysfs.l1d) CHECK(same(caches(), in_sysfs), said(caches()));
}

void test_choices() {
  const Caches large = {32 * KiB, 512 * KiB, 32 * MiB}, none = {}, small = {32 * KiB, 256 * KiB, 6 * MiB};
  const auto is = [](const Heuristics& h, Index ask, Index few, Index all) {
    return h.ask_from == ask && h.merge_few_from == few && h.merge_from == all;
  };
  for (const Caches& known : {large, none}) {
    CHECK(is(heuristics_for(64, known), 16 * MiB, 16 * MiB, 16 * MiB), "long vectors");
    CHECK(is(heuristics_for(32, known), 5 * MiB, 5 * MiB, 12 * MiB), "vectors of 32 bytes");
  }
  CHECK(is(heuristics_for(64, small), 3 * MiB, 3 * MiB, 3 * MiB), "weights that L3 cannot hold");
  CHECK(is(heuristics_for(32, small), 3 * MiB, 3 * MiB, 3 * MiB), "weights that L3 cannot hold");
  const Caches mesh = {48 * KiB, 2 * MiB, 480 * MiB}, mesh_of_few = {48 * KiB, 1280 * KiB, 2 * MiB};
  CHECK(is(heuristics_for(64, mesh), 2 * MiB, 2 * MiB, 2 * MiB), "an L3 that is far away");
  CHECK(is(heuristics_for(32, mesh), 5 * MiB, 5 * MiB, 12 * MiB), "vectors of 32 bytes do not notice");
  CHECK(is(heuristics_for(64, mesh_of_few), 1 * MiB, 1 * MiB, 1 * MiB), "weights that L3 cannot hold");
  CHECK(heuristics_for(64, {64 * KiB, 12 * MiB, 0}).ask_from == 6 * MiB, "no L3");
}

}  // namespace

int main() {
  test_sysfs();
  test_machine();
  test_choices();
  return test::finish("heuristics");
}
