// Reads and writes at once give what the recorded ones do.
#include "flashlight/core/host_access.h"

#include <cstring>
#include <random>
#include <vector>

#include <doctest/doctest.h>
#include <mlx/allocator.h>
#include <mlx/ops.h>
#include <mlx/transforms.h>

#include "flashlight/core/small_graph.h"

namespace {

using namespace flashlight;

const std::vector<mx::Dtype> kTypes = {
    mx::bool_,
    mx::uint8,
    mx::int8,
    mx::uint16,
    mx::int16,
    mx::float16,
    mx::bfloat16,
    mx::uint32,
    mx::int32,
    mx::float32,
    mx::uint64,
    mx::int64,
    mx::float64,
    mx::complex64};

std::vector<char> bytes(mx::array a) {
  a = mx::contiguous(a);
  mx::eval(a);
  return {a.data<char>(), a.data<char>() + a.nbytes()};
}

mx::array rows(const mx::array& a) {
  std::vector<char> all = bytes(a);
  mx::allocator::Data memory = mx::allocator::malloc(all.size());
  std::memcpy(memory.buffer().raw_ptr(), all.data(), all.size());
  return mx::array(std::move(memory), a.shape(), a.dtype());
}

class Random {
 public:
  explicit Random(uint32_t seed) : engine_(seed) {}
  int64_t below(int64_t n) {
    return static_cast<int64_t>(engine_() % static_cast<uint32_t>(n));
  }
  IntList sizes(size_t dims, int64_t most) {
    IntList sizes(dims);
    for (int64_t& n : sizes) {
      n = 1 + below(most);
    }
    return sizes;
  }
  std::vector<size_t> order(size_t n) {
    std::vector<size_t> order(n);
    for (size_t i = 0; i < n; ++i) {
      order[i] = i;
    }
    std::shuffle(order.begin(), order.end(), engine_);
    return order;
  }
  // Random bits of this dtype, computed and held by nobody else.
  mx::array array(const IntList& sizes, mx::Dtype dtype) {
    size_t n = static_cast<size_t>(product(sizes)) * mx::size_of(dtype);
    mx::allocator::Data memory = mx::allocator::malloc(n);
    auto* p = static_cast<char*>(memory.buffer().raw_ptr());
    for (size_t i = 0; i < n; ++i) {
      p[i] = static_cast<char>(engine_() % (dtype == mx::bool_ ? 2 : 256));
    }
    return mx::array(std::move(memory), to_shape(sizes), dtype);
  }

 private:
  std::mt19937 engine_;
};

// An array and how it lies in its storage: row by row, or with its axes in
// another order there, or in memory.
struct Stored {
  mx::array array;
  Layout layout;
};

Stored stored(Random& random, mx::Dtype dtype) {
  size_t dims = static_cast<size_t>(1 + random.below(4));
  IntList sizes = random.sizes(dims, 4);
  IntList rows = contiguous_strides(sizes);
  auto order = random.order(dims);
  Layout layout;
  std::vector<int> axes;
  for (size_t d : order) {
    layout.sizes.push_back(sizes[d]);
    layout.strides.push_back(rows[d]);
    axes.push_back(static_cast<int>(d));
  }
  switch (random.below(3)) {
    case 0: // as the storage does
      return {random.array(sizes, dtype), {sizes, rows}};
    case 1: // the array row by row
      return {random.array(layout.sizes, dtype), std::move(layout)};
    default: { // the storage's order in memory, seen through a transpose
      mx::array a = mx::transpose(random.array(sizes, dtype), axes);
      mx::eval(a);
      return {std::move(a), std::move(layout)};
    }
  }
}

// A window by slicing, stepping, permuting and expanding, or by any strides.
Geometry window(Random& random, const Layout& layout, bool expand) {
  Geometry g;
  int64_t n = product(layout.sizes);
  if (random.below(4) == 0) {
    g.sizes = random.sizes(static_cast<size_t>(random.below(3)), 3);
    g.offset = random.below(n);
    int64_t room = n - 1 - g.offset;
    for (int64_t size : g.sizes) {
      int64_t stride = size > 1 ? random.below(1 + room / (size - 1)) : 1;
      room -= (size - 1) * stride;
      g.strides.push_back(stride);
    }
    return g;
  }
  for (size_t d : random.order(layout.sizes.size())) {
    int64_t start = random.below(layout.sizes[d]), step = 1 + random.below(2);
    g.offset += start * layout.strides[d];
    if (random.below(3) == 0) {
      continue; // selected
    }
    g.sizes.push_back((layout.sizes[d] - start + step - 1) / step);
    g.strides.push_back(layout.strides[d] * step);
    if (expand && random.below(4) == 0) {
      g.sizes.push_back(1 + random.below(2));
      g.strides.push_back(0);
    }
  }
  return g;
}

} // namespace

