# FoveaCuda.cmake: the device. Everything above kernels/ is compiled once and calls Cuda kernels by name; what answers is decided when a program
# is linked:
#   fovea_device          what every program gets: fovea_cuda where FOVEA_CUDA is ON, else fovea_without_cuda
#   fovea_cuda            the .cu files of kernels/, compiled by nvcc (ON) or, for the emulated device, by the C++ compiler (EMULATED)
#                         FOVEA_CUBLAS puts cuBLAS beside them, which builds of benches have unless told otherwise, and the emulated device always
#   fovea_without_cuda    stand-ins that throw, made from the names of the Cpu kernels
#   fovea_emulated(T)     program T once more, as T_emulated, from the same objects: on the emulated device
#
# Emulated kernels are compiled with the thread and bounds sanitizers' instrumentation and linked without the sanitizers: the emulator
# answers the calls itself and checks every access (kernels/emulator/callbacks.cpp). In a build with real sanitizers it leaves that out.

set(fovea_cuda_mode "${FOVEA_CUDA}")
if(fovea_cuda_mode STREQUAL "")
  execute_process(COMMAND nvidia-smi -L OUTPUT_VARIABLE gpus ERROR_QUIET RESULT_VARIABLE code)
  set(fovea_cuda_mode OFF)
  if(code EQUAL 0 AND gpus MATCHES "GPU 0" AND NOT FOVEA_SANITIZE)
    find_package(CUDAToolkit 12 QUIET)
    if(CUDAToolkit_NVCC_EXECUTABLE)
      set(fovea_cuda_mode ON)
    endif()
  endif()
  if(FOVEA_TESTS AND fovea_cuda_mode STREQUAL "OFF")
    set(fovea_cuda_mode EMULATED)
  endif()
endif()
if(NOT fovea_cuda_mode MATCHES "^(ON|EMULATED|OFF)$")
  message(FATAL_ERROR "FOVEA_CUDA: expected ON, EMULATED or OFF, got ${FOVEA_CUDA}")
endif()
if(FOVEA_SANITIZE MATCHES "thread")
  set(fovea_cuda_mode OFF)   # the thread sanitizer does not know fibers, and its library owns the calls
endif()

if(FOVEA_CUBLAS AND fovea_cuda_mode STREQUAL "OFF")
  message(FATAL_ERROR "FOVEA_CUBLAS: expected FOVEA_CUDA=ON, got OFF")
endif()

set(fovea_emulator_checked 1)
if(FOVEA_SANITIZE)
  set(fovea_emulator_checked 0)
endif()

# fovea_cuda_sources(FILE...): how the .cu files of this folder are compiled.
function(fovea_cuda_sources)
  if(NOT fovea_cuda_mode STREQUAL "EMULATED" OR NOT ARGN)
    return()
  endif()
  # Always optimised, whatever the build type: kernels are loops over fibers. Vectorisers would join accesses that the card keeps apart.
  set(options -xc++ -O2 -g1 -fno-optimize-sibling-calls -fno-tree-vectorize -fno-tree-slp-vectorize)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    list(APPEND options -fno-ipa-icf)   # kernels with equal code stay apart, so that a report names the right one
  endif()
  if(fovea_emulator_checked)
    list(APPEND options -fsanitize=thread,bounds)
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
      list(APPEND options --param=tsan-instrument-func-entry-exit=0 -Wno-tsan)
    else()
      # The second: also a read in front of a write to the same place.
      list(APPEND options -mllvm -tsan-instrument-func-entry-exit=0 -mllvm -tsan-instrument-read-before-write)
    endif()
  endif()
  set_source_files_properties(${ARGN} PROPERTIES LANGUAGE CXX COMPILE_OPTIONS "${options}")
endfunction()

if(fovea_cuda_mode STREQUAL "ON")
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES 80 90)
  endif()
  enable_language(CUDA)
  if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)   # CMake 3.25 does not know that nvcc has it
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
  endif()
  find_package(CUDAToolkit REQUIRED)
endif()

