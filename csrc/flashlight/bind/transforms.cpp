// Levels of function transforms and dual tensors, for flashlight.func and
// flashlight.autograd.forward_ad.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>

#include "flashlight/autograd/forward_mode.h"
#include "flashlight/autograd/levels.h"
#include "flashlight/bind/py_autograd.h"
#include "flashlight/ops/functions/copy.h"
#include "flashlight/ops/functions/creation.h"
#include "flashlight/ops/functions/reshaping.h"
#include "flashlight/ops/functions/views.h"
#include "flashlight/ops/transforms.h"

namespace flashlight::bind {

namespace {

LevelHandle push_batch_level(int64_t size, const std::string& randomness) {
  LevelHandle level = push_level(LevelKind::Batch);
  level->batch_size = size;
  level->randomness = randomness == "same"        ? Randomness::Same
                      : randomness == "different" ? Randomness::Different
                                                  : Randomness::Error;
  return level;
}

// A tensor of the level that stands for this one.
nb::object
wrap_tensor(const LevelHandle& level, nb::handle tensor, bool requires_grad) {
  Tensor t = wrap_at(level, without_dead_levels(as_tensor(tensor.ptr())));
  if (requires_grad) {
    set_leaf_requires_grad(t, true);
  }
  return nb::steal(wrap(t));
}

nb::object unwrap_tensor(const LevelHandle& level, nb::handle tensor) {
  const Tensor& t = as_tensor(tensor.ptr());
  return is_at(t, *level) ? nb::steal(wrap(t->wrapped->inner))
                          : nb::borrow(tensor);
}

nb::object
add_batch_dim(const LevelHandle& level, nb::handle tensor, int64_t dim) {
  const Tensor& t = as_tensor(tensor.ptr());
  return nb::steal(wrap(wrap_at(level, t, wrap_dim(dim, t.dim()))));
}

// The whole batch, along `dim`; what is not batched is expanded.
nb::object
remove_batch_dim(const LevelHandle& level, nb::handle tensor, int64_t dim) {
  const Tensor& t = as_tensor(tensor.ptr());
  BelowLevel below(*level);
  if (is_at(t, *level)) {
    const Wrapped& w = *t->wrapped;
    int64_t to = wrap_dim(dim, w.inner.dim());
    return nb::steal(
        wrap(to == w.batch_dim ? w.inner : movedim(w.inner, w.batch_dim, to)));
  }
  int64_t to = wrap_dim(dim, t.dim() + 1);
  IntList sizes = t.sizes();
  sizes.insert(sizes.begin() + to, level->batch_size);
  return nb::steal(wrap(expand(unsqueeze(t, to), sizes)));
}

nb::object make_dual(nb::handle primal, nb::handle along) {
  const Tensor& x = as_tensor(primal.ptr());
  const Tensor& t = as_tensor(along.ptr());
  FL_CHECK(
      autograd_state().dual_levels > 0,
      "Trying to create a dual Tensor for forward AD but no level exists, make "
      "sure to enter_dual_level() first.");
  FL_CHECK(
      !has_tangent(x),
      "Making a dual Tensor based on a Tensor that already has a forward "
      "gradient at the same level 0 is not supported.");
  FL_CHECK(
      !has_tangent(t),
      "Setting a forward grad that itself has a forward gradient at the same "
      "level0 is not supported.");
  FL_CHECK(
      t.sizes() == x.sizes(),
      "Trying to set a forward gradient that has a different size than that of "
      "the original Tensor, this is not supported. Tensor is of size ",
      x.sizes(),
      " while the given forward gradient is of size ",
      t.sizes(),
      ".");
  HideTangents hidden;
  Tensor dual = alias(x);
  set_tangent(dual, laid_out_as(dual, t));
  return nb::steal(wrap(dual));
}

// (the tensor without its tangent, the tangent or None)
nb::object unpack_dual(nb::handle tensor) {
  const Tensor& t = as_tensor(tensor.ptr());
  if (!has_tangent(t)) {
    return nb::make_tuple(nb::borrow(tensor), nb::none());
  }
  Tensor along = tangent(t);
  HideTangents hidden;
  Tensor primal = alias(t);
  ensure_autograd_meta(primal).without_tangent = true;
  return nb::make_tuple(nb::steal(wrap(primal)), nb::steal(wrap(along)));
}

// A scope of C++ as a context manager.
template <typename Scope, typename... A>
class Context {
 public:
  explicit Context(A... args) : args_(std::move(args)...) {}
  void enter() {
    std::apply([&](const A&... a) { scope_.emplace(*a...); }, args_);
  }
  void exit() {
    scope_.reset();
  }

