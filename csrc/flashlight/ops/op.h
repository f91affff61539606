// A row of the operator table.
//
// Note [One row an op]
// A row is PyTorch's schema, the forward and the derivative, adjacent:
//
//   op("mul.Tensor(Tensor self, Tensor other) -> Tensor")
//       .forms("function method inplace out")
//       .promote()
//       .elementwise()
//       .kernel([](const mx::array& self, const mx::array& other) {
//         return mx::multiply(self, other);
//       })
//       .grad("self", "other",
//             [](const Tensor& grad, const Tensor& other) {
//               return grad * conj(other);
//             })
//       ...
//
// The strings of grad() are: the inputs whose gradient the formula gives, and
// what it needs, in the order of its parameters after `grad`. A node saves just
// that, and only for inputs that need a gradient. Names are those of arguments,
// of named results, `result` / `result0`..., and `needs` (a BoolList: which of
// the inputs are wanted). Formulas take and return Tensor, so they can be
// differentiated again; sums over broadcast dimensions and casts are the
// engine's. A formula for several inputs returns a TensorList.
//
// A row says exactly one thing of its derivative: grad(...), composite (the
// graph of its parts), vjp() (MLX's of the forward, itself differentiable),
// no_derivative() (backward raises) or not_differentiable(). numbers_of(row)
// takes another row's.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "flashlight/autograd/saved_tensor.h"
#include "flashlight/core/complex128.h"
#include "flashlight/ops/schema.h"

namespace flashlight {

class Op;

using Results = mx::SmallVector<Value, 2>;

// A call of a kernel: the arguments, and how tensors become arrays.
struct Call {
  const Op& op;
  const Value* args;
  bool cast = false; // promoted arguments are cast to `common`
  Dtype common = Dtype::Float32;

  // Argument i as an array, cast if the row promotes it.
  mx::array array(size_t i) const;
};

// What a view row computes.
struct ViewSpec {
  Geometry geometry;
  Dtype dtype;
  bool conj = false;
  bool neg = false;
};

using ForwardFn = std::function<Results(const Call&)>;
using ViewFn = std::function<std::vector<ViewSpec>(const Call&)>;
using FormulaFn =
    std::function<TensorList(const TensorList& grads, const Value* saved)>;

// How dtypes of tensor arguments are brought together before the kernel.
// Dtypes: as Common, but tensors without dimensions count as others do.
enum class Promotion : uint8_t { None, Common, Float, Dtypes };

enum class Derivative : uint8_t {
  Unstated,
  Formula,
  Composite,
  Vjp,
  NotDifferentiable,
};

struct Formula {
  std::vector<int> inputs; // argument indices
  // What it needs: >= 0 an argument, < 0 result ~n, kNeeds the mask.
  std::vector<int> saved;
  FormulaFn fn; // null: the gradient is zero
  static constexpr int kNeeds = 1 << 20;
};

// Sets of dtypes, for Row::refuse().
enum Kinds : uint8_t {
  kBools = 1,
  kIntegers = 2,
  kHalves = 4, // float16 and bfloat16
  kFloats = 8, // float32 and float64
  kComplexes = 16,
};
FL_API Kinds kind_of(Dtype dtype);

// Which mixed-precision policy autocast applies to the op.
enum class Autocast : uint8_t { None, Lower, Float32, Promote };

class FL_API Op {
 public:
  explicit Op(std::string_view schema);

