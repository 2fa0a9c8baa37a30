#include "onnxruntime/report.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>

namespace lstmfast::onnxruntime {
namespace {

struct Reports {
  std::mutex mutex;
  std::map<std::string, std::vector<Decision>> open;
};
Reports& reports() {
  static Reports* const all = new Reports;  // never destroyed: sessions may outlive statics
  return *all;
}

}  // namespace

void open_report(const std::string& name) {
  const std::lock_guard<std::mutex> lock(reports().mutex);
  reports().open[name].clear();
}

void add_to_report(const std::string& name, Decision decision) {
  const std::lock_guard<std::mutex> lock(reports().mutex);
  const auto found = reports().open.find(name);
  if (found != reports().open.end()) found->second.push_back(std::move(decision));
}

std::vector<Decision> close_report(const std::string& name) {
  const std::lock_guard<std::mutex> lock(reports().mutex);
  const auto found = reports().open.find(name);
  if (found == reports().open.end()) return {};
  std::vector<Decision> decisions = std::move(found->second);
  reports().open.erase(found);
  if (!decisions.empty()) {
    const int last = decisions.back().pass;
    const auto before = [&](const Decision& one) { return one.pass != last; };
    decisions.erase(std::remove_if(decisions.begin(), decisions.end(), before), decisions.end());
  }
  return decisions;
}

}  // namespace lstmfast::onnxruntime
