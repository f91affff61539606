// Joining, splitting, repeating: shape ops that copy.
#include <mlx/ops.h>

#include "flashlight/ops/complex128.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/creation.h"
#include "flashlight/ops/functions/shape.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/op.h"
#include "flashlight/ops/registry.h"

namespace flashlight {

namespace {

constexpr const char* kCatOut =
    "%?%ttorch.cat(): input types can't be cast to the desired output type %O";

// Tensors that cat joins: PyTorch skips empty ones of one dimension.
TensorList without_legacy_empty(const TensorList& tensors) {
  TensorList out;
  for (const Tensor& t : tensors) {
    if (!(t.dim() == 1 && t.numel() == 0)) {
      out.push_back(t);
    }
  }
  return out;
}

// The format that all lie in, which is that of the tensor they are joined to.
MemoryFormat common_format(const TensorList& parts) {
  std::optional<MemoryFormat> common;
  for (const Tensor& t : parts) {
    MemoryFormat f = suggested_format(t.geometry());
    if (f == MemoryFormat::Contiguous || (common && *common != f)) {
      return MemoryFormat::Contiguous;
    }
    common = f;
  }
  return *common;
}

// As PyTorch, which joins along `d` and then views that dimension as two; a new
// last one is joined as itself.
IntList strides_of_stack(TensorList parts, int64_t d, const IntList& sizes) {
  if (d == parts[0].dim()) {
    for (Tensor& t : parts) {
      t = unsqueeze(t, d);
    }
    return strides_for(sizes, common_format(parts));
  }
  MemoryFormat format = common_format(parts);
  if (format == MemoryFormat::Contiguous) {
    return contiguous_strides(sizes);
  }
  IntList joined = parts[0].sizes();
  joined[static_cast<size_t>(d)] *= static_cast<int64_t>(parts.size());
  return *view_strides(joined, strides_for(joined, format), sizes);
}

mx::array cat_kernel(const TensorList& given, int64_t dim, Dtype dtype) {
  TensorList tensors = without_legacy_empty(given);
  if (tensors.empty()) {
    return mx::zeros({0}, to_mlx(dtype));
  }
  int64_t d = wrap_dim(dim, tensors[0].dim());
  std::vector<mx::array> arrays;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const Tensor& t = tensors[i];
    FL_CHECK(
        t.dim() > 0,
        "zero-dimensional tensor (at position ",
        i,
        ") cannot be concatenated");
    FL_CHECK(
        t.dim() == tensors[0].dim(),
        "Tensors must have same number of dimensions: got ",
        tensors[0].dim(),
        " and ",
        t.dim());
    for (int64_t k = 0; k < t.dim(); ++k) {
      FL_CHECK(
          k == d || t.size(k) == tensors[0].size(k),
          "Sizes of tensors must match except in dimension ",
          d,
          ". Expected size ",
          tensors[0].size(k),
          " but got size ",
          t.size(k),
          " for tensor number ",
          i,
          " in the list.");
    }
    arrays.push_back(mx::astype(t.value(), to_mlx(dtype)));
  }
  return mx::concatenate(arrays, static_cast<int>(d));
}

} // namespace

void register_shape() {
  op("cat(Tensor[] tensors, int dim=0) -> Tensor")
      .forms("function out")
      .exact_out(kCatOut)
      .promote()
      .apart_from_out()
      .autocast(Autocast::Promote)
      .kernel([](const TensorList& tensors, int64_t dim) {
        FL_CHECK_VALUE(
            !tensors.empty(),
            "torch.cat(): expected a non-empty list of Tensors");
        Value all = tensors;
        mx::array out = cat_kernel(tensors, dim, result_type({&all}));
        IntList sizes = to_int_list(out.shape());
        return Tensor(
            std::move(out),
            strides_for(sizes, common_format(tensors)),
            tensors[0].device());
      })
      .complex128(parts())
      .grad(
          "tensors",
          "tensors.shape dim",
          [](const Tensor& grad, const TensorList& tensors, int64_t dim) {
            TensorList out;
            int64_t at = 0;
            for (const Tensor& t : tensors) {
              if (t.dim() == 1 && t.numel() == 0) {
                out.push_back(zeros({0}, t.dtype(), {}, t.device()));
                continue;
              }
              int64_t n = t.size(dim);
              out.push_back(slice(grad, dim, at, at + n, 1));
              at += n;
            }
            return out;
          })
      .doc("Tensors joined along a dimension.");
  op("stack(Tensor[] tensors, int dim=0) -> Tensor")
      .forms("function out")
      .exact_out(kCatOut)
      .promote()
      .apart_from_out()
      .autocast(Autocast::Promote)
      .kernel([](const TensorList& tensors, int64_t dim) {
        FL_CHECK(!tensors.empty(), "stack expects a non-empty TensorList");
        int64_t d = wrap_dim(dim, tensors[0].dim() + 1);
        Value all = tensors;
        mx::Dtype dtype = to_mlx(result_type({&all}));
        std::vector<mx::array> rows;
        for (size_t i = 0; i < tensors.size(); ++i) {
          FL_CHECK(
              tensors[i].sizes() == tensors[0].sizes(),
              "stack expects each tensor to be equal size, but got ",
              tensors[0].sizes(),
              " at entry 0 and ",
              tensors[i].sizes(),
              " at entry ",
              i);
          rows.push_back(mx::astype(tensors[i].value(), dtype));
        }
        mx::array out = mx::stack(rows, static_cast<int>(d));
        IntList strides =
            strides_of_stack(tensors, d, to_int_list(out.shape()));
        return Tensor(std::move(out), std::move(strides), tensors[0].device());
      })
      .complex128(parts())
      .grad(
          "tensors",
          "tensors.shape dim",
          [](const Tensor& grad, const TensorList& tensors, int64_t dim) {
            TensorList out;
            for (size_t i = 0; i < tensors.size(); ++i) {
              out.push_back(select(grad, dim, static_cast<int64_t>(i)));
            }
            return out;
          })
      .doc("Tensors joined along a new dimension.");
  op("broadcast_tensors(Tensor[] tensors) -> Tensor[]")
      .forms("function")
      .composite([](const TensorList& tensors) {
        IntList sizes;
        for (const Tensor& t : tensors) {
          sizes = broadcast_sizes(sizes, t.sizes());
        }
        TensorList out;
        for (const Tensor& t : tensors) {
          out.push_back(t.sizes() == sizes ? t : expand(t, sizes));
        }
        return out;
      })
      .doc("Tensors expanded to the sizes of all of them.");
}

} // namespace flashlight