  Schema schema;
  std::string python_module; // "", "nn", "linalg", "fft", "special"
  bool function = false;     // torch.name
  bool method = false;       // Tensor.name
  bool inplace = false;      // name_
  bool out = false;          // out=
  // torch.name_ where there is no torch.name.
  bool inplace_function = false;
  // Of a view row: there is name_copy too, not a view, of the same derivative.
  bool copy = false;
  // Every element gets the same value, so that overlapping ones are no
  // conflict.
  bool fills = false;
  // The in-place form has a node name of its own, as views do.
  bool inplace_node = false;
  // Beside a half a Python number is not rounded to a half.
  bool wide_numbers = false;
  bool view = false;
  bool composite = false;
  // In inference mode its parts see conjugates and negatives that are not
  // computed yet, as in PyTorch those of ops do whose results may be views.
  bool keeps_bits = false;
  bool elementwise = false; // results lie as TensorIterator's do
  Promotion promotion = Promotion::None;
  std::vector<bool> promoted; // per argument
  Derivative derivative = Derivative::Unstated;
  std::vector<Formula> formulas;
  Autocast autocast_cpu = Autocast::None;
  Autocast autocast_gpu = Autocast::None;
  // Dtypes that the op is not there for, and PyTorch's name of it in the error.
  uint8_t refused = 0;
  std::string refused_name;
  // Error text where out= is of another dtype than the result (%R and %O are
  // their names, %r and %o their C types); null: values are cast, if they can.
  const char* out_mismatch = nullptr;
  bool out_apart = false; // out= may share no memory with the arguments
  // The row that this one is another name of: all calls are its.
  const Op* target = nullptr;
  // Looks at the arguments as they came, before promotion; raises.
  std::function<void(const Call&)> check;
  ForwardFn forward;
  // The forward where a complex128 tensor comes in or out; null: there is none.
  ForwardFn complex128;
  ViewFn view_fn;
  std::string node_name; // "MulBackward0"
  std::string doc;
  bool multi_output_view = false;
  bool list_result = false; // -> Tensor[]
  // Arguments that are written to, for rows that mutate by themselves.
  bool mutates = false;
  std::vector<int> differentiable; // tensor arguments with a formula

  // Derived in register_op().
  void finish();
  const Op& vjp_op() const; // generic derivative, made on first use

 private:
  mutable std::unique_ptr<Op> vjp_op_;
};

namespace detail {

template <typename T>
struct FromValue;

// Arguments come as: mx::array and optionals and lists of it (kernels), Tensor
// and lists (composites, formulas), numbers, lists, strings...
template <typename T>
decltype(auto) argument(const Call& call, size_t i) {
  using U = std::remove_cvref_t<T>;
  const Value& v = call.args[i];
  if constexpr (std::is_same_v<U, mx::array>) {
    return call.array(i);
  } else if constexpr (std::is_same_v<U, std::optional<mx::array>>) {
    return v.tensor() ? std::optional<mx::array>(call.array(i)) : std::nullopt;
  } else if constexpr (std::is_same_v<U, std::vector<mx::array>>) {
    std::vector<mx::array> arrays;
    for (const Tensor& t : v.as<TensorList>()) {
      arrays.push_back(call.cast ? value_as(t, call.common) : t.value());
    }
    return arrays;
  } else {
    return FromValue<U>::get(v);
  }
}

FL_API const Tensor& undefined_tensor();

template <>
struct FromValue<Tensor> {
  static const Tensor& get(const Value& v) {
    const Tensor* t = v.tensor();
    return t ? *t : undefined_tensor();
  }
};
template <>
struct FromValue<Value> {
  static const Value& get(const Value& v) {
    return v;
  }
};
template <>
struct FromValue<int64_t> {
  static int64_t get(const Value& v) {
    return v.as<int64_t>();
  }
};
template <>
struct FromValue<int> {
  static int get(const Value& v) {
    return static_cast<int>(v.as<int64_t>());
  }
};
template <>
struct FromValue<double> {
  static double get(const Value& v) {
    return v.as<double>();
  }
};
template <>
struct FromValue<bool> {
  static bool get(const Value& v) {
    return v.as<bool>();
  }
};
template <typename T>
struct FromValue<std::optional<T>> {
  static std::optional<T> get(const Value& v) {
    return v.is_none() ? std::nullopt : std::optional<T>(FromValue<T>::get(v));
  }
};
template <typename T>
  requires requires(const Value& v) { v.as<T>(); }
struct FromValue<T> {
  static const T& get(const Value& v) {
    return v.as<T>();
  }
};

// Results come back as one array or Tensor, tuples and lists of them, or a
// plain value.
FL_API Tensor wrap_array(const Call& call, mx::array array);
// ... of pairs, to a complex128 tensor.
FL_API Tensor wrap_pairs(const Call& call, mx::array pairs);

template <typename T>
void append_result(const Call& call, Results& results, T&& r) {
  using U = std::remove_cvref_t<T>;
  if constexpr (std::is_same_v<U, mx::array>) {
    results.emplace_back(wrap_array(call, std::forward<T>(r)));
  } else if constexpr (std::is_same_v<U, std::vector<mx::array>>) {
    TensorList list;
    for (auto& a : r) {
      list.push_back(wrap_array(call, a));
    }
    results.push_back(Value(std::move(list)));
  } else {
    results.emplace_back(std::forward<T>(r));
  }
}

template <typename T>
Results to_results(const Call& call, T&& r) {
  Results results;
  if constexpr (requires { std::tuple_size<std::remove_cvref_t<T>>::value; }) {
    std::apply(
        [&](auto&&... parts) {
          (append_result(call, results, std::move(parts)), ...);
        },
        std::forward<T>(r));
  } else {
    append_result(call, results, std::forward<T>(r));
  }
  return results;
}

template <typename F>
struct Signature : Signature<decltype(&F::operator())> {};
template <typename R, typename... A>
struct Signature<R (*)(A...)> {
  using Result = R;
  using Args = std::tuple<A...>;
};
template <typename C, typename R, typename... A>
struct Signature<R (C::*)(A...) const> : Signature<R (*)(A...)> {};

template <typename F, typename... A, size_t... I>
auto call_with(
    const F& f,
    const Call& call,
    std::tuple<A...>*,
    std::index_sequence<I...>) {
  return f(argument<A>(call, I)...);
}

template <typename F>
constexpr size_t arity() {
  return std::tuple_size_v<typename Signature<F>::Args>;
}

FL_API void check_arity(const Op& op, size_t parameters, const char* what);

template <typename F>
auto bind(F f) {
  using Args = typename Signature<F>::Args;
  return [f](const Call& call) {
    return call_with(
        f,
        call,
        static_cast<Args*>(nullptr),
        std::make_index_sequence<std::tuple_size_v<Args>>());
  };
}

// A formula: (grad, saved...) with grad a Tensor (the first result's) or a
// TensorList (one per result).
template <typename F, typename G, typename... A, size_t... I>
TensorList call_formula(
    const F& f,
    const TensorList& grads,
    const Value* saved,
    std::tuple<G, A...>*,
    std::index_sequence<I...>) {
  auto run = [&](const auto& grad) -> TensorList {
    using R = typename Signature<F>::Result;
    if constexpr (std::is_same_v<R, Tensor>) {
      return {f(grad, FromValue<std::remove_cvref_t<A>>::get(saved[I])...)};
    } else {
      return f(grad, FromValue<std::remove_cvref_t<A>>::get(saved[I])...);
    }
  };
  if constexpr (std::is_same_v<std::remove_cvref_t<G>, TensorList>) {
    return run(grads);
  } else {
    return run(grads[0]);
  }
}

} // namespace detail

// Builds a row; registered when the expression ends.
class FL_API Row {
 public:
  explicit Row(std::string_view schema) : op_(new Op(schema)) {}
  Row(Row&&) = default;
  ~Row() noexcept(false);

