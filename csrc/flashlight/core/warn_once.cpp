#include "flashlight/core/warn_once.h"

#include "flashlight/core/runtime.h"

namespace flashlight {

std::atomic<bool>& warn_always() {
  static std::atomic<bool> always{false};
  return always;
}

void WarnOnce::operator()(const std::string& text) {
  if (!told_.exchange(true) || warn_always()) {
    warn(text);
  }
}

} // namespace flashlight
