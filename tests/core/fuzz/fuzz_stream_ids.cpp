// Ids of streams against a plain table: every id that was ever given, and whether it is still open.
#include <algorithm>
#include <iterator>
#include <map>
#include <memory>
#include <set>

#include "bytes.h"
#include "lstmfast/stream_ids.h"
#include "target.h"

namespace {

using lstmfast::Index;
using lstmfast::StreamIds;
using Standing = StreamIds::Standing;

struct Model {
  std::map<Index, bool> given;  // id, and whether it is open
  std::set<Index> open;

  Standing standing(Index id) const {
    const auto at = given.find(id);
    return at == given.end() ? Standing::unknown : at->second ? Standing::open : Standing::closed;
  }
};

// One that was given, mostly; or any number.
Index some_id(fuzz::Bytes& bytes, const Model& model) {
  const Index kind = bytes.from(0, 9);
  if (kind == 0 || model.given.empty()) return bytes.integer();
  auto at = model.given.begin();
  std::advance(at, bytes.from(0, std::min<Index>(static_cast<Index>(model.given.size()), 256) - 1));
  return at->first + (kind == 1 ? StreamIds::kMostSlots : 0);
}

void look_up(fuzz::Bytes& bytes, StreamIds& ids, const Model& model) {
  std::vector<Index> asked;
  for (Index left = bytes.from(0, 8); left > 0; --left) asked.push_back(some_id(bytes, model));
  Index wrong = 0;
  while (wrong < static_cast<Index>(asked.size())) {
    const Index id = asked[static_cast<std::size_t>(wrong)];
    const bool twice = std::find(asked.begin(), asked.begin() + wrong, id) != asked.begin() + wrong;
    if (model.standing(id) != Standing::open || twice) break;
    ++wrong;
  }
  Index at = -1;
  const Index n = static_cast<Index>(asked.size());
  const Index* const slots = ids.slots_of(asked.data(), n, at);
  EXPECT((slots != nullptr) == (wrong == n), "slots of ids that are open, each once, and of no others");
  if (!slots) {
    EXPECT(at == wrong, "the first wrong id");
    return;
  }
  for (Index k = 0; k < n; ++k)
    EXPECT(slots[k] == StreamIds::slot_of(asked[static_cast<std::size_t>(k)]), "the slot of an id");
}

void restore(std::unique_ptr<StreamIds>& ids) {
  const std::vector<Index> table(ids->table(), ids->table() + ids->count());
  auto made = std::make_unique<StreamIds>(ids->count());
  made->restore(table.data());
  ids = std::move(made);
}

void check(const StreamIds& ids, const Model& model) {
  EXPECT(ids.open_count() == static_cast<Index>(model.open.size()), "as many open as were opened and not closed");
  std::vector<Index> listed(model.open.size());
  ids.list(listed.data());
  EXPECT(std::set<Index>(listed.begin(), listed.end()) == model.open, "the list of open ids");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Bytes bytes(data, size);
  auto ids = std::make_unique<StreamIds>(bytes.from(1, 12));
  Model model;
  for (int step = 0; step < 64 && !bytes.empty(); ++step) {
    switch (bytes.from(0, 7)) {
      case 0:
      case 1: {
        const Index id = ids->open();
        EXPECT((id < 0) == (static_cast<Index>(model.open.size()) == ids->count()), "none opens where all are open");
        if (id < 0) break;
        EXPECT(model.given.emplace(id, true).second, "no id is given twice");
        model.open.insert(id);
        break;
      }
      case 2: {
        const Index id = some_id(bytes, model);
        if (!model.open.count(id)) break;
        ids->close(StreamIds::slot_of(id));
        model.given[id] = false;
        model.open.erase(id);
        break;
      }
      case 3: look_up(bytes, *ids, model); break;
      case 4:
        if (ids->count() < 64) ids->grow(ids->count() + bytes.from(0, 5));
        break;
      case 5: restore(ids); break;
      default: {
        const Index id = some_id(bytes, model);
        EXPECT(ids->standing(id) == model.standing(id), "what is known of id " + std::to_string(id));
      }
    }
    check(*ids, model);
  }
  return 0;
}