  // Words of: function method inplace out inplace_function copy fills
  // inplace_node wide_numbers.
  Row&& forms(std::string_view words) &&;
  Row&& module(std::string_view name) && {
    op_->python_module = name;
    return std::move(*this);
  }
  // Bring tensor (and number) arguments to torch.result_type; all of them, or
  // those named.
  Row&& promote(std::string_view names = "") && {
    return std::move(*this).promotion(Promotion::Common, names);
  }
  // ... and integers to the default float type.
  Row&& promote_float(std::string_view names = "") && {
    return std::move(*this).promotion(Promotion::Float, names);
  }
  // ... to what their dtypes alone promote to, whatever their dimensions.
  Row&& promote_dtypes(std::string_view names = "") && {
    return std::move(*this).promotion(Promotion::Dtypes, names);
  }
  Row&& elementwise() && {
    op_->elementwise = true;
    return std::move(*this);
  }
  // NotImplementedError, "name" not implemented for 'Bool', where the dtype (of
  // promoted arguments, or else of the first) is of these kinds, `kinds` a sum.
  Row&& refuse(int kinds, std::string_view name) && {
    op_->refused = static_cast<uint8_t>(kinds);
    op_->refused_name = name;
    return std::move(*this);
  }
  // out= must be of the result's dtype.
  Row&& exact_out(
      const char* text =
          "Expected out tensor to have dtype %r, but got %o "
          "instead") && {
    op_->out_mismatch = text;
    return std::move(*this);
  }
  Row&& apart_from_out() && {
    op_->out_apart = true;
    return std::move(*this);
  }
  // PyTorch's lists differ: for the CPU, for GPUs.
  Row&& autocast(Autocast cpu, Autocast gpu) && {
    op_->autocast_cpu = cpu;
    op_->autocast_gpu = gpu;
    return std::move(*this);
  }
  Row&& autocast(Autocast policy) && {
    return std::move(*this).autocast(policy, policy);
  }
  Row&& node(std::string_view name) && {
    op_->node_name = name;
    return std::move(*this);
  }
  Row&& doc(std::string_view text) && {
    op_->doc = text;
    return std::move(*this);
  }

