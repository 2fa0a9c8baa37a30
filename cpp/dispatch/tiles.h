// Whether this process may use AMX's tiles, which Linux grants to those that ask.
#pragma once

namespace lstmfast {

// Asks the first time. What is granted is for all threads, for good: alternative stacks for signals that are set up
// from then on must be as large as getauxval(AT_MINSIGSTKSZ) says, so nobody should ask who will not use them.
bool tiles_granted();

}  // namespace lstmfast
