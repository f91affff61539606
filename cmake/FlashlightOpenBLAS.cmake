# OpenBLAS from the Python package scipy-openblas32, under MLX on Linux: see
# Note [BLAS under MLX] in csrc/flashlight/kernels/blas.cpp.
option(FLASHLIGHT_OPENBLAS "Put OpenBLAS under MLX (Linux)" ON)
if(APPLE OR NOT FLASHLIGHT_OPENBLAS)
  return()
endif()
execute_process(
  COMMAND "${Python_EXECUTABLE}" -c
          "import scipy_openblas32 as b; print(b.get_lib_dir())"
  OUTPUT_VARIABLE _openblas_dir
  OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
unset(OPENBLAS_LIBRARY CACHE)
find_library(OPENBLAS_LIBRARY scipy_openblas PATHS "${_openblas_dir}"
             NO_DEFAULT_PATH REQUIRED)
message(STATUS "OpenBLAS: ${OPENBLAS_LIBRARY}")