TEST_CASE("what is read at once is what is read") {
  if (!kernels_enabled()) {
    return;
  }
  Random random(1);
  int done = 0;
  for (int round = 0; round < 3000; ++round) {
    Stored s = stored(random, kTypes[static_cast<size_t>(round) % 14]);
    Geometry g = window(random, s.layout, true);
    auto value = read_at_once(s.array, s.layout, g);
    if (!value) {
      continue;
    }
    ++done;
    REQUIRE(value->dtype() == s.array.dtype());
    REQUIRE(value->shape() == to_shape(g.sizes));
    REQUIRE(value->data_shared_ptr() != s.array.data_shared_ptr());
    CHECK(bytes(*value) == bytes(read(s.array, s.layout, g)));
  }
  CHECK(done > 2000);
}

TEST_CASE("what is written at once is what is written") {
  if (!kernels_enabled()) {
    return;
  }
  Random random(2);
  int done = 0;
  for (int round = 0; round < 3000; ++round) {
    mx::Dtype dtype = kTypes[static_cast<size_t>(round) % 14];
    Stored s = stored(random, dtype);
    Geometry g = window(random, s.layout, false);
    mx::array value = random.array(g.sizes, dtype);
    if (random.below(3) == 0) { // the same everywhere
      value = mx::broadcast_to(random.array({}, dtype), to_shape(g.sizes));
      mx::eval(value);
    }
    Layout layout = s.layout;
    mx::array copy = rows(s.array); // with a buffer of its own
    mx::array after = write_back(copy, layout, g, value);
    std::vector<char> expected = bytes(flatten(after, layout));
    std::vector<char> before = bytes(flatten(s.array, s.layout));
    const void* buffer = s.array.data<char>();
    bool wrote = write_at_once(s.array, s.layout, g, value);
    done += wrote;
    CHECK(s.array.data<char>() == buffer);
    CHECK(bytes(flatten(s.array, s.layout)) == (wrote ? expected : before));
  }
  CHECK(done > 1800);
}

TEST_CASE("a buffer that something else holds is not written to") {
  mx::array a = mx::array({1.f, 2.f, 3.f, 4.f});
  Layout layout{{4}, {1}};
  Geometry g{{2}, {1}, 1};
  mx::array value = mx::array({7.f, 8.f});
  auto writes = [&] { return write_at_once(a, layout, g, value); };
  CHECK(writes() == kernels_enabled());
  {
    mx::array other = a;
    CHECK(!writes());
  }
  {
    mx::array reader = mx::slice(a, {0}, {2}); // recorded
    CHECK(!writes());
    mx::eval(reader); // shares the buffer
    CHECK(!writes());
  }
  CHECK(writes() == kernels_enabled());
  mx::array part = mx::slice(a, {0}, {2});
  mx::eval(part);
  value = part; // of the buffer itself
  CHECK(!writes());
}

TEST_CASE("what is not computed is neither read nor written to at once") {
  mx::array a = mx::add(mx::zeros({2000}), mx::array(1.f));
  Layout layout{{2000}, {1}};
  Geometry g{{2}, {1}, 1};
  mx::array value = mx::array({7.f, 8.f});
  CHECK(!read_at_once(a, layout, g));
  CHECK(!write_at_once(a, layout, g, value));
  mx::eval(a);
  mx::array slow = mx::sum(mx::zeros({100, 2}), 0); // not small work
  CHECK(!write_at_once(a, layout, g, slow));
  CHECK(slow.status() == mx::array::Status::unscheduled);
  mx::array quick = mx::add(value, mx::array(1.f));
  CHECK(write_at_once(a, layout, g, quick) == kernels_enabled());
}

TEST_CASE("a window that has left its storage is refused") {
  mx::array a = mx::array({1.f, 2.f, 3.f});
  Layout layout{{3}, {1}};
  CHECK(!read_at_once(a, layout, {{2}, {1}, 2}));
  CHECK(!write_at_once(a, layout, {{2}, {1}, 2}, mx::array({1.f, 2.f})));
}
