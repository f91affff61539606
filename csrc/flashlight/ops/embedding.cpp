// Rows of a table by index, alone and in bags.
#include <algorithm>
#include <limits>

#include <mlx/ops.h>

#include "flashlight/autograd/autograd_meta.h"
#include "flashlight/autograd/grad_mode.h"
#include "flashlight/core/wrapped.h"
#include "flashlight/kernels/host.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/arithmetic.h"
#include "flashlight/ops/functions/comparison.h"
#include "flashlight/ops/functions/copy.h"
#include "flashlight/ops/functions/creation.h"
#include "flashlight/ops/functions/embedding.h"
#include "flashlight/ops/functions/index_along.h"
#include "flashlight/ops/functions/indexing.h"
#include "flashlight/ops/functions/norms.h"
#include "flashlight/ops/functions/reductions.h"
#include "flashlight/ops/functions/scatter.h"
#include "flashlight/ops/functions/selection.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/indices.h"
#include "flashlight/ops/op.h"

namespace flashlight {

namespace {

void check_index_type(const Tensor& t, const char* name, const char* op) {
  FL_CHECK(
      t.dtype() == Dtype::Int64 || t.dtype() == Dtype::Int32,
      "Expected tensor for argument #1 '",
      name,
      "' to have one of the following scalar types: Long, Int; but got ",
      type_name(t),
      " instead (while checking arguments for ",
      op,
      ")");
}

void check_not_sparse(const Tensor& weight, bool sparse, const char* name) {
  FL_CHECK_AS(
      NotImplementedError,
      !sparse || !grad_enabled() || !requires_grad(weight),
      name,
      "(): sparse gradients are not supported; use sparse=False");
}

mx::array embedding_kernel(
    const Tensor& weight,
    const Tensor& indices,
    int64_t,
    bool,
    bool sparse) {
  FL_CHECK(weight.dim() == 2, "'weight' must be 2-D");
  check_index_type(indices, "indices", "embedding");
  check_not_sparse(weight, sparse, "embedding");
  FL_CHECK_INDEX(
      range_of(indices).within(0, weight.size(0)),
      "index out of range in self");
  return mx::take(weight.value(), indices.value(), 0);
}

// How often the index at each place occurs, as numbers of that dtype.
mx::array
frequencies(const mx::array& flat, int64_t num_weights, mx::Dtype dtype) {
  mx::array counts = mx::scatter_add(
      mx::zeros({static_cast<mx::ShapeElem>(num_weights)}, mx::int32),
      flat,
      mx::ones({flat.shape(0), 1}, mx::int32),
      0);
  return mx::astype(mx::take(counts, flat, 0), dtype);
}

mx::array embedding_backward_kernel(
    const mx::array& grad,
    const mx::array& indices,
    int64_t num_weights,
    int64_t padding_idx,
    bool scale_grad_by_freq) {
  int width = grad.shape(-1);
  auto rows = static_cast<mx::ShapeElem>(num_weights);
  if (indices.size() == 0 || width == 0) {
    return mx::zeros({rows, width}, grad.dtype());
  }
  mx::array flat = mx::flatten(indices);
  // Sums of many small numbers are made in single precision at least.
  mx::Dtype sum = mx::issubdtype(grad.dtype(), mx::floating) &&
                          mx::size_of(grad.dtype()) < 4
                      ? mx::float32
                      : grad.dtype();
  mx::array updates =
      mx::astype(mx::reshape(grad, {flat.shape(0), 1, width}), sum);
  if (scale_grad_by_freq) {
    mx::array by = frequencies(flat, num_weights, sum);
    updates = mx::divide(updates, mx::expand_dims(by, {1, 2}));
  }
  if (padding_idx >= 0) {
    mx::array padding = mx::equal(flat, mx::array(padding_idx, flat.dtype()));
    updates =
        mx::where(mx::expand_dims(padding, {1, 2}), mx::array(0, sum), updates);
  }
  return mx::astype(
      mx::scatter_add(mx::zeros({rows, width}, sum), flat, updates, 0),
      grad.dtype());
}

// --- bags ----------------------------------------------------------------

enum Mode : int64_t { kSum, kMean, kMax };

// Where each bag begins and ends among the indices; the bag of each index.
struct Bags {
  mx::array offsets;
  int64_t count;   // of bags
  int64_t indices; // of indices

