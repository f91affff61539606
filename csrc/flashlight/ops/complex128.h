// What rows' complex128 forms are made of: .complex128(each(...)) and the like.
// See Note [Complex128].
#pragma once

#include <complex>

#include "flashlight/kernels/host.h"
#include "flashlight/ops/op.h"

namespace flashlight {

using Z = std::complex<double>;

// The kernel itself: it works on tensors and asks for no arrays of theirs.
FL_API ForwardFn itself();
// The op on real and imaginary parts alike: those that move elements, and sums.
// Numbers among the arguments are split too, but for factors of that name,
// which must be real.
FL_API ForwardFn parts(std::string_view factor = "");
// The product of its first two tensors that the op is, of each part with each.
FL_API ForwardFn products();

// A form that takes no tensors of other dtypes beside: the row says so.
FL_API ForwardFn same_dtypes(ForwardFn form);

// In terms of other ops; takes and returns Tensors, as a composite.
template <typename F>
ForwardFn formula(F f) {
  return [f = detail::bind(f)](const Call& call) {
    return detail::to_results(call, f(call));
  };
}

namespace detail {

template <typename Args, size_t... I>
constexpr size_t count_z(std::index_sequence<I...>) {
  return (
      size_t{std::is_same_v<
          Z,
          std::remove_cvref_t<std::tuple_element_t<I, Args>>>} +
      ... + 0);
}

template <typename F, size_t... I, size_t... J>
Results run_each(
    const F& f,
    const Call& call,
    std::index_sequence<I...>,
    std::index_sequence<J...>) {
  using Args = typename Signature<F>::Args;
  using R = typename Signature<F>::Result;
  constexpr size_t n = sizeof...(I);
  auto in = mx::broadcast_arrays(
      std::vector<mx::array>{pairs_of(*call.args[I].tensor())...},
      mx::Device::cpu);
  mx::Shape shape = in[0].shape();
  if (!std::is_same_v<R, Z>) {
    shape.pop_back();
  }
  std::tuple<std::remove_cvref_t<std::tuple_element_t<n + J, Args>>...> rest(
      argument<std::tuple_element_t<n + J, Args>>(call, n + J)...);
  auto loop = [f, rest](
                  const std::vector<mx::array>& arrays,
                  std::vector<mx::array>& out) {
    const Z* from[] = {reinterpret_cast<const Z*>(arrays[I].data<double>())...};
    R* to = reinterpret_cast<R*>(out[0].data<char>());
    for (size_t k = 0; k < arrays[0].size() / 2; ++k) {
      to[k] = f(from[I][k]..., std::get<J>(rest)...);
    }
  };
  mx::array out = host_op(
      call.op.schema.name,
      in,
      {{shape, std::is_same_v<R, bool> ? mx::bool_ : mx::float64}},
      loop)[0];
  Results results;
  results.push_back(Value(
      std::is_same_v<R, Z> ? wrap_pairs(call, std::move(out))
                           : wrap_array(call, std::move(out))));
  return results;
}

} // namespace detail

// The kernel f where any_value() is all that it asks its tensors for: what it
// gives are pairs then too.
template <typename F>
ForwardFn of_pairs(F f) {
  return [f = detail::bind(f)](const Call& call) {
    Results results;
    results.push_back(Value(detail::wrap_pairs(call, f(call))));
    return results;
  };
}

// f of each element (of the tensors broadcast): Z f(Z...), double f(Z...) or
// bool f(Z...), one Z for each of the leading tensors, then the other
// arguments.
template <typename F>
ForwardFn each(F f) {
  using Args = typename detail::Signature<F>::Args;
  constexpr size_t all = std::tuple_size_v<Args>;
  constexpr size_t n = detail::count_z<Args>(std::make_index_sequence<all>());
  return [f](const Call& call) {
    detail::check_arity(call.op, all, "complex128 form");
    return detail::run_each(
        f,
        call,
        std::make_index_sequence<n>(),
        std::make_index_sequence<all - n>());
  };
}

// Products and quotients as PyTorch has them: no infinity is made of NaN.
inline Z times(Z a, Z b) {
  return {
      a.real() * b.real() - a.imag() * b.imag(),
      a.real() * b.imag() + a.imag() * b.real()};
}
FL_API Z over(Z a, Z b);

} // namespace flashlight
