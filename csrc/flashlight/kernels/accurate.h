// Functions at the accuracy of their dtype.
//
// MLX's exp, sin, cos and erf are float32 approximations for every dtype, and
// what it makes of them is too. Of float64 these are the C library's instead.
// erfc is not 1 - erf, which loses all digits.
#pragma once

#include <mlx/array.h>

#include "flashlight/core/api.h"

namespace flashlight {

namespace mx = mlx::core;

namespace accurate {

FL_API mx::array exp(const mx::array& x);
FL_API mx::array sin(const mx::array& x);
FL_API mx::array cos(const mx::array& x);
FL_API mx::array erf(const mx::array& x);
FL_API mx::array erfc(const mx::array& x);
FL_API mx::array erfinv(const mx::array& x);
FL_API mx::array sigmoid(const mx::array& x);
FL_API mx::array logaddexp(const mx::array& a, const mx::array& b);
FL_API mx::array softmax(const mx::array& x, int axis);

} // namespace accurate

} // namespace flashlight
