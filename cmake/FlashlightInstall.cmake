# In a wheel: flashlight/{_C.so,lib,include,share/cmake}. In a checkout the same
# tree is laid into the (ignored) places of the source package.
include(CMakePackageConfigHelpers)

set(_config "${PROJECT_SOURCE_DIR}/cmake/flashlightConfig.cmake.in")
set(_cmake_dir share/cmake/flashlight)

if(FLASHLIGHT_INPLACE)
  set(_package "${PROJECT_SOURCE_DIR}/flashlight")
  set_target_properties(flashlight_core PROPERTIES LIBRARY_OUTPUT_DIRECTORY
                                                   "${_package}/lib")
  if(TARGET _C)
    set_target_properties(_C PROPERTIES LIBRARY_OUTPUT_DIRECTORY "${_package}")
  endif()
  set(_version_file
      "${_package}/${_cmake_dir}/flashlightConfigVersion.cmake")
  configure_file("${_config}" "${_package}/${_cmake_dir}/flashlightConfig.cmake"
                 @ONLY)
  export(
    TARGETS flashlight_core
    NAMESPACE flashlight::
    FILE "${_package}/${_cmake_dir}/flashlightTargets.cmake")
else()
  set(_version_file "${PROJECT_BINARY_DIR}/flashlightConfigVersion.cmake")
  configure_file("${_config}" "${PROJECT_BINARY_DIR}/flashlightConfig.cmake"
                 @ONLY)
  install(
    TARGETS flashlight_core
    EXPORT flashlightTargets
    LIBRARY DESTINATION flashlight/lib
    INCLUDES
    DESTINATION flashlight/include)
  install(
    EXPORT flashlightTargets
    NAMESPACE flashlight::
    DESTINATION flashlight/${_cmake_dir})
  install(FILES "${PROJECT_BINARY_DIR}/flashlightConfig.cmake"
                "${_version_file}" DESTINATION flashlight/${_cmake_dir})
  install(
    DIRECTORY csrc/flashlight "${PROJECT_BINARY_DIR}/generated/flashlight"
    DESTINATION flashlight/include
    FILES_MATCHING
    PATTERN "*.h"
    PATTERN "bind" EXCLUDE
    PATTERN "precompiled.h" EXCLUDE)
  if(TARGET _C)
    install(TARGETS _C LIBRARY DESTINATION flashlight)
  endif()
endif()

write_basic_package_version_file("${_version_file}"
                                 COMPATIBILITY SameMinorVersion)

# Read by Python at each start; acts only in a program that is run as torch.
install(FILES flashlight_run/flashlight_run.pth DESTINATION .)
