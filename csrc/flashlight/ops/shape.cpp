// Joining, splitting, repeating: shape ops that copy.
#include <mlx/ops.h>

#include "flashlight/ops/functions.h"
#include "flashlight/ops/op.h"

namespace flashlight {

void register_shape() {}

} // namespace flashlight
