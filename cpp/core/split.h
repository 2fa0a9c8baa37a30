// How the threads of a team share a time loop: by rows, by directions, by panels of units.
//
// Rows need no waiting at all, directions wait after each layer, panels after each step (and within it, where h is
// projected), and both after dropout between layers. Results do not
// depend on the choice: every output is computed whole by one thread, in one order.
#pragma once

#include "core/barrier.h"
#include "core/range.h"
#include "core/watch.h"
#include "lstmfast/types.h"

namespace lstmfast {

struct Split {
  int row_parts = 1;
  int direction_parts = 1;
  int panel_parts = 1;

  int threads() const { return row_parts * direction_parts * panel_parts; }
};

// What decides: the sizes of one time loop.
struct LoopSize {
  Index places;  // pairs of step and row that there are
  Index rows, directions, panels;
  Index step_terms;    // multiply-adds of one step of one row and direction
  Index weight_bytes;  // read by each step of one direction
  Index row_tile;
  bool meets;  // whether threads that share rows wait for one another within the loop

  Index terms() const { return places * directions * step_terms; }  // multiply-adds of all
};

Split choose_split(const LoopSize& size, int threads);

// Whether work of so many multiply-adds is done sooner than a sleeping thread would be of help.
bool is_brief(Index terms);

// How many of `threads` are of use for products of so many multiply-adds, outside a time loop.
int threads_for_products(Index terms, int threads);

// The place of one thread in a split.
struct Share {
  Range rows;
  Range directions;
  Range panels;
  int row_part = 0, row_parts = 1;
  int direction_part = 0;
  int panel_part = 0, panel_parts = 1;
  int sharer = 0, sharers = 1;  // among those that share these rows

  bool first_of_panels() const { return panel_part == 0; }  // does what is to be done once per rows and direction
  Range part_of_panels(Index count) const { return part_of(count, panel_part, panel_parts); }

  Share(const Split& split, int rank, Index row_count, Index direction_count, Index panel_count);
};

// Where the threads of a split meet, and hear that the call has been given up.
class Meeting {
 public:
  // watch: null for a call that nobody gives up.
  explicit Meeting(const Split& split, Watch* watch = nullptr);
  void after_step(const Share& share) { steps_[share.direction_part].wait(); }
  // Rows never meet: each thread takes its rows through all layers.
  void after_layer() { layers_.wait(); }
  // Before work of so many multiply-adds: whether it is to be left out. Threads meet nevertheless.
  bool is_over(Index terms) { return watch_ && watch_->is_over(terms); }

 private:
  Barrier steps_[2];  // one for each part of the directions, of which there are at most two
  Barrier layers_;
  Watch* const watch_;
};

}  // namespace lstmfast
