// Attention.
#include <cmath>
#include <limits>

#include <mlx/fast.h>
#include <mlx/ops.h>

#include "flashlight/kernels/accurate.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/activations.h"
#include "flashlight/ops/functions/arithmetic.h"
#include "flashlight/ops/functions/attention.h"
#include "flashlight/ops/functions/creation.h"
#include "flashlight/ops/functions/dropout.h"
#include "flashlight/ops/functions/matmul.h"
#include "flashlight/ops/functions/reductions.h"
#include "flashlight/ops/functions/selection.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/op.h"
#include "flashlight/ops/reduce.h"

namespace flashlight {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// C++'s name of a dtype, which PyTorch's messages have here.
std::string_view native_name(Dtype d) {
  switch (d) {
    case Dtype::Float32:
      return "float";
    case Dtype::Float64:
      return "double";
    case Dtype::Float16:
      return "c10::Half";
    case Dtype::BFloat16:
      return "c10::BFloat16";
    case Dtype::Complex64:
      return "c10::complex<float>";
    case Dtype::Bool:
      return "bool";
    case Dtype::UInt8:
      return "unsigned char";
    case Dtype::Int8:
      return "signed char";
    case Dtype::Int16:
      return "short int";
    case Dtype::Int32:
      return "int";
    case Dtype::Int64:
      return "long int";
    default:
      return scalar_name(d);
  }
}

void check_attention(
    const Tensor& query,
    const Tensor& key,
    const Tensor& value,
    const Tensor& mask) {
  FL_CHECK(
      query.dtype() == key.dtype() && query.dtype() == value.dtype(),
      "Expected query, key, and value to have the same dtype, but got "
      "query.dtype: ",
      native_name(query.dtype()),
      " key.dtype: ",
      native_name(key.dtype()),
      " and value.dtype: ",
      native_name(value.dtype()),
      " instead.");
  FL_CHECK(
      query.dim() >= 2 && key.dim() >= 2 && value.dim() >= 2,
      "Expected query, key, and value to all be  at least 2 dimensional, but "
      "got query.dim: ",
      query.dim(),
      " key.dim: ",
      key.dim(),
      " and value.dim: ",
      value.dim(),
      " instead.");
  FL_CHECK(
      !mask.defined() || mask.dtype() == Dtype::Bool ||
          mask.dtype() == query.dtype() || mask.dtype() == Dtype::Float32,
      "Expected attn_mask dtype to be bool or float or to match query dtype, "
      "but got attn_mask.dtype: ",
      mask.defined() ? native_name(mask.dtype()) : "",
      " and  query.dtype: ",
      native_name(query.dtype()),
      " instead.");
  FL_CHECK(
      !is_integral(query.dtype(), true),
      "expected scalar type Float but found ",
      scalar_name(query.dtype()));
  if (query.is_complex()) {
    not_implemented("softmax_lastdim_kernel_impl", query.dtype());
  }
}

// Heads that groups of query heads share, repeated for each of the group.
Tensor shared_heads(const Tensor& x, int64_t heads) {
  int64_t own = x.size(-3);
  FL_CHECK(
      own > 0 && heads % own == 0,
      "Number of heads in key and value must divide the number of heads in ");
  if (own == heads) {
    return x;
  }
  IntList wide = x.sizes(), sizes = x.sizes();
  auto at = wide.end() - 2;
  wide.insert(at, heads / own);
  sizes[sizes.size() - 3] = heads;
  return reshape(expand(unsqueeze(x, -3), wide), sizes);
}

// True where a query may look: at no key after it.
Tensor causal_mask(const Tensor& query, const Tensor& key) {
  auto l = static_cast<int>(query.size(-2));
  auto s = static_cast<int>(key.size(-2));
  return constant(mx::astype(mx::tri(l, s, 0, mx::uint8), mx::bool_), query);
}

// Scores with the mask added, which is -inf where a bool is false.
Tensor masked(const Tensor& scores, const Tensor& given) {
  Tensor mask = given;
  if (mask.dtype() == Dtype::Bool) {
    Tensor zero = zeros({}, scores.dtype(), {}, scores.device());
    mask = where(mask, zero, Scalar(-kInfinity));
  }
  Tensor out = scores + mask;
  FL_CHECK(
      out.sizes() == scores.sizes(),
      "output with shape ",
      scores.sizes(),
      " doesn't match the broadcast shape ",
      out.sizes());
  return out;
}

Tensor scores_of(const Tensor& query, const Tensor& key, double scale) {
  return matmul(query * Scalar(scale), transpose(key, -2, -1));
}

Tensor attention_of_parts(
    const Tensor& query,
    const Tensor& key,
    const Tensor& value,
    const Tensor& mask,
    double dropout_p,
    bool is_causal,
    double scale) {
  Tensor scores = scores_of(query, key, scale);
  if (is_causal) {
    scores = masked(scores, causal_mask(query, key));
  }
  if (mask.defined()) {
    scores = masked(scores, mask);
  }
  // A query that may look at nothing has weights of 0.
  Tensor weights = mask.defined() || is_causal ? _safe_softmax(scores, -1)
                                               : _softmax(scores, -1, false);
  if (dropout_p > 0) {
    weights = dropout(weights, dropout_p, true);
  }
  return matmul(weights, value);
}

// Whether MLX's fused attention computes just this. Its causal mask is aligned
// at the last key, PyTorch's at the first; a row without any key is NaN there.
bool is_fusable(
    const Tensor& query,
    const Tensor& key,
    const Tensor& value,
    const Tensor& mask,
    double dropout_p,
    bool is_causal) {
  auto heads = [](const Tensor& x) { return std::pair(x.size(0), x.size(1)); };
  return !mask.defined() && dropout_p == 0 && query.dim() == 4 &&
         key.dim() == 4 && value.dim() == 4 && heads(query) == heads(key) &&
         heads(key) == heads(value) && key.size(2) == value.size(2) &&
         query.size(3) == key.size(3) && query.numel() > 0 && key.numel() > 0 &&
         value.numel() > 0 && (!is_causal || query.size(2) == key.size(2)) &&
         query.dtype() != Dtype::Float64;
}

Tensor attention(
    const Tensor& query,
    const Tensor& given_key,
    const Tensor& given_value,
    const Tensor& mask,
    double dropout_p,
    bool is_causal,
    std::optional<double> given_scale,
    bool enable_gqa) {
  check_attention(query, given_key, given_value, mask);
  Tensor key = given_key, value = given_value;
  if (enable_gqa) {
    int64_t heads = query.size(-3);
    key = shared_heads(key, heads);
    value = shared_heads(value, heads);
  }
  FL_CHECK(
      dropout_p <= 1,
      "dropout probability has to be between 0 and 1, but got ",
      dropout_p);
  FL_CHECK(
      dropout_p >= 0,
      "scaled_dot_product_attention_flash_attention: Currently do not support "
      "dropout > 0");
  double scale =
      given_scale.value_or(1 / std::sqrt(static_cast<double>(query.size(-1))));
  // MLX has a kernel for it on GPUs; elsewhere the parts are what it would do.
  bool gpu = mx::default_device() == mx::Device::gpu;
  if (gpu && is_fusable(query, key, value, mask, dropout_p, is_causal)) {
    return _fused_attention(query, key, value, is_causal, scale);
  }
  return attention_of_parts(
      query, key, value, mask, dropout_p, is_causal, scale);
}

TensorList fused_grad(
    const Tensor& grad,
    const Tensor& query,
    const Tensor& key,
    const Tensor& value,
    bool is_causal,
    double scale,
    const BoolList& needs) {
  Tensor scores = scores_of(query, key, scale);
  if (is_causal) {
    scores = masked(scores, causal_mask(query, key));
  }
  Tensor weights = _softmax(scores, -1, false);
  TensorList out(3);
  if (needs[0] || needs[1]) {
    Tensor g = matmul(grad, transpose(value, -2, -1)) * weights;
    g = (g - weights * sum(g, IntList{-1}, true)) * Scalar(scale);
    if (needs[0]) {
      out[0] = matmul(g, key);
    }
    if (needs[1]) {
      out[1] = matmul(transpose(g, -2, -1), query);
    }
  }
  if (needs[2]) {
    out[2] = matmul(transpose(weights, -2, -1), grad);
  }
  return out;
}

mx::array safe_softmax_kernel(
    const mx::array& x,
    int64_t dim,
    std::optional<Dtype> dtype) {
  mx::array y = dtype ? mx::astype(x, to_mlx(*dtype)) : x;
  int axis = axis_of(dim, y);
  if (y.ndim() == 0 || y.size() == 0) {
    return accurate::exp(mx::subtract(y, y));
  }
  mx::array high = mx::max(y, axis, true);
  mx::array hidden =
      mx::equal(high, scalar_array(-kInfinity, from_mlx(y.dtype())));
  return mx::where(hidden, mx::zeros_like(high), accurate::softmax(y, axis));
}

} // namespace

