// Reading and writing through views, against the same loop over plain memory.
#include "flashlight/core/geometry.h"

#include <random>
#include <vector>

#include <doctest/doctest.h>
#include <mlx/ops.h>
#include <mlx/transforms.h>

namespace {

using namespace flashlight;

mx::array numbers(int64_t n) {
  return mx::arange(0, static_cast<int>(n), mx::int32);
}

// Calls f(k, element of the storage) for the view's elements in order.
template <typename F>
void walk(const Geometry& g, F&& f) {
  std::vector<int64_t> index(g.sizes.size(), 0);
  for (int64_t k = 0; k < g.numel(); ++k) {
    int64_t at = g.offset;
    for (size_t d = 0; d < index.size(); ++d) {
      at += index[d] * g.strides[d];
    }
    f(k, at);
    for (size_t d = index.size(); d-- > 0;) {
      if (++index[d] < g.sizes[d]) {
        break;
      }
      index[d] = 0;
    }
  }
}

std::vector<int> host(mx::array a) {
  a = mx::contiguous(a);
  mx::eval(a);
  return {a.data<int>(), a.data<int>() + a.size()};
}

void check(const Geometry& g, int64_t n) {
  Layout layout{IntList{n}, IntList{1}};
  std::vector<int> seen = host(read(numbers(n), layout, g));
  REQUIRE(static_cast<int64_t>(seen.size()) == g.numel());
  walk(g, [&](int64_t k, int64_t at) {
    CHECK(seen[static_cast<size_t>(k)] == at);
  });
  if (has_internal_overlap(g)) {
    return;
  }
  std::vector<int> expected = host(numbers(n));
  walk(g, [&](int64_t k, int64_t at) {
    expected[static_cast<size_t>(at)] = static_cast<int>(1000 + k);
  });
  mx::array value = mx::reshape(
      mx::add(numbers(g.numel()), mx::array(1000)), to_shape(g.sizes));
  mx::array after = write_back(numbers(n), layout, g, value);
  CHECK(host(flatten(after, layout)) == expected);
}

} // namespace

TEST_CASE("views read and write what their strides say") {
  check({{3, 4}, {4, 1}, 0}, 12);
  check({{4, 3}, {1, 4}, 0}, 12); // transposed
  check({{2, 2}, {8, 2}, 1}, 16); // steps
  check({{3}, {5}, 0}, 15);       // a diagonal-like stride
  check({{4}, {5}, 0}, 16);       // the diagonal of 4 x 4
  check({{2, 3}, {0, 1}, 2}, 6);  // expanded
  check({{3, 3}, {1, 1}, 0}, 5);  // overlapping windows
  check({{}, {}, 7}, 9);          // one element
  check({{0, 3}, {3, 1}, 0}, 4);  // none
}

TEST_CASE("random views read and write what their strides say") {
  std::mt19937 random(5);
  for (int round = 0; round < 300; ++round) {
    // A view by slicing, stepping and permuting a contiguous block.
    size_t dims = 1 + random() % 4;
    IntList sizes(dims), strides(dims);
    Geometry g;
    int64_t n = 1;
    for (size_t d = dims; d-- > 0;) {
      sizes[d] = 1 + static_cast<int64_t>(random() % 4);
      strides[d] = n;
      n *= sizes[d];
    }
    std::vector<size_t> order(dims);
    for (size_t d = 0; d < dims; ++d) {
      order[d] = d;
    }
    std::shuffle(order.begin(), order.end(), random);
    for (size_t d : order) {
      int64_t start = static_cast<int64_t>(random()) % sizes[d];
      start = start < 0 ? -start : start;
      int64_t step = 1 + static_cast<int64_t>(random() % 2);
      g.offset += start * strides[d];
      g.sizes.push_back((sizes[d] - start + step - 1) / step);
      g.strides.push_back(strides[d] * step);
    }
    check(g, n);
  }
}

TEST_CASE("view keeps strides only where torch.Tensor.view does") {
  CHECK(view_strides({2, 3}, {3, 1}, {6}) == IntList{1});
  CHECK(view_strides({2, 3}, {1, 2}, {6}) == std::nullopt);
  CHECK(view_strides({4, 3}, {6, 2}, {2, 2, 3}) == IntList{12, 6, 2});
}
