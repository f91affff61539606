// Repeating, rolling, turning and stacking: shape ops made of copies.
#include <algorithm>

#include <mlx/ops.h>

#include "flashlight/ops/complex128.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/copy.h"
#include "flashlight/ops/functions/index_along.h"
#include "flashlight/ops/functions/repeating.h"
#include "flashlight/ops/functions/shape.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/indices.h"
#include "flashlight/ops/op.h"

namespace flashlight {

namespace {

constexpr const char* kCatOut =
    "%?%ttorch.cat(): input types can't be cast to the desired output type %O";

std::vector<int> axes_of(const IntList& dims, int64_t ndim, const char* text) {
  std::vector<int> axes;
  for (int64_t d : dims) {
    int axis = static_cast<int>(wrap_dim(d, ndim));
    FL_CHECK(
        std::find(axes.begin(), axes.end(), axis) == axes.end(),
        "dim ",
        axis,
        text);
    axes.push_back(axis);
  }
  return axes;
}

mx::array flip_kernel(const Tensor& self, const IntList& dims) {
  mx::array out = self.value();
  for (int axis : axes_of(
           dims, self.dim(), " appears multiple times in the list of dims")) {
    if (out.ndim() == 0 || out.shape(axis) < 2) {
      continue;
    }
    mx::Shape start(out.ndim(), 0), stop = out.shape(), step(out.ndim(), 1);
    auto a = static_cast<size_t>(axis);
    start[a] = out.shape(axis) - 1;
    stop[a] = -out.shape(axis) - 1;
    step[a] = -1;
    out = mx::slice(out, start, stop, step);
  }
  return mx::contiguous(out);
}

mx::array
roll_kernel(const Tensor& self, const IntList& shifts, const IntList& dims) {
  FL_CHECK(!shifts.empty(), "`shifts` required");
  FL_CHECK(
      dims.empty() ? shifts.size() == 1 : shifts.size() == dims.size(),
      "shifts and dimensions must align. shifts: ",
      shifts.size(),
      ", dims:",
      dims.size());
  mx::array out = self.value();
  if (out.size() == 0) {
    return out;
  }
  FL_CHECK_INDEX(
      dims.empty() || self.dim() > 0,
      "Dimension specified as ",
      dims.empty() ? 0 : dims[0],
      " but tensor has no dimensions");
  auto roll = [](const mx::array& x, int64_t shift, int axis) {
    int n = x.shape(axis);
    auto by = static_cast<int>(((shift % n) + n) % n);
    auto parts = mx::split(x, mx::Shape{n - by}, axis);
    return mx::concatenate({parts[1], parts[0]}, axis);
  };
  if (dims.empty()) {
    return mx::reshape(
        roll(mx::reshape(out, {-1}), shifts[0], 0), self.value().shape());
  }
  for (size_t i = 0; i < dims.size(); ++i) {
    auto axis = static_cast<int>(wrap_dim(dims[i], self.dim()));
    out = roll(out, shifts[i], axis);
  }
  return out;
}

Tensor repeated(const Tensor& self, const IntList& repeats) {
  FL_CHECK(
      static_cast<int64_t>(repeats.size()) >= self.dim(),
      "Number of dimensions of repeat dims can not be smaller than number of "
      "dimensions of tensor");
  for (int64_t r : repeats) {
    FL_CHECK(
        r >= 0,
        "Trying to create tensor with negative dimension ",
        r,
        ": ",
        repeats);
  }
  // [r0, n0, r1, n1...], expanded along the r.
  size_t extra = repeats.size() - self.sizes().size();
  IntList apart, wide, sizes;
  for (size_t i = 0; i < repeats.size(); ++i) {
    int64_t n = i < extra ? 1 : self.sizes()[i - extra];
    apart.insert(apart.end(), {1, n});
    wide.insert(wide.end(), {repeats[i], n});
    sizes.push_back(repeats[i] * n);
  }
  Tensor out = reshape(expand(reshape(self, apart), wide), sizes);
  bool copied = out->storage != self->storage && out.is_contiguous();
  return copied ? out : clone(out, MemoryFormat::Contiguous);
}

TensorList at_least(const TensorList& tensors, int64_t ndim) {
  TensorList out;
  for (const Tensor& t : tensors) {
    IntList sizes = t.sizes();
    if (ndim == 1 && sizes.empty()) {
      sizes = {1};
    } else if (ndim == 2 && sizes.size() < 2) {
      sizes.insert(sizes.begin(), 2 - sizes.size(), 1);
    } else if (ndim == 3 && sizes.size() < 3) {
      sizes = sizes.size() == 2 ? IntList{sizes[0], sizes[1], 1}
                                : IntList{1, sizes.empty() ? 1 : sizes[0], 1};
    }
    out.push_back(sizes == t.sizes() ? t : reshape(t, sizes));
  }
  return out;
}

void check_some(const TensorList& tensors, const char* name) {
  FL_CHECK(!tensors.empty(), name, " expects a non-empty TensorList");
}

// 0, 0, 1, 2, 2, 2... for counts 2, 1, 3...
Tensor repeat_places(const Tensor& repeats) {
  FL_CHECK(
      repeats.dim() == 1, "repeat_interleave only accept 1D vector as repeat");
  FL_CHECK(
      repeats.dtype() == Dtype::Int64 || repeats.dtype() == Dtype::Int32,
      "repeats has to be Long or Int tensor");
  FL_CHECK(range_of(repeats).low >= 0, "repeats can not be negative");
  mx::array counts = index_values(repeats);
  std::vector<int64_t> at;
  for (int64_t i = 0; i < repeats.numel(); ++i) {
    at.insert(at.end(), static_cast<size_t>(counts.data<int64_t>()[i]), i);
  }
  return Tensor(
      mx::array(
          at.begin(), {static_cast<mx::ShapeElem>(at.size())}, mx::int64));
}

} // namespace

void register_repeating() {
  op("flip(Tensor self, int[] dims) -> Tensor")
      .forms("function method")
      .kernel(flip_kernel)
      .complex128(parts())
      .grad(
          "self",
          "dims",
          [](const Tensor& grad, const IntList& dims) {
            return flip(grad, dims);
          })
      .doc("`self` with the order of these dimensions reversed.");
  op("fliplr(Tensor self) -> Tensor")
      .forms("function method")
      .composite([](const Tensor& self) {
        FL_CHECK(self.dim() >= 2, "Input must be >= 2-d.");
        return flip(self, {1});
      })
      .doc("The second dimension reversed.");
  op("flipud(Tensor self) -> Tensor")
      .forms("function method")
      .composite([](const Tensor& self) {
        FL_CHECK(self.dim() >= 1, "Input must be >= 1-d.");
        return flip(self, {0});
      })
      .doc("The first dimension reversed.");
  op("roll(Tensor self, SymInt[1] shifts, int[1] dims=[]) -> Tensor")
      .forms("function method")
      .kernel(roll_kernel)
      .complex128(parts())
      .grad(
          "self",
          "shifts dims",
          [](const Tensor& grad, const IntList& shifts, const IntList& dims) {
            IntList back;
            for (int64_t s : shifts) {
              back.push_back(-s);
            }
            return roll(grad, back, dims);
          })
      .doc("Elements moved along dimensions, around the end.");
  op("repeat(Tensor self, SymInt[] repeats) -> Tensor")
      .forms("method")
      .composite(repeated)
      .doc("`self` repeated along each dimension.");
  op("tile(Tensor self, SymInt[] dims) -> Tensor")
      .forms("function method")
      .composite([](const Tensor& self, const IntList& dims) {
        IntList repeats = dims;
        int64_t missing = self.dim() - static_cast<int64_t>(dims.size());
        for (int64_t k = 0; k < missing; ++k) {
          repeats.insert(repeats.begin(), 1);
        }
        return repeated(self, repeats);
      })
      .doc("`self` repeated, as numpy.tile does it.");
  op("repeat_interleave.Tensor(Tensor repeats, *, SymInt? output_size=None) -> "
     "Tensor")
      .forms("function")
      .kernel([](const Tensor& repeats, std::optional<int64_t>) {
        return repeat_places(repeats);
      })
      .not_differentiable()
      .doc("Each index as often as it says.");
  op("repeat_interleave.self_Tensor(Tensor self, Tensor repeats, int? "
     "dim=None, "
     "*, SymInt? output_size=None) -> Tensor")
      .forms("function method")
      .composite([](const Tensor& self,
                    const Tensor& repeats,
                    std::optional<int64_t> dim,
                    std::optional<int64_t>) {
        Tensor x = dim ? self : flatten(self);
        int64_t d = wrap_dim(dim.value_or(0), x.dim());
        int64_t n = x.dim() ? x.size(d) : 1;
        Tensor counts = repeats;
        if (repeats.dim() == 0 ||
            (repeats.dim() == 1 && repeats.size(0) == 1)) {
          counts = expand(reshape(repeats, {1}), {n});
        } else {
          FL_CHECK(
              repeats.dim() != 1 || repeats.size(0) == n,
              "repeats must have the same size as input along dim, but got "
              "repeats.size(0) = ",
              repeats.size(0),
              " and input.size(",
              d,
              ") = ",
              n);
        }
        // PyTorch picks from what lies in the storage.
        Tensor stored = x->conj ? conj(x) : x;
        stored = x->neg ? _neg_view(stored) : stored;
        Tensor out = index_select(stored, d, repeat_interleave(counts));
        out = x->conj ? conj(out) : out;
        return x->neg ? _neg_view(out) : out;
      })
      .keeps_bits()
      .doc("Each element (or slice along `dim`) as often as `repeats` says.");
  op("repeat_interleave.self_int(Tensor self, SymInt repeats, int? dim=None, "
     "*, "
     "SymInt? output_size=None) -> Tensor")
      .forms("function method")
      .composite([](const Tensor& self,
                    int64_t repeats,
                    std::optional<int64_t> dim,
                    std::optional<int64_t>) {
        FL_CHECK(repeats >= 0, "Repeats must be non-negative");
        Tensor x = dim ? self : flatten(self);
        int64_t d = wrap_dim(dim.value_or(0), x.dim());
        Tensor apart = unsqueeze(x, d + 1);
        IntList wide = apart.sizes(), sizes = x.sizes();
        wide[static_cast<size_t>(d) + 1] = repeats;
        sizes[static_cast<size_t>(d)] *= repeats;
        return clone(reshape(expand(apart, wide), sizes));
      })
      .doc("Each element (or slice along `dim`) `repeats` times.");
  op("hstack(Tensor[] tensors) -> Tensor")
      .forms("function out")
      .exact_out(kCatOut)
      .composite([](const TensorList& tensors) {
        check_some(tensors, "hstack");
        TensorList rows = at_least(tensors, 1);
        return cat(rows, rows[0].dim() == 1 ? 0 : 1);
      })
      .doc("Tensors joined side by side.");
  op("vstack(Tensor[] tensors) -> Tensor")
      .forms("function out")
      .exact_out(kCatOut)
      .composite([](const TensorList& tensors) {
        check_some(tensors, "vstack");
        return cat(at_least(tensors, 2), 0);
      })
      .doc("Tensors joined as rows.");
  alias_op("row_stack", "vstack");
  op("dstack(Tensor[] tensors) -> Tensor")
      .forms("function out")
      .exact_out(kCatOut)
      .composite([](const TensorList& tensors) {
        check_some(tensors, "dstack");
        return cat(at_least(tensors, 3), 2);
      })
      .doc("Tensors joined along the third dimension.");
  op("column_stack(Tensor[] tensors) -> Tensor")
      .forms("function out")
      .exact_out(kCatOut)
      .composite([](const TensorList& tensors) {
        check_some(tensors, "column_stack");
        TensorList columns;
        for (const Tensor& t : tensors) {
          columns.push_back(t.dim() <= 1 ? reshape(t, {t.numel(), 1}) : t);
        }
        return cat(columns, 1);
      })
      .doc("Tensors joined side by side, vectors as columns.");
}

} // namespace flashlight
