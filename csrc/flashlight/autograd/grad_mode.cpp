#include "flashlight/autograd/grad_mode.h"

namespace flashlight {

AutogradState& autograd_state() {
  thread_local AutogradState state;
  return state;
}

AnomalyState& anomaly_state() {
  static AnomalyState state;
  return state;
}

} // namespace flashlight
