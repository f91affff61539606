// Names that programs mention and no code asks for, so that no enumerator
// stands for them: the dtypes after those of Dtype.
#pragma once

namespace flashlight {

inline constexpr int kMoreDtypes = 2; // quint4x2, quint2x4

} // namespace flashlight
