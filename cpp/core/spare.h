// Large memory that was freed, kept for the next that wants as much.
//
// The system clears what it hands out page by page. A training step takes and frees the same tape and scratch again
// and again, and clearing them each time took up to a third of a forward pass.
#pragma once

#include "lstmfast/types.h"

namespace lstmfast {

inline constexpr Index kLeastSpareBytes = 64 * 1024;        // less is malloc's business
inline constexpr Index kMostSpareBytes = Index(256) << 20;  // of all that is kept
// A block is freed when so many requests have passed it over: some steps of training, whose sizes then are others.
inline constexpr int kMostPassed = 1000;

// Memory of `bytes` or up to an eighth more, which `capacity` becomes; null for none.
void* take_spare(Index bytes, Index& capacity);

// Takes ownership of memory of malloc's family, or frees it if enough is kept. capacity >= kLeastSpareBytes.
void keep_spare(void* memory, Index capacity);

// Frees all that is kept.
void drop_spares();

// Of all that is kept now.
Index spare_bytes();

}  // namespace lstmfast
