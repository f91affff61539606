// The hot loops are compiled a second time for CPUs that have AVX2 and FMA.
// The arithmetic is the same, so are the bits; only the speed differs.
#pragma once

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__)) && \
    !(defined(__AVX2__) && defined(__FMA__))
#define FL_AVX2_CLONE 1
#else
#define FL_AVX2_CLONE 0
#endif
#define FL_INLINE inline __attribute__((always_inline))

// FL_DEFINE_CLONED(name, (parameters), (arguments)) defines `name`, which runs
// the FL_INLINE function name_body as the CPU does it best.
#if FL_AVX2_CLONE
namespace flashlight {
inline bool has_avx2_fma() {
  static const bool yes =
      __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  return yes;
}
} // namespace flashlight
#define FL_DEFINE_CLONED(name, params, args)                    \
  __attribute__((target("avx2,fma"))) void name##_avx2 params { \
    name##_body args;                                           \
  }                                                             \
  void name params {                                            \
    if (has_avx2_fma()) {                                       \
      name##_avx2 args;                                         \
    } else {                                                    \
      name##_body args;                                         \
    }                                                           \
  }
#else
#define FL_DEFINE_CLONED(name, params, args) \
  void name params {                         \
    name##_body args;                        \
  }
#endif