 private:
  std::tuple<A...> args_;
  std::optional<Scope> scope_;
};
// with _Below(level): one level down.
using Below = Context<BelowLevel, LevelHandle>;
using Hidden = Context<HideTangents>;

template <typename T, typename... A>
void bind_context(nb::module_& m, const char* name) {
  nb::class_<T>(m, name)
      .def(nb::init<A...>())
      .def("__enter__", [](T& t) { t.enter(); })
      .def("__exit__", [](T& t, const nb::args&) { t.exit(); });
}

} // namespace

void bind_transforms(nb::module_& m) {
  nb::class_<Level>(m, "_Level")
      .def_prop_ro("depth", [](const Level& l) { return l.depth; })
      .def_prop_ro("alive", [](const Level& l) { return l.alive; })
      .def_prop_ro("batch_size", [](const Level& l) { return l.batch_size; })
      .def_prop_ro(
          "randomness",
          [](const Level& l) {
            return l.randomness == Randomness::Same        ? "same"
                   : l.randomness == Randomness::Different ? "different"
                                                           : "error";
          })
      .def_prop_ro("is_batch", [](const Level& l) {
        return l.kind == LevelKind::Batch;
      });
  bind_context<Below, LevelHandle>(m, "_Below");
  bind_context<Hidden>(m, "_HideTangents");
  m.def("_push_autograd_level", [] { return push_level(LevelKind::Autograd); });
  m.def("_push_batch_level", push_batch_level);
  m.def("_pop_level", pop_level);
  m.def("_top_level", []() -> nb::object {
    return top_level() ? nb::cast(top_level()) : nb::none();
  });
  m.def("_wrap_at", wrap_tensor, nb::arg(), nb::arg(), nb::arg() = false);
  m.def("_lift", [](const LevelHandle& level, nb::handle tensor) {
    return is_at(as_tensor(tensor.ptr()), *level)
               ? nb::borrow(tensor)
               : wrap_tensor(level, tensor, false);
  });
  m.def("_unwrap_at", unwrap_tensor);
  m.def("_add_batch_dim", add_batch_dim);
  m.def("_remove_batch_dim", remove_batch_dim);
  // The level that a tensor belongs to, what it stands for and the batch
  // dimension; None outside of transforms.
  m.def("_wrapped", [](nb::handle tensor) -> nb::object {
    const Tensor& t = as_tensor(tensor.ptr());
    if (!t->wrapped) {
      return nb::none();
    }
    const Wrapped& w = *t->wrapped;
    return nb::make_tuple(
        nb::cast(w.level), nb::steal(wrap(w.inner)), w.batch_dim);
  });
  m.def("_is_vmap_fallback_enabled", vmap_fallback_allowed);
  m.def("_set_vmap_fallback_enabled", set_vmap_fallback_allowed);
  m.def("_is_vmap_fallback_warning_enabled", vmap_fallback_warns);
  m.def("_set_vmap_fallback_warning_enabled", set_vmap_fallback_warns);
  m.def("_enter_dual_level", enter_dual_level);
  m.def("_exit_dual_level", exit_dual_level);
  m.def("_make_dual", make_dual);
  m.def("_unpack_dual", unpack_dual);
  m.def("_forward_enabled", forward_enabled);
  m.def("_tangent", [](nb::handle tensor) {
    return nb::steal(wrap(tangent(as_tensor(tensor.ptr()))));
  });
  m.def("_set_tangent", [](nb::handle tensor, nb::handle along) {
    set_tangent(as_tensor(tensor.ptr()), as_tensor(along.ptr()));
  });
  m.def("_is_fwd_grad_enabled", [] { return autograd_state().forward_mode; });
  m.def("_set_fwd_grad_enabled", [](bool enabled) {
    autograd_state().forward_mode = enabled;
  });
}

} // namespace flashlight::bind
