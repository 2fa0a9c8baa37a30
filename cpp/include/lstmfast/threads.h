// How many threads a call may use. More than asked for is never used; fewer may be.
#pragma once

namespace lstmfast {

void set_num_threads(int threads);  // >= 1
int get_num_threads();

}  // namespace lstmfast