if(NOT fovea_cuda_mode STREQUAL "OFF")
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/kernels/*.cu)
  fovea_cuda_sources(${sources})
  add_library(fovea_cuda STATIC EXCLUDE_FROM_ALL ${sources})
  target_link_libraries(fovea_cuda PUBLIC fovea_kernels)
  if(fovea_cuda_mode STREQUAL "EMULATED")
    file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/kernels/emulator/*.cpp)
    add_library(fovea_emulator STATIC EXCLUDE_FROM_ALL ${sources})
    target_compile_definitions(fovea_emulator PUBLIC FOVEA_CUDA_EMULATED PRIVATE FOVEA_EMULATOR_CHECKED=${fovea_emulator_checked})
    target_compile_options(fovea_emulator PRIVATE -O2)
    if(fovea_emulator_checked)
      target_link_options(fovea_emulator INTERFACE -Wl,--wrap=memcpy,--wrap=memmove,--wrap=memset)
    endif()
    target_link_libraries(fovea_emulator PUBLIC fovea_kernels ${CMAKE_DL_LIBS} PRIVATE $<BUILD_INTERFACE:fovea_options>)
    target_compile_definitions(fovea_cuda PRIVATE FOVEA_CUBLAS)   # an emulated one, always
    target_link_libraries(fovea_cuda PUBLIC fovea_emulator PRIVATE $<BUILD_INTERFACE:fovea_options>)
  else()
    set_target_properties(fovea_cuda PROPERTIES CUDA_STANDARD 20 CUDA_STANDARD_REQUIRED ON EXPORT_NAME cuda)
    # As everywhere, a multiply-add is fused where the code says fma: a card adds and multiplies as the emulated device and the CPU do.
    target_compile_options(fovea_cuda PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:--expt-relaxed-constexpr --fmad=false -Xcompiler=-Wall,-Wextra,-ffp-contract=off
      $<$<BOOL:${FOVEA_WERROR}>:--Werror=all-warnings;-Xcompiler=-Werror>>)
    target_link_libraries(fovea_cuda PRIVATE CUDA::cudart_static)   # nothing above kernels/ sees the toolkit
    set(cublas "${FOVEA_CUBLAS}")
    if(cublas STREQUAL "" AND FOVEA_BENCH AND TARGET CUDA::cublas)
      set(cublas ON)   # the yardstick
    endif()
    if(cublas)
      target_compile_definitions(fovea_cuda PRIVATE FOVEA_CUBLAS)
      target_link_libraries(fovea_cuda PRIVATE CUDA::cublas)
    endif()
  endif()
endif()

add_library(fovea_device INTERFACE)
set_target_properties(fovea_device PROPERTIES EXPORT_NAME device)
if(fovea_cuda_mode STREQUAL "ON")
  target_link_libraries(fovea_device INTERFACE fovea_cuda)
else()
  set(stand_ins ${CMAKE_CURRENT_BINARY_DIR}/without_cuda.cpp)
  set(objects $<TARGET_OBJECTS:fovea_kernels> $<TARGET_OBJECTS:fovea_kernels_baseline>)   # the public names are in these; the rest may come later
  add_custom_command(OUTPUT ${stand_ins} VERBATIM
    COMMAND ${CMAKE_COMMAND} -D NM=${CMAKE_NM} "-D OBJECTS=${objects}" -D OUT=${stand_ins} -P ${PROJECT_SOURCE_DIR}/cmake/without_cuda.cmake
    DEPENDS ${objects} ${PROJECT_SOURCE_DIR}/cmake/without_cuda.cmake)
  add_library(fovea_without_cuda STATIC ${stand_ins})
  set_target_properties(fovea_without_cuda PROPERTIES EXPORT_NAME without_cuda)
  target_link_libraries(fovea_device INTERFACE fovea_without_cuda)
endif()

# fovea_emulated(TARGET [SOURCES...]): the emulated kernels come first and whole, so nothing is left for the stand-ins to answer.
function(fovea_emulated target)
  if(NOT fovea_cuda_mode STREQUAL "EMULATED")
    return()
  endif()
  add_executable(${target}_emulated $<TARGET_OBJECTS:${target}> ${ARGN})
  target_link_libraries(${target}_emulated PRIVATE $<LINK_LIBRARY:WHOLE_ARCHIVE,fovea_cuda> $<TARGET_PROPERTY:${target},LINK_LIBRARIES>)
endfunction()
