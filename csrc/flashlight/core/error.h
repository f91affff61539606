// Errors of the engine. Each class becomes the Python exception of that name,
// so the wording of a message is PyTorch's wherever PyTorch has one.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

#include "flashlight/core/api.h"

namespace flashlight {

// RuntimeError in Python, and the base of all the others.
class FL_API Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
  ~Error() override;
};

#define FL_DECLARE_ERROR(Name)       \
  class FL_API Name : public Error { \
   public:                           \
    using Error::Error;              \
    ~Name() override;                \
  };

FL_DECLARE_ERROR(IndexError)
FL_DECLARE_ERROR(TypeError)
FL_DECLARE_ERROR(ValueError)
FL_DECLARE_ERROR(NotImplementedError)
FL_DECLARE_ERROR(LinAlgError)
FL_DECLARE_ERROR(OutOfMemoryError)

#undef FL_DECLARE_ERROR

// The value of a complex128 tensor was asked for where there is no code for it;
// the door adds the op's name. See Note [Complex128].
class FL_API NotForComplex128 : public NotImplementedError {
 public:
  NotForComplex128();
  ~NotForComplex128() override;
};

namespace detail {

template <typename... Parts>
std::string concat(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

} // namespace detail

template <typename E = Error, typename... Parts>
[[noreturn]] void fail(const Parts&... parts) {
  throw E(detail::concat(parts...));
}

} // namespace flashlight

// FL_CHECK(condition, parts of the message...)
#define FL_CHECK_AS(Type, cond, ...)         \
  do {                                       \
    if (!(cond)) [[unlikely]] {              \
      ::flashlight::fail<Type>(__VA_ARGS__); \
    }                                        \
  } while (false)
#define FL_CHECK(cond, ...) FL_CHECK_AS(::flashlight::Error, cond, __VA_ARGS__)
#define FL_CHECK_INDEX(cond, ...) \
  FL_CHECK_AS(::flashlight::IndexError, cond, __VA_ARGS__)
#define FL_CHECK_TYPE(cond, ...) \
  FL_CHECK_AS(::flashlight::TypeError, cond, __VA_ARGS__)
#define FL_CHECK_VALUE(cond, ...) \
  FL_CHECK_AS(::flashlight::ValueError, cond, __VA_ARGS__)
