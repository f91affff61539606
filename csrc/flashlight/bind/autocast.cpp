// The state behind torch.autocast.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include "flashlight/bind/py_tensor.h"
#include "flashlight/ops/autocast.h"

namespace flashlight::bind {

namespace {

DeviceType device_type(const std::string& text) {
  DeviceType type = parse_device(text).type;
  FL_CHECK(type != DeviceType::Meta, "unsupported scalarType");
  return type;
}

} // namespace

void bind_autocast(nb::module_& m) {
  m.def("_is_autocast_available", [](const std::string& type) {
    return parse_device(type).type != DeviceType::Meta;
  });
  m.def("_is_autocast_enabled", [](const std::string& type) {
    return autocast_state(device_type(type)).enabled;
  });
  m.def("_get_autocast_dtype", [](const std::string& type) {
    return nb::borrow(dtype_object(autocast_state(device_type(type)).dtype));
  });
  m.def("_set_autocast_enabled", [](const std::string& type, bool enabled) {
    DeviceType t = device_type(type);
    set_autocast_state(t, {enabled, autocast_state(t).dtype});
  });
  m.def("_set_autocast_dtype", [](const std::string& type, nb::object dtype) {
    DeviceType t = device_type(type);
    set_autocast_state(t, {autocast_state(t).enabled, to_dtype(dtype.ptr())});
  });
  m.def("is_autocast_cache_enabled", autocast_cache_enabled);
  m.def("set_autocast_cache_enabled", set_autocast_cache_enabled);
  m.def("clear_autocast_cache", clear_autocast_cache);
  m.def("autocast_increment_nesting", [] { return add_autocast_nesting(1); });
  m.def("autocast_decrement_nesting", [] { return add_autocast_nesting(-1); });
}

} // namespace flashlight::bind
