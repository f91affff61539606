// Views that name an element more than once.
#pragma once

#include "flashlight/core/geometry.h"

namespace flashlight {

// Whether two indices may name one element: dimensions, from the least stride
// on, that do not step over all of those before. (has_internal_overlap() is
// what PyTorch raises for, which is less.)
FL_API bool may_overlap(const Geometry& g);

} // namespace flashlight
