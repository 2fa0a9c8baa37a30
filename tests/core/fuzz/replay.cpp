// Runs a target once for every file of its corpus, without libFuzzer: wherever the core's tests run.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "target.h"

int main(int argc, char** argv) {
  std::vector<std::filesystem::path> files;
  for (int k = 1; k < argc; ++k)
    for (const auto& entry : std::filesystem::directory_iterator(argv[k])) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  for (const auto& path : files) {
    std::ifstream file(path, std::ios::binary);
    const std::vector<char> read{std::istreambuf_iterator<char>(file), {}};
    // An exact copy, so that AddressSanitizer sees what reads past its end.
    const std::vector<std::uint8_t> data(read.begin(), read.end());
    std::printf("%s\n", path.filename().c_str());
    std::fflush(stdout);  // or the name would not be told of what ends the process
    LLVMFuzzerTestOneInput(data.data(), data.size());
  }
  std::printf("%zu inputs replayed\n", files.size());
  return files.empty() ? 1 : 0;
}
