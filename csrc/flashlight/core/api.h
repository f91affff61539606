#pragma once

// Libraries are built with hidden visibility: only what carries FL_API leaves
// libflashlight. Exceptions and polymorphic classes that cross the border to
// the binding or to a user's program need it too, or their type_info differs.
#if defined(_WIN32)
#error "flashlight is built on Linux and macOS"
#else
#define FL_API __attribute__((visibility("default")))
#endif