void register_attention() {
  op("_safe_softmax(Tensor self, int dim, ScalarType? dtype=None) -> Tensor")
      .forms("function")
      .kernel(safe_softmax_kernel)
      .grad(
          "self",
          "result dim",
          [](const Tensor& grad, const Tensor& result, int64_t dim) {
            Tensor g = grad * result;
            return g - result * sum(g, IntList{dim}, true);
          })
      .doc("softmax; 0 where all of a slice is -inf.");
  op("_fused_attention(Tensor query, Tensor key, Tensor value, bool is_causal, "
     "float scale) -> Tensor")
      .forms("function")
      .node("ScaledDotProductFlashAttentionForCpuBackward0")
      .kernel([](const mx::array& query,
                 const mx::array& key,
                 const mx::array& value,
                 bool is_causal,
                 double scale) {
        return mx::fast::scaled_dot_product_attention(
            query,
            key,
            value,
            static_cast<float>(scale),
            is_causal ? "causal" : "");
      })
      .grad(
          "query key value",
          "query key value is_causal scale needs",
          fused_grad)
      .doc("scaled_dot_product_attention of what MLX has a kernel for.");
  op("scaled_dot_product_attention(Tensor query, Tensor key, Tensor value, "
     "Tensor? attn_mask=None, float dropout_p=0.0, bool is_causal=False, *, "
     "float? scale=None, bool enable_gqa=False) -> Tensor")
      .forms("function")
      .module("nn")
      .autocast(Autocast::Lower)
      .composite(attention)
      .doc("softmax(query @ key.T * scale + mask) @ value.");
}

} // namespace flashlight
