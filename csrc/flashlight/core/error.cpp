#include "flashlight/core/error.h"

namespace flashlight {

// The destructors anchor the type info in this library, so that an exception
// thrown here is caught by type in the binding.
Error::~Error() = default;
IndexError::~IndexError() = default;
TypeError::~TypeError() = default;
ValueError::~ValueError() = default;
NotImplementedError::~NotImplementedError() = default;
LinAlgError::~LinAlgError() = default;
OutOfMemoryError::~OutOfMemoryError() = default;
NotForComplex128::NotForComplex128()
    : NotImplementedError("not implemented for 'ComplexDouble'") {}
NotForComplex128::~NotForComplex128() = default;

} // namespace flashlight
