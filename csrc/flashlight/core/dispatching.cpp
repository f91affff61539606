// See Note [Tensors that dispatch].
#include "flashlight/core/dispatching.h"

namespace flashlight {

std::atomic<int64_t> dispatching_tensors{0};

DispatchingHooks& dispatching_hooks() {
  static DispatchingHooks hooks;
  return hooks;
}

bool& dispatching_disabled() {
  thread_local bool disabled = false;
  return disabled;
}

bool detail::has_asked_class(const Tensor& tensor) {
  return tensor.defined() && tensor->python && !dispatching_disabled() &&
         dispatching_hooks().is(tensor->python);
}

Tensor without_data(Geometry geometry, Dtype dtype, Device device) {
  auto impl = make_ref<TensorImpl>();
  mx::array nothing(std::initializer_list<float>{}, mx::float32);
  impl->storage = make_ref<Storage>(
      std::move(nothing), Layout{IntList{0}, IntList{1}}, device);
  impl->storage->set_resizable(false);
  impl->geometry = std::move(geometry);
  impl->dtype = dtype;
  impl->version = make_ref<VersionCounter>();
  return Tensor(std::move(impl));
}

} // namespace flashlight
