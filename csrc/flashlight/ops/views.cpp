// Every view op: arithmetic on sizes, strides and offset.
// See Note [Views over MLX arrays] in core/geometry.h.
#include <algorithm>
#include <limits>

#include <mlx/ops.h>

#include "flashlight/autograd/view_autograd.h"
#include "flashlight/core/overlap.h"
#include "flashlight/core/wrapped.h"
#include "flashlight/ops/complex128.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/comparison.h"
#include "flashlight/ops/functions/copy.h"
#include "flashlight/ops/functions/creation.h"
#include "flashlight/ops/functions/linalg.h"
#include "flashlight/ops/functions/shape.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/op.h"
#include "flashlight/ops/views.h"

namespace flashlight {

ViewSpec spec_of(const Tensor& self) {
  return {self.geometry(), self.dtype(), self->conj, self->neg};
}

Tensor lying_as(const Tensor& self, mx::array value) {
  return Tensor(std::move(value), dense_like(self.geometry()), self.device());
}

Tensor copied_whole(const Tensor& self) {
  if (has_internal_overlap(self.geometry()) || self->conj || self->neg) {
    return copied(self, dense_like(self.geometry()));
  }
  int64_t n = self->storage->nbytes() / itemsize(self.dtype());
  Tensor whole = self.alias({IntList{n}, IntList{1}, 0}, self.dtype());
  Tensor out = copied(whole, IntList{1});
  out->geometry = self.geometry();
  return out;
}

Tensor part_or_zeros(const TensorList& grads, size_t k, const IntList& sizes) {
  if (grads[k].defined()) {
    return grads[k];
  }
  auto like = std::find_if(
      grads.begin(), grads.end(), [](const Tensor& g) { return g.defined(); });
  return zeros(sizes, like->dtype(), {}, like->device());
}

namespace {

size_t at(int64_t i) {
  return static_cast<size_t>(i);
}

ViewSpec view_sizes(const Tensor& self, const IntList& size) {
  IntList sizes = infer_sizes(size, self.numel());
  auto strides = view_strides(self.sizes(), self.strides(), sizes);
  FL_CHECK(
      strides,
      "view size is not compatible with input tensor's size and stride (at "
      "least one dimension spans across two contiguous subspaces). Use "
      ".reshape(...) instead.");
  ViewSpec spec = spec_of(self);
  spec.geometry.sizes = sizes;
  spec.geometry.strides = *strides;
  return spec;
}

} // namespace

ViewSpec transposed(const Tensor& self, int64_t dim0, int64_t dim1) {
  ViewSpec spec = spec_of(self);
  int64_t a = wrap_dim(dim0, self.dim()), b = wrap_dim(dim1, self.dim());
  if (self.dim() > 0) {
    std::swap(spec.geometry.sizes[at(a)], spec.geometry.sizes[at(b)]);
    std::swap(spec.geometry.strides[at(a)], spec.geometry.strides[at(b)]);
  }
  return spec;
}

namespace {

Tensor transpose_backward(const Tensor& grad, int64_t dim0, int64_t dim1) {
  return transpose(grad, dim0, dim1);
}

ViewSpec permuted(const Tensor& self, const IntList& dims) {
  FL_CHECK(
      ndim_of(dims) == self.dim(),
      "permute(sparse_coo): number of dimensions in the tensor input does not "
      "match the length of the desired ordering of dimensions i.e. "
      "input.dim() = ",
      self.dim(),
      " is not equal to len(dims) = ",
      dims.size());
  ViewSpec spec = spec_of(self);
  std::vector<bool> seen(dims.size());
  for (size_t i = 0; i < dims.size(); ++i) {
    size_t d = at(wrap_dim(dims[i], self.dim()));
    FL_CHECK(!seen[d], "permute(): duplicate dims are not allowed.");
    seen[d] = true;
    spec.geometry.sizes[i] = self.sizes()[d];
    spec.geometry.strides[i] = self.strides()[d];
  }
  return spec;
}

ViewSpec expanded(const Tensor& self, const IntList& size, bool) {
  int64_t lead = ndim_of(size) - self.dim();
  FL_CHECK(
      lead >= 0,
      "expand(",
      type_name(self),
      "{",
      self.sizes(),
      "}, size=",
      size,
      "): the number of sizes provided (",
      size.size(),
      ") must be greater or equal to the number of dimensions in the tensor (",
      self.dim(),
      ")");
  ViewSpec spec = spec_of(self);
  Geometry& g = spec.geometry;
  g.sizes = size;
  g.strides = IntList(size.size());
  for (int64_t i = ndim_of(size) - 1; i >= 0; --i) {
    int64_t own = i - lead;
    int64_t n = own >= 0 ? self.sizes()[at(own)] : 1;
    int64_t stride = own >= 0          ? self.strides()[at(own)]
                     : self.dim() == 0 ? 0
                     : i + 1 < ndim_of(size)
                         ? g.sizes[at(i + 1)] * g.strides[at(i + 1)]
                         : 1;
    int64_t want = size[at(i)];
    if (want == -1) {
      FL_CHECK(
          own >= 0,
          "The expanded size of the tensor (",
          want,
          ") isn't allowed in a leading, non-existing dimension ",
          i);
      want = n;
    }
    if (n != want) {
      FL_CHECK(
          n == 1,
          "The expanded size of the tensor (",
          want,
          ") must match the existing size (",
          n,
          ") at non-singleton dimension ",
          i,
          ".  Target sizes: ",
          size,
          ".  Tensor sizes: ",
          self.sizes());
      stride = 0;
    }
    g.sizes[at(i)] = want;
    g.strides[at(i)] = stride;
  }
  return spec;
}

ViewSpec unsqueezed(const Tensor& self, int64_t dim) {
  ViewSpec spec = spec_of(self);
  int64_t d = wrap_dim(dim, self.dim() + 1);
  Geometry& g = spec.geometry;
  int64_t stride = d < self.dim() ? g.sizes[at(d)] * g.strides[at(d)] : 1;
  g.sizes.insert(g.sizes.begin() + d, int64_t{1});
  g.strides.insert(g.strides.begin() + d, stride);
  return spec;
}

ViewSpec squeezed(const Tensor& self, const IntList& dims) {
  ViewSpec spec = spec_of(self);
  Geometry& g = spec.geometry;
  g.sizes = {};
  g.strides = {};
  for (int64_t d = 0; d < self.dim(); ++d) {
    bool drop = self.sizes()[at(d)] == 1 &&
                std::find(dims.begin(), dims.end(), d) != dims.end();
    if (!drop) {
      g.sizes.push_back(self.sizes()[at(d)]);
      g.strides.push_back(self.strides()[at(d)]);
    }
  }
  return spec;
}

Tensor unsqueezed_to(const Tensor& grad, const Tensor& self) {
  return view(grad, self.sizes());
}

ViewSpec strided(
    const Tensor& self,
    const IntList& size,
    const IntList& stride,
    const std::optional<int64_t>& offset) {
  FL_CHECK(
      size.size() == stride.size(), "mismatch in length of strides and shape");
  for (int64_t s : stride) {
    FL_CHECK(
        s >= 0,
        "as_strided: Negative strides are not supported at the moment, got "
        "strides: ",
        stride);
  }
  ViewSpec spec = spec_of(self);
  spec.geometry = {size, stride, offset.value_or(self.storage_offset())};
  FL_CHECK(
      spec.geometry.offset >= 0,
      "Tensor: invalid storage offset ",
      spec.geometry.offset);
  int64_t bytes = storage_extent(spec.geometry) * itemsize(self.dtype());
  FL_CHECK(
      bytes <= self->storage->nbytes(),
      "setStorage: sizes ",
      size,
      ", strides ",
      stride,
      ", storage offset ",
      spec.geometry.offset,
      ", and itemsize ",
      itemsize(self.dtype()),
      " requiring a storage size of ",
      bytes,
      " are out of bounds for storage of size ",
      self->storage->nbytes());
  return spec;
}

// Zeros, `numel` of them, to which `self` is added through a window.
mx::array strided_sum(
    const mx::array& self,
    const IntList& size,
    const IntList& stride,
    int64_t offset,
    int64_t numel) {
  Geometry window{size, stride, offset};
  Layout flat{IntList{numel}, IntList{1}};
  mx::array out = mx::zeros(to_shape(flat.sizes), self.dtype());
  if (self.size() == 0) {
    return out;
  }
  if (!may_overlap(window)) {
    return flatten(write_back(out, flat, window, self), flat);
  }
  auto n = static_cast<mx::ShapeElem>(self.size());
  mx::array where = mx::arange(static_cast<int>(numel));
  where = mx::reshape(read(where, flat, window), {n});
  return mx::scatter_add(out, where, mx::reshape(self, {n, 1}), 0);
}

Tensor strided_backward(
    const Tensor& grad,
    const Tensor& self,
    const IntList& size,
    const IntList& stride,
    const std::optional<int64_t>& offset) {
  return flashlight::scatter_window(
      grad,
      {size, stride, offset.value_or(self.storage_offset())},
      self.geometry());
}

ViewSpec conjugated(const Tensor& self) {
  ViewSpec spec = spec_of(self);
  spec.conj = !spec.conj;
  return spec;
}

// Elements of a storage under another dtype, one more dimension of size 2.
ViewSpec as_real(const Tensor& self) {
  FL_CHECK(
      self.is_complex(), "view_as_real is only supported for complex tensors");
  FL_CHECK(
      !self->conj,
      "view_as_real doesn't work on unresolved conjugated tensors.  To resolve "
      "the conjugate tensor so you can view it as real, use "
      "self.resolve_conj(); however, be warned that the resulting tensor will "
      "NOT alias the original.");
  ViewSpec spec = spec_of(self);
  spec.dtype = to_real(self.dtype());
  for (int64_t& s : spec.geometry.strides) {
    s *= 2;
  }
  spec.geometry.offset *= 2;
  spec.geometry.sizes.push_back(2);
  spec.geometry.strides.push_back(1);
  return spec;
}

} // namespace

Tensor scatter_window(
    const Tensor& grad,
    const Geometry& window,
    const Geometry& base) {
  int64_t begin = std::min(window.offset, base.offset);
  int64_t n = std::max(storage_extent(window), storage_extent(base)) - begin;
  auto sum = [&](const Tensor& values, const Geometry& g) {
    return _strided_sum(values, g.sizes, g.strides, g.offset - begin, n);
  };
  if (base.numel() == 0 || grad.numel() == 0) {
    return zeros(base.sizes, grad.dtype(), {}, grad.device());
  }
  Tensor flat = sum(grad, window);
  if (may_overlap(base)) {
    // Each index of an element gets its share.
    Tensor ones_ = ones(base.sizes, grad.dtype(), {}, grad.device());
    flat = flat / clamp_min(sum(ones_, base), 1);
  }
  return as_strided(flat, base.sizes, base.strides, base.offset - begin);
}

void register_views() {
  op("view(Tensor(a) self, SymInt[] size) -> Tensor(a)")
      .forms("method copy")
      .view(view_sizes)
      .grad(
          "self",
          "self.shape",
          [](const Tensor& grad, const Tensor& self) {
            return reshape(grad, self.sizes());
          })
      .doc("The same elements under other sizes, without a copy.");
  op("_unsafe_view(Tensor self, SymInt[] size) -> Tensor")
      .forms("function")
      .kernel([](const Tensor& self, const IntList& size) {
        Tensor out = self.alias(view_sizes(self, size).geometry, self.dtype());
        out->version = make_ref<VersionCounter>();
        return out;
      })
      .complex128(itself())
      .grad(
          "self",
          "self.shape",
          [](const Tensor& grad, const Tensor& self) {
            return reshape(grad, self.sizes());
          })
      .doc(
          "A temporary under other sizes: no view of it, which nobody else "
          "has.");
  op("reshape(Tensor(a) self, SymInt[] shape) -> Tensor(a)")
      .forms("function method")
      .composite([](const Tensor& self, const IntList& shape) {
        IntList sizes = infer_sizes(shape, self.numel());
        if (self.is_contiguous()) {
          return view(self, sizes);
        }
        if (auto strides = view_strides(self.sizes(), self.strides(), sizes)) {
          return _reshape_alias(self, sizes, *strides);
        }
        return _unsafe_view(clone(self, MemoryFormat::Contiguous), sizes);
      })
      .doc(
          "The same elements under other sizes; a view where that is "
          "possible.");
  op("_reshape_alias(Tensor(a) self, SymInt[] size, SymInt[] stride) -> "
     "Tensor(a)")
      .forms("function method copy")
      .view([](const Tensor& self, const IntList& size, const IntList& stride) {
        FL_CHECK(
            view_strides(self.sizes(), self.strides(), size) == stride,
            "_reshape_alias(): ",
            size,
            " with strides ",
            stride,
            " is no view of these elements");
        ViewSpec spec = spec_of(self);
        spec.geometry.sizes = size;
        spec.geometry.strides = stride;
        return spec;
      })
      .node("ReshapeAliasBackward0")
      .grad(
          "self",
          "self.shape",
          [](const Tensor& grad, const Tensor& self) {
            return reshape(grad, self.sizes());
          })
      .doc("What reshape gives where the strides allow a view.");
  op("transpose.int(Tensor(a) self, int dim0, int dim1) -> Tensor(a)")
      .forms("function method inplace copy")
      .view(transposed)
      .grad("self", "dim0 dim1", transpose_backward)
      .doc("Swaps two dimensions.");
  alias_op(
      "swapaxes(Tensor(a) self, int axis0, int axis1) -> Tensor(a)",
      "transpose.int",
      "function method inplace");
  alias_op(
      "swapdims(Tensor(a) self, int dim0, int dim1) -> Tensor(a)",
      "transpose.int",
      "function method inplace");
  op("t(Tensor(a) self) -> Tensor(a)")
      .forms("function method inplace copy")
      .view([](const Tensor& self) {
        FL_CHECK(
            self.dim() <= 2,
            "t() expects a tensor with <= 2 dimensions, but self is ",
            self.dim(),
            "D");
        return self.dim() < 2 ? spec_of(self) : transposed(self, 0, 1);
      })
      .node("TBackward0")
      .grad("self", "", [](const Tensor& grad) { return t(grad); })
      .doc("A matrix with its dimensions swapped.");
  op("squeeze(Tensor(a) self) -> Tensor(a)")
      .forms("function method inplace copy")
      .view([](const Tensor& self) {
        return squeezed(self, wrap_dims({}, self.dim()));
      })
      .grad("self", "self.shape", unsqueezed_to)
      .doc("Without the dimensions of size 1.");
  op("view_as(Tensor(a) self, Tensor other) -> Tensor(a)")
      .forms("method")
      .composite([](const Tensor& self, const Tensor& other) {
        return view(self, other.sizes());
      })
      .doc("The same elements in the sizes of `other`.");
  op("expand_as(Tensor(a) self, Tensor other) -> Tensor(a)")
      .forms("method")
      .composite([](const Tensor& self, const Tensor& other) {
        return expand(self, other.sizes());
      })
      .doc("Expanded to the sizes of `other`.");
  op("contiguous(Tensor(a) self, *, MemoryFormat "
     "memory_format=contiguous_format) -> Tensor(a)")
      .forms("method")
      .composite([](const Tensor& self, MemoryFormat format) {
        FL_CHECK(
            format != MemoryFormat::Preserve,
            "preserve memory format is unsupported by the contiguous operator");
        FL_CHECK(
            format == MemoryFormat::Contiguous || !self->wrapped ||
                self->wrapped->level->kind != LevelKind::Batch,
            "NYI: querying is_contiguous inside of vmap for memory_format "
            "other than torch.contiguous_format");
        return self.is_contiguous(format) ? self : clone(self, format);
      })
      .doc("The tensor, copied if it does not lie in that format.");
  op("flatten.using_ints(Tensor(a) self, int start_dim=0, int end_dim=-1) -> "
     "Tensor(a)")
      .forms("function method")
      .composite([](const Tensor& self, int64_t start_dim, int64_t end_dim) {
        int64_t from = wrap_dim(start_dim, self.dim());
        int64_t to = wrap_dim(end_dim, self.dim());
        FL_CHECK(
            from <= to,
            "flatten() has invalid args: start_dim cannot come after end_dim");
        if (self.dim() == 0) {
          return reshape(self, {1});
        }
        IntList sizes;
        int64_t merged = 1;
        for (int64_t d = 0; d < self.dim(); ++d) {
          if (d >= from && d <= to) {
            merged *= self.size(d);
            if (d == to) {
              sizes.push_back(merged);
            }
          } else {
            sizes.push_back(self.size(d));
          }
        }
        return from == to ? self : reshape(self, sizes);
      })
      .doc("Dimensions `start_dim` to `end_dim` as one.");
  op("unbind.int(Tensor(a -> *) self, int dim=0) -> Tensor(a)[]")
      .forms("function method copy")
      .view([](const Tensor& self, int64_t dim) {
        FL_CHECK_INDEX(
            self.dim() > 0,
            "Dimension specified as ",
            dim,
            " but tensor has no dimensions");
        size_t d = at(wrap_dim(dim, self.dim()));
        std::vector<ViewSpec> out;
        for (int64_t i = 0; i < self.sizes()[d]; ++i) {
          ViewSpec spec = spec_of(self);
          Geometry& g = spec.geometry;
          g.offset += i * g.strides[d];
          g.sizes.erase(g.sizes.begin() + d);
          g.strides.erase(g.strides.begin() + d);
          out.push_back(std::move(spec));
        }
        return out;
      })
      .grad(
          "self",
          "self.shape dim",
          [](const TensorList& grads, const Tensor& self, int64_t dim) {
            IntList sizes = self.sizes();
            sizes.erase(sizes.begin() + wrap_dim(dim, ndim_of(sizes)));
            TensorList rows;
            for (size_t k = 0; k < grads.size(); ++k) {
              rows.push_back(part_or_zeros(grads, k, sizes));
            }
            return TensorList{stack(rows, dim)};
          })
      .doc("The slices along a dimension, without it.");
  op("permute(Tensor(a) self, int[] dims) -> Tensor(a)")
      .forms("function method copy")
      .view(permuted)
      .grad(
          "self",
          "dims",
          [](const Tensor& grad, const IntList& dims) {
            IntList inverse(dims.size());
            for (size_t i = 0; i < dims.size(); ++i) {
              inverse[at(wrap_dim(dims[i], ndim_of(dims)))] =
                  static_cast<int64_t>(i);
            }
            return permute(grad, inverse);
          })
      .doc("Reorders the dimensions.");
  op("expand(Tensor(a) self, SymInt[] size, *, bool implicit=False) -> "
     "Tensor(a)")
      .forms("method copy")
      .view(expanded)
      .grad(
          "self",
          "self.shape",
          [](const Tensor& grad, const Tensor& self) {
            return unbroadcast(grad, self.sizes());
          })
      .doc("Dimensions of size 1, and new ones in front, repeated.");
  op("unsqueeze(Tensor(a) self, int dim) -> Tensor(a)")
      .forms("function method inplace copy")
      .view(unsqueezed)
      .grad(
          "self",
          "dim",
          [](const Tensor& grad, int64_t dim) { return squeeze(grad, dim); })
      .doc("A dimension of size 1 at `dim`.");
  op("squeeze.dim(Tensor(a) self, int dim) -> Tensor(a)")
      .forms("function method inplace copy")
      .view([](const Tensor& self, int64_t dim) {
        return squeezed(self, {wrap_dim(dim, self.dim())});
      })
      .node("SqueezeBackward1")
      .grad("self", "self.shape", unsqueezed_to)
      .doc("Without dimension `dim`, if its size is 1.");
  op("squeeze.dims(Tensor(a) self, int[] dim) -> Tensor(a)")
      .forms("function method inplace copy")
      .view([](const Tensor& self, const IntList& dim) {
        return squeezed(
            self, dim.empty() ? IntList{} : wrap_dims(dim, self.dim()));
      })
      .node("SqueezeBackward2")
      .grad("self", "self.shape", unsqueezed_to)
      .doc("Without those of the dimensions whose size is 1.");
  op("as_strided(Tensor(a) self, SymInt[] size, SymInt[] stride, SymInt? "
     "storage_offset=None) -> Tensor(a)")
      .forms("function method inplace inplace_function copy")
      .view(strided)
      .grad("self", "self.shape size stride storage_offset", strided_backward)
      .doc("A window on the storage with these sizes, strides and offset.");
  op("_strided_sum(Tensor self, SymInt[] size, SymInt[] stride, SymInt "
     "storage_offset, SymInt numel) -> Tensor")
      .kernel(strided_sum)
      .complex128(parts())
      .grad(
          "self",
          "size stride storage_offset",
          [](const Tensor& grad,
             const IntList& size,
             const IntList& stride,
             int64_t offset) {
            return clone(as_strided(
                clone(grad, MemoryFormat::Contiguous), size, stride, offset));
          })
      .doc("The gradient of a window on a storage, in storage order.");
  op("as_strided_scatter(Tensor self, Tensor src, SymInt[] size, SymInt[] "
     "stride, SymInt? storage_offset=None) -> Tensor")
      .forms("function method")
      .kernel([](const Tensor& self,
                 const Tensor& src,
                 const IntList& size,
                 const IntList& stride,
                 const std::optional<int64_t>& offset) {
        Tensor out = copied_whole(self);
        Geometry window = strided(out, size, stride, offset).geometry;
        FL_CHECK(
            src.sizes() == size,
            "expected src to have a size equal to the slice of self. src size "
            "= ",
            src.sizes(),
            ", slice size = ",
            size);
        out.alias(window, out.dtype()).assign(src);
        return out;
      })
      .complex128(itself())
      .grad(
          "self",
          "src size stride storage_offset",
          [](const Tensor& grad,
             const Tensor& src,
             const IntList& size,
             const IntList& stride,
             const std::optional<int64_t>& offset) {
            return as_strided_scatter(
                clone(grad, MemoryFormat::Contiguous),
                zeros(src.sizes(), src.dtype(), {}, src.device()),
                size,
                stride,
                offset);
          })
      .grad(
          "src",
          "size stride storage_offset",
          [](const Tensor& grad,
             const IntList& size,
             const IntList& stride,
             const std::optional<int64_t>& offset) {
            return clone(as_strided(
                clone(grad, MemoryFormat::Contiguous), size, stride, offset));
          })
      .doc("A copy of `self` with `src` written to the window.");
  op("_conj(Tensor(a) self) -> Tensor(a)")
      .forms("function method copy")
      .view(conjugated)
      .grad("self", "", [](const Tensor& grad) { return conj(grad); })
      .doc("The conjugate, as a view.");
  op("conj(Tensor(a) self) -> Tensor(a)")
      .forms("function method")
      .composite([](const Tensor& self) {
        return self.is_complex() ? _conj(self) : self;
      })
      .doc("The conjugate, as a view; a real tensor itself.");
  op("view_as_real(Tensor(a) self) -> Tensor(a)")
      .forms("function copy")
      .view(as_real)
      .grad(
          "self",
          "",
          [](const Tensor& grad) {
            return view_as_complex(contiguous(grad, MemoryFormat::Contiguous));
          })
      .doc("A complex tensor as pairs of reals.");
  op("view_as_complex(Tensor(a) self) -> Tensor(a)")
      .forms("function copy")
      .view([](const Tensor& self) {
        FL_CHECK(
            is_floating(self.dtype()) && self.dtype() != Dtype::BFloat16,
            "view_as_complex is only supported for half, float and double "
            "tensors, but got a tensor of scalar type: ",
            scalar_name(self.dtype()));
        check_storable(to_complex(self.dtype()));
        FL_CHECK(
            self.dim() != 0, "Input tensor must have one or more dimensions");
        FL_CHECK(
            self.sizes().back() == 2,
            "Tensor must have a last dimension of size 2");
        FL_CHECK(
            self.strides().back() == 1,
            "Tensor must have a last dimension with stride 1");
        ViewSpec spec = spec_of(self);
        spec.dtype = to_complex(self.dtype());
        Geometry& g = spec.geometry;
        g.sizes.pop_back();
        g.strides.pop_back();
        for (size_t d = 0; d < g.strides.size(); ++d) {
          int64_t& s = g.strides[d];
          FL_CHECK(
              s % 2 == 0 || g.sizes[d] == 1,
              "Tensor must have a stride divisible by 2 for all but last "
              "dimension");
          s /= 2;
        }
        FL_CHECK(
            g.offset % 2 == 0,
            "Tensor must have a storage_offset divisible by 2");
        g.offset /= 2;
        return spec;
      })
      .grad(
          "self",
          "",
          [](const Tensor& grad) { return view_as_real(resolve_conj(grad)); })
      .doc("Pairs of reals as a complex tensor.");
  op("resolve_conj(Tensor(a) self) -> Tensor(a)")
      .forms("function method")
      .composite(
          [](const Tensor& self) { return self->conj ? clone(self) : self; })
      .doc("A tensor whose storage holds the conjugate.");
  op("alias(Tensor(a) self) -> Tensor(a)")
      .forms("copy")
      .view([](const Tensor& self) { return spec_of(self); })
      .grad("self", "", [](const Tensor& grad) { return grad; })
      .doc("A view of everything.");
  op("detach(Tensor(a) self) -> Tensor(a)")
      .forms("function method")
      .kernel([](const Tensor& self) { return detached(self); })
      .complex128(itself())
      .not_differentiable()
      .doc("An alias that autograd does not know.");
  op("slice.Tensor(Tensor(a) self, int dim=0, SymInt? start=None, SymInt? "
     "end=None, SymInt step=1) -> Tensor(a)")
      .forms("copy")
      .view([](const Tensor& self,
               int64_t dim,
               const std::optional<int64_t>& start,
               const std::optional<int64_t>& end,
               int64_t step) {
        FL_CHECK(
            self.dim() > 0, "slice() cannot be applied to a 0-dim tensor.");
        FL_CHECK(step > 0, "slice step must be positive");
        size_t d = at(wrap_dim(dim, self.dim()));
        int64_t n = self.sizes()[d];
        auto clip = [n](int64_t x) {
          return std::clamp<int64_t>(x < 0 ? x + n : x, 0, n);
        };
        int64_t from = clip(start.value_or(0));
        int64_t to = std::max(
            from, clip(end.value_or(std::numeric_limits<int64_t>::max())));
        ViewSpec spec = spec_of(self);
        Geometry& g = spec.geometry;
        g.offset += from * g.strides[d];
        g.sizes[d] = (to - from + step - 1) / step;
        g.strides[d] *= step;
        return spec;
      })
      .grad(
          "self",
          "self.shape dim start end step",
          [](const Tensor& grad,
             const Tensor& self,
             int64_t dim,
             const std::optional<int64_t>& start,
             const std::optional<int64_t>& end,
             int64_t step) {
            return slice_backward(
                grad,
                self.sizes(),
                dim,
                start.value_or(0),
                end.value_or(std::numeric_limits<int64_t>::max()),
                step);
          })
      .doc("Every `step`-th element of a dimension, from `start` to `end`.");
  op("slice_backward(Tensor grad_output, SymInt[] input_sizes, int dim, SymInt "
     "start, SymInt end, SymInt step) -> Tensor")
      .composite([](const Tensor& grad,
                    const IntList& sizes,
                    int64_t dim,
                    int64_t start,
                    int64_t end,
                    int64_t step) {
        Tensor out = new_zeros(grad, sizes);
        copy_(slice(out, dim, start, end, step), grad, false);
        return out;
      })
      .doc("The gradient of slice.");
  op("select.int(Tensor(a) self, int dim, SymInt index) -> Tensor(a)")
      .forms("function method copy")
      .view([](const Tensor& self, int64_t dim, int64_t index) {
        FL_CHECK_INDEX(
            self.dim() > 0, "select() cannot be applied to a 0-dim tensor.");
        size_t d = at(wrap_dim(dim, self.dim()));
        int64_t n = self.sizes()[d];
        FL_CHECK_INDEX(
            index >= -n && index < n,
            "select(): index ",
            index,
            " out of range for tensor of size ",
            self.sizes(),
            " at dimension ",
            d);
        ViewSpec spec = spec_of(self);
        Geometry& g = spec.geometry;
        g.offset += (index < 0 ? index + n : index) * g.strides[d];
        g.sizes.erase(g.sizes.begin() + d);
        g.strides.erase(g.strides.begin() + d);
        return spec;
      })
      .grad(
          "self",
          "self.shape dim index",
          [](const Tensor& grad,
             const Tensor& self,
             int64_t dim,
             int64_t index) {
            return select_backward(grad, self.sizes(), dim, index);
          })
      .doc("The slice at `index` of a dimension, without it.");
  op("select_backward(Tensor grad_output, SymInt[] input_sizes, int dim, "
     "SymInt index) -> Tensor")
      .composite([](const Tensor& grad,
                    const IntList& sizes,
                    int64_t dim,
                    int64_t index) {
        Tensor out = new_zeros(grad, sizes);
        copy_(select(out, dim, index), grad, false);
        return out;
      })
      .doc("The gradient of select.");
  op("real(Tensor(a) self) -> Tensor(a)")
      .forms("function")
      .composite([](const Tensor& self) {
        return self.is_complex()
                   ? select(
                         view_as_real(self->conj ? _conj(self) : self), -1, 0)
                   : self;
      })
      .doc("The real part, as a view; a real tensor itself.");
  op("imag(Tensor(a) self) -> Tensor(a)")
      .forms("function")
      .composite([](const Tensor& self) {
        FL_CHECK(
            self.is_complex(),
            "imag is not implemented for tensors with non-complex dtypes.");
        Tensor parts = view_as_real(self->conj ? _conj(self) : self);
        return select(self->conj ? _neg_view(parts) : parts, -1, 1);
      })
      .doc("The imaginary part, as a view.");
  op("_neg_view(Tensor(a) self) -> Tensor(a)")
      .forms("function method copy")
      .view([](const Tensor& self) {
        ViewSpec spec{self.geometry(), self.dtype(), self->conj, !self->neg};
        return spec;
      })
      .node("NegViewBackward0")
      .grad("self", "", [](const Tensor& grad) { return -grad; })
      .doc("The negative, as a view.");
  op("resolve_neg(Tensor(a) self) -> Tensor(a)")
      .forms("function method")
      .composite(
          [](const Tensor& self) { return self->neg ? clone(self) : self; })
      .doc("The tensor with its negation done.");
}

} // namespace flashlight
