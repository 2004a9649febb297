# FoveaInstall.cmake: `cmake --install` and find_package(Fovea). Headers keep their folders under include/fovea/.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

foreach(folder kernels tensor autograd nn optim vision)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/${folder} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/fovea FILES_MATCHING PATTERN "*.h" PATTERN "cpu" EXCLUDE
    PATTERN "emulator" EXCLUDE REGEX "/kernels/cuda[^/]*$" EXCLUDE)
endforeach()
install(FILES ${PROJECT_SOURCE_DIR}/fovea.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/fovea)
set(device fovea_device fovea_without_cuda)
if(fovea_cuda_mode STREQUAL "ON")
  set(device fovea_device fovea_cuda)
endif()
install(TARGETS fovea fovea_kernels ${device} fovea_tensor fovea_autograd fovea_nn fovea_optim fovea_vision EXPORT FoveaTargets)
install(EXPORT FoveaTargets NAMESPACE Fovea:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/Fovea)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/FoveaConfig.cmake.in FoveaConfig.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/Fovea)
write_basic_package_version_file(FoveaConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/FoveaConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/FoveaConfigVersion.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/Fovea)
