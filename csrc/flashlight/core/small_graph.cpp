// See Note [Small graphs].
#include "flashlight/core/small_graph.h"

#include <array>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>

#include <mlx/allocator.h>
#include <mlx/device.h>
#include <mlx/primitives.h>

#include "flashlight/core/host_access.h"

namespace flashlight {

namespace {

using Inputs = std::vector<mx::array>;
// Computes `out`; false where it does not do that dtype.
using Kernel = bool (*)(mx::Primitive&, const Inputs&, mx::array& out);

template <typename T>
T* allocate(mx::array& out) {
  out.set_data(mx::allocator::malloc(out.nbytes()));
  return out.data<T>();
}

// --- reading -----------------------------------------------------------------

// The elements of `a` in row order: `step` is 1, or 0 where all are the same.
template <typename T>
struct Elements {
  const T* data;
  size_t step = 1;

  explicit Elements(const mx::array& a) : data(a.data<T>()) {
    if (a.data_size() == 1 || a.size() == 1) {
      step = 0;
    } else if (!a.flags().row_contiguous) {
      gather(a);
    }
  }
  T operator[](size_t i) const {
    return data[i * step];
  }

 private:
  void gather(const mx::array& a) {
    std::array<int, 8> at{};
    const mx::Shape& shape = a.shape();
    const T* p = data;
    for (size_t i = 0; i < a.size(); ++i) {
      copied_[i] = *p;
      for (size_t d = shape.size(); d-- > 0;) {
        p += a.strides()[d];
        if (++at[d] < shape[d]) {
          break;
        }
        p -= a.strides()[d] * shape[d];
        at[d] = 0;
      }
    }
    data = copied_.data();
  }
  std::array<T, kSmallSize> copied_;
};

// Calls f(T{}) for a dtype that the loops are compiled for.
template <typename F>
bool for_number(mx::Dtype dtype, F&& f) {
  switch (dtype.val()) {
    case mx::Dtype::Val::float32:
      return f(float{});
    case mx::Dtype::Val::float64:
      return f(double{});
    case mx::Dtype::Val::int64:
      return f(int64_t{});
    case mx::Dtype::Val::int32:
      return f(int32_t{});
    default:
      return false;
  }
}

template <typename F>
bool for_real(mx::Dtype dtype, F&& f) {
  return dtype == mx::float32   ? f(float{})
         : dtype == mx::float64 ? f(double{})
                                : false;
}

template <typename F>
bool for_number_or_bool(mx::Dtype dtype, F&& f) {
  return dtype == mx::bool_ ? f(bool{}) : for_number(dtype, f);
}

// --- elementwise -------------------------------------------------------------

template <typename T, typename R, typename F>
bool unary_loop(const Inputs& in, mx::array& out, F f) {
  Elements<T> a(in[0]);
  R* to = allocate<R>(out);
  for (size_t i = 0; i < out.size(); ++i) {
    to[i] = f(a[i]);
  }
  return true;
}

template <typename T, typename R, typename F>
bool binary_loop(const Inputs& in, mx::array& out, F f) {
  Elements<T> a(in[0]), b(in[1]);
  R* to = allocate<R>(out);
  size_t n = out.size();
  // Steps known to the compiler: loops that it makes vectors of.
  if (a.step && b.step) {
    for (size_t i = 0; i < n; ++i) {
      to[i] = f(a.data[i], b.data[i]);
    }
  } else if (a.step) {
    T y = b.data[0];
    for (size_t i = 0; i < n; ++i) {
      to[i] = f(a.data[i], y);
    }
  } else {
    T x = a.data[0];
    for (size_t i = 0; i < n; ++i) {
      to[i] = f(x, b[i]);
    }
  }
  return true;
}

// f(T, T) -> T over all numbers; over floats only.
template <typename F>
bool numbers(mx::Primitive&, const Inputs& in, mx::array& out) {
  return for_number(out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    return binary_loop<T, T>(
        in, out, [](T a, T b) { return static_cast<T>(F{}(a, b)); });
  });
}
template <typename F>
bool reals(mx::Primitive&, const Inputs& in, mx::array& out) {
  return for_real(out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    return binary_loop<T, T>(in, out, F{});
  });
}
template <typename F>
bool compares(mx::Primitive&, const Inputs& in, mx::array& out) {
  return for_number_or_bool(in[0].dtype(), [&](auto zero) {
    using T = decltype(zero);
    return binary_loop<T, bool>(in, out, F{});
  });
}
template <typename F>
bool number(mx::Primitive&, const Inputs& in, mx::array& out) {
  return for_number(out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    return unary_loop<T, T>(
        in, out, [](T a) { return static_cast<T>(F{}(a)); });
  });
}
template <typename F>
bool real(mx::Primitive&, const Inputs& in, mx::array& out) {
  return for_real(out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    return unary_loop<T, T>(in, out, F{});
  });
}

