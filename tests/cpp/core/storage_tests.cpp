// What a storage lets go of when it ends.
#include "flashlight/core/storage.h"

#include <doctest/doctest.h>
#include <mlx/ops.h>
#include <mlx/transforms.h>

#include "flashlight/core/tensor.h"

namespace {

using namespace flashlight;

TEST_CASE("a node outlives its storage where somebody holds it") {
  mx::array a = mx::add(mx::ones({3}), mx::array(1.0f));
  Tensor sum(mx::add(a, a));
  mx::array kept = sum.value();
  mx::array reader = mx::multiply(sum.value(), mx::array(2.0f));
  sum = Tensor();
  CHECK(kept.inputs().size() == 2);
  mx::eval(reader);
  CHECK(mx::array_equal(reader, mx::full({3}, 8.0f)).item<bool>());
  CHECK(mx::array_equal(kept, mx::full({3}, 4.0f)).item<bool>());
}

TEST_CASE("a node that nobody holds lets go of its inputs") {
  mx::array a = mx::ones({3});
  mx::eval(a);
  REQUIRE(a.is_donatable());
  Tensor sum(mx::add(a, a));
  CHECK(!a.is_donatable()); // the node holds it
  sum = Tensor();
  CHECK(a.is_donatable());
}

TEST_CASE("results of one node are apart") {
  mx::array a = mx::arange(6.0f);
  std::vector<mx::array> halves = mx::split(a, 2);
  Tensor first(halves[0]);
  Tensor second(halves[1]);
  halves.clear();
  first = Tensor();
  CHECK(
      mx::array_equal(second.value(), mx::array({3.0f, 4.0f, 5.0f}))
          .item<bool>());
}

} // namespace
