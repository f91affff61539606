// An op that passes the door while a profile runs: see Note [Profiling].
#pragma once

#include <optional>

#include "flashlight/core/profiler.h"
#include "flashlight/ops/dispatch_mode.h"
#include "flashlight/ops/op.h"

namespace flashlight {

// The event of one call, and what it was called with.
class OpScope {
 public:
  OpScope(const Op& op, OpForm form, const Value* args);

  // Evaluates the results, so that the event has the time of the work.
  void settle(Results& results) const;
  void settle(const Tensor& result) const;

 private:
  std::shared_ptr<Profile> profile_;
  ProfileScope scope_;
};

// What PyTorch's profiler counts: of products, convolutions, mul and add.
uint64_t count_flops(const Op& op, const Value* args);

} // namespace flashlight
