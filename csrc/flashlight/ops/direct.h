// One MLX node made directly, where MLX's function has nothing to do.
//
// Note [Direct nodes]
// mx::add() casts, broadcasts and then makes the node; of the half microsecond
// that this takes, the node is the smaller part. Where operands agree in shape
// and dtype the node is all there is to make. Primitives without parameters
// have no state, so one serves all nodes: that of a first call of the function.
#pragma once

#include <mlx/array.h>

#include "flashlight/core/runtime.h"

namespace flashlight {

// The primitive of f(number...), f a function of MLX without parameters.
template <typename F, typename... A>
const std::shared_ptr<mx::Primitive>& primitive_of(const F& f, A... numbers) {
  struct Made {
    std::shared_ptr<mx::Primitive> primitive;
    unsigned forks = ~0u; // a primitive names its stream
  };
  static auto* made = new Made; // outlives every static tensor
  if (made->forks != fork_count()) [[unlikely]] {
    enter_stream();
    made->primitive = f(mx::array(numbers)...).primitive_ptr();
    made->forks = fork_count();
  }
  return made->primitive;
}

// f(a, b), of the operands' dtype; each f has its own type (a lambda).
template <typename F>
mx::array binary_node(mx::array a, mx::array b, const F& f) {
  if (a.dtype() != b.dtype() || a.shape() != b.shape()) [[unlikely]] {
    return f(a, b);
  }
  mx::Shape shape = a.shape();
  mx::Dtype dtype = a.dtype();
  std::vector<mx::array> inputs;
  inputs.reserve(2);
  inputs.push_back(std::move(a));
  inputs.push_back(std::move(b));
  return mx::array(
      std::move(shape), dtype, primitive_of(f, 1.0f, 1.0f), std::move(inputs));
}

} // namespace flashlight