template <typename F>
bool bools(mx::Primitive&, const Inputs& in, mx::array& out) {
  return in[0].dtype() == mx::bool_ && binary_loop<bool, bool>(in, out, F{});
}

// Integers wrap around, as MLX's do.
template <typename T>
using Wrapping = std::conditional_t<
    std::is_integral_v<T>,
    std::make_unsigned<T>,
    std::type_identity<T>>;

#define FL_FUNCTION(Name, ...)  \
  struct Name {                 \
    template <typename T>       \
    auto operator() __VA_ARGS__ \
  };
#define FL_WRAPPING(Name, op)                                        \
  struct Name {                                                      \
    template <typename T>                                            \
    T operator()(T a, T b) const {                                   \
      using U = typename Wrapping<T>::type;                          \
      return static_cast<T>(static_cast<U>(a) op static_cast<U>(b)); \
    }                                                                \
  };

FL_WRAPPING(Plus, +)
FL_WRAPPING(Minus, -)
FL_WRAPPING(Times, *)
FL_FUNCTION(Over, (T a, T b) const { return a / b; })
// NaN where either is, as in MLX.
FL_FUNCTION(Larger, (T a, T b) const { return a != a || a > b ? a : b; })
FL_FUNCTION(Smaller, (T a, T b) const { return a != a || a < b ? a : b; })
FL_FUNCTION(Power, (T a, T b) const { return std::pow(a, b); })
FL_FUNCTION(Same, (T a, T b) const { return a == b; })
FL_FUNCTION(Other, (T a, T b) const { return a != b; })
FL_FUNCTION(Less, (T a, T b) const { return a < b; })
FL_FUNCTION(LessOrSame, (T a, T b) const { return a <= b; })
FL_FUNCTION(More, (T a, T b) const { return a > b; })
FL_FUNCTION(MoreOrSame, (T a, T b) const { return a >= b; })
FL_FUNCTION(Both, (T a, T b) const { return a && b; })
FL_FUNCTION(Either, (T a, T b) const { return a || b; })
FL_FUNCTION(Minus1, (T a) const { return Minus{}(T(0), a); })
FL_FUNCTION(Size, (T a) const { return a < T(0) ? Minus1{}(a) : a; })
FL_FUNCTION(Squared, (T a) const { return Times{}(a, a); })
// -0.0 and NaN keep their sign: by negation, not by subtraction from 0.
FL_FUNCTION(Negated, (T a) const { return -a; })
FL_FUNCTION(RealSize, (T a) const { return std::abs(a); })
FL_FUNCTION(Exp, (T a) const { return std::exp(a); })
FL_FUNCTION(Log, (T a) const { return std::log(a); })
FL_FUNCTION(Log1p, (T a) const { return std::log1p(a); })
FL_FUNCTION(Root, (T a) const { return std::sqrt(a); })
FL_FUNCTION(InverseRoot, (T a) const { return T(1) / std::sqrt(a); })
FL_FUNCTION(Tanh, (T a) const { return std::tanh(a); })
FL_FUNCTION(Sin, (T a) const { return std::sin(a); })
FL_FUNCTION(Cos, (T a) const { return std::cos(a); })
FL_FUNCTION(Floor, (T a) const { return std::floor(a); })
FL_FUNCTION(Ceil, (T a) const { return std::ceil(a); })

