// Parts of a tensor: split, chunk, narrow, diagonal, unfold; and the scatters
// that write to such a part of a copy.
#include <algorithm>
#include <limits>

#include <mlx/ops.h>

#include "flashlight/ops/complex128.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/copy.h"
#include "flashlight/ops/functions/creation.h"
#include "flashlight/ops/functions/shape.h"
#include "flashlight/ops/functions/splitting.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/op.h"
#include "flashlight/ops/registry.h"
#include "flashlight/ops/views.h"

namespace flashlight {

namespace {

size_t at(int64_t i) {
  return static_cast<size_t>(i);
}

// Consecutive windows of these lengths along a dimension.
std::vector<ViewSpec>
parts(const Tensor& self, const IntList& lengths, int64_t dim) {
  std::vector<ViewSpec> out;
  int64_t start = 0;
  for (int64_t n : lengths) {
    ViewSpec spec = spec_of(self);
    spec.geometry.offset += start * spec.geometry.strides[at(dim)];
    spec.geometry.sizes[at(dim)] = n;
    out.push_back(std::move(spec));
    start += n;
  }
  return out;
}

// The lengths that split by `split_size` gives.
IntList split_lengths(const IntList& sizes, int64_t split_size, int64_t dim) {
  FL_CHECK(!sizes.empty(), "split expects at least a 1-dimensional tensor");
  FL_CHECK(
      split_size >= 0,
      "split expects split_size be non-negative, but got split_size=",
      split_size);
  int64_t n = sizes[at(wrap_dim(dim, ndim_of(sizes)))];
  FL_CHECK(
      split_size > 0 || n == 0,
      "split_size can only be 0 if dimension size is 0, but got dimension "
      "size of ",
      n);
  IntList lengths;
  for (int64_t start = 0; start < n; start += split_size) {
    lengths.push_back(std::min(split_size, n - start));
  }
  if (lengths.empty()) {
    lengths.push_back(n);
  }
  return lengths;
}

std::vector<ViewSpec>
split_views(const Tensor& self, int64_t split_size, int64_t dim) {
  IntList lengths = split_lengths(self.sizes(), split_size, dim);
  return parts(self, lengths, wrap_dim(dim, self.dim()));
}

std::vector<ViewSpec> split_with_sizes_views(
    const Tensor& self,
    const IntList& split_sizes,
    int64_t dim) {
  FL_CHECK(self.dim() > 0, "split expects at least a 1-dimensional tensor");
  int64_t d = wrap_dim(dim, self.dim()), n = self.sizes()[at(d)], sum = 0;
  for (int64_t length : split_sizes) {
    FL_CHECK(
        length >= 0,
        "split_with_sizes expects split_sizes have only non-negative entries, "
        "but got split_sizes=",
        split_sizes);
    sum += length;
  }
  FL_CHECK(
      sum == n,
      "split_with_sizes expects split_sizes to sum exactly to ",
      n,
      " (input tensor's size at dimension ",
      dim,
      "), but got split_sizes=",
      split_sizes);
  return parts(self, split_sizes, d);
}

// The gradient of a tensor from those of its parts along `dim`.
Tensor joined(
    const TensorList& grads,
    const IntList& sizes_of_all,
    const IntList& lengths,
    int64_t dim) {
  TensorList pieces;
  IntList sizes = sizes_of_all;
  for (size_t k = 0; k < grads.size(); ++k) {
    sizes[at(wrap_dim(dim, ndim_of(sizes)))] = lengths[k];
    pieces.push_back(part_or_zeros(grads, k, sizes));
  }
  return cat(pieces, dim);
}

Tensor split_backward(
    const TensorList& grads,
    const Tensor& self,
    int64_t split_size,
    int64_t dim) {
  IntList lengths = split_lengths(self.sizes(), split_size, dim);
  return joined(grads, self.sizes(), lengths, dim);
}

Tensor split_with_sizes_backward(
    const TensorList& grads,
    const Tensor& self,
    const IntList& split_sizes,
    int64_t dim) {
  return joined(grads, self.sizes(), split_sizes, dim);
}

// Of conjugates and negatives PyTorch makes a copy first.
Tensor resolved(const Tensor& self) {
  return self->conj || self->neg ? copied(self, dense_like(self.geometry()))
                                 : self;
}

// Aliases that autograd does not take for views: each counts its own writes.
TensorList untracked(const Tensor& self, const std::vector<ViewSpec>& specs) {
  TensorList out;
  for (const ViewSpec& spec : specs) {
    Tensor part = self.alias(spec.geometry, spec.dtype);
    if (!part->inference) {
      part->version = make_ref<VersionCounter>();
    }
    out.push_back(std::move(part));
  }
  return out;
}

void check_chunks(const Tensor& self, int64_t chunks) {
  FL_CHECK(self.dim() > 0, "chunk expects at least a 1-dimensional tensor");
  FL_CHECK(
      chunks > 0, "chunk expects `chunks` to be greater than 0, got: ", chunks);
}

// The size of the parts of split that are at most `chunks`; where a dimension
// is empty, so are all of them.
struct Chunks {
  int64_t split_size;
  std::optional<IntList> lengths;

