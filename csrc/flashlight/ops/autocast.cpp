// See Note [Autocast].
#include "flashlight/ops/autocast.h"

#include <algorithm>
#include <array>
#include <optional>
#include <unordered_map>

#include "flashlight/autograd/engine.h"
#include "flashlight/autograd/grad_mode.h"
#include "flashlight/ops/transforms.h"

namespace flashlight {

namespace detail {
constinit thread_local bool any_autocast = false;
}

namespace {

struct Cached {
  Tensor source, cast; // the source is kept: its address is the key
};

struct Regions {
  std::array<AutocastState, 4> states;
  bool cache_enabled = true;
  int nesting = 0;
  std::unordered_map<TensorImpl*, Cached> cache;

  Regions() {
    for (DeviceType type : {DeviceType::Cuda, DeviceType::Mps}) {
      states[static_cast<size_t>(type)].dtype = Dtype::Float16;
    }
  }
};

Regions& regions() {
  thread_local Regions r;
  return r;
}

Tensor cast(const Tensor& t, Dtype to) {
  Regions& r = regions();
  bool keep = r.cache_enabled && grad_enabled() &&
              t.dtype() == Dtype::Float32 && to != Dtype::Float32 &&
              requires_grad(t) && is_leaf(t) && !is_view(t);
  if (!keep) {
    return autograd_ops().to_dtype(t, to);
  }
  auto [it, fresh] = r.cache.try_emplace(t.get());
  if (fresh || it->second.cast.dtype() != to) {
    it->second = {t, autograd_ops().to_dtype(t, to)};
  }
  return it->second.cast;
}

} // namespace

const AutocastState& autocast_state(DeviceType type) {
  return regions().states[static_cast<size_t>(type)];
}

void set_autocast_state(DeviceType type, AutocastState state) {
  auto& states = regions().states;
  states[static_cast<size_t>(type)] = state;
  detail::any_autocast = std::any_of(
      states.begin(), states.end(), [](const auto& s) { return s.enabled; });
}

bool autocast_cache_enabled() {
  return regions().cache_enabled;
}

void set_autocast_cache_enabled(bool enabled) {
  regions().cache_enabled = enabled;
}

void clear_autocast_cache() {
  regions().cache.clear();
}

int add_autocast_nesting(int by) {
  return regions().nesting += by;
}

bool autocast_args(const Op& op, Value* args) {
  size_t n = op.schema.args.size();
  std::optional<DeviceType> device;
  bool any_float32 = false;
  for (size_t i = 0; i < n; ++i) {
    for_tensors(args[i], [&](const Tensor& t) {
      device = device.value_or(t.device().type);
      any_float32 = any_float32 || t.dtype() == Dtype::Float32;
    });
  }
  if (!device || !autocast_state(*device).enabled) {
    return false;
  }
  Autocast policy =
      *device == DeviceType::Cpu ? op.autocast_cpu : op.autocast_gpu;
  if (policy == Autocast::None) {
    return false;
  }
  Dtype to = autocast_state(*device).dtype;
  if (policy == Autocast::Float32 ||
      (policy == Autocast::Promote && any_float32)) {
    to = Dtype::Float32;
  }
  for (size_t i = 0; i < n; ++i) {
    args[i] = mapped_tensors(args[i], [&](const Tensor& t) {
      bool takes = t.is_floating_point() && t.dtype() != to &&
                   t.dtype() != Dtype::Float64;
      return takes ? cast(t, to) : t;
    });
  }
  return true;
}

} // namespace flashlight
