// Thread-local switches of autograd.
#pragma once

#include "flashlight/core/api.h"

namespace flashlight {

struct AutogradState {
  bool grad_mode = true;
  bool inference_mode = false;
  bool anomaly_mode = false;
  bool anomaly_check_nan = true;
  bool multithreading = true;
  bool view_replay = false;
};

// The calling thread's.
FL_API AutogradState& autograd_state();

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
