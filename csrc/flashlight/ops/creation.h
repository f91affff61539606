// What the rows that make tensors share.
#pragma once

#include <atomic>
#include <optional>

#include "flashlight/core/api.h"
#include "flashlight/core/value.h"

namespace flashlight {

using OptDtype = std::optional<Dtype>;
using OptLayout = std::optional<MemoryLayout>;
using OptDevice = std::optional<Device>;
using OptBool = std::optional<bool>;
using OptFormat = std::optional<MemoryFormat>;

// Raises for a negative size.
void check_sizes(const IntList& sizes);
// The device to make a tensor on; raises for what there is none of.
Device check_options(
    const OptLayout& layout,
    const OptDevice& device,
    const OptBool& pin_memory);

// Does memory that nobody has written to hold NaN, or the largest integer? It
// is so in deterministic mode, unless torch.utils.deterministic says otherwise.
FL_API std::atomic<bool>& fills_unwritten();

} // namespace flashlight
