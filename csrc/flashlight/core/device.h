// Devices under the names that PyTorch programs use.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "flashlight/core/api.h"

namespace flashlight {

// Meta tensors have a shape and no data. Mps and Cuda are MLX's GPU, under the
// name of the platform's PyTorch backend.
enum class DeviceType : uint8_t { Cpu, Cuda, Mps, Meta };

struct Device {
  DeviceType type = DeviceType::Cpu;
  int8_t index = -1; // -1: none given

  bool operator==(const Device&) const = default;
};

FL_API std::string_view name(DeviceType type);
// "cpu", "cuda:0"
FL_API std::string to_string(Device device);
// Parses PyTorch's spelling; RuntimeError with PyTorch's text otherwise.
FL_API Device parse_device(std::string_view text);
// Raises if this MLX build cannot run on the device.
FL_API void check_available(Device device);
// `device` with the index that a tensor on it reports.
FL_API Device canonical(Device device);

} // namespace flashlight
