// Attention and embedding.
#include <mlx/ops.h>

#include "flashlight/ops/functions.h"
#include "flashlight/ops/op.h"

namespace flashlight {

void register_attention() {}

} // namespace flashlight
