// How many threads a call may use. More than asked for is never used; fewer may be.
#pragma once

namespace lstmfast {

void set_num_threads(int threads);  // >= 1
// Of calls made by this thread; 0: no limit but that of set_num_threads().
void limit_threads(int threads);
int get_num_threads();  // the lower of both

}  // namespace lstmfast
