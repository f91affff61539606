// Note [In parts]
// x[1:] += 1 makes a value as large as x[1:] and then writes it: two passes
// over memory, one of them over pages that are new. So a large window is
// changed piece by piece where the op looks at one element at a time; what a
// piece needs is small enough to stay where it is fast, and its value goes
// into the buffer at once (Note [Reads and writes at once]).
#pragma once

#include "flashlight/ops/registry.h"

namespace flashlight {

// Runs an op in place on `self`, its first argument, piece by piece, if it is
// of those that can be; false if not, and then nothing has been done. `check`
// raises for a result that does not fit in `self`.
bool run_in_parts(
    const Op& op,
    const Value* args,
    const Tensor& self,
    void (*check)(const Tensor& result, const Tensor& self));

} // namespace flashlight
