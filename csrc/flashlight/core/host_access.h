// Small reads and writes of values that are there, where they are asked for.
//
// Note [Reads and writes at once]
// A node that writes one element costs MLX twenty microseconds: it is recorded,
// handed to the stream's thread and waited for. Where the array of a storage
// has been computed, lies in memory that this thread can see, and nothing else
// holds its buffer (MLX's own condition for a node to take the buffer over), a
// small value is written straight into it; and a small part of it is read by
// copying it, so that no node keeps the buffer from being written to. What this
// does not do (false, nullopt) is recorded as ever, and FLASHLIGHT_KERNELS=0
// records everything: read() and write_back() of geometry.h are the plain form.
#pragma once

#include <optional>

#include "flashlight/core/geometry.h"

namespace flashlight {

// The most elements that are read or written so.
inline constexpr int64_t kMostRead = int64_t{1} << 12;
inline constexpr int64_t kMostWritten = int64_t{1} << 17;

// Is the value computed? Waits for nothing.
FL_API bool is_there(const mx::array& array);

// What read() gives, as an array of its own.
FL_API std::optional<mx::array> read_at_once(
    const mx::array& array,
    const Layout& layout,
    const Geometry& view);

// What write_back() does, to the buffer of `array` itself; false if it cannot,
// and then nothing has been written. A value that is not there is computed if
// that is small work.
FL_API bool write_at_once(
    mx::array& array,
    const Layout& layout,
    const Geometry& view,
    const mx::array& value);

// Copies the elements of a view of flat memory to and from an array that is
// there, of the view's sizes.
FL_API void copy_out(const char* from, const Geometry& view, mx::array& to);
FL_API void copy_in(char* to, const Geometry& view, const mx::array& from);

} // namespace flashlight
