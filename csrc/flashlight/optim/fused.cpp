#include "flashlight/optim/fused.h"

#include <unordered_set>

#include <mlx/allocator.h>

#include "flashlight/core/error.h"
#include "flashlight/core/pending.h"
#include "flashlight/kernels/host.h"
#include "flashlight/kernels/update.h"

namespace flashlight {

namespace {

void check_dtype(const Tensor& t, Dtype want) {
  FL_CHECK(
      t.dtype() == want,
      "expected scalar type ",
      scalar_name(want),
      " but found ",
      scalar_name(t.dtype()));
}

void check_number(const Tensor& t) {
  FL_CHECK(
      t.numel() == 1,
      "a Tensor with ",
      t.numel(),
      " elements cannot be converted to Scalar");
}

void expect(bool condition, const char* name, const char* what) {
  FL_CHECK(
      condition,
      "Expected ",
      name,
      what,
      " to be true, but got false.  (Could this error message be improved?  If "
      "so, please report an enhancement request to PyTorch.)");
}

void check_list(const TensorList& list, const char* name, size_t n) {
  expect(list.size() == n, name, ".size() == n_tensors");
}

// Of a list that goes with the parameters, element by element.
void check_like(const TensorList& list, const char* name, const FusedStep& s) {
  check_list(list, name, s.params.size());
  for (size_t i = 0; i < list.size(); ++i) {
    check_dtype(list[i], s.params[i].dtype());
    FL_CHECK(
        list[i].sizes() == s.params[i].sizes(),
        s.kernel,
        ": ",
        name,
        "[",
        i,
        "] has shape ",
        list[i].sizes(),
        ", its parameter ",
        s.params[i].sizes());
  }
}

void check_writable(const TensorList& list) {
  for (const Tensor& t : list) {
    FL_CHECK(
        !has_internal_overlap(t.geometry()),
        "unsupported operation: more than one element of the written-to tensor "
        "refers to a single memory location. Please clone() the tensor before "
        "performing the operation.");
  }
}

void check(const FusedStep& s) {
  FL_CHECK_AS(
      NotImplementedError,
      !s.params.empty(),
      "There were no tensor arguments to this function (e.g., you passed an "
      "empty list of Tensors): ",
      s.kernel,
      " requires a non-empty list of Tensors");
  check_list(s.grads, "grads", s.params.size());
  for (const FusedState& state : s.states) {
    check_list(state.tensors, state.name, s.params.size());
  }
  for (const Tensor& p : s.params) {
    FL_CHECK_AS(
        NotImplementedError,
        p.is_floating_point(),
        '"',
        s.kernel,
        "\" not implemented for '",
        scalar_name(p.dtype()),
        "'");
  }
  check_like(s.grads, "grads", s);
  check_writable(s.params);
  for (const FusedState& state : s.states) {
    check_like(state.tensors, state.name, s);
    check_writable(state.tensors);
  }
  if (s.counts) {
    check_list(*s.counts, "state_steps", s.params.size());
    for (const Tensor& count : *s.counts) {
      check_number(count);
    }
  }
  if (s.rate.tensor.defined()) {
    check_number(s.rate.tensor);
  }
  for (const Tensor& t : {s.grad_scale, s.found_inf}) {
    if (t.defined()) {
      check_dtype(t, Dtype::Float32);
      check_number(t);
    }
  }
  if (s.grad_scale.defined()) {
    check_writable(s.grads);
  }
}

// What is written: the parameters, each state, the gradients if they are
// scaled.
std::vector<const TensorList*> written(const FusedStep& s) {
  std::vector<const TensorList*> lists{&s.params};
  for (const FusedState& state : s.states) {
    lists.push_back(&state.tensors);
  }
  if (s.grad_scale.defined()) {
    lists.push_back(&s.grads);
  }
  return lists;
}

bool is_half(mx::Dtype d) {
  return d == mx::float16 || d == mx::bfloat16;
}

// A float in memory, or a double.
mx::array readable(const Tensor& t) {
  mx::array a = t.value();
  return a.dtype() == mx::float64 ? a : mx::astype(a, mx::float32);
}

double number_in(const mx::array& a) {
  return a.dtype() == mx::float64 ? *a.data<double>()
                                  : double{*a.data<float>()};
}

template <typename From, typename To>
void convert(const mx::array& from, mx::array& to) {
  const From* in = from.data<From>();
  To* out = to.data<To>();
  for (size_t i = 0; i < from.size(); ++i) {
    out[i] = static_cast<To>(in[i]);
  }
}

template <typename T, typename F>
void scale_and_run(
    LoopStep<T>& step,
    const mx::array* scale,
    T* grad,
    const F& loop) {
  if (scale) {
    T by = static_cast<T>(number_in(*scale));
    for (int64_t i = 0; i < step.n; ++i) {
      grad[i] /= by;
    }
  }
  loop(step);
}

// The arrays of the update, by what they are.
struct Indices {
  size_t n, states;
  bool counts, rate, scale, inf;