  // Raises for arguments that the op does not take, given as they came (the
  // kernel sees them promoted). Takes the first few.
  template <typename F>
  Row&& check(F f) && {
    op_->check = detail::bind(f);
    return std::move(*this);
  }
  // The forward, on arrays or (random, copies...) on Tensors.
  template <typename F>
  Row&& kernel(F f) && {
    set_forward(f, "kernel");
    return std::move(*this);
  }
  // The forward in terms of other ops; its derivative is theirs.
  template <typename F>
  Row&& composite(F f) && {
    set_forward(f, "composite");
    op_->composite = true;
    op_->derivative = Derivative::Composite;
    return std::move(*this);
  }
  Row&& keeps_bits() && {
    op_->keeps_bits = true;
    return std::move(*this);
  }
  // Composite that writes to its arguments, or otherwise is not a pure op.
  template <typename F>
  Row&& mutating(F f) && {
    op_->mutates = true;
    return std::move(*this).composite(f);
  }
  // The forward for complex128 tensors: one of ops/complex128.h.
  Row&& complex128(ForwardFn form) && {
    op_->complex128 = std::move(form);
    return std::move(*this);
  }
  // Geometry of the result(s), from the Tensor and the other arguments.
  template <typename F>
  Row&& view(F f) && {
    detail::check_arity(*op_, detail::arity<F>(), "view");
    op_->view = true;
    op_->view_fn = [f = detail::bind(f)](const Call& call) {
      using R = decltype(f(call));
      if constexpr (std::is_same_v<R, std::vector<ViewSpec>>) {
        return f(call);
      } else {
        return std::vector<ViewSpec>{f(call)};
      }
    };
    return std::move(*this);
  }

  template <typename F>
  Row&& grad(std::string_view inputs, std::string_view saved, F f) && {
    using Args = typename detail::Signature<F>::Args;
    constexpr size_t n = std::tuple_size_v<Args> - 1;
    add_formula(
        inputs, saved, n, [f](const TensorList& grads, const Value* values) {
          return detail::call_formula(
              f,
              grads,
              values,
              static_cast<Args*>(nullptr),
              std::make_index_sequence<n>());
        });
    return std::move(*this);
  }
  // The gradient of these is zero everywhere.
  Row&& zero_grad(std::string_view inputs) && {
    add_formula(inputs, "", 0, nullptr);
    return std::move(*this);
  }
  Row&& vjp() && {
    op_->derivative = Derivative::Vjp;
    return std::move(*this);
  }
  // Results require gradients, and backward raises that there is no formula.
  Row&& no_derivative() &&;
  // All but the node is another row's, which has tensors where there are
  // numbers here; in promotion these count as Python's.
  Row&& numbers_of(std::string_view full_name) &&;
  Row&& not_differentiable() && {
    op_->derivative = Derivative::NotDifferentiable;
    return std::move(*this);
  }

 private:
  Row&& promotion(Promotion kind, std::string_view names) &&;
  void add_formula(
      std::string_view inputs,
      std::string_view saved,
      size_t parameters,
      FormulaFn fn);

  template <typename F>
  void set_forward(F f, const char* what) {
    detail::check_arity(*op_, detail::arity<F>(), what);
    op_->forward = [f = detail::bind(f)](const Call& call) {
      using R = decltype(f(call));
      if constexpr (std::is_void_v<R>) {
        f(call);
        return Results{};
      } else {
        return detail::to_results(call, f(call));
      }
    };
  }

  std::unique_ptr<Op> op_;
};

inline Row op(std::string_view schema) {
  return Row(schema);
}

// Another name of ops that there are: alias_op("greater", "gt") has all
// overloads and forms of gt; with a schema in place of the name, that one row
// alone, in these forms and that module.
FL_API void alias_op(
    std::string_view name,
    std::string_view target,
    std::string_view forms = "",
    std::string_view module = "");

// The table. Filled once, by register_all_ops(); a name twice is an error.
FL_API const std::vector<const Op*>& all_ops();
// nullptr if there is none of that full name ("add.Tensor").
FL_API const Op* find_op(std::string_view full_name);
// Error if there is none.
FL_API const Op& get_op(std::string_view full_name);

} // namespace flashlight
