// Pooling over windows that the sizes of the result, or chance, lay out; and
// the way back from maxima.
#include <algorithm>

#include <mlx/ops.h>

#include "flashlight/core/runtime.h"
#include "flashlight/kernels/pooling.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/adaptive_pooling.h"
#include "flashlight/ops/functions/pooling.h"
#include "flashlight/ops/functions/reductions.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/op.h"
#include "flashlight/ops/pool.h"
#include "flashlight/ops/reduce.h"

namespace flashlight {

namespace {

IntList lead_of(const IntList& sizes, int dims) {
  return IntList(sizes.begin(), sizes.end() - dims);
}

IntList joined(IntList a, const IntList& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

void check_dims(
    const Tensor& self,
    int dims,
    const char* name,
    const char* but) {
  FL_CHECK(
      self.dim() == dims + 1 || self.dim() == dims + 2,
      name,
      "(): Expected ",
      dims + 1,
      "D or ",
      dims + 2,
      "D tensor, but got",
      but,
      " ",
      self.sizes());
}

// No dimension from `first` on may be empty.
void check_filled(
    const Tensor& self,
    int64_t first,
    const char* name,
    const char* says,
    const char* end = " being empty") {
  for (int64_t d = first; d < self.dim(); ++d) {
    FL_CHECK(
        self.size(d) > 0,
        name,
        "(): Expected input to have non-zero size for non-batch dimensions, ",
        says,
        self.sizes(),
        " with dimension ",
        d,
        end);
  }
}

Pool adaptive_pool(const IntList& in, const IntList& out, int dims) {
  Pool pool;
  for (int d = 0; d < dims; ++d) {
    pool.axes[static_cast<size_t>(3 - dims + d)] = PoolAxis::adaptive(
        in[in.size() - static_cast<size_t>(dims - d)],
        out[out.size() - static_cast<size_t>(dims - d)]);
  }
  return pool;
}

// ---- Averages ----

template <int dims>
mx::array adaptive_average_kernel(const Tensor& self, const IntList& sizes) {
  const char* name = dims == 2 ? "adaptive_avg_pool2d" : "adaptive_avg_pool3d";
  check_dims(self, dims, name, "");
  int64_t first = dims == 2 ? self.dim() - 2 : self.dim() == 5 ? 1 : 0;
  check_filled(self, first, name, "but input has sizes ");
  IntList out = joined(lead_of(self.sizes(), dims), sizes);
  Pool pool = adaptive_pool(self.sizes(), out, dims);
  return average_pool(self.value(), pool, 0, to_shape(out));
}

template <int dims>
mx::array adaptive_average_backward(const Tensor& grad, const Tensor& self) {
  Pool pool = adaptive_pool(self.sizes(), grad.sizes(), dims);
  return average_pool_grad(grad.value(), pool, 0, to_shape(self.sizes()));
}

template <int dims>
Tensor adaptive_average(const Tensor& self, const IntList& sizes) {
  const char* name = dims == 2 ? "adaptive_avg_pool2d" : "adaptive_avg_pool3d";
  FL_CHECK(ndim_of(sizes) == dims, name, ": output_size must be ", dims);
  bool negative =
      std::any_of(sizes.begin(), sizes.end(), [](int64_t n) { return n < 0; });
  std::string list;
  for (size_t i = 0; i < sizes.size(); ++i) {
    const char* before = i == 0 ? "" : i == 1 ? ", " : ",";
    list = detail::concat(list, before, sizes[i]);
  }
  FL_CHECK(
      !negative,
      name,
      ": elements of output_size must be greater than or equal to 0 but "
      "received {",
      list,
      "}");
  bool whole =
      std::all_of(sizes.begin(), sizes.end(), [](int64_t n) { return n == 1; });
  bool shaped = self.dim() == dims + 1 || self.dim() == dims + 2;
  if (whole && shaped) {
    IntList last;
    for (int64_t d = -dims; d < 0; ++d) {
      last.push_back(d);
    }
    return mean(self, last, true);
  }
  return dims == 2 ? _adaptive_avg_pool2d(self, sizes)
                   : _adaptive_avg_pool3d(self, sizes);
}

// ---- Maxima ----

template <int dims>
std::tuple<mx::array, mx::array> adaptive_max_kernel(
    const Tensor& self,
    const IntList& sizes) {
  const char* name = dims == 2 ? "adaptive_max_pool2d" : "adaptive_max_pool3d";
  FL_CHECK(
      ndim_of(sizes) == dims,
      name,
      "(): internal error: output_size.size() must be ",
      dims);
  check_dims(self, dims, name, ":");
  check_filled(self, self.dim() == dims + 2, name, "but input has sizes ");
  IntList out = joined(lead_of(self.sizes(), dims), sizes);
  for (int64_t n : sizes) {
    FL_CHECK(
        n >= 0,
        "Trying to create tensor with negative dimension ",
        n,
        ": ",
        out);
  }
  Pool pool = adaptive_pool(self.sizes(), out, dims);
  auto [values, indices] = max_pool(self.value(), pool, to_shape(out));
  return {values, indices};
}

// ---- Fractional ----

template <int dims>
std::tuple<mx::array, mx::array> fractional_kernel(
    const Tensor& self,
    const IntList& kernel,
    const IntList& sizes,
    const Tensor& samples) {
  const char* name =
      dims == 2 ? "fractional_max_pool2d" : "fractional_max_pool3d";
  const char* full =
      dims == 2 ? "fractional_max_pool2d" : "fractional_max_pool3d_out";
  const char* ints = dims == 2 ? "Ints" : "three Ints";
  FL_CHECK(
      ndim_of(kernel) == dims,
      name,
      ": kernel_size must either be a single Int or tuple of ",
      ints);
  FL_CHECK(
      ndim_of(sizes) == dims,
      name,
      ": output_size must either be a single Int or tuple of ",
      ints);
  check_dims(self, dims, full, ":");
  bool batched = self.dim() == dims + 2;
  check_filled(self, batched, full, "but got", " being empty.");
  int64_t batch = batched ? self.size(0) : 1;
  int64_t planes = self.size(batched ? 1 : 0);
  std::array<int64_t, 3> in{1, 1, 1}, out{1, 1, 1}, size{1, 1, 1};
  const char* const words[] = {"time", "height", "width"};
  for (int d = 0; d < dims; ++d) {
    auto to = static_cast<size_t>(3 - dims + d);
    in[to] = self.size(d - dims);
    out[to] = sizes[static_cast<size_t>(d)];
    size[to] = kernel[static_cast<size_t>(d)];
    FL_CHECK(
        out[to] + size[to] - 1 <= in[to],
        full,
        "(): pool ",
        words[to],
        " ",
        size[to],
        " too large relative to input ",
        words[to],
        " ",
        in[to]);
  }
  FL_CHECK(
      samples.dtype() == self.dtype(),
      "Expect _random_samples to have the same dtype as input");
  FL_CHECK(
      samples.dim() == 3,
      "Expect _random_samples to have 3 dimensions, got ",
      samples.dim());
  FL_CHECK(
      samples.size(0) >= batch,
      "Expect _random_samples.size(0) no less then input batch size.");
  FL_CHECK(
      samples.size(1) == planes,
      "Expect _random_samples.size(1) equals to input channel size.");
  FL_CHECK(
      samples.size(2) == dims,
      "Expect _random_samples.size(2) equals to ",
      dims,
      "; got ",
      samples.size(2),
      ".");
  IntList all = joined(lead_of(self.sizes(), dims), sizes);
  auto [values, indices] = fractional_max_pool(
      self.value(), samples.value(), in, out, size, dims, to_shape(all));
  return {values, indices};
}

// ---- Back from maxima ----

// PyTorch raises at the call, so the indices are read there.
void check_unpool_indices(const Tensor& indices, const IntList& sizes) {
  mx::array flat = mx::contiguous(indices.value());
  eval({flat});
  const auto* at = flat.data<int64_t>();
  std::string volume;
  for (int64_t n : sizes) {
    volume = detail::concat(volume, volume.empty() ? "" : "x", n);
  }
  for (size_t i = 0; i < flat.size(); ++i) {
    FL_CHECK(
        at[i] >= 0 && at[i] < product(sizes),
        "Found an invalid max index: ",
        at[i],
        " (output volumes are of size ",
        volume,
        ")");
  }
}

template <int dims>
mx::array
unpool(const Tensor& self, const Tensor& indices, const IntList& sizes) {
  const char* name = dims == 2 ? "max_unpooling2d_forward_out_cpu"
                               : "max_unpooling3d_forward_out_cpu";
  FL_CHECK(
      indices.dtype() == Dtype::Int64,
      "elements in indices should be type int64",
      dims == 2 ? " but got: " : "",
      dims == 2 ? scalar_name(indices.dtype()) : "");
  FL_CHECK(
      ndim_of(sizes) == dims,
      dims == 2 ? "There should be exactly two elements (height, width) in "
                  "output_size, but got "
                : "There should be exactly three elements (depth, height, "
                  "width) in output_size, but got ",
      sizes.size(),
      " elements.");
  FL_CHECK(
      self.dim() == dims + 1 || self.dim() == dims + 2,
      "Input to max_unpooling",
      dims,
      "d should be a ",
      dims + 1,
      "d or ",
      dims + 2,
      "d Tensor, but got a tensor with ",
      self.dim(),
      " dimensions.");
  FL_CHECK(
      self.sizes() == indices.sizes(),
      "Expected shape of indices to be same as that of the input tensor (",
      self.sizes(),
      ") but got indices tensor with shape: ",
      indices.sizes());
  check_filled(self, 1, name, "but got ", " being empty.");
  check_unpool_indices(indices, sizes);
  IntList lead = lead_of(self.sizes(), dims);
  return put_in_planes(
      self.value(),
      indices.value(),
      product(lead),
      product(sizes),
      false,
      to_shape(joined(lead, sizes)));
}

void check_unpool3d(const IntList& stride, const IntList& padding) {
  auto check = [](const IntList& list, const char* name) {
    FL_CHECK(
        list.size() == 3,
        "There should be exactly three elements (depth, height, width) in ",
        name,
        ", but got: ",
        list.size(),
        " elements.");
  };
  check(stride, "stride");
  check(padding, "padding");
  FL_CHECK(
      std::all_of(
          stride.begin(), stride.end(), [](int64_t n) { return n > 0; }),
      "strides should be greater than zero, but got stride: ",
      stride);
}

template <int dims>
Tensor put_grad(const Tensor& grad, const Tensor& self, const Tensor& indices) {
  return put_in_planes(grad, indices, self.sizes(), dims);
}

template <int dims>
Tensor pick_grad(const Tensor& grad, const Tensor& indices) {
  return _pool_pick(grad, indices, dims);
}

// An average of windows and its gradient, which are each other's gradients.
template <int dims>
void adaptive_rows(
    decltype(&_adaptive_avg_pool2d) f,
    decltype(&_adaptive_avg_pool2d_backward) f_backward,
    Row average,
    Row backward) {
  std::move(average)
      .kernel(adaptive_average_kernel<dims>)
      .grad("self", "self", [f_backward](const Tensor& g, const Tensor& self) {
        return f_backward(g, self);
      });
  std::move(backward)
      .kernel(adaptive_average_backward<dims>)
      .grad(
          "grad_output",
          "grad_output",
          [f](const Tensor& grad, const Tensor& like) {
            const IntList& sizes = like.sizes();
            return f(grad, IntList(sizes.end() - dims, sizes.end()));
          })
      .zero_grad("self");
}

void register_adaptive() {
  constexpr int numbers = kBools + kIntegers + kComplexes;
  adaptive_rows<2>(
      _adaptive_avg_pool2d,
      _adaptive_avg_pool2d_backward,
      op("_adaptive_avg_pool2d(Tensor self, SymInt[2] output_size) -> Tensor")
          .forms("function")
          .refuse(numbers, "adaptive_avg_pool2d")
          .doc("adaptive_avg_pool2d, also of one window."),
      op("_adaptive_avg_pool2d_backward(Tensor grad_output, Tensor self) -> "
         "Tensor")
          .doc("The gradient of adaptive_avg_pool2d."));
  adaptive_rows<3>(
      _adaptive_avg_pool3d,
      _adaptive_avg_pool3d_backward,
      op("_adaptive_avg_pool3d(Tensor self, SymInt[3] output_size) -> Tensor")
          .forms("function")
          .refuse(numbers, "adaptive_avg_pool3d_cpu")
          .doc("adaptive_avg_pool3d, also of one window."),
      op("_adaptive_avg_pool3d_backward(Tensor grad_output, Tensor self) -> "
         "Tensor")
          .doc("The gradient of adaptive_avg_pool3d."));
  op("adaptive_avg_pool1d(Tensor self, int[1] output_size) -> Tensor")
      .forms("function")
      .composite([](const Tensor& self, const IntList& sizes) {
        check_1d(self, "adaptive_avg_pool1d");
        check_one(sizes, "adaptive_avg_pool1d", "output_size");
        return squeeze(
            adaptive_avg_pool2d(unsqueeze(self, -2), {1, sizes[0]}), -2);
      })
      .doc("The averages of as many windows as the result has elements.");
  op("adaptive_avg_pool2d(Tensor self, SymInt[2] output_size) -> Tensor")
      .forms("function")
      .module("nn")
      .composite(adaptive_average<2>)
      .doc("The averages of as many windows as the result has elements.");
  op("adaptive_avg_pool3d(Tensor self, SymInt[3] output_size) -> Tensor")
      .forms("function")
      .module("nn")
      .autocast(Autocast::Float32, Autocast::None)
      .composite(adaptive_average<3>)
      .doc("The averages of as many windows as the result has elements.");
  op("adaptive_max_pool1d(Tensor self, int[1] output_size) -> (Tensor, Tensor)")
      .forms("function")
      .composite([](const Tensor& self, const IntList& sizes) {
        check_1d(self, "adaptive_max_pool1d");
        check_one(sizes, "adaptive_max_pool1d", "output_size");
        check_filled(
            self,
            self.dim() == 3,
            "adaptive_max_pool1d",
            "but input has sizes ");
        auto [values, indices] =
            adaptive_max_pool2d(unsqueeze(self, -2), {1, sizes[0]});
        return std::tuple(squeeze(values, -2), squeeze(indices, -2));
      })
      .doc("The maxima of as many windows as the result has elements.");
  op("adaptive_max_pool2d(Tensor self, int[2] output_size) -> (Tensor, Tensor)")
      .forms("function out")
      .exact_out()
      .module("nn")
      .refuse(numbers, "adaptive_max_pool2d")
      .kernel(adaptive_max_kernel<2>)
      .grad("self", "self result1", put_grad<2>)
      .doc("The maxima of as many windows as the result has elements.");
  op("adaptive_max_pool3d(Tensor self, int[3] output_size) -> (Tensor, Tensor)")
      .forms("function out")
      .exact_out()
      .module("nn")
      .autocast(Autocast::Float32, Autocast::None)
      .refuse(numbers, "adaptive_max_pool3d_cpu")
      .kernel(adaptive_max_kernel<3>)
      .grad("self", "self result1", put_grad<3>)
      .doc("The maxima of as many windows as the result has elements.");
}

} // namespace

void register_adaptive_pooling() {
  constexpr int numbers = kBools + kIntegers + kComplexes;
  register_adaptive();
  op("fractional_max_pool2d(Tensor self, int[2] kernel_size, int[2] "
     "output_size, Tensor random_samples) -> (Tensor, Tensor)")
      .forms("function")
      .module("nn")
      .autocast(Autocast::Float32, Autocast::None)
      .refuse(numbers, "fractional_max_pool2d_out_frame")
      .kernel(fractional_kernel<2>)
      .grad("self", "self result1", put_grad<2>)
      .zero_grad("random_samples")
      .doc("The maxima of windows that are drawn at random.");
  op("fractional_max_pool3d(Tensor self, int[3] kernel_size, int[3] "
     "output_size, Tensor random_samples) -> (Tensor, Tensor)")
      .forms("function")
      .module("nn")
      .autocast(Autocast::Float32, Autocast::None)
      .refuse(numbers, "fractional_max_pool3d_out_frame")
      .kernel(fractional_kernel<3>)
      .grad("self", "self result1", put_grad<3>)
      .zero_grad("random_samples")
      .doc("The maxima of windows that are drawn at random.");
  op("max_unpool2d(Tensor self, Tensor indices, SymInt[2] output_size) -> "
     "Tensor")
      .forms("function out")
      .exact_out("expected scalar type %R but found %O")
      .module("nn")
      .autocast(Autocast::Float32, Autocast::None)
      .refuse(numbers, "max_unpool2d")
      .kernel(unpool<2>)
      .grad("self", "indices", pick_grad<2>)
      .zero_grad("indices")
      .doc("Values put where they were found, zero elsewhere.");
  op("max_unpool3d(Tensor self, Tensor indices, SymInt[3] output_size, int[3] "
     "stride, int[3] padding) -> Tensor")
      .forms("function out")
      .exact_out("expected scalar type %R but found %O")
      .module("nn")
      .autocast(Autocast::Float32, Autocast::None)
      .refuse(numbers, "max_unpool3d")
      .kernel([](const Tensor& self,
                 const Tensor& indices,
                 const IntList& sizes,
                 const IntList& stride,
                 const IntList& padding) {
        check_unpool3d(stride, padding);
        return unpool<3>(self, indices, sizes);
      })
      .grad("self", "indices", pick_grad<3>)
      .zero_grad("indices")
      .doc("Values put where they were found, zero elsewhere.");
}

} // namespace flashlight