  Chunks(const Tensor& self, int64_t chunks, int64_t dim) {
    check_chunks(self, chunks);
    int64_t n = self.size(dim);
    split_size = (n + chunks - 1) / chunks;
    if (split_size == 0) {
      lengths = IntList(at(chunks), int64_t{0});
    }
  }
};

TensorList
tensor_split_at(const Tensor& self, const IntList& indices, int64_t dim) {
  TensorList out;
  int64_t start = 0;
  for (int64_t index : indices) {
    out.push_back(slice(self, dim, start, index, 1));
    start = index;
  }
  out.push_back(slice(self, dim, start, self.size(dim), 1));
  return out;
}

TensorList
tensor_split_sections(const Tensor& self, int64_t sections, int64_t dim) {
  FL_CHECK(
      self.dim() > 0,
      "tensor_split expected at least a 1-dimensional tensor, but got a tensor "
      "with ",
      self.dim(),
      " dims");
  int64_t d = wrap_dim(dim, self.dim());
  FL_CHECK(
      sections > 0, "number of sections must be larger than 0, got ", sections);
  int64_t n = self.size(d), length = n / sections, longer = n % sections;
  TensorList out;
  int64_t start = 0;
  for (int64_t k = 0; k < sections; ++k) {
    int64_t stop = start + length + (k < longer ? 1 : 0);
    out.push_back(slice(self, d, start, stop, 1));
    start = stop;
  }
  return out;
}

TensorList
tensor_split_indices(const Tensor& self, const IntList& indices, int64_t dim) {
  FL_CHECK(
      self.dim() > 0,
      "tensor_split expected at least a 1-dimensional tensor, but got a tensor "
      "with ",
      self.dim(),
      " dims");
  return tensor_split_at(self, indices, wrap_dim(dim, self.dim()));
}

// hsplit, vsplit and dsplit: the least dimensions, and which one is split.
int64_t dim_of_split(const char* name, const Tensor& self) {
  int64_t least = name[0] == 'h' ? 1 : name[0] == 'v' ? 2 : 3;
  FL_CHECK(
      self.dim() >= least,
      "torch.",
      name,
      " requires a tensor with at least ",
      least,
      " dimension, but got a tensor with ",
      self.dim(),
      " dimensions!");
  if (least == 1) {
    return self.dim() == 1 ? 0 : 1;
  }
  return least == 2 ? 0 : 2;
}

TensorList split_in(const char* name, const Tensor& self, int64_t sections) {
  int64_t dim = dim_of_split(name, self);
  FL_CHECK(
      sections != 0 && self.size(dim) % sections == 0,
      "torch.",
      name,
      " attempted to split along dimension ",
      dim,
      ", but the size of the dimension ",
      self.size(dim),
      " is not divisible by the split_size ",
      sections,
      "!");
  return tensor_split_sections(self, sections, dim);
}

TensorList
split_at(const char* name, const Tensor& self, const IntList& indices) {
  return tensor_split_indices(self, indices, dim_of_split(name, self));
}

int64_t narrow_start(int64_t start, int64_t n) {
  FL_CHECK_INDEX(
      start >= -n && start <= n,
      "start out of range (expected to be in range of [",
      -n,
      ", ",
      n,
      "], but got ",
      start,
      ")");
  return start < 0 ? start + n : start;
}

ViewSpec
diagonal_view(const Tensor& self, int64_t offset, int64_t dim1, int64_t dim2) {
  int64_t a = wrap_dim(dim1, self.dim()), b = wrap_dim(dim2, self.dim());
  FL_CHECK(
      a != b, "diagonal dimensions cannot be identical ", dim1, ", ", dim2);
  ViewSpec spec = spec_of(self);
  Geometry& g = spec.geometry;
  int64_t n = offset >= 0 ? std::min(g.sizes[at(a)], g.sizes[at(b)] - offset)
                          : std::min(g.sizes[at(a)] + offset, g.sizes[at(b)]);
  n = std::max<int64_t>(n, 0);
  if (n > 0) {
    g.offset +=
        offset >= 0 ? offset * g.strides[at(b)] : -offset * g.strides[at(a)];
  }
  int64_t stride = g.strides[at(a)] + g.strides[at(b)];
  for (int64_t d : {std::max(a, b), std::min(a, b)}) {
    g.sizes.erase(g.sizes.begin() + d);
    g.strides.erase(g.strides.begin() + d);
  }
  g.sizes.push_back(n);
  g.strides.push_back(stride);
  return spec;
}

ViewSpec
unfolded(const Tensor& self, int64_t dimension, int64_t size, int64_t step) {
  int64_t d = wrap_dim(dimension, self.dim());
  bool point = self.dim() == 0;
  int64_t n = point ? 1 : self.sizes()[at(d)];
  FL_CHECK(size >= 0, "size is ", size, " but must be >= 0");
  FL_CHECK(
      size <= n,
      "maximum size for tensor at dimension ",
      d,
      " is ",
      n,
      " but size is ",
      size);
  FL_CHECK(step > 0, "step is ", step, " but must be > 0");
  ViewSpec spec = spec_of(self);
  Geometry& g = spec.geometry;
  int64_t stride = point ? 1 : g.strides[at(d)];
  if (!point) {
    g.sizes[at(d)] = (n - size) / step + 1;
    g.strides[at(d)] = step * stride;
  }
  g.sizes.push_back(size);
  g.strides.push_back(stride);
  return spec;
}

// Where windows lie side by side their gradients are put in place; where they
// overlap, those of their k-th elements are added up.
Tensor unfold_backward_(
    const Tensor& grad,
    const IntList& sizes,
    int64_t dim,
    int64_t size,
    int64_t step) {
  Tensor out = new_zeros(grad, sizes);
  dim = wrap_dim(dim, ndim_of(sizes)); // not of grad, which has one more
  if (step >= size) {
    copy_(unfold(out, dim, size, step), grad, false);
    return out;
  }
  if (sizes.empty()) {
    return size == 0 ? out : select(grad, -1, 0);
  }
  int64_t windows = grad.size(dim);
  for (int64_t k = 0; k < size; ++k) {
    out = out + slice_backward(
                    select(grad, -1, k),
                    sizes,
                    dim,
                    k,
                    k + (windows - 1) * step + 1,
                    step);
  }
  return out;
}

// A copy of `self` with `src` written through one of its views.
template <typename... A>
Tensor
scattered(const char* row, const Tensor& self, const Tensor& src, A... a) {
  Tensor out = copied_whole(self);
  const Op& view = get_op(row);
  Value args[] = {out, Value(a)...};
  Geometry window = view.view_fn(Call{view, args}).at(0).geometry;
  FL_CHECK(
      src.sizes() == window.sizes,
      "expected src to have a size equal to the slice of self. src size = ",
      src.sizes(),
      ", slice size = ",
      window.sizes);
  out.alias(window, out.dtype()).assign(src);
  return out;
}

// A copy with `src` written through the view of that name. `args` are the
// view's, `f` is the op itself: without the window, it gives self's gradient.
template <typename... A>
void scatter_row(
    Row row,
    const char* name,
    const std::string& args,
    Tensor (*view)(const Tensor&, A...),
    Tensor (*f)(const Tensor&, const Tensor&, A...)) {
  std::move(row)
      .kernel([name](const Tensor& self, const Tensor& src, A... a) {
        return scattered(name, self, src, a...);
      })
      .complex128(itself())
      .grad(
          "self",
          "src.shape " + args,
          [f](const Tensor& grad, const Tensor& src, A... a) {
            return f(grad, new_zeros(grad, src.sizes()), a...);
          })
      .grad("src", args, [view](const Tensor& grad, A... a) {
        return view(grad, a...);
      });
}

} // namespace

void register_splitting() {
  op("split.Tensor(Tensor(a -> *) self, SymInt split_size, int dim=0) -> "
     "Tensor(a)[]")
      .forms("function method copy")
      .view(split_views)
      .grad("self", "self.shape split_size dim", split_backward)
      .doc("Parts of `split_size` along a dimension; the last may be smaller.");
  op("split.sizes(Tensor(a -> *) self, SymInt[] split_size, int dim=0) -> "
     "Tensor(a)[]")
      .forms("function method")
      .composite(
          [](const Tensor& self, const IntList& split_size, int64_t dim) {
            return split_with_sizes(self, split_size, dim);
          })
      .doc("Parts of these sizes along a dimension.");
  op("split_with_sizes(Tensor(a -> *) self, SymInt[] split_sizes, int dim=0) "
     "-> Tensor(a)[]")
      .forms("function method copy")
      .view(split_with_sizes_views)
      .grad("self", "self.shape split_sizes dim", split_with_sizes_backward)
      .doc("Parts of these sizes along a dimension.");
  op("chunk(Tensor(a -> *) self, int chunks, int dim=0) -> Tensor(a)[]")
      .forms("function method")
      .composite([](const Tensor& self, int64_t chunks, int64_t dim) {
        Chunks c(self, chunks, dim);
        return c.lengths ? split_with_sizes(self, *c.lengths, dim)
                         : split(self, c.split_size, dim);
      })
      .doc("At most `chunks` parts of one size along a dimension.");
  op("unsafe_split.Tensor(Tensor self, SymInt split_size, int dim=0) -> "
     "Tensor[]")
      .forms("function method")
      .kernel([](const Tensor& self, int64_t split_size, int64_t dim) {
        Tensor x = resolved(self);
        return untracked(x, split_views(x, split_size, dim));
      })
      .complex128(itself())
      .grad("self", "self.shape split_size dim", split_backward)
      .doc("As split, without the checks of writes to one of the parts.");
  op("unsafe_split_with_sizes(Tensor self, SymInt[] split_sizes, int dim=0) -> "
     "Tensor[]")
      .forms("function method")
      .kernel([](const Tensor& self, const IntList& split_sizes, int64_t dim) {
        Tensor x = resolved(self);
        return untracked(x, split_with_sizes_views(x, split_sizes, dim));
      })
      .complex128(itself())
      .grad("self", "self.shape split_sizes dim", split_with_sizes_backward)
      .doc("As split_with_sizes, without the checks of writes to the parts.");
  op("unsafe_chunk(Tensor self, int chunks, int dim=0) -> Tensor[]")
      .forms("function method")
      .composite([](const Tensor& self, int64_t chunks, int64_t dim) {
        Chunks c(self, chunks, dim);
        return c.lengths ? unsafe_split_with_sizes(self, *c.lengths, dim)
                         : unsafe_split(self, c.split_size, dim);
      })
      .doc("As chunk, without the checks of writes to one of the parts.");
  op("tensor_split.sections(Tensor(a -> *) self, SymInt sections, int dim=0) "
     "-> Tensor(a)[]")
      .forms("function method")
      .composite(tensor_split_sections)
      .doc("`sections` parts along a dimension, the first ones one longer.");
  op("tensor_split.indices(Tensor(a -> *) self, SymInt[] indices, int dim=0) "
     "-> Tensor(a)[]")
      .forms("function method")
      .composite(tensor_split_indices)
      .doc("The parts of a dimension between these indices.");
  op("tensor_split.tensor_indices_or_sections(Tensor(a -> *) self, Tensor "
     "tensor_indices_or_sections, int dim=0) -> Tensor(a)[]")
      .forms("function method")
      .composite([](const Tensor& self, const Tensor& given, int64_t dim) {
        FL_CHECK(
            self.dim() > 0,
            "tensor_split expected at least a 1-dimensional tensor, but got a "
            "tensor with ",
            self.dim(),
            " dims");
        FL_CHECK(
            given.device().type == DeviceType::Cpu,
            "tensor_split expected tensor_indices_or_sections to be on cpu, "
            "but it's on ",
            to_string(given.device()));
        FL_CHECK(
            given.dtype() == Dtype::Int64,
            "tensor_split expected tensor_indices_or_sections to have dtype of "
            "long, but got ",
            scalar_name(given.dtype()));
        FL_CHECK(
            given.dim() <= 1,
            "tensor_split expected tensor_indices_or_sections to be a "
            "zero-dimensional or one-dimensional tensor, but got a tensor "
            "with ",
            given.dim(),
            " dims");
        if (given.dim() == 0) {
          return tensor_split_sections(self, given.item().to_int(), dim);
        }
        IntList indices;
        for (int64_t i = 0; i < given.numel(); ++i) {
          indices.push_back(select(given, 0, i).item().to_int());
        }
        return tensor_split_indices(self, indices, dim);
      })
      .doc("By a number of sections or by indices, held in a tensor.");
  op("hsplit.int(Tensor(a -> *) self, int sections) -> Tensor(a)[]")
      .forms("function method")
      .composite([](const Tensor& self, int64_t sections) {
        return split_in("hsplit", self, sections);
      })
      .doc("Equal parts by columns.");
  op("hsplit.array(Tensor(a -> *) self, int[] indices) -> Tensor(a)[]")
      .forms("function method")
      .composite([](const Tensor& self, const IntList& indices) {
        return split_at("hsplit", self, indices);
      })
      .doc("The columns between these indices.");
  op("vsplit.int(Tensor(a -> *) self, int sections) -> Tensor(a)[]")
      .forms("function method")
      .composite([](const Tensor& self, int64_t sections) {
        return split_in("vsplit", self, sections);
      })
      .doc("Equal parts by rows.");
  op("vsplit.array(Tensor(a -> *) self, int[] indices) -> Tensor(a)[]")
      .forms("function method")
      .composite([](const Tensor& self, const IntList& indices) {
        return split_at("vsplit", self, indices);
      })
      .doc("The rows between these indices.");
  op("dsplit.int(Tensor(a -> *) self, int sections) -> Tensor(a)[]")
      .forms("function method")
      .composite([](const Tensor& self, int64_t sections) {
        return split_in("dsplit", self, sections);
      })
      .doc("Equal parts by depth.");
  op("dsplit.array(Tensor(a -> *) self, int[] indices) -> Tensor(a)[]")
      .forms("function method")
      .composite([](const Tensor& self, const IntList& indices) {
        return split_at("dsplit", self, indices);
      })
      .doc("The slices by depth between these indices.");
  op("narrow(Tensor(a) self, int dim, SymInt start, SymInt length) -> "
     "Tensor(a)")
      .forms("function method")
      .composite(
          [](const Tensor& self, int64_t dim, int64_t start, int64_t length) {
            FL_CHECK(
                self.dim() > 0,
                "narrow() cannot be applied to a 0-dim tensor.");
            FL_CHECK(length >= 0, "narrow(): length must be non-negative.");
            int64_t n = self.size(dim);
            int64_t from = narrow_start(start, n);
            FL_CHECK(
                from <= n - length,
                "start (",
                from,
                ") + length (",
                length,
                ") exceeds dimension size (",
                n,
                ").");
            return slice(self, dim, from, from + length, 1);
          })
      .doc("The `length` slices of a dimension from `start` on.");
  op("narrow.Tensor(Tensor(a) self, int dim, Tensor start, SymInt length) -> "
     "Tensor(a)")
      .forms("function method")
      .composite([](const Tensor& self,
                    int64_t dim,
                    const Tensor& start,
                    int64_t length) {
        FL_CHECK(
            start.dim() == 0 && is_integral(start.dtype(), false),
            "start must be an 0-dim integral Tensor.");
        return narrow(self, dim, start.item().to_int(), length);
      })
      .doc("The `length` slices of a dimension from `start` on.");
  op("narrow_copy(Tensor self, int dim, SymInt start, SymInt length) -> Tensor")
      .forms("function method out")
      .exact_out(
          "Expected self.dtype() == output.dtype() to be true, but got false.  "
          "(Could this error message be improved?  If so, please report an "
          "enhancement request to PyTorch.)")
      .kernel([](const Tensor& self,
                 int64_t dim,
                 int64_t start,
                 int64_t length) {
        FL_CHECK(
            self.dim() > 0, "narrow() cannot be applied to a 0-dim tensor.");
        FL_CHECK(
            dim < self.dim(),
            "Expected dim < static_cast<int64_t>(self_sizes.size()) to be "
            "true, but got false.  (Could this error message be improved?  If "
            "so, please report an enhancement request to PyTorch.)");
        int64_t n = self.size(dim);
        int64_t from = narrow_start(start, n);
        FL_CHECK(
            length >= 0 && from <= n - length,
            "start (",
            from,
            ") + length (",
            length,
            ") exceeds dimension size (",
            n,
            ").");
        Geometry g = self.geometry();
        auto d = static_cast<size_t>(wrap_dim(dim, self.dim()));
        g.sizes[d] = length;
        g.offset += from * g.strides[d];
        IntList strides = contiguous_strides(g.sizes);
        return copied(self.alias(std::move(g), self.dtype()), strides);
      })
      .complex128(itself())
      .grad(
          "self",
          "self.shape dim start length",
          [](const Tensor& grad,
             const Tensor& self,
             int64_t dim,
             int64_t start,
             int64_t length) {
            int64_t from = narrow_start(start, self.size(dim));
            return slice_backward(
                grad, self.sizes(), dim, from, from + length, 1);
          })
      .doc("As narrow, but a copy.");
  op("diagonal(Tensor(a) self, int offset=0, int dim1=0, int dim2=1) -> "
     "Tensor(a)")
      .forms("function method copy")
      .view(diagonal_view)
      .grad(
          "self",
          "self.shape offset dim1 dim2",
          [](const Tensor& grad,
             const Tensor& self,
             int64_t offset,
             int64_t dim1,
             int64_t dim2) {
            return diagonal_backward(grad, self.sizes(), offset, dim1, dim2);
          })
      .doc("The diagonal of two dimensions, as a last one.");
  op("diagonal_backward(Tensor grad_output, SymInt[] input_sizes, int offset, "
     "int dim1, int dim2) -> Tensor")
      .composite([](const Tensor& grad,
                    const IntList& sizes,
                    int64_t offset,
                    int64_t dim1,
                    int64_t dim2) {
        Tensor out = new_zeros(grad, sizes);
        copy_(diagonal(out, offset, dim1, dim2), grad, false);
        return out;
      })
      .doc("The gradient of diagonal.");
  op("unfold(Tensor(a) self, int dimension, int size, int step) -> Tensor(a)")
      .forms("method copy")
      .view(unfolded)
      .grad(
          "self",
          "self.shape dimension size step",
          [](const Tensor& grad,
             const Tensor& self,
             int64_t dimension,
             int64_t size,
             int64_t step) {
            return unfold_backward(grad, self.sizes(), dimension, size, step);
          })
      .doc("Windows of `size` elements, `step` apart, as a last dimension.");
  op("unfold_backward(Tensor grad_in, SymInt[] input_sizes, int dim, int size, "
     "int step) -> Tensor")
      .composite(unfold_backward_)
      .doc("The gradient of unfold.");
  op("diag_embed(Tensor self, int offset=0, int dim1=-2, int dim2=-1) -> "
     "Tensor")
      .forms("function method")
      .kernel(
          [](const Tensor& self, int64_t offset, int64_t dim1, int64_t dim2) {
            int64_t n = self.dim() + 1;
            int64_t a = wrap_dim(dim1, n), b = wrap_dim(dim2, n);
            FL_CHECK(
                a != b,
                "diagonal dimensions cannot be identical ",
                dim1,
                ", ",
                dim2);
            IntList sizes = self.sizes();
            int64_t length = std::abs(offset) + self.size(-1);
            sizes.pop_back();
            for (int64_t d : {std::min(a, b), std::max(a, b)}) {
              sizes.insert(sizes.begin() + d, length);
            }
            Tensor out = zeros(sizes, self.dtype(), {}, self.device());
            Geometry window = diagonal_view(out, offset, dim1, dim2).geometry;
            out.alias(window, out.dtype()).assign(self);
            return out;
          })
      .complex128(itself())
      .grad(
          "self",
          "offset dim1 dim2",
          [](const Tensor& grad, int64_t offset, int64_t dim1, int64_t dim2) {
            return diagonal(grad, offset, dim1, dim2);
          })
      .doc("Matrices with the last dimension on a diagonal, zeros elsewhere.");
  scatter_row(
      op("select_scatter(Tensor self, Tensor src, int dim, SymInt index) -> "
         "Tensor")
          .forms("function method")
          .doc("A copy of `self` with `src` at an index of a dimension."),
      "select.int",
      "dim index",
      select,
      select_scatter);
  scatter_row(
      op("slice_scatter(Tensor self, Tensor src, int dim=0, SymInt? "
         "start=None, SymInt? end=None, SymInt step=1) -> Tensor")
          .forms("function method out")
          .exact_out()
          .doc("A copy of `self` with `src` in a slice of a dimension."),
      "slice.Tensor",
      "dim start end step",
      slice,
      slice_scatter);
  scatter_row(
      op("diagonal_scatter(Tensor self, Tensor src, int offset=0, int dim1=0, "
         "int dim2=1) -> Tensor")
          .forms("function method")
          .doc("A copy of `self` with `src` on a diagonal."),
      "diagonal",
      "offset dim1 dim2",
      diagonal,
      diagonal_scatter);
}

} // namespace flashlight
