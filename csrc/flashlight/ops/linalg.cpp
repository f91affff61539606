// Products of matrices and vectors.
#include <mlx/ops.h>

#include "flashlight/ops/functions.h"
#include "flashlight/ops/op.h"

namespace flashlight {

void register_linalg() {}

} // namespace flashlight
