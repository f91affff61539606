#include "flashlight/autograd/grad_mode.h"

namespace flashlight {

constinit thread_local AutogradState detail::autograd_state;

AnomalyState& anomaly_state() {
  static AnomalyState state;
  return state;
}

} // namespace flashlight
