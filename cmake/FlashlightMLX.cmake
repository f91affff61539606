# Find MLX: where CMAKE_PREFIX_PATH or MLX_ROOT says, else in the mlx wheel of
# the Python that is found. Asked anew at each configuration: a path kept in the
# cache may be that of a build environment which is long gone.
if(NOT MLX_ROOT AND Python_EXECUTABLE)
  execute_process(
    COMMAND "${Python_EXECUTABLE}" -m mlx --cmake-dir
    OUTPUT_VARIABLE _mlx_root
    OUTPUT_STRIP_TRAILING_WHITESPACE
    ERROR_VARIABLE _mlx_error
    RESULT_VARIABLE _mlx_result)
  if(_mlx_result EQUAL 0)
    set(MLX_ROOT "${_mlx_root}")
    unset(MLX_DIR CACHE)
    unset(MLX_LIBRARY CACHE)
  else()
    message(STATUS "No mlx in ${Python_EXECUTABLE}: ${_mlx_error}")
  endif()
endif()
find_package(MLX CONFIG REQUIRED)
message(STATUS "MLX: ${MLX_LIBRARY}")