  size_t read_grads() const {
    return scale ? 0 : n;
  }
  size_t count(size_t i) const {
    return read_grads() + i;
  }
  size_t rate_at() const {
    return read_grads() + (counts ? n : 0);
  }
  size_t scale_at() const {
    return rate_at() + (rate ? 1 : 0);
  }
  size_t inf_at() const {
    return scale_at() + (scale ? 1 : 0);
  }
};

template <typename T, typename F>
void run_one(
    std::vector<mx::array*> arrays, // parameter, states, gradient
    const mx::array* scale,
    double rate,
    double count,
    const F& loop) {
  LoopStep<T> step{};
  step.param = arrays[0]->data<T>();
  for (size_t k = 0; k + 2 < arrays.size(); ++k) {
    step.states[k] = arrays[k + 1]->data<T>();
  }
  T* grad = arrays.back()->data<T>();
  step.grad = grad;
  step.n = static_cast<int64_t>(arrays[0]->size());
  step.rate = rate;
  step.count = count;
  scale_and_run(step, scale, grad, loop);
}

// In float32, and rounded at the end.
template <typename Half, typename F>
void run_half(
    const std::vector<mx::array*>& arrays,
    const mx::array* scale,
    double rate,
    double count,
    const F& loop) {
  std::vector<mx::array> wide;
  for (const mx::array* a : arrays) {
    wide.emplace_back(
        a->shape(), mx::float32, nullptr, std::vector<mx::array>{});
    wide.back().set_data(mx::allocator::malloc(wide.back().nbytes()));
    convert<Half, float>(*a, wide.back());
  }
  std::vector<mx::array*> pointers;
  for (mx::array& a : wide) {
    pointers.push_back(&a);
  }
  run_one<float>(pointers, scale, rate, count, loop);
  for (size_t k = 0; k + (scale ? 0 : 1) < arrays.size(); ++k) {
    convert<float, Half>(wide[k], *arrays[k]);
  }
}

void run_loops(const FusedStep& s, const detail::Loops& loops) {
  std::vector<mx::array> targets, reads;
  for (const TensorList* list : written(s)) {
    for (const Tensor& t : *list) {
      targets.push_back(t.value());
    }
  }
  Indices at{
      s.params.size(),
      s.states.size(),
      s.counts != nullptr,
      s.rate.tensor.defined(),
      s.grad_scale.defined(),
      s.found_inf.defined()};
  if (!at.scale) {
    for (const Tensor& g : s.grads) {
      reads.push_back(g.value());
    }
  }
  if (s.counts) {
    for (const Tensor& count : *s.counts) {
      reads.push_back(readable(count));
    }
  }
  for (const Tensor& t : {s.rate.tensor, s.grad_scale, s.found_inf}) {
    if (t.defined()) {
      reads.push_back(readable(t));
    }
  }
  auto update = [at, loops, rate = s.rate.number](
                    std::vector<mx::array>& out,
                    const std::vector<mx::array>& in) {
    if (at.inf && number_in(in[at.inf_at()]) == 1) {
      return;
    }
    const mx::array* scale = at.scale ? &in[at.scale_at()] : nullptr;
    double lr = at.rate ? number_in(in[at.rate_at()]) : rate;
    for (size_t i = 0; i < at.n; ++i) {
      std::vector<mx::array*> arrays;
      for (size_t k = 0; k <= at.states; ++k) {
        arrays.push_back(&out[k * at.n + i]);
      }
      // Only written to where it is scaled, and then it is a target.
      mx::array grad = at.scale ? out[(at.states + 1) * at.n + i] : in[i];
      arrays.push_back(&grad);
      double count = at.counts ? number_in(in[at.count(i)]) : 0;
      mx::Dtype dtype = out[i].dtype();
      if (dtype == mx::float64) {
        run_one<double>(arrays, scale, lr, count, loops.wide);
      } else if (dtype == mx::float32) {
        run_one<float>(arrays, scale, lr, count, loops.narrow);
      } else if (dtype == mx::float16) {
        run_half<mx::float16_t>(arrays, scale, lr, count, loops.narrow);
      } else {
        run_half<mx::bfloat16_t>(arrays, scale, lr, count, loops.narrow);
      }
    }
  };
  std::vector<mx::array> values = host_update(s.kernel, targets, reads, update);
  targets.clear();
  size_t k = 0;
  for (const TensorList* list : written(s)) {
    for (const Tensor& t : *list) {
      t.set_value(values[k++]);
    }
  }
}

void run_plain(const FusedStep& s, const PlainFn& plain) {
  auto number = [](const Tensor& t, mx::Dtype dtype) {
    return mx::reshape(mx::astype(t.value(), dtype), {});
  };
  for (size_t i = 0; i < s.params.size(); ++i) {
    mx::Dtype dtype = to_mlx(s.params[i].dtype());
    mx::Dtype wide = is_half(dtype) ? mx::float32 : dtype;
    auto value = [&](const TensorList& list) {
      return mx::astype(list[i].value(), wide);
    };
    mx::array none(0.0, wide);
    PlainStep step{
        value(s.params),
        value(s.grads),
        {},
        s.rate.tensor.defined() ? number(s.rate.tensor, wide)
                                : mx::array(s.rate.number, wide),
        s.counts ? number((*s.counts)[i], wide) : none};
    for (const FusedState& state : s.states) {
      step.states.push_back(value(state.tensors));
    }
    if (s.grad_scale.defined()) {
      step.grad = mx::divide(step.grad, number(s.grad_scale, wide));
    }
    mx::array scaled = step.grad;
    plain(step);
    auto write = [&](const Tensor& t, mx::array x) {
      x = mx::astype(x, dtype);
      if (s.found_inf.defined()) {
        x = mx::where(
            mx::equal(number(s.found_inf, mx::float32), mx::array(1.0f)),
            t.value(),
            x);
      }
      t.set_value(x);
    };
    write(s.params[i], step.param);
    for (size_t k = 0; k < s.states.size(); ++k) {
      write(s.states[k].tensors[i], step.states[k]);
    }
    if (s.grad_scale.defined()) {
      write(s.grads[i], scaled);
    }
  }
}

// The same parameter twice: the second update starts from the first.
bool is_repeated(const TensorList& params) {
  std::unordered_set<const TensorImpl*> seen;
  for (const Tensor& p : params) {
    seen.insert(p.get());
  }
  return seen.size() < params.size();
}

FusedStep step_of(const FusedStep& s, size_t i, TensorList& count) {
  FusedStep one = s;
  one.params = {s.params[i]};
  one.grads = {s.grads[i]};
  for (FusedState& state : one.states) {
    state.tensors = {state.tensors[i]};
  }
  if (s.counts) {
    count = {(*s.counts)[i]};
    one.counts = &count;
  }
  return one;
}

} // namespace

void check_empty(const TensorList& list, const char* name) {
  expect(list.empty(), name, ".empty()");
}

void detail::run_step(
    const FusedStep& step,
    const Loops& loops,
    const PlainFn& plain) {
  check(step);
  HoldFlush hold;
  if (use_host() && is_repeated(step.params)) {
    for (size_t i = 0; i < step.params.size(); ++i) {
      TensorList count;
      run_loops(step_of(step, i, count), loops);
    }
  } else if (use_host()) {
    run_loops(step, loops);
  } else {
    run_plain(step, plain);
  }
  for (const TensorList* list : written(step)) {
    for (const Tensor& t : *list) {
      t.bump_version();
    }
  }
}

} // namespace flashlight
