// What is checked before a tensor is written to, in place or as out=.
#pragma once

#include "flashlight/ops/op.h"

namespace flashlight {

void check_sizes(const Tensor& result, const Tensor& self);
void check_result_cast(const Tensor& result, const Tensor& to);
// Are all of its elements apart?
void check_writable(const Tensor& t);
// Is the op to compute beside a view with bits, and be copied to it? As
// PyTorch.
bool on_copy(const Op& op, const Tensor& self);
// May the op write to `to` while it reads its arguments? Views with bits are
// copied first, as in PyTorch.
void check_overlap(const Op& op, const Value* args, const Tensor& to);

} // namespace flashlight
