// The door that every op call passes, and the table behind it.
//
// Note [One door]
// call() is the only way to run an op, from Python, C++ and derivatives alike.
// Its layers, in order: autocast, autograd, kernel. In-place and out= forms are
// made of the same parts, for all ops at once. (Python's __torch_function__ and
// modes come before it, in the binding: they see Python arguments.)
#pragma once

#include "flashlight/ops/op.h"

namespace flashlight {

// Fills the table; does nothing the second time.
FL_API void register_all_ops();
// Rows of the aliases, once all that they name is there.
void register_aliases();

// `args`: one Value per argument of the schema.
FL_API Results call(const Op& op, Value* args);
// The in-place form: writes the result to args[0], which it returns.
FL_API Tensor call_inplace(const Op& op, Value* args);
// The out= form: writes the results to `outs` (one per result).
FL_API void call_out(const Op& op, Value* args, TensorList& outs);

// The last layer alone: promotes dtypes and runs the forward.
FL_API Results run_kernel(const Op& op, const Value* args);

// Sees each row that passes the door (coverage of tests, profilers); nullptr
// for none. Called without locks, from any thread.
using OpObserver = void (*)(const Op&);
FL_API void set_op_observer(OpObserver observer);

// torch.result_type over tensors and numbers; wrapped numbers are weak.
FL_API Dtype result_type(const std::vector<const Value*>& operands);

// Typed call by name from C++: invoke<Tensor>(op, args...).
namespace detail {

template <typename T>
T take_result(Results& results, size_t i) {
  if constexpr (std::is_same_v<T, Value>) {
    return std::move(results[i]);
  } else {
    return std::move(results[i].as<T>());
  }
}

template <typename R>
struct Unpack {
  static R from(Results results) {
    return take_result<R>(results, 0);
  }
};
template <typename... T>
struct Unpack<std::tuple<T...>> {
  static std::tuple<T...> from(Results results) {
    return from(results, std::index_sequence_for<T...>());
  }
  template <size_t... I>
  static std::tuple<T...> from(Results& results, std::index_sequence<I...>) {
    return {take_result<T>(results, I)...};
  }
};

} // namespace detail

template <typename R, typename... A>
R invoke(const Op& op, A&&... a) {
  Value args[sizeof...(A) + 1] = {Value(std::forward<A>(a))..., Value()};
  return detail::Unpack<R>::from(call(op, args));
}

} // namespace flashlight
