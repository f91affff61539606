// Tensors whose Python class answers for the ops on them.
//
// Note [Tensors that dispatch]
// The object of such a tensor is of a class with __torch_dispatch__, from the
// tensor's first day to its last (see Note [Python identity]): it is the object
// that is asked, so an alias made in C++ is a plain tensor. Ops meet the class
// where they meet a dispatch mode, below the tape (ops/dispatch_mode.h). What
// looks at a tensor without being an op - an alias without history, the one
// number, the value - asks here.
//
// One that _make_wrapper_subclass() made has sizes, a dtype and a device and
// nothing else: its storage is empty.
#pragma once

#include <atomic>

#include "flashlight/core/api.h"
#include "flashlight/core/tensor.h"

namespace flashlight {

struct DispatchingHooks {
  // Of a tensor's object, set by the binding.
  bool (*is)(const void* python) = nullptr;
  // The ops of these names, without history.
  Tensor (*detach)(const Tensor&) = nullptr;
  Scalar (*item)(const Tensor&) = nullptr;
};
FL_API DispatchingHooks& dispatching_hooks();

// How many there are: where there are none, nobody is asked.
FL_API extern std::atomic<int64_t> dispatching_tensors;
// Does this thread ask no class? (_C._DisableTorchDispatch)
FL_API bool& dispatching_disabled();

namespace detail {
FL_API bool has_asked_class(const Tensor& tensor);
} // namespace detail

inline bool any_dispatching() {
  return dispatching_tensors.load(std::memory_order_relaxed) != 0;
}
inline bool is_dispatching(const Tensor& tensor) {
  return any_dispatching() && detail::has_asked_class(tensor);
}

// A tensor without a value; reading it is an error.
FL_API Tensor without_data(Geometry geometry, Dtype dtype, Device device);

} // namespace flashlight
