// Connectionist temporal classification.
//
// Note [Paths of a target]
// A target of length S is read along 2 S + 1 states: its labels with blanks
// between and around them. log_alpha[b, t, s] is the log probability of all
// ways to be in state s at time t; backwards in time, log_beta. Neither can be
// had by ops on whole arrays, so both are loops over the states in C++.
#include <algorithm>
#include <cmath>
#include <limits>

#include <mlx/ops.h>

#include "flashlight/core/runtime.h"
#include "flashlight/kernels/host.h"
#include "flashlight/ops/extras.h"
#include "flashlight/ops/functions/arithmetic.h"
#include "flashlight/ops/functions/comparison.h"
#include "flashlight/ops/functions/copy.h"
#include "flashlight/ops/functions/creation.h"
#include "flashlight/ops/functions/ctc.h"
#include "flashlight/ops/functions/reductions.h"
#include "flashlight/ops/functions/selection.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/losses.h"
#include "flashlight/ops/op.h"
#include "flashlight/ops/reduce.h"

namespace flashlight {

namespace {

constexpr const char* kChecking =
    " (while checking arguments for ctc_loss_allocate_outputs)";

struct Problem {
  int64_t steps = 0, batch = 0, classes = 0, states = 0;
  int64_t blank = 0;
  IntList input_lengths, target_lengths;
  std::vector<std::vector<int64_t>> labels; // of each sample

