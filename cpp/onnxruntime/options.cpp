#include "onnxruntime/options.h"

#include <algorithm>
#include <atomic>
#include <cctype>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <vector>

#include "onnxruntime/errors.h"

namespace lstmfast::onnxruntime {
namespace {

std::atomic<const Isa*> default_isa{nullptr};

// Empty where the session has no such entry.
std::string entry(const Api& api, const SessionOptions* session, const std::string& key) {
  std::size_t size = 0;
  if (!succeeded(api, api.GetSessionConfigEntry()(session, key.c_str(), nullptr, &size)) || size == 0) return {};
  std::vector<char> text(size);
  check(api.GetSessionConfigEntry()(session, key.c_str(), text.data(), &size));
  return {text.begin(), std::find(text.begin(), text.end(), '\0')};
}

int threads_from(const std::string& text) {
  constexpr int most = 4096;
  const bool number = !text.empty() && text.size() < 6 &&
                      std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c); });
  const int threads = number ? std::stoi(text) : 0;
  if (threads < 1 || threads > most)
    throw std::invalid_argument("threads: expected a whole number from 1 to 4096, got '" + text + "'");
  return threads;
}

Weights weights_from(const std::string& text) {
  if (text == "float32") return Weights::native;
  if (text == "float16") return Weights::float16;
  if (text == "bfloat16") return Weights::bfloat16;
  if (text == "int8") return Weights::int8;
  throw std::invalid_argument("weights: expected 'float32', 'float16', 'bfloat16' or 'int8', got '" + text + "'");
}

constexpr const char* kNames[] = {"threads", "weights", "isa", "report"};

// One that nobody would read is a mistake of who gave it.
void expect_known(const Api& api, const SessionOptions* session, const std::string& prefix) {
  KeyValuePairs* pairs = nullptr;
  check(api.GetSessionOptionsConfigEntries()(session, &pairs));
  const std::unique_ptr<KeyValuePairs, void (*)(KeyValuePairs*)> owner(pairs, api.ReleaseKeyValuePairs());
  const char *const *keys = nullptr, *const *values = nullptr;
  std::size_t count = 0;
  api.GetKeyValuePairs()(pairs, &keys, &values, &count);
  for (std::size_t k = 0; k < count; ++k) {
    const std::string key = keys[k];
    if (key.compare(0, prefix.size(), prefix) != 0) continue;
    const std::string name = key.substr(prefix.size());
    if (std::find(std::begin(kNames), std::end(kNames), name) == std::end(kNames))
      throw std::invalid_argument("options: expected 'threads', 'weights' or 'isa', got '" + name + "'");
  }
}

}  // namespace

void use_isa(const Isa& isa) { default_isa.store(&isa); }

Options read_options(const Api& api, const SessionOptions* session) {
  std::string prefix = std::string("ep.") + kProvider + ".";
  std::transform(prefix.begin(), prefix.end(), prefix.begin(), [](unsigned char c) { return std::tolower(c); });
  expect_known(api, session, prefix);
  const auto option = [&](const char* name) { return entry(api, session, prefix + name); };
  Options options;
  if (const std::string text = option("threads"); !text.empty()) options.threads = threads_from(text);
  if (const std::string text = option("weights"); !text.empty()) options.packing.kind = weights_from(text);
  const Isa* const isa = default_isa.load();
  options.packing.isa = isa ? isa : &available_isas().front();
  if (const std::string text = option("isa"); !text.empty()) options.packing.isa = &find_isa(text);
  options.report = option("report");
  return options;
}

}  // namespace lstmfast::onnxruntime
