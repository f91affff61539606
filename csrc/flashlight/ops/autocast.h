// Mixed precision: which dtype an op's floating arguments are cast to.
//
// Note [Autocast]
// A row names its policy (Autocast in op.h); the state is the calling thread's,
// per device type, as in PyTorch. A cast of a leaf that needs a gradient is
// kept until the outermost region ends, so that a weight that is used many
// times is cast once.
#pragma once

#include "flashlight/ops/op.h"

namespace flashlight {

struct AutocastState {
  bool enabled = false;
  Dtype dtype = Dtype::BFloat16;
};

FL_API const AutocastState& autocast_state(DeviceType type);
FL_API void set_autocast_state(DeviceType type, AutocastState state);

FL_API bool autocast_cache_enabled();
FL_API void set_autocast_cache_enabled(bool enabled);
FL_API void clear_autocast_cache();
// The depth of regions after the change.
FL_API int add_autocast_nesting(int by);

namespace detail {
extern constinit thread_local bool any_autocast;
}

// Whether autocast is on for any device on this thread: the door's quick test.
inline bool any_autocast() {
  return detail::any_autocast;
}

// Autocast is off on this thread while one lives.
class WithoutAutocast {
 public:
  WithoutAutocast() : was_(detail::any_autocast) {
    detail::any_autocast = false;
  }
  ~WithoutAutocast() {
    detail::any_autocast = was_;
  }
  WithoutAutocast(const WithoutAutocast&) = delete;
  WithoutAutocast& operator=(const WithoutAutocast&) = delete;

 private:
  bool was_;
};

// Casts the floating tensors among `args` as the op's policy says; false if it
// has none there.
FL_API bool autocast_args(const Op& op, Value* args);

} // namespace flashlight
