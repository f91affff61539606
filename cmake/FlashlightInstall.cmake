# In a wheel: flashlight/{_C.so,lib,include,share/cmake}, and the same below any
# other prefix. In a checkout that tree is laid into the (ignored) places of the
# source package, where `cmake --install --component cpp` takes the C++ part from.
include(CMakePackageConfigHelpers)

set(_config "${PROJECT_SOURCE_DIR}/cmake/flashlightConfig.cmake.in")
set(_cmake_dir share/cmake/flashlight)
set(_built "${PROJECT_BINARY_DIR}/cmake")
configure_file("${_config}" "${_built}/flashlightConfig.cmake" @ONLY)
write_basic_package_version_file("${_built}/flashlightConfigVersion.cmake"
                                 COMPATIBILITY SameMinorVersion)

if(FLASHLIGHT_INPLACE)
  # An editable install runs the install rules, too: it must not copy anything.
  set(_when EXCLUDE_FROM_ALL)
  set(_package "${PROJECT_SOURCE_DIR}/flashlight")
  set_target_properties(flashlight_core PROPERTIES LIBRARY_OUTPUT_DIRECTORY
                                                   "${_package}/lib")
  if(TARGET _C)
    set_target_properties(_C PROPERTIES LIBRARY_OUTPUT_DIRECTORY "${_package}")
  endif()
  file(COPY "${_built}/flashlightConfig.cmake"
            "${_built}/flashlightConfigVersion.cmake"
       DESTINATION "${_package}/${_cmake_dir}")
  export(
    TARGETS flashlight_core
    NAMESPACE flashlight::
    FILE "${_package}/${_cmake_dir}/flashlightTargets.cmake")
else()
  set(_when)
  if(FLASHLIGHT_STUBS)
    install(DIRECTORY "${FLASHLIGHT_STUBS}/" DESTINATION flashlight)
  endif()
endif()

if(TARGET _C)
  install(TARGETS _C LIBRARY DESTINATION flashlight COMPONENT python ${_when})
endif()

install(
  TARGETS flashlight_core
  EXPORT flashlightTargets
  LIBRARY DESTINATION flashlight/lib
          COMPONENT cpp
          ${_when}
  INCLUDES
  DESTINATION flashlight/include)
install(
  EXPORT flashlightTargets
  NAMESPACE flashlight::
  DESTINATION flashlight/${_cmake_dir}
  COMPONENT cpp
  ${_when})
install(
  FILES "${_built}/flashlightConfig.cmake"
        "${_built}/flashlightConfigVersion.cmake"
  DESTINATION flashlight/${_cmake_dir}
  COMPONENT cpp
  ${_when})
install(
  DIRECTORY csrc/flashlight "${PROJECT_BINARY_DIR}/generated/flashlight"
  DESTINATION flashlight/include
  COMPONENT cpp
  ${_when}
  FILES_MATCHING
  PATTERN "*.h"
  PATTERN "bind" EXCLUDE
  PATTERN "precompiled.h" EXCLUDE)

# Read by Python at each start; acts only in a program that is run as torch.
install(FILES flashlight_run/flashlight_run.pth DESTINATION .)
