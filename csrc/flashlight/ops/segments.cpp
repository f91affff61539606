// Reductions of stretches of a dimension, hashes of bits, and what old programs
// call by other names.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include <mlx/ops.h>

#include "flashlight/core/runtime.h"
#include "flashlight/kernels/host.h"
#include "flashlight/ops/backward.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/arithmetic.h"
#include "flashlight/ops/functions/conv.h"
#include "flashlight/ops/functions/copy.h"
#include "flashlight/ops/functions/norms.h"
#include "flashlight/ops/functions/padding.h"
#include "flashlight/ops/functions/reductions.h"
#include "flashlight/ops/functions/segments.h"
#include "flashlight/ops/functions/shape.h"
#include "flashlight/ops/functions/splitting.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/op.h"
#include "flashlight/ops/reduce.h"

namespace flashlight {

namespace {

// --- stretches ---------------------------------------------------------------

enum class Reduce : uint8_t { Sum, Mean, Max, Min, Prod };

Reduce reduce_of(const std::string& name) {
  for (auto [text, r] :
       {std::pair("sum", Reduce::Sum),
        {"mean", Reduce::Mean},
        {"max", Reduce::Max},
        {"amax", Reduce::Max},
        {"min", Reduce::Min},
        {"amin", Reduce::Min},
        {"prod", Reduce::Prod}}) {
    if (name == text) {
      return r;
    }
  }
  fail(
      "reduce argument must be either sum, prod, mean, amax or amin, got ",
      name);
}

// Where each stretch begins and ends: (begin, end) for each of `count` in each
// of `outer` rows of `size` elements, each `inner` wide.
struct Segments {
  int64_t outer = 1, size = 0, inner = 1, count = 0;
  std::vector<std::pair<int64_t, int64_t>> spans;
  mx::Shape shape; // of the result
};

std::vector<int64_t> whole_numbers(const Tensor& t, const char* kernel) {
  if (!is_integral(t.dtype(), false)) {
    not_implemented(kernel, t.dtype());
  }
  mx::array x = mx::contiguous(mx::astype(t.value(), mx::int64));
  flashlight::eval({x});
  const auto* first = x.data<int64_t>();
  return std::vector<int64_t>(first, first + x.size());
}

Segments segments_of(
    const Tensor& data,
    const Tensor& lengths,
    const Tensor& offsets,
    int64_t axis,
    bool checked) {
  bool by_length = lengths.defined();
  const Tensor& given = by_length ? lengths : offsets;
  std::vector<int64_t> numbers =
      whole_numbers(given, "_segment_reduce_lengths_cpu_kernel1");
  Segments s;
  s.size = data.size(axis);
  s.count = given.size(-1) - (by_length ? 0 : 1);
  for (int64_t d = 0; d < data.dim(); ++d) {
    if (d != axis) {
      (d < axis ? s.outer : s.inner) *= data.size(d);
    }
    s.shape.push_back(static_cast<int>(d == axis ? s.count : data.size(d)));
  }
  size_t at = 0;
  for (int64_t o = 0; o < s.outer; ++o) {
    int64_t place = 0;
    for (int64_t k = 0; k < s.count; ++k) {
      int64_t begin = by_length ? place : numbers[at];
      int64_t end = by_length ? place + numbers[at] : numbers[at + 1];
      FL_CHECK(
          !by_length || numbers[at] >= 0, "lengths contains negative value!");
      FL_CHECK(
          begin >= 0 && begin <= end && end <= s.size,
          by_length
              ? "segment_reduce(): Expected all rows of lengths along axis to "
                "sum to data.size(lengths.dim()-1) when !unsafe."
              : "segment_reduce(): offsets must not descend, nor pass the end");
      s.spans.emplace_back(begin, end);
      place = end;
      ++at;
    }
    at += by_length ? 0 : 1;
    FL_CHECK(
        !by_length || !checked || place == s.size,
        "segment_reduce(): Expected all rows of lengths along axis to sum to "
        "data.size(lengths.dim()-1) when !unsafe.");
  }
  return s;
}

double first_of(Reduce r, const std::optional<Scalar>& initial) {
  if (initial) {
    return initial->to_double();
  }
  constexpr double inf = std::numeric_limits<double>::infinity();
  return r == Reduce::Max    ? -inf
         : r == Reduce::Min  ? inf
         : r == Reduce::Prod ? 1
                             : 0;
}

template <typename T>
T reduced(Reduce r, T first, const T* x, int64_t n, int64_t step, bool given) {
  T out = first;
  for (int64_t i = 0; i < n; ++i) {
    T v = x[i * step];
    switch (r) {
      case Reduce::Sum:
      case Reduce::Mean:
        out += v;
        break;
      case Reduce::Prod:
        out *= v;
        break;
      case Reduce::Max:
        out = std::isnan(v) ? v : std::max(out, v);
        break;
      case Reduce::Min:
        out = std::isnan(v) ? v : std::min(out, v);
        break;
    }
  }
  if (r == Reduce::Mean) {
    if (n > 0) {
      out /= static_cast<T>(n);
    } else if (!given) {
      out = std::numeric_limits<T>::quiet_NaN();
    }
  }
  return out;
}

// Adds what the gradient of one stretch is.
template <typename T>
void add_grad(
    Reduce r,
    T first,
    T grad,
    T result,
    const T* x,
    T* out,
    int64_t n,
    int64_t step) {
  if (r == Reduce::Max || r == Reduce::Min) {
    int64_t ties = 0;
    for (int64_t i = 0; i < n; ++i) {
      bool hit = std::isnan(x[i * step]) || x[i * step] == result;
      ties += hit;
      out[i * step] = hit ? grad : T(0);
    }
    for (int64_t i = 0; i < n && ties > 1; ++i) {
      out[i * step] /= static_cast<T>(ties);
    }
    return;
  }
  for (int64_t i = 0; i < n; ++i) {
    T slope = 1;
    if (r == Reduce::Mean) {
      slope /= static_cast<T>(n);
    } else if (r == Reduce::Prod) {
      T v = x[i * step];
      if (v != T(0) && !std::isnan(v)) {
        slope = result / v;
      } else { // all the others
        slope = first;
        for (int64_t k = 0; k < n; ++k) {
          slope *= k == i ? T(1) : x[k * step];
        }
      }
    }
    out[i * step] = grad * slope;
  }
}

template <typename F>
void each_span(const Segments& s, F f) {
  size_t at = 0;
  for (int64_t o = 0; o < s.outer; ++o) {
    for (int64_t k = 0; k < s.count; ++k, ++at) {
      auto [begin, end] = s.spans[at];
      for (int64_t i = 0; i < s.inner; ++i) {
        int64_t from = (o * s.size + begin) * s.inner + i;
        int64_t to = (o * s.count + k) * s.inner + i;
        f(from, to, end - begin);
      }
    }
  }
}

void check_floating(const Tensor& data) {
  if (!data.is_floating_point()) {
    not_implemented("_segment_reduce_cpu", data.dtype());
  }
}

mx::array segment_kernel(
    const Tensor& data,
    const std::string& reduce,
    const Tensor& lengths,
    const Tensor& indices,
    const Tensor& offsets,
    int64_t axis,
    bool unsafe,
    const std::optional<Scalar>& initial) {
  constexpr std::string_view name = "segment_reduce(): ";
  axis = wrap_dim(axis, data.dim());
  FL_CHECK(
      !indices.defined(),
      name,
      "indices based reduction is not supported yet.");
  FL_CHECK(
      lengths.defined() || offsets.defined(),
      name,
      "Either lengths or offsets must be defined.");
  Reduce r = reduce_of(reduce);
  const Tensor& given = lengths.defined() ? lengths : offsets;
  FL_CHECK(
      given.dim() - 1 == axis,
      name,
      "Expected axis to be the last dimension of ",
      lengths.defined() ? "lengths" : "offsets",
      " but got ",
      axis,
      ".");
  check_floating(data);
  Segments s = segments_of(data, lengths, offsets, axis, !unsafe);
  mx::array x = widened(data.value());
  double first = first_of(r, initial);
  bool has = initial.has_value();
  auto loop = [s, r, first, has](
                  const std::vector<mx::array>& in,
                  std::vector<mx::array>& out) {
    for_ordered(in[0].dtype(), [&](auto zero) {
      using T = decltype(zero);
      if constexpr (std::is_floating_point_v<T>) {
        const T* from = in[0].data<T>();
        T* to = out[0].data<T>();
        each_span(s, [&](int64_t a, int64_t b, int64_t n) {
          to[b] = reduced(r, static_cast<T>(first), from + a, n, s.inner, has);
        });
      }
    });
  };
  mx::array out =
      host_op("SegmentReduce", {x}, {{s.shape, x.dtype()}}, loop)[0];
  return mx::astype(out, to_mlx(data.dtype()));
}

mx::array segment_grad_kernel(
    const Tensor& grad,
    const Tensor& output,
    const Tensor& data,
    const std::string& reduce,
    const Tensor& lengths,
    const Tensor& offsets,
    int64_t axis,
    const std::optional<Scalar>& initial) {
  Reduce r = reduce_of(reduce);
  axis = wrap_dim(axis, data.dim());
  Segments s = segments_of(data, lengths, offsets, axis, false);
  mx::array x = widened(data.value());
  double first = first_of(r, initial);
  auto loop = [s, r, first](
                  const std::vector<mx::array>& in,
                  std::vector<mx::array>& out) {
    for_ordered(in[0].dtype(), [&](auto zero) {
      using T = decltype(zero);
      if constexpr (std::is_floating_point_v<T>) {
        const T *x = in[0].data<T>(), *g = in[1].data<T>();
        const T* y = in[2].data<T>();
        T* to = out[0].data<T>();
        std::fill(to, to + out[0].size(), T(0));
        each_span(s, [&](int64_t a, int64_t b, int64_t n) {
          add_grad(
              r, static_cast<T>(first), g[b], y[b], x + a, to + a, n, s.inner);
        });
      }
    });
  };
  mx::array out = host_op(
      "SegmentReduceBackward",
      {x, widened(grad.value()), widened(output.value())},
      {{x.shape(), x.dtype()}},
      loop)[0];
  return mx::astype(out, to_mlx(data.dtype()));
}

// --- hashes ------------------------------------------------------------------

// Each element as 64 bits: whole numbers as int64, others as float64.
mx::array bits_of(const mx::array& x) {
  Dtype d = from_mlx(x.dtype());
  if (is_complex(d)) {
    not_implemented("xor_sum_cpu", d);
  }
  return is_floating(d) ? mx::view(mx::astype(x, mx::float64), mx::uint64)
                        : mx::view(mx::astype(x, mx::int64), mx::uint64);
}

Tensor
hash_of(const Tensor& self, const IntList& dim, bool keepdim, int64_t mode) {
  FL_CHECK(mode == 0, "Unknown hash_tensor mode: ", mode);
  FL_CHECK(
      self.numel() > 0 || !dim.empty(),
      "hash_tensor: Expected reduction dim to be specified for input.numel() "
      "== 0. Specify the reduction dim with the 'dim' argument.");
  IntList dims = wrap_dims(dim, self.dim()), order, kept, sizes;
  int64_t rest = 1, outer = 1;
  for (int64_t d = 0; d < self.dim(); ++d) {
    bool gone = std::find(dims.begin(), dims.end(), d) != dims.end();
    (gone ? rest : outer) *= self.size(d);
    if (!gone) {
      order.push_back(d);
    }
    if (!gone || keepdim) {
      sizes.push_back(gone ? 1 : self.size(d));
    }
  }
  for (int64_t d = 0; d < self.dim(); ++d) {
    if (std::find(order.begin(), order.end(), d) == order.end()) {
      order.push_back(d);
    }
  }
  mx::array x = bits_of(detach(self).value());
  x = mx::transpose(x, std::vector<int>(order.begin(), order.end()));
  auto loop =
      [rest](const std::vector<mx::array>& in, std::vector<mx::array>& out) {
        const auto* from = in[0].data<uint64_t>();
        auto* to = out[0].data<uint64_t>();
        for (size_t i = 0; i < out[0].size(); ++i) {
          to[i] = 0;
          for (int64_t k = 0; k < rest; ++k) {
            to[i] ^= *from++;
          }
        }
      };
  mx::array out =
      host_op("HashTensor", {x}, {{to_shape(sizes), mx::uint64}}, loop)[0];
  return constant(out, self);
}

// --- other names -------------------------------------------------------------

// Time, batch and channels; the kernel is (time, in, out).
Tensor conv_tbc_of(
    const Tensor& self,
    const Tensor& weight,
    const Tensor& bias,
    int64_t pad) {
  FL_CHECK(self.dim() == 3, "Input must have 3 dims: time, batch, in_channel");
  FL_CHECK(
      weight.dim() == 3,
      "Weight tensor must have 3 dims: kernel_width, in_channels, "
      "out_channels.");
  FL_CHECK(bias.dim() == 1, "Bias must be 1-D");
  FL_CHECK(
      self.size(2) == weight.size(1),
      "Input dim 2 (input channels) is not == dim 1 in the weight tensor");
  FL_CHECK(
      bias.size(0) == weight.size(2),
      "Bias size must equal dim 2 in the weight tensor (output channels).");
  Tensor out = conv1d(
      permute(self, {1, 2, 0}),
      permute(weight, {2, 1, 0}),
      bias,
      IntList{1},
      IntList{pad});
  return permute(out, {2, 0, 1});
}

// Each tensor in `count` chunks of one size (zeros at the end), flat, beside
// each other.
Tensor chunks_beside(const TensorList& tensors, int64_t dim, int64_t count) {
  FL_CHECK(
      !tensors.empty(), "_chunk_cat expects a non-empty input tensor list");
  FL_CHECK(count >= 1, "_chunk_cat expects positive num_chunks");
  const Tensor& first = tensors[0];
  bool alike =
      std::all_of(tensors.begin(), tensors.end(), [&](const Tensor& t) {
        return t.dim() == first.dim();
      });
  for (const Tensor& t : tensors) {
    FL_CHECK(t.numel() > 0, "_chunk_cat expects non-empty tensor");
    FL_CHECK(
        t.dtype() == first.dtype(),
        "_chunk_cat expects all input tensors with the same dtype");
  }
  FL_CHECK(
      alike || dim >= 0,
      "_chunk_cat expects non-negative dim when input tensors have different "
      "ndims");
  int64_t d = alike ? wrap_dim(dim, first.dim()) : dim;
  TensorList flat;
  for (const Tensor& t : tensors) {
    FL_CHECK(
        d < t.dim(), "_chunk_cat expects dim < ndim for all input tensors");
    FL_CHECK(
        std::equal(
            t.sizes().begin(), t.sizes().begin() + d, first.sizes().begin()),
        "_chunk_cat expects same sizes of 0,...,dim-1 dimensions for all "
        "tensors");
    int64_t each = (t.size(d) + count - 1) / count;
    IntList pad(static_cast<size_t>(2 * (t.dim() - d)), int64_t{0});
    pad.back() = each * count - t.size(d);
    Tensor whole = pad.back() ? constant_pad_nd(t, pad) : t;
    IntList sizes(t.sizes().begin(), t.sizes().begin() + d);
    sizes.push_back(count);
    sizes.push_back(-1);
    flat.push_back(reshape(whole, sizes));
  }
  return cat(flat, d + 1);
}

Tensor one_row(const TensorList& tensors) {
  TensorList flat;
  for (const Tensor& t : tensors) {
    flat.push_back(reshape(t, {-1}));
  }
  return cat(flat, 0);
}

TensorList taken_apart(const Tensor& flat, const TensorList& tensors) {
  TensorList out;
  int64_t at = 0;
  for (const Tensor& t : tensors) {
    int64_t n = t.numel();
    out.push_back(view(narrow(flat, 0, at, n), t.sizes()));
    at += n;
  }
  return out;
}

} // namespace

void register_segments() {
  op("segment_reduce(Tensor data, str reduce, *, Tensor? lengths=None, Tensor? "
     "indices=None, Tensor? offsets=None, int axis=0, bool unsafe=False, "
     "Scalar? initial=None) -> Tensor")
      .forms("function")
      .kernel(segment_kernel)
      .grad(
          "data",
          "data reduce lengths offsets axis initial result",
          [](const Tensor& grad,
             const Tensor& data,
             const std::string& reduce,
             const Tensor& lengths,
             const Tensor& offsets,
             int64_t axis,
             const std::optional<Scalar>& initial,
             const Tensor& result) {
            return _segment_reduce_backward(
                grad, result, data, reduce, lengths, offsets, axis, initial);
          })
      .zero_grad("lengths indices offsets")
      .doc("Stretches of a dimension, by their lengths, each reduced to one.");
  op("_segment_reduce_backward(Tensor grad, Tensor output, Tensor data, str "
     "reduce, *, Tensor? lengths=None, Tensor? offsets=None, int axis=0, "
     "Scalar? initial=None) -> Tensor")
      .forms("")
      .kernel(segment_grad_kernel)
      .grad(
          "grad output data",
          "",
          [](const Tensor&) -> TensorList {
            fail<NotImplementedError>(
                "derivative for aten::_segment_reduce_backward is not "
                "implemented");
          })
      .zero_grad("lengths offsets")
      .doc("The gradient of segment_reduce.");
  op("hash_tensor(Tensor self, int[1] dim=[], *, bool keepdim=False, int "
     "mode=0) -> Tensor")
      .forms("function method out")
      .exact_out("Expected result to be of dtype uint64, but got %O")
      .kernel(hash_of)
      .not_differentiable()
      .doc("The exclusive or of the elements' bits, as float64 or int64.");
  op("conv_tbc(Tensor self, Tensor weight, Tensor bias, int pad=0) -> Tensor")
      .forms("function")
      .composite(conv_tbc_of)
      .doc("A convolution over time, which comes first, then the batch.");
  op("_chunk_cat(Tensor[] tensors, int dim, int num_chunks) -> Tensor")
      .forms("function out")
      .exact_out(
          "%?%ttorch.cat(): input types can't be cast to the desired output "
          "type %O")
      .composite(chunks_beside)
      .doc("Tensors in chunks, padded to one size, beside each other.");
  op("flatten_dense_tensors(Tensor[] tensors) -> Tensor")
      .module("nn")
      .forms("function")
      .composite(one_row)
      .doc("All elements of the tensors in one row.");
  op("unflatten_dense_tensors(Tensor flat, Tensor[] tensors) -> Tensor[]")
      .module("nn")
      .forms("function")
      .composite(taken_apart)
      .doc("Views of a row, of the tensors' sizes.");
  op("frobenius_norm.dim(Tensor self, int[1] dim, bool keepdim=False) -> "
     "Tensor")
      .forms("function out")
      .exact_out()
      .composite([](const Tensor& self, const IntList& dim, bool keepdim) {
        FL_CHECK(
            dim.size() <= 2,
            "Expected at most 2 dimensions, but got ",
            dim.size(),
            " dimensions instead.");
        return linalg_vector_norm(self, Scalar(2), dim, keepdim);
      })
      .doc("The root of the sum of squares.");
  op("nuclear_norm(Tensor self, bool keepdim=False) -> Tensor")
      .forms("function out")
      .exact_out("linalg.matrix_norm expected out tensor dtype %R but got: %O")
      .composite([](const Tensor& self, bool keepdim) {
        return linalg_matrix_norm(
            self, std::string("nuc"), IntList{-2, -1}, keepdim);
      })
      .doc("The sum of singular values.");
  op("nuclear_norm.dim(Tensor self, int[2] dim, bool keepdim=False) -> Tensor")
      .forms("function out")
      .exact_out("linalg.matrix_norm expected out tensor dtype %R but got: %O")
      .composite([](const Tensor& self, const IntList& dim, bool keepdim) {
        return linalg_matrix_norm(self, std::string("nuc"), dim, keepdim);
      })
      .doc("The sum of singular values.");
  op("detach_copy(Tensor self) -> Tensor")
      .forms("function out")
      .exact_out()
      .kernel([](const Tensor& self) { return clone(detach(self)); })
      .not_differentiable()
      .doc("A copy without history.");
}

} // namespace flashlight
