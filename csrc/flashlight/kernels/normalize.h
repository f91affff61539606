// Normalizations: values less their mean, over their deviation, times a weight.
#pragma once

#include <optional>
#include <vector>

#include "flashlight/kernels/host.h"

namespace flashlight {

// Values as [batch, groups, channels, inner]. Each group of channels has one
// mean and one deviation: in each sample, or over the batch if `pooled`. There
// are a weight and a bias for each channel of each group.
struct NormShape {
  int64_t batch, groups, channels, inner;
  bool pooled = false;
  bool centered = true; // otherwise the mean is taken to be zero

  int64_t statistics() const {
    return pooled ? groups : batch * groups;
  }
  int64_t weights() const {
    return groups * channels;
  }
  // How many values share a statistic.
  int64_t count() const {
    return channels * inner * (pooled ? batch : 1);
  }
};

// Running averages, updated with the momentum and the unbiased variance.
struct RunningStats {
  mx::array mean, var;
  double momentum;
};

using MaybeArray = std::optional<mx::array>;

// Arrays are float32 or float64, all of them alike. The loops of ours are
// written for the CPU; elsewhere, and inside MLX's transforms, it is MLX's ops.

struct Normalized {
  mx::array out, mean, rstd; // rstd: 1 / sqrt(variance + eps)
  std::optional<RunningStats> running;
};
Normalized normalize(
    const mx::array& x,
    const MaybeArray& weight,
    const MaybeArray& bias,
    const NormShape& shape,
    double eps,
    const std::optional<RunningStats>& running = {});

// ... by statistics that are given.
mx::array normalize_by(
    const mx::array& x,
    const MaybeArray& weight,
    const MaybeArray& bias,
    const mx::array& mean,
    const mx::array& rstd,
    const NormShape& shape);

// The gradients of x, weight and bias. `fixed`: the statistics are given, not
// those of x. Inside a transform they are computed from x again, so that its
// derivative is the whole one.
std::vector<mx::array> normalize_grads(
    const mx::array& grad,
    const mx::array& x,
    const MaybeArray& weight,
    const mx::array& mean,
    const mx::array& rstd,
    const NormShape& shape,
    bool fixed);

} // namespace flashlight