#undef FL_FUNCTION
#undef FL_WRAPPING

// One of these two, by whether the dtype has signs of zero.
template <typename Integer, typename Real>
bool integer_or_real(mx::Primitive& p, const Inputs& in, mx::array& out) {
  return real<Real>(p, in, out) || (mx::issubdtype(out.dtype(), mx::integer) &&
                                    number<Integer>(p, in, out));
}

bool logical_not(mx::Primitive&, const Inputs& in, mx::array& out) {
  return in[0].dtype() == mx::bool_ &&
         unary_loop<bool, bool>(in, out, [](bool a) { return !a; });
}

bool choose(mx::Primitive&, const Inputs& in, mx::array& out) {
  return for_number_or_bool(out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    Elements<bool> which(in[0]);
    Elements<T> a(in[1]), b(in[2]);
    T* to = allocate<T>(out);
    for (size_t i = 0; i < out.size(); ++i) {
      to[i] = which[i] ? a[i] : b[i];
    }
    return true;
  });
}

bool cast(mx::Primitive&, const Inputs& in, mx::array& out) {
  return for_number_or_bool(in[0].dtype(), [&](auto from) {
    return for_number_or_bool(out.dtype(), [&](auto to) {
      using From = decltype(from);
      using To = decltype(to);
      return unary_loop<From, To>(
          in, out, [](From a) { return static_cast<To>(a); });
    });
  });
}

// --- the same elements, in another shape -------------------------------------

bool copied(mx::Primitive&, const Inputs& in, mx::array& out) {
  auto as = [&](auto zero) {
    using T = decltype(zero);
    return unary_loop<T, T>(in, out, [](T a) { return a; });
  };
  switch (out.itemsize()) { // whatever they are
    case 1:
      return as(uint8_t{});
    case 2:
      return as(uint16_t{});
    case 4:
      return as(uint32_t{});
    default:
      return as(uint64_t{});
  }
}

// MLX's own way: no element is touched, strides are computed.
bool viewed(mx::Primitive& p, const Inputs& in, mx::array& out) {
  std::vector<mx::array> outs{out};
  p.eval_cpu(in, outs);
  return true;
}

bool reshaped(mx::Primitive& p, const Inputs& in, mx::array& out) {
  return in[0].flags().row_contiguous ? viewed(p, in, out) : copied(p, in, out);
}

struct Known {
  Kernel kernel;
  size_t most = kSmallSize; // elements
};

const std::unordered_map<std::string_view, Known>& kernels() {
  constexpr size_t kCopy = kSmallCopySize;
  constexpr size_t kAny = std::numeric_limits<size_t>::max();
  static const auto* table = new std::unordered_map<std::string_view, Known>{
      {"Add", {numbers<Plus>, kCopy}},
      {"Subtract", {numbers<Minus>, kCopy}},
      {"Multiply", {numbers<Times>, kCopy}},
      {"Divide", {reals<Over>, kCopy}},
      {"Maximum", {numbers<Larger>, kCopy}},
      {"Minimum", {numbers<Smaller>, kCopy}},
      {"Power", {reals<Power>}},
      {"Equal", {compares<Same>, kCopy}},
      {"NotEqual", {compares<Other>, kCopy}},
      {"Less", {compares<Less>, kCopy}},
      {"LessEqual", {compares<LessOrSame>, kCopy}},
      {"Greater", {compares<More>, kCopy}},
      {"GreaterEqual", {compares<MoreOrSame>, kCopy}},
      {"LogicalAnd", {bools<Both>, kCopy}},
      {"LogicalOr", {bools<Either>, kCopy}},
      {"LogicalNot", {logical_not, kCopy}},
      {"Negative", {integer_or_real<Minus1, Negated>, kCopy}},
      {"Abs", {integer_or_real<Size, RealSize>, kCopy}},
      {"Square", {number<Squared>, kCopy}},
      {"Exp", {real<Exp>}},
      {"Log", {real<Log>}},
      {"Log1p", {real<Log1p>}},
      {"Sqrt", {real<Root>}},
      {"Rsqrt", {real<InverseRoot>}},
      {"Tanh", {real<Tanh>}},
      {"Sin", {real<Sin>}},
      {"Cos", {real<Cos>}},
      {"Floor", {real<Floor>}},
      {"Ceil", {real<Ceil>}},
      {"Select", {choose, kCopy}},
      {"AsType", {cast, kCopy}},
      {"Full", {copied, kCopy}},
      {"Contiguous", {copied, kCopy}},
      {"Slice", {viewed, kAny}},
      {"Broadcast", {viewed, kAny}},
      {"ExpandDims", {viewed, kAny}},
      {"Squeeze", {viewed, kAny}},
      {"Transpose", {viewed, kAny}},
      {"Flatten", {reshaped, kCopy}},
      {"Unflatten", {reshaped, kCopy}},
      {"Reshape", {reshaped, kCopy}},
  };
  return *table;
}

