// Linear maps along one axis with few inputs an output: resampling, padding.
#pragma once

#include <vector>

#include "flashlight/kernels/host.h"

namespace flashlight {

// Output o is the sum of weight[k] * x[index[k]], k from begin[o] to
// begin[o + 1].
struct Taps {
  int64_t in = 0;
  std::vector<int64_t> begin{0};
  std::vector<int64_t> index;
  std::vector<double> weight; // none: all are 1

  explicit Taps(int64_t in) : in(in) {}
  int64_t out() const {
    return static_cast<int64_t>(begin.size()) - 1;
  }
  void add(int64_t i, double w) {
    index.push_back(i);
    weight.push_back(w);
  }
  // Ends an output.
  void next() {
    begin.push_back(static_cast<int64_t>(index.size()));
  }
  // Each output is one input.
  static Taps pick(int64_t in, std::vector<int64_t> indices);
  // With one tap for an input that an output names several times in a row.
  Taps merged() const;
  // The map of gradients: outputs to inputs.
  Taps transposed() const;
};

mx::array apply_taps(const mx::array& x, const Taps& taps, int axis);
// Of bytes, with weights of 16 bits and rounded results, as PyTorch's images.
mx::array apply_taps_to_bytes(const mx::array& x, const Taps& taps, int axis);

} // namespace flashlight
