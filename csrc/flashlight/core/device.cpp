#include "flashlight/core/device.h"

#include <charconv>

#include <mlx/device.h>

#include "flashlight/core/error.h"

namespace flashlight {

namespace mx = mlx::core;

std::string_view name(DeviceType type) {
  switch (type) {
    case DeviceType::Cuda:
      return "cuda";
    case DeviceType::Mps:
      return "mps";
    case DeviceType::Meta:
      return "meta";
    default:
      return "cpu";
  }
}

std::string to_string(Device device) {
  std::string text(name(device.type));
  if (device.index >= 0) {
    text += ':';
    text += std::to_string(device.index);
  }
  return text;
}

Device parse_device(std::string_view text) {
  size_t colon = text.find(':');
  std::string_view kind = text.substr(0, colon);
  Device device;
  bool known = false;
  for (DeviceType type :
       {DeviceType::Cpu, DeviceType::Cuda, DeviceType::Mps, DeviceType::Meta}) {
    if (kind == name(type)) {
      device.type = type;
      known = true;
    }
  }
  bool indexed = true;
  if (known && colon != std::string_view::npos) {
    int index = -1;
    std::string_view digits = text.substr(colon + 1);
    auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), index);
    indexed = error == std::errc() && end == digits.data() + digits.size() &&
              index >= 0 && index < 128 &&
              (digits.size() == 1 || digits[0] != '0');
    device.index = static_cast<int8_t>(index);
  }
  if (!known && !kind.empty() &&
      kind.find_first_not_of("abcdefghijklmnopqrstuvwxyz") ==
          std::string_view::npos) {
    fail(
        "Expected one of cpu, cuda, mps, meta device type at start of device "
        "string: ",
        kind);
  }
  FL_CHECK(known && indexed, "Invalid device string: '", text, "'");
  return device;
}

void check_available(Device device) {
  if (device.type == DeviceType::Cpu || device.type == DeviceType::Meta) {
    return;
  }
  if (!mx::is_available(mx::Device(mx::Device::gpu))) {
    fail(
        "device '",
        to_string(device),
        "' is not available: this MLX build has no GPU backend");
  }
#ifdef __APPLE__
  constexpr DeviceType kGpu = DeviceType::Mps;
#else
  constexpr DeviceType kGpu = DeviceType::Cuda;
#endif
  FL_CHECK(
      device.type == kGpu,
      "device '",
      to_string(device),
      "' is not available: MLX's GPU here is '",
      name(kGpu),
      "'");
}

Device canonical(Device device) {
  if (device.type == DeviceType::Cuda || device.type == DeviceType::Mps) {
    device.index = device.index < 0 ? int8_t{0} : device.index;
  } else {
    device.index = -1;
  }
  return device;
}

} // namespace flashlight
