// What the files of reductions, sorts and scans share.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "flashlight/core/value.h"

namespace flashlight {

// `dims` wrapped, as MLX takes them; all if there are none.
std::vector<int> axes_of(const std::optional<IntList>& dims, int64_t ndim);
// One dimension, wrapped. A scalar is taken as a vector of one element.
int axis_of(int64_t dim, const mx::array& x);
// x with one dimension at least.
mx::array at_least_1d(const mx::array& x);

// `grad` of a reduction (or its result), with the reduced dimensions put back
// and expanded to `sizes`.
Tensor restore_dims(
    const Tensor& grad,
    const IntList& sizes,
    const std::optional<IntList>& dims,
    bool keepdim);

// A value that no gradient flows to, on the device of `like`.
Tensor constant(const mx::array& value, const Tensor& like);

// The gradient of an extremum goes in equal parts to the elements that are it.
Tensor spread(
    const Tensor& grad,
    const Tensor& self,
    const std::optional<IntList>& dims,
    bool keepdim,
    const Tensor& result);
// The gradient of picking elements along a dimension.
Tensor select_grad(
    const Tensor& grad,
    const Tensor& self,
    int64_t dim,
    bool keepdim,
    const Tensor& indices);

// 16-bit floats as float32: MLX would add them up in 16 bits on the CPU.
mx::array widened(const mx::array& x);

// NotImplementedError in PyTorch's words.
[[noreturn]] void not_implemented(std::string_view name, Dtype dtype);
// ... for complex numbers and the wide unsigned types, which do not order.
void check_orders(const mx::array& x, std::string_view name);
// ... for those and bools.
void check_orders_numbers(const mx::array& x, std::string_view name);
// A dimension that is reduced by picking must have an element.
void check_nonzero_size(
    const mx::array& x,
    int axis,
    std::string_view name,
    std::string_view colon = "():");

} // namespace flashlight
