// Threads of a C++ program take turns.
//
// Note [Turns]
// Tensors have no locks of their own: under Python, threads that use them hold
// the interpreter's lock. Threads of a program without Python hold a Turn. As
// there, others come in while work is evaluated.
#pragma once

#include "flashlight/core/api.h"

namespace flashlight {

// While one lives, no other thread has one. One thread may have several.
class FL_API Turn {
 public:
  Turn();
  ~Turn();
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
};

} // namespace flashlight
