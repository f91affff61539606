# How our own code is compiled. MLX and nanobind come in as SYSTEM includes.

# A precompiled header is keyed by its contents, and GCC must leave it visible
# in the preprocessed text, or ccache gives up on every file that uses it.
if(FLASHLIGHT_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  find_program(FLASHLIGHT_CCACHE_PROGRAM ccache)
  if(FLASHLIGHT_CCACHE_PROGRAM)
    set(CMAKE_CXX_COMPILER_LAUNCHER
        "${CMAKE_COMMAND};-E;env;CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime;${FLASHLIGHT_CCACHE_PROGRAM}"
    )
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
      add_compile_options(-fpch-preprocess)
    else()
      set(CMAKE_PCH_INSTANTIATE_TEMPLATES OFF)
      add_compile_options("SHELL:-Xclang -fno-pch-timestamp")
    endif()
  endif()
endif()

if(FLASHLIGHT_SANITIZE)
  add_compile_options(-fsanitize=${FLASHLIGHT_SANITIZE}
                      -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
  add_link_options(-fsanitize=${FLASHLIGHT_SANITIZE})
endif()

function(flashlight_own_code target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wconversion)
  if(FLASHLIGHT_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
endfunction()

# flashlight_rpath(target LIBRARY_DIR dir SITE_DIR dir): the folder of
# libflashlight and that of all packages (MLX's and OpenBLAS's libraries are in
# theirs) as seen from where `target` is installed. A wheel has nothing absolute: it
# lies somewhere else on every machine. What is installed from a build tree also
# finds the libraries that it was built with.
function(flashlight_rpath target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "LIBRARY_DIR;SITE_DIR" "")
  if(APPLE)
    set(origin "@loader_path")
  else()
    set(origin "$ORIGIN")
  endif()
  set(library_rpath "${origin}/${arg_LIBRARY_DIR}")
  if(arg_LIBRARY_DIR STREQUAL ".")
    set(library_rpath "${origin}")
  endif()
  set(built "${library_rpath}")
  set(installed "${library_rpath}" "${origin}/${arg_SITE_DIR}/mlx/lib"
                "${origin}/${arg_SITE_DIR}/scipy_openblas32/lib")
  if(NOT DEFINED SKBUILD OR SKBUILD_STATE STREQUAL "editable")
    # Where pip builds in an environment of its own, what was linked is gone
    # afterwards; the same lies beside the packages of the Python that is used.
    foreach(folder "${Python_SITEARCH}/mlx/lib"
                   "${Python_SITEARCH}/scipy_openblas32/lib")
      list(APPEND built "${folder}")
    endforeach()
    foreach(library "${MLX_LIBRARY}" "${OPENBLAS_LIBRARY}")
      if(library)
        get_filename_component(folder "${library}" DIRECTORY)
        list(APPEND installed "${folder}")
      endif()
    endforeach()
  endif()
  set_target_properties(${target} PROPERTIES BUILD_RPATH "${built}"
                                             INSTALL_RPATH "${installed}")
endfunction()
