// Other shapes of the same elements, in terms of view, permute and expand.
#include <algorithm>

#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/reshaping.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/op.h"

namespace flashlight {

namespace {

size_t at(int64_t i) {
  return static_cast<size_t>(i);
}

Tensor unflattened(const Tensor& self, int64_t dim, const IntList& sizes) {
  int64_t d = wrap_dim(dim, self.dim());
  FL_CHECK(!sizes.empty(), "unflatten: sizes must be non-empty");
  int64_t n = self.size(d), known = 1, unknown = 0;
  for (int64_t s : sizes) {
    FL_CHECK(s >= -1, "invalid shape dimension ", s);
    (s == -1 ? unknown : known) *= s == -1 ? 1 : s;
    unknown += s == -1;
  }
  FL_CHECK(unknown <= 1, "only one dimension can be inferred");
  bool fits = unknown ? known != 0 && n % known == 0 : known == n;
  FL_CHECK(
      fits,
      "unflatten: Provided sizes ",
      sizes,
      " don't multiply up to the size of dim ",
      d,
      " (",
      n,
      ") in the input tensor");
  IntList all = self.sizes();
  all.erase(all.begin() + d);
  for (size_t i = 0; i < sizes.size(); ++i) {
    int64_t s = sizes[i] == -1 ? n / known : sizes[i];
    all.insert(all.begin() + d + static_cast<int64_t>(i), s);
  }
  return view(self, all);
}

// Dimensions, wrapped, none of them twice.
IntList distinct_dims(const IntList& dims, int64_t ndim, const char* which) {
  IntList out;
  for (int64_t d : dims) {
    int64_t w = wrap_dim(d, ndim);
    FL_CHECK(
        std::find(out.begin(), out.end(), w) == out.end(),
        "movedim: repeated dim in `",
        which,
        "` (",
        dims,
        ")");
    out.push_back(w);
  }
  return out;
}

Tensor
moved(const Tensor& self, const IntList& source, const IntList& destination) {
  FL_CHECK(
      source.size() == destination.size(),
      "movedim: Invalid source or destination dims: source (",
      source,
      " dims) should contain the same number of dims as destination (",
      destination,
      " dims)");
  IntList from = distinct_dims(source, self.dim(), "source");
  IntList to = distinct_dims(destination, self.dim(), "destination");
  if (self.dim() == 0) {
    return alias(self);
  }
  IntList order(at(self.dim()), int64_t{-1});
  for (size_t i = 0; i < from.size(); ++i) {
    order[at(to[i])] = from[i];
  }
  int64_t next = 0;
  for (int64_t& d : order) {
    if (d != -1) {
      continue;
    }
    while (std::find(from.begin(), from.end(), next) != from.end()) {
      ++next;
    }
    d = next++;
  }
  return permute(self, order);
}

Tensor at_least(const Tensor& self, int64_t ndim) {
  if (self.dim() >= ndim) {
    return self;
  }
  if (self.dim() == 0) {
    return reshape(self, IntList(at(ndim), int64_t{1}));
  }
  // One dimension is a row; of three, the last is of size 1.
  Tensor rows = self.dim() == 1 ? unsqueeze(self, 0) : self;
  return ndim == 3 ? unsqueeze(rows, -1) : rows;
}

TensorList all_at_least(const TensorList& tensors, int64_t ndim) {
  TensorList out;
  for (const Tensor& t : tensors) {
    out.push_back(at_least(t, ndim));
  }
  return out;
}

} // namespace

void register_reshaping() {
  op("reshape_as(Tensor(a) self, Tensor other) -> Tensor(a)")
      .forms("method")
      .composite([](const Tensor& self, const Tensor& other) {
        return reshape(self, other.sizes());
      })
      .doc("The same elements in the sizes of `other`.");
  op("ravel(Tensor(a) self) -> Tensor(a)")
      .forms("function method")
      .composite(
          [](const Tensor& self) { return view(contiguous(self), {-1}); })
      .doc("All elements in one dimension, a copy only if there must be one.");
  op("unflatten.int(Tensor(a) self, int dim, SymInt[] sizes) -> Tensor(a)")
      .forms("function method")
      .composite(unflattened)
      .doc("A dimension as several, of these sizes; one may be -1.");
  op("adjoint(Tensor(a) self) -> Tensor(a)")
      .forms("function method")
      .composite([](const Tensor& self) {
        FL_CHECK(
            self.dim() != 1,
            "tensor.adjoint() is only supported on matrices or batches of "
            "matrices. Got 1-D tensor.");
        return conj(self.dim() == 0 ? self : transpose(self, -2, -1));
      })
      .doc("The last two dimensions swapped, conjugated.");
  op("movedim.intlist(Tensor(a) self, int[] source, int[] destination) -> "
     "Tensor(a)")
      .forms("function method")
      .composite([](const Tensor& self,
                    const IntList& source,
                    const IntList& destination) {
        return moved(self, source, destination);
      })
      .doc("Moves dimensions to other places; the rest keep their order.");
  op("movedim.int(Tensor(a) self, int source, int destination) -> Tensor(a)")
      .forms("function method")
      .composite([](const Tensor& self, int64_t source, int64_t destination) {
        return moved(self, {source}, {destination});
      })
      .doc("Moves a dimension to another place.");
  alias_op("moveaxis", "movedim");
  op("broadcast_to(Tensor(a) self, SymInt[] size) -> Tensor(a)")
      .forms("function method")
      .composite([](const Tensor& self, const IntList& size) {
        return expand(self, size);
      })
      .doc("Expanded to these sizes.");
  op("atleast_1d(Tensor self) -> Tensor")
      .forms("function")
      .composite([](const Tensor& self) { return at_least(self, 1); })
      .doc("With a dimension of size 1, if there is none.");
  op("atleast_1d.Sequence(Tensor[] tensors) -> Tensor[]")
      .forms("function")
      .composite(
          [](const TensorList& tensors) { return all_at_least(tensors, 1); })
      .doc("Each with a dimension of size 1, if it has none.");
  op("atleast_2d(Tensor self) -> Tensor")
      .forms("function")
      .composite([](const Tensor& self) { return at_least(self, 2); })
      .doc("With dimensions of size 1 in front, until there are two.");
  op("atleast_2d.Sequence(Tensor[] tensors) -> Tensor[]")
      .forms("function")
      .composite(
          [](const TensorList& tensors) { return all_at_least(tensors, 2); })
      .doc("Each with dimensions of size 1 in front, until there are two.");
  op("atleast_3d(Tensor self) -> Tensor")
      .forms("function")
      .composite([](const Tensor& self) { return at_least(self, 3); })
      .doc("With dimensions of size 1 around, until there are three.");
  op("atleast_3d.Sequence(Tensor[] tensors) -> Tensor[]")
      .forms("function")
      .composite(
          [](const TensorList& tensors) { return all_at_least(tensors, 3); })
      .doc("Each with dimensions of size 1 around, until there are three.");
}

} // namespace flashlight
