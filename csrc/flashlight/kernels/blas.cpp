// A fast BLAS and LAPACK under MLX on Linux.
//
// Note [BLAS under MLX]
// MLX's Linux wheel is linked to the reference BLAS, a few tens of times slower
// than a tuned one. It leaves cblas_sgemm and the rest undefined, and the
// dynamic linker looks for them breadth-first from the library that brought MLX
// in: here, in libflashlight, before the reference one. So each of these names
// is a jump to OpenBLAS's, which has the same interface under another name.
// (A process that loads MLX before flashlight keeps what MLX was bound to.)
#include "flashlight/kernels/blas.h"

#ifdef FLASHLIGHT_OPENBLAS

#if defined(__x86_64__)
#define FL_JUMP "jmp "
#define FL_PLT "@PLT"
#elif defined(__aarch64__)
#define FL_JUMP "b "
#define FL_PLT ""
#else
#error "no jump for this processor"
#endif

#define FL_FORWARD(name)                                   \
  asm(".text\n"                                            \
      ".globl " #name                                      \
      "\n"                                                 \
      ".type " #name ", %function\n" #name ":\n\t" FL_JUMP \
      "scipy_" #name FL_PLT                                \
      "\n"                                                 \
      ".size " #name ", .-" #name "\n");

FL_FORWARD(cblas_sgemm)
FL_FORWARD(cblas_dgemm)
FL_FORWARD(cblas_cgemm)
FL_FORWARD(cgeev_)
FL_FORWARD(dgeev_)
FL_FORWARD(sgeev_)
FL_FORWARD(cgesdd_)
FL_FORWARD(dgesdd_)
FL_FORWARD(sgesdd_)
FL_FORWARD(cheevd_)
FL_FORWARD(dsyevd_)
FL_FORWARD(ssyevd_)
FL_FORWARD(dgeqrf_)
FL_FORWARD(sgeqrf_)
FL_FORWARD(dorgqr_)
FL_FORWARD(sorgqr_)
FL_FORWARD(dgetrf_)
FL_FORWARD(sgetrf_)
FL_FORWARD(dgetri_)
FL_FORWARD(sgetri_)
FL_FORWARD(dpotrf_)
FL_FORWARD(spotrf_)
FL_FORWARD(dtrtri_)
FL_FORWARD(strtri_)

extern "C" void scipy_openblas_set_num_threads(int);

namespace flashlight {

void set_blas_threads(int n) {
  scipy_openblas_set_num_threads(n);
}

} // namespace flashlight

#else

namespace flashlight {

void set_blas_threads(int) {} // Accelerate chooses for itself

} // namespace flashlight

#endif
