// Categories by their probabilities.
#include "flashlight/core/generator.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "flashlight/core/error.h"
#include "flashlight/core/random/draws.h"
#include "flashlight/core/random/elements.h"

namespace flashlight {

using namespace draws;

namespace {

template <typename T>
struct Probs {
  const T* data;
  int64_t row_stride;
  int64_t category_stride;

  Compute<T> at(int64_t row, int64_t category) const {
    return to_float(data[row * row_stride + category * category_stride]);
  }
};

// One row by inverting the cumulative distribution.
template <typename T>
void multinomial_row(
    Generator& gen,
    const Probs<T>& probs,
    int64_t row,
    std::vector<Compute<T>>& cumulative,
    int64_t samples,
    int64_t* out) {
  const auto categories = static_cast<int64_t>(cumulative.size());
  Compute<T> sum = 0;
  for (int64_t c = 0; c < categories; ++c) {
    sum += probs.at(row, c);
    cumulative[static_cast<size_t>(c)] = sum;
  }
  for (auto& x : cumulative) {
    x /= sum;
  }
  cumulative.back() = 1; // rounding must not leave the last one below 1
  for (int64_t i = 0; i < samples; ++i) {
    const double u = draw_unit(gen);
    const auto it = std::lower_bound(cumulative.begin(), cumulative.end(), u);
    out[i] = it - cumulative.begin();
  }
}

template <typename T>
using Scored = std::pair<T, int64_t>;

template <typename T>
bool ranks_before(const Scored<T>& a, const Scored<T>& b) {
  return (std::isnan(a.first) && !std::isnan(b.first)) || a.first > b.first;
}

// The indices of the k best of `queue`, best first. Which of equal scores wins
// is an accident of these standard algorithms: they are the ones topk calls.
template <typename T>
void take_best(std::vector<Scored<T>>& queue, int64_t k, int64_t* out) {
  const auto first = queue.begin();
  const auto n = static_cast<int64_t>(queue.size());
  if (k == 1) {
    // argmax: the first of the greatest, and nan is greatest.
    auto best = first;
    for (auto it = first; it != queue.end(); ++it) {
      if (ranks_before(*it, *best)) {
        best = it;
      }
    }
    out[0] = best->second;
    return;
  }
  if (k * 64 <= n) {
    std::partial_sort(first, first + k, queue.end(), ranks_before<T>);
  } else {
    std::nth_element(first, first + k - 1, queue.end(), ranks_before<T>);
    std::sort(first, first + k - 1, ranks_before<T>);
  }
  for (int64_t i = 0; i < k; ++i) {
    out[i] = queue[static_cast<size_t>(i)].second;
  }
}

} // namespace

namespace {

template <typename T>
void multinomial(
    Generator& gen,
    const Probs<T>& probs,
    int64_t rows,
    int64_t categories,
    int64_t samples,
    bool replacement,
    int64_t* out) {
  const bool by_sums = replacement && samples > 1;
  for (int64_t r = 0; r < rows; ++r) {
    bool valid = true;
    bool positive = false;
    for (int64_t c = 0; c < categories; ++c) {
      const auto p = probs.at(r, c);
      FL_CHECK(
          !by_sums || p >= 0,
          "invalid multinomial distribution (encountering probability entry < "
          "0)");
      FL_CHECK(
          !by_sums || std::isfinite(p),
          "invalid multinomial distribution (encountering probability entry = "
          "infinity or NaN)");
      valid = valid && p >= 0 && std::isfinite(p);
      positive = positive || p > 0;
    }
    FL_CHECK(
        valid,
        "probability tensor contains either `inf`, `nan` or element < 0");
    FL_CHECK(
        positive,
        "invalid multinomial distribution (sum of probabilities <= 0)");
  }
  const auto width = static_cast<size_t>(categories);
  if (by_sums) {
    std::vector<Compute<T>> cumulative(width);
    for (int64_t r = 0; r < rows; ++r) {
      multinomial_row(gen, probs, r, cumulative, samples, out + r * samples);
    }
    return;
  }
  // The best p / e with e exponential: an exponential race. The e are drawn
  // in the order of memory.
  const bool by_column = rows > 1 && categories > 1 && probs.row_stride > 0 &&
                         probs.row_stride < probs.category_stride;
  const auto outer = by_column ? categories : rows;
  const auto inner = by_column ? rows : categories;
  std::vector<T> scores(static_cast<size_t>(rows) * width);
  each64(gen, outer * inner, [&](int64_t i, uint64_t draw) {
    const int64_t r = by_column ? i % inner : i / inner;
    const int64_t c = by_column ? i / inner : i % inner;
    const T e = convert<T>(-std::log1p(-unit_double(draw)));
    scores[static_cast<size_t>(r * categories + c)] =
        convert<T>(probs.at(r, c) / to_float(e));
  });
  std::vector<Scored<Compute<T>>> queue(width);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < categories; ++c) {
      queue[static_cast<size_t>(c)] = {
          to_float(scores[static_cast<size_t>(r * categories + c)]), c};
    }
    take_best(queue, samples, out + r * samples);
  }
}

} // namespace

void sample_multinomial(
    Generator& gen,
    SampleType type,
    const void* probs,
    int64_t rows,
    int64_t categories,
    int64_t row_stride,
    int64_t category_stride,
    int64_t samples,
    bool replacement,
    int64_t* out) {
  FL_CHECK(
      contains(kFloats, type),
      "multinomial only supports floating-point dtypes for input, got: ",
      scalar_name(type));
  FL_CHECK(samples > 0, "cannot sample n_sample <= 0 samples");
  FL_CHECK(
      replacement || samples <= categories,
      "cannot sample n_sample > prob_dist.size(-1) samples without "
      "replacement");
  FL_CHECK(
      categories <= int64_t{1} << 24,
      "number of categories cannot exceed 2^24");
  dispatch<kFloats>("multinomial", type, [&]<typename T>() {
    const Probs<T> view{
        static_cast<const T*>(probs), row_stride, category_stride};
    multinomial(gen, view, rows, categories, samples, replacement, out);
  });
}

} // namespace flashlight
