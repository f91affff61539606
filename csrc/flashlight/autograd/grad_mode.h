// Thread-local switches of autograd.
#pragma once

#include <atomic>
#include <cstdint>

#include "flashlight/core/api.h"

namespace flashlight {

struct AutogradState {
  bool grad_mode = true;
  bool inference_mode = false;
  bool forward_mode = true;     // tangents are computed ...
  int dual_levels = 0;          // ... inside this many scopes
  int64_t hidden_tangents = -1; // but for those at this depth of levels
  bool multithreading = true;
  bool view_replay = false;
  bool in_transform = false;     // there is a top_level(): autograd/levels.h
  bool in_dispatch_mode = false; // ... a dispatch_mode(): ops/dispatch_mode.h
};

namespace detail {
// constinit: nothing is to be asked of at each use.
FL_API extern constinit thread_local AutogradState autograd_state;
} // namespace detail

// The calling thread's.
inline AutogradState& autograd_state() {
  return detail::autograd_state;
}

// Anomaly mode: of all threads, as in PyTorch.
struct AnomalyState {
  std::atomic<bool> enabled{false};
  std::atomic<bool> check_nan{true};
};
FL_API AnomalyState& anomaly_state();

inline bool grad_enabled() {
  return autograd_state().grad_mode;
}

// Sets grad mode for a scope.
class GradMode {
 public:
  explicit GradMode(bool enabled) : before_(autograd_state().grad_mode) {
    autograd_state().grad_mode = enabled;
  }
  ~GradMode() {
    autograd_state().grad_mode = before_;
  }
  GradMode(const GradMode&) = delete;
  GradMode& operator=(const GradMode&) = delete;

 private:
  bool before_;
};

class NoGrad : public GradMode {
 public:
  NoGrad() : GradMode(false) {}
};

} // namespace flashlight