  int64_t begin(int64_t bag) const {
    return offsets.data<int64_t>()[bag];
  }
  int64_t end(int64_t bag) const {
    return bag + 1 < static_cast<int64_t>(offsets.size())
               ? std::min(begin(bag + 1), indices)
               : indices;
  }
};

Bags bags_of(const Tensor& indices, const Tensor& offsets, bool last_included) {
  FL_CHECK(
      indices.dim() == 1 || indices.dim() == 2,
      "input has to be a 1D or 2D Tensor, but got Tensor of dimension ",
      indices.dim());
  FL_CHECK(
      offsets.dim() == 1,
      "offsets has to be a 1D Tensor, but got Tensor of dimension ",
      offsets.dim());
  Bags bags{index_values(offsets), offsets.size(0), indices.numel()};
  if (last_included) {
    FL_CHECK(
        bags.count >= 1,
        "include_last_offset: number of offset should be at least 1");
    --bags.count;
  }
  if (offsets.numel() > 0) {
    FL_CHECK(
        bags.begin(0) == 0,
        "offsets[0] has to be 0, i.e., the first sequence in the mini-batch "
        "has to start from position 0. However, got ",
        bags.begin(0));
    int64_t last = bags.begin(offsets.numel() - 1);
    FL_CHECK(
        last <= bags.indices,
        "offsets[-1] can not be greater than input's length ",
        bags.indices,
        " but got offsets[-1] of ",
        last);
    for (int64_t b = 1; b < offsets.numel(); ++b) {
      FL_CHECK(
          bags.begin(b) >= bags.begin(b - 1),
          "offsets have to be in increasing order, but got ",
          bags.begin(b),
          " after ",
          bags.begin(b - 1));
    }
  }
  return bags;
}

// The bag of each index.
Tensor
bag_of_each(const Tensor& indices, const Tensor& offsets, int64_t count) {
  std::vector<int64_t> at(static_cast<size_t>(indices.numel()));
  Bags bags{index_values(offsets), count, indices.numel()};
  for (int64_t b = 0; b < count; ++b) {
    std::fill(
        at.begin() + bags.begin(b),
        at.begin() + std::max(bags.end(b), bags.begin(b)),
        b);
  }
  return Tensor(
      mx::array(
          at.begin(), {static_cast<mx::ShapeElem>(at.size())}, mx::int64));
}

// Sums, means or greatest elements of rows in bags, in T; counts and places of
// the greatest beside them.
template <typename T>
void fill_bags(
    const Bags& bags,
    const T* weight,
    int64_t width,
    const int64_t* indices,
    const T* scales,
    int64_t mode,
    int64_t padding_idx,
    T* out,
    int64_t* places) {
  std::fill(out, out + bags.count * width, T(0));
  if (places) {
    std::fill(places, places + bags.count * width, int64_t{0});
  }
  for (int64_t b = 0; b < bags.count; ++b, out += width) {
    int64_t seen = 0;
    for (int64_t k = bags.begin(b); k < bags.end(b); ++k) {
      if (indices[k] == padding_idx) {
        continue;
      }
      const T* row = weight + indices[k] * width;
      if (mode == kMax) {
        for (int64_t d = 0; d < width; ++d) {
          if (seen == 0 || row[d] > out[d]) {
            out[d] = row[d];
            places[b * width + d] = indices[k];
          }
        }
      } else if (scales) {
        for (int64_t d = 0; d < width; ++d) {
          out[d] += row[d] * scales[k];
        }
      } else {
        for (int64_t d = 0; d < width; ++d) {
          out[d] += row[d];
        }
      }
      ++seen;
    }
    if (mode == kMean && seen > 1) {
      for (int64_t d = 0; d < width; ++d) {
        out[d] /= static_cast<T>(seen);
      }
    }
  }
}

using BagResults = std::tuple<mx::array, mx::array, mx::array, mx::array>;

BagResults embedding_bag_kernel(
    const Tensor& weight,
    const Tensor& indices,
    const Tensor& offsets,
    bool scale_grad_by_freq,
    int64_t mode,
    bool sparse,
    const Tensor& scales,
    bool include_last_offset,
    int64_t padding_idx) {
  check_index_type(indices, "indices", "embedding_bag");
  check_index_type(offsets, "offsets", "embedding_bag");
  FL_CHECK(
      weight.is_floating_point(),
      "Expected tensor for argument #1 'weight' to have one of the following "
      "scalar types: Half, BFloat16, Float, Double; but got ",
      type_name(weight),
      " instead (while checking arguments for embedding_bag)");
  FL_CHECK(mode >= kSum && mode <= kMax, "`mode` must be sum, mean, or max.");
  FL_CHECK(
      weight.dim() == 2,
      "weight has to be a 2D Tensor, but got Tensor of dimension ",
      weight.dim());
  FL_CHECK(
      mode != kMax || !scale_grad_by_freq,
      "embedding_bag: scale_grad_by_freq was only supported with mode='sum' "
      "or 'mean'");
  check_not_sparse(weight, sparse, "embedding_bag");
  Bags bags = bags_of(indices, offsets, include_last_offset);
  if (scales.defined()) {
    FL_CHECK(
        mode == kSum,
        "embedding_bag: per_sample_weights only supported with mode='sum'");
    FL_CHECK(
        scales.dtype() == weight.dtype(),
        "Expected tensor for argument #1 'weight' to have the same type as "
        "tensor for argument #1 'per_sample_weights'; but type ",
        type_name(weight),
        " does not equal ",
        type_name(scales),
        " (while checking arguments for embedding_bag)");
    FL_CHECK(
        scales.dim() == 1 && scales.numel() == indices.numel(),
        "Expected per_sample_weights.value().numel() == indices.numel() to be "
        "true, but got false.");
  }
  mx::array where = index_values(indices);
  const auto* at = where.data<int64_t>();
  int64_t rows = weight.size(0), width = weight.size(1);
  for (size_t k = 0; k < where.size(); ++k) {
    FL_CHECK(
        at[k] >= 0 && at[k] < rows,
        "Index ",
        k,
        " of input takes value ",
        at[k],
        " which is not in the valid range [0, ",
        rows,
        ")");
  }
  mx::Dtype type = to_mlx(weight.dtype());
  mx::Dtype sum = type == mx::float64 ? mx::float64 : mx::float32;
  std::vector<mx::array> inputs{mx::astype(weight.value(), sum), where};
  if (scales.defined()) {
    inputs.push_back(mx::astype(scales.value(), sum));
  }
  mx::Shape shape = to_shape({bags.count, width});
  std::vector<HostResult> results{{shape, sum}};
  if (mode == kMax) {
    results.push_back({shape, mx::int64});
  }
  auto out = host_op(
      "EmbeddingBag",
      inputs,
      results,
      [=](const std::vector<mx::array>& in, std::vector<mx::array>& to) {
        auto run = [&](auto zero) {
          using T = decltype(zero);
          fill_bags<T>(
              bags,
              in[0].data<T>(),
              width,
              in[1].data<int64_t>(),
              in.size() > 2 ? in[2].data<T>() : nullptr,
              mode,
              padding_idx,
              to[0].data<T>(),
              to.size() > 1 ? to[1].data<int64_t>() : nullptr);
        };
        sum == mx::float64 ? run(double{}) : run(float{});
      });
  // What PyTorch gives beside: nothing of use where it sums directly.
  mx::Dtype int_type = to_mlx(
      indices.dtype() == Dtype::Int64 || offsets.dtype() == Dtype::Int64
          ? Dtype::Int64
          : Dtype::Int32);
  bool direct = mode == kSum && padding_idx < 0 && type != mx::float64;
  mx::array bag =
      direct ? mx::zeros({0}, int_type)
             : mx::astype(
                   bag_of_each(indices, offsets, bags.count).value(), int_type);
  mx::array sizes = mx::zeros(to_shape({offsets.size(0)}), int_type);
  if (mode != kSum) {
    std::vector<int64_t> counts;
    for (int64_t b = 0; b < bags.count; ++b) {
      counts.push_back(
          std::count_if(
              at + bags.begin(b),
              at + std::max(bags.end(b), bags.begin(b)),
              [&](int64_t i) { return i != padding_idx; }));
    }
    sizes = mx::astype(
        mx::array(counts.begin(), to_shape({bags.count}), mx::int64), int_type);
  }
  mx::array places = mode == kMax ? mx::astype(out[1], int_type) : sizes;
  return {mx::astype(out[0], type), bag, sizes, places};
}

// The gradient of embedding_bag's weight, of differentiable parts.
Tensor bag_weight_gradient(
    const Tensor& grad,
    const Tensor& indices,
    const Tensor& offsets,
    const Tensor& bag_size,
    const Tensor& places,
    int64_t num_weights,
    bool scale_grad_by_freq,
    int64_t mode,
    const Tensor& scales,
    int64_t padding_idx) {
  if (mode == kMax) {
    Tensor filled = gt(unsqueeze(bag_size, 1), 0);
    return scatter_add(
        zeros({num_weights, grad.size(1)}, grad.dtype(), {}, grad.device()),
        0,
        _to_copy(places, Dtype::Int64),
        where(filled, grad, Scalar(0)));
  }
  Tensor rows = grad;
  if (mode == kMean) {
    rows = rows / unsqueeze(_to_copy(clamp_min(bag_size, 1), grad.dtype()), 1);
  }
  Tensor flat = flatten(indices, 0, -1);
  rows = index_select(rows, 0, bag_of_each(indices, offsets, grad.size(0)));
  if (scales.defined()) {
    rows = rows * unsqueeze(scales, 1);
  }
  return embedding_dense_backward(
      rows, flat, num_weights, padding_idx, scale_grad_by_freq);
}

Tensor bag_scale_gradient(
    const Tensor& grad,
    const Tensor& weight,
    const Tensor& indices,
    const Tensor& offsets,
    int64_t padding_idx) {
  Tensor rows =
      index_select(grad, 0, bag_of_each(indices, offsets, grad.size(0)));
  Tensor out = sum(rows * embedding(weight, indices), IntList{1}, false);
  return padding_idx < 0 ? out
                         : where(ne(indices, padding_idx), out, Scalar(0));
}

int64_t wrapped_padding(
    const Tensor& weight,
    const std::optional<int64_t>& given) {
  if (!given) {
    return -1;
  }
  int64_t n = weight.size(0);
  FL_CHECK(
      *given >= -n && *given < n,
      "padding_idx must be within the number of embeddings, ",
      -n,
      " through ",
      n - 1,
      ", but got ",
      *given);
  return *given < 0 ? *given + n : *given;
}

using BagTensors = std::tuple<Tensor, Tensor, Tensor, Tensor>;

} // namespace

void register_embedding() {
  op("embedding(Tensor weight, Tensor indices, SymInt padding_idx=-1, bool "
     "scale_grad_by_freq=False, bool sparse=False) -> Tensor")
      .forms("function")
      .kernel(embedding_kernel)
      .grad(
          "weight",
          "weight.shape indices padding_idx scale_grad_by_freq",
          [](const Tensor& grad,
             const Tensor& weight,
             const Tensor& indices,
             int64_t padding_idx,
             bool scale_grad_by_freq) {
            return embedding_dense_backward(
                grad, indices, weight.size(0), padding_idx, scale_grad_by_freq);
          })
      .zero_grad("indices")
      .doc("Rows of `weight` at `indices`.");
  op("embedding_dense_backward(Tensor grad_output, Tensor indices, SymInt "
     "num_weights, SymInt padding_idx, bool scale_grad_by_freq) -> Tensor")
      .forms("")
      .kernel(embedding_backward_kernel)
      .grad(
          "grad_output",
          "indices num_weights padding_idx scale_grad_by_freq",
          [](const Tensor& grad,
             const Tensor& indices,
             int64_t num_weights,
             int64_t padding_idx,
             bool scale_grad_by_freq) {
            Tensor out = embedding(grad, indices);
            if (scale_grad_by_freq) {
              mx::array flat = mx::flatten(indices.value());
              mx::array by =
                  frequencies(flat, num_weights, to_mlx(grad.dtype()));
              out = out /
                    unsqueeze(
                        Tensor(mx::reshape(by, to_shape(indices.sizes()))), -1);
            }
            if (padding_idx >= 0) {
              out = where(
                  unsqueeze(ne(indices, padding_idx), -1), out, Scalar(0));
            }
            return out;
          })
      .zero_grad("indices")
      .doc("The gradient of embedding's weight.");
  op("embedding_renorm_(Tensor(a!) self, Tensor indices, float max_norm, float "
     "norm_type) -> Tensor(a!)")
      .forms("function")
      .mutating([](const Tensor& self,
                   const Tensor& indices,
                   double max_norm,
                   double norm_type) {
        FL_CHECK(
            self.dim() == 2,
            "Expected 2-dimensional tensor, but got ",
            self.dim(),
            "-dimensional tensor for argument #1 'self' (while checking "
            "arguments for embedding_renorm_)");
        check_index_type(indices, "indices", "embedding_renorm_");
        IndexRange range = range_of(indices);
        FL_CHECK_INDEX(
            range.within(0, self.size(0)),
            "select(): index ",
            range.low < 0 ? range.low : range.high,
            " out of range for tensor of size ",
            self.sizes(),
            " at dimension 0");
        Tensor flat = _to_copy(flatten(indices, 0, -1), Dtype::Int64);
        Tensor rows = embedding(self, flat);
        Tensor norms =
            linalg_vector_norm(rows, norm_type, IntList{1}, true, std::nullopt);
        Tensor scaled = rows * (max_norm / (norms + 1e-7));
        return index_put_(
            self, {flat}, where(gt(norms, max_norm), scaled, rows), false);
      })
      .doc("Rows at `indices` with a greater norm are scaled to `max_norm`.");
  op("_embedding_bag(Tensor weight, Tensor indices, Tensor offsets, bool "
     "scale_grad_by_freq=False, int mode=0, bool sparse=False, Tensor? "
     "per_sample_weights=None, bool include_last_offset=False, int "
     "padding_idx=-1) -> (Tensor, Tensor, Tensor, Tensor)")
      .forms("function")
      .node("EmbeddingBagBackward0")
      .kernel(embedding_bag_kernel)
      .grad(
          "weight",
          "weight.shape indices offsets result2 result3 scale_grad_by_freq "
          "mode per_sample_weights padding_idx",
          [](const Tensor& grad,
             const Tensor& weight,
             const Tensor& indices,
             const Tensor& offsets,
             const Tensor& bag_size,
             const Tensor& places,
             bool scale_grad_by_freq,
             int64_t mode,
             const Tensor& scales,
             int64_t padding_idx) {
            return bag_weight_gradient(
                grad,
                indices,
                offsets,
                bag_size,
                places,
                weight.size(0),
                scale_grad_by_freq,
                mode,
                scales,
                padding_idx);
          })
      .zero_grad("indices offsets")
      .grad(
          "per_sample_weights",
          "weight indices offsets padding_idx",
          bag_scale_gradient)
      .doc("embedding_bag with a padding index that is not negative, or -1.");
  op("embedding_bag(Tensor weight, Tensor indices, Tensor offsets, bool "
     "scale_grad_by_freq=False, int mode=0, bool sparse=False, Tensor? "
     "per_sample_weights=None, bool include_last_offset=False) -> (Tensor, "
     "Tensor, Tensor, Tensor)")
      .forms("function")
      .composite(
          [](const Tensor& weight,
             const Tensor& indices,
             const Tensor& offsets,
             bool scale_grad_by_freq,
             int64_t mode,
             bool sparse,
             const Tensor& scales,
             bool include_last_offset) -> BagTensors {
            return _embedding_bag(
                weight,
                indices,
                offsets,
                scale_grad_by_freq,
                mode,
                sparse,
                scales,
                include_last_offset,
                -1);
          })
      .doc("Sums, means or greatest elements of rows of `weight` in bags.");
  op("embedding_bag.padding_idx(Tensor weight, Tensor indices, Tensor offsets, "
     "bool scale_grad_by_freq, int mode, bool sparse, Tensor? "
     "per_sample_weights, bool include_last_offset, int? padding_idx) -> "
     "(Tensor, Tensor, Tensor, Tensor)")
      .forms("function")
      .composite(
          [](const Tensor& weight,
             const Tensor& indices,
             const Tensor& offsets,
             bool scale_grad_by_freq,
             int64_t mode,
             bool sparse,
             const Tensor& scales,
             bool include_last_offset,
             const std::optional<int64_t>& padding_idx) -> BagTensors {
            return _embedding_bag(
                weight,
                indices,
                offsets,
                scale_grad_by_freq,
                mode,
                sparse,
                scales,
                include_last_offset,
                wrapped_padding(weight, padding_idx));
          })
      .doc("embedding_bag that leaves `padding_idx` out of the bags.");
  op("_embedding_bag_forward_only(Tensor weight, Tensor indices, Tensor "
     "offsets, bool scale_grad_by_freq=False, int mode=0, bool sparse=False, "
     "Tensor? per_sample_weights=None, bool include_last_offset=False, int "
     "padding_idx=-1) -> (Tensor, Tensor, Tensor, Tensor)")
      .forms("function")
      .kernel(embedding_bag_kernel)
      .not_differentiable()
      .doc("embedding_bag without a derivative.");
  op("one_hot(Tensor self, int num_classes=-1) -> Tensor")
      .module("nn")
      .forms("function")
      .composite([](const Tensor& self, int64_t num_classes) {
        FL_CHECK(
            self.dtype() == Dtype::Int64,
            "one_hot is only applicable to index tensor of type LongTensor.");
        FL_CHECK(
            self.numel() > 0 || num_classes > 0,
            "Can not infer total number of classes from empty tensor.");
        FL_CHECK(
            num_classes > 0 || !self->wrapped ||
                self->wrapped->level->kind != LevelKind::Batch,
            "When vmap-ing torch.nn.functional.one_hot, please provide an "
            "explicit positive num_classes argument.");
        IndexRange range = range_of(self);
        FL_CHECK(
            range.within(0, std::numeric_limits<int64_t>::max()),
            "Class values must be non-negative.");
        if (num_classes == -1) {
          num_classes = range.high + 1;
        }
        FL_CHECK(
            range.within(0, num_classes),
            "Class values must be smaller than num_classes.");
        Tensor classes(
            mx::arange(0.0, static_cast<double>(num_classes), mx::int64));
        return _to_copy(eq(unsqueeze(self, -1), classes), Dtype::Int64);
      })
      .doc("A one at the place of each index along a new last dimension.");
}

} // namespace flashlight