// --- the walk ----------------------------------------------------------------

// Computes `a`, whose inputs are there, if it is small and known. A slice holds
// its input's buffer, so it is made only where it is used at once.
bool compute(mx::array& a, bool wholly) {
  if (a.size() == 0 || a.ndim() > 8 || !a.siblings().empty() || a.is_tracer()) {
    return false;
  }
  mx::Primitive& primitive = a.primitive();
  if (primitive.device() != mx::Device::cpu) {
    return false;
  }
  auto kernel = kernels().find(primitive.name());
  if (kernel == kernels().end()) {
    return false;
  }
  auto [compute, most] = kernel->second;
  if (a.size() > most || (!wholly && kernel->first == "Slice")) {
    return false;
  }
  for (const mx::array& in : a.inputs()) {
    bool rows = in.flags().row_contiguous || in.data_size() == 1;
    if (in.size() == 0 || in.size() > most || in.ndim() > 8 ||
        (compute != viewed && !rows && in.size() > kSmallSize)) {
      return false;
    }
  }
  if (!compute(primitive, a.inputs(), a)) {
    return false;
  }
  a.set_status(mx::array::Status::available);
  a.detach();
  return true;
}

} // namespace

bool kernels_enabled() {
  static const char* setting = std::getenv("FLASHLIGHT_KERNELS");
  static const bool wanted = !setting || std::string_view(setting) != "0";
  return wanted && mx::default_device() == mx::Device::cpu;
}

namespace {

struct Frame {
  mx::array* array;
  size_t next = 0;   // the input to look at
  bool ready = true; // all inputs so far are there
};

// Computes what is small of the graph of `top`; what is not joins `left`, or
// ends the walk where there is no `left`.
void walk(mx::array top, std::unordered_set<uintptr_t>* left) {
  auto wants = [&](const mx::array& a) {
    return a.status() == mx::array::Status::unscheduled &&
           (!left || left->count(a.id()) == 0);
  };
  if (!wants(top)) {
    return;
  }
  std::vector<Frame> stack{{&top}};
  while (!stack.empty()) {
    Frame& f = stack.back();
    auto& inputs = f.array->inputs();
    if (f.next < inputs.size()) {
      mx::array& in = inputs[f.next];
      if (wants(in)) {
        stack.push_back({&in}); // looked at again when it is done
        continue;
      }
      f.ready = f.ready && is_there(in);
      ++f.next;
      if (f.ready || left) {
        continue;
      }
    }
    if (!f.ready || !f.array->has_primitive() || !compute(*f.array, !left)) {
      if (!left) {
        return;
      }
      left->insert(f.array->id());
    }
    stack.pop_back();
  }
}

} // namespace

void eval_small(const std::vector<mx::array>& arrays) {
  if (!kernels_enabled()) {
    return;
  }
  std::unordered_set<uintptr_t> left; // for MLX
  for (const mx::array& root : arrays) {
    walk(root, &left);
  }
}

void eval_wholly_small(const mx::array& array) {
  if (kernels_enabled()) {
    walk(array, nullptr);
  }
}

} // namespace flashlight
