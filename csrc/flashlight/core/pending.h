#pragma once

#include "flashlight/core/api.h"

namespace flashlight {

// While one lives, the calling thread's writes do not make recorded work run:
// what replaces several values at once must not be evaluated halfway, while
// the old ones still hold their buffers. Runs it at the end if that is due.
class FL_API HoldFlush {
 public:
  HoldFlush();
  ~HoldFlush();
  HoldFlush(const HoldFlush&) = delete;
  HoldFlush& operator=(const HoldFlush&) = delete;
};

// Does a Tracing (core/runtime.h) of the calling thread live?
FL_API bool is_tracing();

} // namespace flashlight
