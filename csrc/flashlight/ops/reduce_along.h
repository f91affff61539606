// What scatter_reduce and index_reduce share: reductions by name, and their
// gradients.
#pragma once

#include <functional>

#include "flashlight/core/value.h"
#include "flashlight/kernels/along.h"

namespace flashlight {

// "sum", "prod", "mean", "amax" or "amin"; PyTorch's error for others.
FL_API Reduce reduce_of(const std::string& name);
// Complex numbers have no order; `kernel` begins the name in the error.
FL_API void
check_ordered(const Tensor& self, Reduce reduce, const char* kernel);

// How the op reads and writes along its dimension.
struct Along {
  const char* op;
  const char* source; // its name there
  std::function<Tensor(const Tensor&)> read;
  std::function<Tensor(const Tensor&, const Tensor&)> add;
  std::function<Tensor(const Tensor&)> clear; // zero where it writes
  std::function<Tensor(const Tensor&, const Tensor&)> reduce; // itself
};

// The gradients of `self` and of `source`.
FL_API TensorList reduce_gradients(
    const Along& along,
    const Tensor& grad,
    const Tensor& self,
    const Tensor& source,
    Reduce reduce,
    bool include_self,
    const Tensor& result);

} // namespace flashlight
