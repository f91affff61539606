// Reading and writing along one axis at given places. Indices are in range and
// not negative (the caller has checked); arrays are read as `outer` x `size` x
// `inner`, see Rows.
#pragma once

#include <mlx/array.h>

#include "flashlight/core/api.h"

namespace flashlight {

namespace mx = mlx::core;

enum class Reduce { Set, Sum, Prod, Mean, Min, Max };

// x at `index`, of x's sizes but along `axis`: torch.gather.
FL_API mx::array
gather_along(const mx::array& x, const mx::array& index, int axis);
// x at index[k] along `axis`: torch.index_select.
FL_API mx::array
select_along(const mx::array& x, const mx::array& index, int axis);

// x with `source` brought in at `index`, which has source's sizes
// (torch.scatter_reduce) or is one place per slice of it (torch.index_add).
// Without `with_self` what is written to counts from the source alone. Of
// `pairs` (see Note [Complex128]) x and `source` have one dimension more.
FL_API mx::array scatter_along(
    const mx::array& x,
    const mx::array& index,
    const mx::array& source,
    int axis,
    Reduce reduce,
    bool with_self = true,
    bool pairs = false);

} // namespace flashlight
