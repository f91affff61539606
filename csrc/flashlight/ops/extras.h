// What C++ callers need beside the functions of the rows.
#pragma once

#include "flashlight/core/value.h"

namespace flashlight {

// Gives `tensor` these sizes, contiguously, growing its storage if it must.
FL_API void resize_tensor(const Tensor& tensor, const IntList& sizes);
// Sums over what broadcasting added, back to `sizes`.
FL_API Tensor unbroadcast(const Tensor& tensor, const IntList& sizes);
// torch.broadcast_shapes; PyTorch's text if they do not fit.
FL_API IntList broadcast_sizes(const IntList& a, const IntList& b);
// Sizes with one -1 resolved for `numel` elements (view, reshape).
FL_API IntList infer_sizes(const IntList& sizes, int64_t numel);
// A value that lies as `self` does, as what is written to a clone of it.
FL_API Tensor lying_as(const Tensor& self, mx::array value);
// Dimensions, wrapped; all of them if `dims` is empty.
FL_API IntList wrap_dims(const IntList& dims, int64_t ndim);

FL_API Tensor operator+(const Tensor& a, const Tensor& b);
FL_API Tensor operator-(const Tensor& a, const Tensor& b);
FL_API Tensor operator*(const Tensor& a, const Tensor& b);
FL_API Tensor operator/(const Tensor& a, const Tensor& b);
FL_API Tensor operator+(const Tensor& a, const Scalar& b);
FL_API Tensor operator-(const Tensor& a, const Scalar& b);
FL_API Tensor operator*(const Tensor& a, const Scalar& b);
FL_API Tensor operator/(const Tensor& a, const Scalar& b);
FL_API Tensor operator+(const Scalar& a, const Tensor& b);
FL_API Tensor operator-(const Scalar& a, const Tensor& b);
FL_API Tensor operator*(const Scalar& a, const Tensor& b);
FL_API Tensor operator/(const Scalar& a, const Tensor& b);
FL_API Tensor operator-(const Tensor& a);

} // namespace flashlight
