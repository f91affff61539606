#include "flashlight/ops/extras.h"
#include "flashlight/core/wrapped.h"
#include "flashlight/ops/functions/arithmetic.h"
#include "flashlight/ops/functions/pointwise.h"
#include "flashlight/ops/functions/reductions.h"
#include "flashlight/ops/functions/views.h"

#include <algorithm>

namespace flashlight {

void resize_tensor(const Tensor& tensor, const IntList& sizes) {
  if (tensor.sizes() == sizes) {
    return;
  }
  check_outside_transforms(tensor);
  for (int64_t n : sizes) {
    FL_CHECK(
        n >= 0,
        "Trying to create tensor with negative dimension ",
        n,
        ": ",
        sizes);
  }
  Geometry g{sizes, contiguous_strides(sizes), tensor.storage_offset()};
  int64_t bytes = storage_extent(g) * itemsize(tensor.dtype());
  if (bytes > tensor->storage->nbytes()) {
    tensor->storage->resize(bytes);
  }
  tensor->geometry = std::move(g);
}

IntList broadcast_sizes(const IntList& a, const IntList& b) {
  size_t n = std::max(a.size(), b.size());
  IntList out(n);
  for (size_t i = 0; i < n; ++i) {
    int64_t x = i < a.size() ? a[a.size() - 1 - i] : 1;
    int64_t y = i < b.size() ? b[b.size() - 1 - i] : 1;
    FL_CHECK(
        x == y || x == 1 || y == 1,
        "The size of tensor a (",
        x,
        ") must match the size of tensor b (",
        y,
        ") at non-singleton dimension ",
        n - 1 - i);
    out[n - 1 - i] = x == 1 ? y : x;
  }
  return out;
}

IntList infer_sizes(const IntList& sizes, int64_t numel) {
  int64_t known = 1;
  std::optional<size_t> unknown;
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] == -1) {
      FL_CHECK(!unknown, "only one dimension can be inferred");
      unknown = i;
    } else {
      FL_CHECK(sizes[i] >= 0, "invalid shape dimension ", sizes[i]);
      known *= sizes[i];
    }
  }
  bool fits = known == numel || (unknown && known > 0 && numel % known == 0);
  FL_CHECK(fits, "shape '", sizes, "' is invalid for input of size ", numel);
  IntList out = sizes;
  if (unknown) {
    FL_CHECK(
        known != 0,
        "cannot reshape tensor of 0 elements into shape ",
        sizes,
        " because the unspecified dimension size -1 can be any value and is "
        "ambiguous");
    out[*unknown] = numel / known;
  }
  return out;
}

IntList wrap_dims(const IntList& dims, int64_t ndim) {
  IntList out;
  if (dims.empty()) {
    for (int64_t d = 0; d < ndim; ++d) {
      out.push_back(d);
    }
    return out;
  }
  for (int64_t d : dims) {
    int64_t w = wrap_dim(d, ndim);
    FL_CHECK(
        std::find(out.begin(), out.end(), w) == out.end(),
        "dim ",
        w,
        " appears multiple times in the list of dims");
    out.push_back(w);
  }
  return out;
}

Tensor unbroadcast(const Tensor& tensor, const IntList& sizes) {
  IntList dims;
  int64_t lead = tensor.dim() - ndim_of(sizes);
  for (int64_t d = 0; d < tensor.dim(); ++d) {
    if (d < lead ||
        (sizes[static_cast<size_t>(d - lead)] == 1 && tensor.size(d) != 1)) {
      dims.push_back(d);
    }
  }
  Tensor out = dims.empty() ? tensor : sum(tensor, dims, /*keepdim=*/true);
  return lead > 0 ? view(out, sizes) : out;
}

Tensor operator+(const Tensor& a, const Tensor& b) {
  return add(a, b);
}
Tensor operator-(const Tensor& a, const Tensor& b) {
  return sub(a, b);
}
Tensor operator*(const Tensor& a, const Tensor& b) {
  return mul(a, b);
}
Tensor operator/(const Tensor& a, const Tensor& b) {
  return div(a, b);
}
Tensor operator+(const Tensor& a, const Scalar& b) {
  return add(a, wrapped_number(b));
}
Tensor operator-(const Tensor& a, const Scalar& b) {
  return sub(a, wrapped_number(b));
}
Tensor operator*(const Tensor& a, const Scalar& b) {
  return mul(a, wrapped_number(b));
}
Tensor operator/(const Tensor& a, const Scalar& b) {
  return div(a, wrapped_number(b));
}
Tensor operator+(const Scalar& a, const Tensor& b) {
  return add(wrapped_number(a), b);
}
Tensor operator-(const Scalar& a, const Tensor& b) {
  return sub(wrapped_number(a), b);
}
Tensor operator*(const Scalar& a, const Tensor& b) {
  return mul(wrapped_number(a), b);
}
Tensor operator/(const Scalar& a, const Tensor& b) {
  return div(wrapped_number(a), b);
}
Tensor operator-(const Tensor& a) {
  return neg(a);
}

} // namespace flashlight
