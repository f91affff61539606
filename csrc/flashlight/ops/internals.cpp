// Functions with an underscore that compilers and libraries of PyTorch call.
#include "flashlight/ops/functions/internals.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/bitwise.h"
#include "flashlight/ops/functions/comparison.h"
#include "flashlight/ops/functions/copy.h"
#include "flashlight/ops/functions/creation.h"
#include "flashlight/ops/functions/indexing.h"
#include "flashlight/ops/functions/reductions.h"
#include "flashlight/ops/functions/selection.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/op.h"

namespace flashlight {

namespace {

// Indices within the sizes, for those that a mask leaves out.
TensorList within(const Tensor& self, const TensorList& indices) {
  TensorList out;
  for (size_t d = 0; d < indices.size(); ++d) {
    const Tensor& i = indices[d];
    if (!i.defined()) {
      out.push_back(i);
      continue;
    }
    int64_t n = self.size(static_cast<int64_t>(d));
    out.push_back(clamp(i, Scalar(-n), Scalar(n - 1)));
  }
  return out;
}

Tensor masked_index(
    const Tensor& self,
    const Tensor& mask,
    const TensorList& indices,
    const Scalar& fill) {
  Tensor out_of_it = logical_not(mask);
  if (self.numel() == 0) {
    IntList sizes = mask.sizes();
    for (auto d = static_cast<int64_t>(indices.size()); d < self.dim(); ++d) {
      sizes.push_back(self.size(d));
    }
    return full(sizes, fill, self.dtype(), {}, self.device());
  }
  Tensor found = index(self, within(self, indices));
  return masked_fill(found, out_of_it, fill);
}

Tensor masked_put(
    const Tensor& self,
    const Tensor& mask,
    const TensorList& indices,
    const Tensor& values) {
  if (self.numel() == 0) {
    return clone(self);
  }
  Tensor kept = masked_fill(values, logical_not(mask), Scalar(0));
  return index_put(self, within(self, indices), kept, true);
}

} // namespace

void register_internals() {
  op("_local_scalar_dense(Tensor self) -> Scalar")
      .kernel([](const Tensor& self) { return self.item(); })
      .complex128([](const Call& call) {
        return Results{Value(call.args[0].as<Tensor>().item())};
      })
      .not_differentiable()
      .doc("The one element, as a number.");
  op("_unsafe_masked_index(Tensor self, Tensor mask, Tensor?[] indices, Scalar "
     "fill) -> Tensor")
      .forms("function")
      .composite(masked_index)
      .doc("self[indices] where the mask is, a number elsewhere.");
  op("_unsafe_masked_index_put_accumulate(Tensor self, Tensor mask, Tensor?[] "
     "indices, Tensor values) -> Tensor")
      .forms("function")
      .composite(masked_put)
      .doc("A copy of `self`, values added at the indices where the mask is.");
  op("_softmax_backward_data(Tensor grad_output, Tensor output, int dim, "
     "ScalarType input_dtype) -> Tensor")
      .forms("function")
      .composite([](const Tensor& grad_output,
                    const Tensor& output,
                    int64_t dim,
                    Dtype input_dtype) {
        Tensor g = grad_output * output;
        Tensor out = g - output * sum(g, IntList{dim}, true);
        return out.dtype() == input_dtype ? out : _to_copy(out, input_dtype);
      })
      .doc("The gradient of softmax, by its result.");
}

} // namespace flashlight
