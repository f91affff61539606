// Warnings that are given the first time alone.
#pragma once

#include <atomic>
#include <string>

#include "flashlight/core/api.h"

namespace flashlight {

// Are they to be given every time? (torch.set_warn_always)
FL_API std::atomic<bool>& warn_always();

// A static one stands beside each warning.
class FL_API WarnOnce {
 public:
  void operator()(const std::string& text);

 private:
  std::atomic<bool> told_{false};
};

} // namespace flashlight