  int64_t label(int64_t b, int64_t s) const {
    const auto& own = labels[static_cast<size_t>(b)];
    return s % 2 ? own[static_cast<size_t>(s / 2)] : blank;
  }
  // Whether state s can be entered from s - 2: another label than there.
  bool skips(int64_t b, int64_t s) const {
    return s % 2 && s >= 3 && label(b, s) != label(b, s - 2);
  }
};

void check_lengths(
    const IntList& lengths,
    const char* name,
    int64_t batch,
    std::optional<int64_t> most) {
  FL_CHECK(ndim_of(lengths) == batch, name, " must be of size batch_size");
  for (int64_t n : lengths) {
    FL_CHECK(
        n >= 0,
        "Expected ",
        name,
        " to have value at least 0, but got value ",
        n,
        kChecking);
    FL_CHECK(
        !most || n <= *most,
        "Expected ",
        name,
        " to have value at most ",
        most.value_or(0),
        ", but got value ",
        n,
        kChecking);
  }
}

Problem problem_of(
    const Tensor& log_probs,
    const Tensor& targets,
    const IntList& input_lengths,
    const IntList& target_lengths,
    int64_t blank) {
  FL_CHECK(log_probs.numel() > 0, "log_probs tensor must not be empty");
  Dtype d = log_probs.dtype();
  if (d != Dtype::Float32 && d != Dtype::Float64) {
    not_implemented("ctc_loss_cpu", d);
  }
  FL_CHECK(
      targets.dtype() == Dtype::Int64 || targets.dtype() == Dtype::Int32,
      "Expected tensor for argument #2 'targets' to have one of the following "
      "scalar types: Long, Int; but got ",
      type_name(targets),
      " instead",
      kChecking);
  FL_CHECK(
      log_probs.dim() == 3,
      "Expected 3-dimensional tensor, but got ",
      log_probs.dim(),
      "-dimensional tensor for argument #1 'log_probs'",
      kChecking);
  FL_CHECK(
      targets.dim() == 1 || targets.dim() == 2,
      "Expected 1 to 2 dimensions, but got ",
      targets.dim(),
      "-dimensional tensor for argument #2 'targets'",
      kChecking);
  Problem p{
      log_probs.size(0),
      log_probs.size(1),
      log_probs.size(2),
      0,
      blank,
      input_lengths,
      target_lengths,
      {}};
  FL_CHECK(blank >= 0 && blank < p.classes, "blank must be in label range");
  check_lengths(input_lengths, "input_lengths", p.batch, p.steps);
  check_lengths(target_lengths, "target_lengths", p.batch, std::nullopt);
  int64_t longest = 0, all = 0;
  for (int64_t n : target_lengths) {
    longest = std::max(longest, n);
    all += n;
  }
  bool rows = targets.dim() == 2;
  FL_CHECK(
      targets.size(0) == (rows ? p.batch : all),
      "Expected tensor to have size ",
      rows ? p.batch : all,
      " at dimension 0, but got size ",
      targets.size(0),
      " for argument #2 'targets'",
      kChecking);
  FL_CHECK(
      !rows || targets.size(1) >= longest,
      "Expected tensor to have size at least ",
      longest,
      " at dimension 1, but got size ",
      rows ? targets.size(1) : 0,
      " for argument #2 'targets'",
      kChecking);
  p.states = 2 * longest + 1;

  mx::array t = mx::contiguous(mx::astype(targets.value(), mx::int64));
  flashlight::eval({t});
  const auto* next = t.data<int64_t>();
  for (int64_t n : target_lengths) {
    p.labels.emplace_back(next, next + n);
    next += rows ? targets.size(1) : n;
    for (int64_t c : p.labels.back()) {
      FL_CHECK_INDEX(
          c >= 0 && c < p.classes, "Target ", c, " is out of bounds.");
    }
  }
  return p;
}

template <typename T>
constexpr T kNever = -std::numeric_limits<T>::infinity();

// The logarithm of a sum, of its terms'.
template <typename T>
T log_sum(T a, T b, T c = kNever<T>) {
  T high = a;
  high = b > high ? b : high;
  high = c > high ? c : high;
  high = high == kNever<T> ? T(0) : high;
  return std::log(
             std::exp(a - high) + std::exp(b - high) + std::exp(c - high)) +
         high;
}

// alpha[t, s] of sample b, for as long as its input is; the rest is `kNever`.
// Gives -log of the probability of the target.
template <typename T>
T forward_paths(const Problem& p, int64_t b, const T* log_probs, T* alpha) {
  int64_t steps = p.input_lengths[static_cast<size_t>(b)];
  int64_t labels = p.target_lengths[static_cast<size_t>(b)];
  int64_t states = 2 * labels + 1;
  std::fill(alpha, alpha + p.steps * p.states, kNever<T>);
  if (steps == 0) {
    return labels == 0 ? T(0) : std::numeric_limits<T>::infinity();
  }
  auto at = [&](int64_t t, int64_t s) {
    return log_probs[(t * p.batch + b) * p.classes + p.label(b, s)];
  };
  for (int64_t s = 0; s < std::min<int64_t>(2, states); ++s) {
    alpha[s] = at(0, s);
  }
  for (int64_t t = 1; t < steps; ++t) {
    const T* before = alpha + (t - 1) * p.states;
    T* now = alpha + t * p.states;
    for (int64_t s = 0; s < states; ++s) {
      T one = s > 0 ? before[s - 1] : kNever<T>;
      T two = p.skips(b, s) ? before[s - 2] : kNever<T>;
      now[s] = log_sum(before[s], one, two) + at(t, s);
    }
  }
  const T* last = alpha + (steps - 1) * p.states;
  T end = last[states - 1];
  return -(states > 1 ? log_sum(end, last[states - 2]) : end);
}

// The gradient of sample b's loss times `grad`. As PyTorch's, it takes
// log_probs for the result of log_softmax: it is the gradient of what went in
// there, which log_softmax hands on unchanged.
template <typename T>
void backward_paths(
    const Problem& p,
    int64_t b,
    T grad,
    const T* log_probs,
    T loss,
    const T* alpha,
    T* out) {
  int64_t steps = p.input_lengths[static_cast<size_t>(b)];
  int64_t states = 2 * p.target_lengths[static_cast<size_t>(b)] + 1;
  auto row = [&](auto* base, int64_t t) {
    return base + (t * p.batch + b) * p.classes;
  };
  std::vector<T> beta(static_cast<size_t>(states), kNever<T>);
  std::vector<T> later(beta), sums(static_cast<size_t>(p.classes));
  for (int64_t t = steps - 1; t >= 0; --t) {
    const T* lp = row(log_probs, t);
    std::swap(beta, later);
    std::fill(sums.begin(), sums.end(), kNever<T>);
    for (int64_t s = 0; s < states; ++s) {
      auto i = static_cast<size_t>(s);
      T rest = T(0);
      if (t < steps - 1) {
        T one = s + 1 < states ? later[i + 1] : kNever<T>;
        bool skips = s + 2 < states && p.skips(b, s + 2);
        rest = log_sum(later[i], one, skips ? later[i + 2] : kNever<T>);
      } else if (s < states - 2) {
        beta[i] = kNever<T>; // no end
        continue;
      }
      auto c = static_cast<size_t>(p.label(b, s));
      beta[i] = rest + lp[c];
      sums[c] = log_sum(sums[c], alpha[t * p.states + s] + beta[i]);
    }
    T* g = row(out, t);
    for (int64_t c = 0; c < p.classes; ++c) {
      T path = std::exp(sums[static_cast<size_t>(c)] + loss - lp[c]);
      g[c] = (std::exp(lp[c]) - path) * grad;
    }
  }
  for (int64_t t = steps; t < p.steps; ++t) {
    std::fill_n(row(out, t), p.classes, T(0));
  }
}

std::tuple<mx::array, mx::array> ctc_kernel(
    const Tensor& log_probs,
    const Tensor& targets,
    const IntList& input_lengths,
    const IntList& target_lengths,
    int64_t blank,
    bool) {
  Problem p =
      problem_of(log_probs, targets, input_lengths, target_lengths, blank);
  mx::Dtype type = to_mlx(log_probs.dtype());
  auto out = host_op(
      "ctc_loss",
      {log_probs.value()},
      {{to_shape({p.batch}), type},
       {to_shape({p.batch, p.steps, p.states}), type}},
      [p, type](const std::vector<mx::array>& in, std::vector<mx::array>& to) {
        for_ordered(type, [&](auto number) {
          using T = decltype(number);
          if constexpr (std::is_floating_point_v<T>) {
            for (int64_t b = 0; b < p.batch; ++b) {
              to[0].data<T>()[b] = forward_paths<T>(
                  p,
                  b,
                  in[0].data<T>(),
                  to[1].data<T>() + b * p.steps * p.states);
            }
          }
        });
      });
  return {out[0], out[1]};
}

mx::array ctc_backward_kernel(
    const Tensor& grad,
    const Tensor& log_probs,
    const Tensor& targets,
    const IntList& input_lengths,
    const IntList& target_lengths,
    const Tensor& loss,
    const Tensor& log_alpha,
    int64_t blank,
    bool zero_infinity) {
  Problem p =
      problem_of(log_probs, targets, input_lengths, target_lengths, blank);
  mx::Dtype type = to_mlx(log_probs.dtype());
  auto run = [p, type, zero_infinity](
                 const std::vector<mx::array>& in, std::vector<mx::array>& to) {
    for_ordered(type, [&](auto number) {
      using T = decltype(number);
      if constexpr (std::is_floating_point_v<T>) {
        T* out = to[0].data<T>();
        for (int64_t b = 0; b < p.batch; ++b) {
          T loss = in[2].data<T>()[b];
          if (zero_infinity && std::isinf(loss)) {
            for (int64_t t = 0; t < p.steps; ++t) {
              std::fill_n(out + (t * p.batch + b) * p.classes, p.classes, T(0));
            }
            continue;
          }
          backward_paths<T>(
              p,
              b,
              in[0].data<T>()[b],
              in[1].data<T>(),
              loss,
              in[3].data<T>() + b * p.steps * p.states,
              out);
        }
      }
    });
  };
  return host_op(
      "ctc_loss_backward",
      {mx::astype(grad.value(), type),
       log_probs.value(),
       loss.value(),
       log_alpha.value()},
      {{to_shape(log_probs.sizes()), type}},
      run)[0];
}

Tensor ctc(
    const Tensor& log_probs,
    const Tensor& targets,
    const IntList& input_lengths,
    const IntList& target_lengths,
    int64_t blank,
    int64_t reduction,
    bool zero_infinity) {
  bool batched = log_probs.dim() == 3;
  Tensor loss = std::get<0>(_ctc_loss(
      batched ? log_probs : unsqueeze(log_probs, 1),
      targets,
      input_lengths,
      target_lengths,
      blank,
      zero_infinity));
  if (zero_infinity) {
    Tensor endless = eq(loss, Scalar(std::numeric_limits<double>::infinity()));
    loss = where(endless, zeros_like(loss), loss);
  }
  if (reduction == kMean) {
    std::vector<double> lengths;
    for (int64_t n : target_lengths) {
      lengths.push_back(static_cast<double>(std::max<int64_t>(n, 1)));
    }
    mx::array n(lengths.data(), to_shape({ndim_of(target_lengths)}));
    return mean(loss / constant(mx::astype(n, to_mlx(loss.dtype())), loss));
  }
  if (reduction == kSum) {
    return sum(loss);
  }
  return batched ? loss : squeeze(loss, 0);
}

IntList lengths_of(const Tensor& lengths, const char* name) {
  FL_CHECK(is_integral(lengths.dtype(), false), name, " must be integral");
  mx::array n = mx::contiguous(mx::astype(lengths.value(), mx::int64));
  flashlight::eval({n});
  IntList out(n.size());
  std::copy_n(n.data<int64_t>(), n.size(), out.begin());
  return out;
}

} // namespace

void register_ctc() {
  op("_ctc_loss(Tensor log_probs, Tensor targets, int[] input_lengths, int[] "
     "target_lengths, int blank=0, bool zero_infinity=False) -> (Tensor, "
     "Tensor)")
      .forms("")
      .kernel(ctc_kernel)
      .grad(
          "log_probs",
          "log_probs targets input_lengths target_lengths result0 result1 "
          "blank zero_infinity",
          [](const Tensor& grad,
             const Tensor& log_probs,
             const Tensor& targets,
             const IntList& input_lengths,
             const IntList& target_lengths,
             const Tensor& loss,
             const Tensor& log_alpha,
             int64_t blank,
             bool zero_infinity) {
            return !grad.defined() ? Tensor()
                                   : _ctc_loss_backward(
                                         grad,
                                         log_probs,
                                         targets,
                                         input_lengths,
                                         target_lengths,
                                         loss,
                                         log_alpha,
                                         blank,
                                         zero_infinity);
          })
      .zero_grad("targets")
      .doc("ctc_loss of each sample, and of all ways there.");
  op("_ctc_loss_backward(Tensor grad, Tensor log_probs, Tensor targets, int[] "
     "input_lengths, int[] target_lengths, Tensor neg_log_likelihood, Tensor "
     "log_alpha, int blank, bool zero_infinity=False) -> Tensor")
      .forms("")
      .kernel(ctc_backward_kernel)
      .grad(
          "grad log_probs targets neg_log_likelihood log_alpha",
          "",
          [](const Tensor&) -> TensorList {
            fail<NotImplementedError>(
                "derivative for aten::_ctc_loss_backward is not implemented");
          })
      .doc("The gradient of _ctc_loss.");
  op("ctc_loss.IntList(Tensor log_probs, Tensor targets, int[] input_lengths, "
     "int[] target_lengths, int blank=0, int reduction=Mean, bool "
     "zero_infinity=False) -> Tensor")
      .forms("function")
      .autocast(Autocast::Float32)
      .composite(ctc)
      .doc("Connectionist temporal classification loss.");
  op("ctc_loss.Tensor(Tensor log_probs, Tensor targets, Tensor input_lengths, "
     "Tensor target_lengths, int blank=0, int reduction=Mean, bool "
     "zero_infinity=False) -> Tensor")
      .forms("function")
      .autocast(Autocast::Float32)
      .composite([](const Tensor& log_probs,
                    const Tensor& targets,
                    const Tensor& input_lengths,
                    const Tensor& target_lengths,
                    int64_t blank,
                    int64_t reduction,
                    bool zero_infinity) {
        return ctc(
            log_probs,
            targets,
            lengths_of(input_lengths, "input_lengths"),
            lengths_of(target_lengths, "target_lengths"),
            blank,
            reduction,
            zero_infinity);
      })
      .doc("... with lengths in tensors.");
}

} // namespace flashlight
