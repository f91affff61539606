#include "flashlight/autograd/levels.h"

#include "flashlight/autograd/grad_mode.h"
#include "flashlight/core/error.h"

namespace flashlight {

namespace {

LevelHandle& top() {
  thread_local LevelHandle level;
  return level;
}

void set_top(LevelHandle level) {
  autograd_state().in_transform = level != nullptr;
  top() = std::move(level);
}

} // namespace

const LevelHandle& detail::top_level() {
  return top();
}

LevelHandle push_level(LevelKind kind) {
  auto level = std::make_shared<Level>();
  level->kind = kind;
  level->below = top();
  level->depth = level->below ? level->below->depth + 1 : 1;
  level->grad_mode = autograd_state().grad_mode;
  level->forward_mode = autograd_state().forward_mode;
  level->inference_mode = autograd_state().inference_mode;
  if (kind == LevelKind::Autograd) {
    autograd_state().inference_mode = false;
    autograd_state().grad_mode = true;
    autograd_state().forward_mode = true;
  }
  set_top(level);
  return level;
}

void pop_level(const LevelHandle& level) {
  FL_CHECK(top() == level, "the transform that ends is not the last one begun");
  level->alive = false;
  autograd_state().grad_mode = level->grad_mode;
  autograd_state().forward_mode = level->forward_mode;
  autograd_state().inference_mode = level->inference_mode;
  set_top(level->below);
}

EnterLevel::EnterLevel(LevelKind kind) : level_(push_level(kind)) {}

EnterLevel::~EnterLevel() {
  pop_level(level_);
}

BelowLevel::BelowLevel(const Level& level)
    : before_(top()),
      grad_mode_(autograd_state().grad_mode),
      forward_mode_(autograd_state().forward_mode) {
  if (level.kind == LevelKind::Autograd) {
    // What is off inside is off below too, as in PyTorch.
    autograd_state().grad_mode = grad_mode_ && level.grad_mode;
    autograd_state().forward_mode = forward_mode_ && level.forward_mode;
  }
  set_top(level.below);
}

BelowLevel::~BelowLevel() {
  set_top(std::move(before_));
  autograd_state().grad_mode = grad_mode_;
  autograd_state().forward_mode = forward_mode_;
}

namespace {

void show(TensorImpl& impl, const Tensor& inner, int64_t batch_dim) {
  impl.storage = inner->storage;
  impl.geometry = inner.geometry();
  impl.dtype = inner.dtype();
  impl.conj = inner->conj;
  impl.neg = inner->neg;
  impl.wrapped_number = inner->wrapped_number;
  if (batch_dim >= 0) {
    impl.geometry.sizes.erase(impl.geometry.sizes.begin() + batch_dim);
    impl.geometry.strides.erase(impl.geometry.strides.begin() + batch_dim);
  }
}

} // namespace

Tensor wrap_at(
    const LevelHandle& level,
    const Tensor& inner,
    int64_t batch_dim,
    const Tensor* view_of) {
  auto impl = make_ref<TensorImpl>();
  show(*impl, inner, batch_dim);
  impl->version = view_of ? (*view_of)->version : make_ref<VersionCounter>();
  impl->wrapped =
      std::make_shared<const Wrapped>(Wrapped{level, inner, batch_dim});
  return Tensor(std::move(impl));
}

void rewrap(const Tensor& tensor, const Tensor& inner, int64_t batch_dim) {
  show(*tensor.get(), inner, batch_dim);
  tensor->wrapped = std::make_shared<const Wrapped>(
      Wrapped{tensor->wrapped->level, inner, batch_dim});
}

Tensor outside_levels(Tensor tensor) {
  while (tensor->wrapped) {
    Tensor inner = tensor->wrapped->inner;
    tensor = std::move(inner);
  }
  return tensor;
}

Tensor without_dead_levels(Tensor tensor) {
  while (tensor.defined() && tensor->wrapped &&
         !tensor->wrapped->level->alive) {
    FL_CHECK(
        tensor->wrapped->level->kind != LevelKind::Batch,
        "Either your tensor may have escaped from inside a function being "
        "vmapped and this is a user error (see "
        "https://pytorch.org/functorch/stable/ux_limitations.html), or there "
        "is an internal functorch error in `gen_vmap_plumbing` Please file an "
        "issue if it looks like the latter");
    Tensor inner = tensor->wrapped->inner;
    tensor = std::move(inner);
  }
  return tensor;
}

} // namespace flashlight
