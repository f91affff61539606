// Random numbers: PyTorch's own stream on the CPU.
#include <mlx/ops.h>

#include "flashlight/ops/functions.h"
#include "flashlight/ops/op.h"

namespace flashlight {

void register_random() {}

} // namespace flashlight
