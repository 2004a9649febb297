# FoveaTargets.cmake: how a folder becomes a library, and how kernels are compiled once for each instruction set.

add_library(fovea_options INTERFACE)
target_compile_options(fovea_options INTERFACE -Wall -Wextra -Wshadow -Wno-psabi -ffp-contract=off)
if(FOVEA_WERROR)
  target_compile_options(fovea_options INTERFACE -Werror)
endif()
if(FOVEA_SANITIZE)
  target_compile_options(fovea_options INTERFACE -fsanitize=${FOVEA_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -g1)
  target_link_options(fovea_options INTERFACE -fsanitize=${FOVEA_SANITIZE})
endif()

# Under sanitizers the files of fovea_per_isa, which inline everything, would take eight times as long to compile. Less optimisation, checks
# behind calls instead of inline, and none for null or misaligned pointers, which the address sanitizer sees by itself, make it two.
add_library(fovea_isa_options INTERFACE)   # linked after fovea_options: the last of contrary flags counts
if(FOVEA_SANITIZE)
  target_compile_options(fovea_isa_options INTERFACE -O1)
  if(FOVEA_SANITIZE MATCHES "address" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(fovea_isa_options INTERFACE -fno-sanitize=null,alignment,object-size,pointer-overflow
      "SHELL:--param asan-instrumentation-with-call-threshold=0")
  endif()
endif()

# fovea_library(FOLDER [PUBLIC libs...] [PRIVATE libs...]): the static library fovea_FOLDER from FOLDER/**.cpp.
function(fovea_library folder)
  cmake_parse_arguments(ARG "" "" "PUBLIC;PRIVATE" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${folder}/*.cpp)
  list(FILTER sources EXCLUDE REGEX "/kernels/emulator/")   # FoveaCuda.cmake
  add_library(fovea_${folder} STATIC ${sources})
  set_target_properties(fovea_${folder} PROPERTIES EXPORT_NAME ${folder})
  target_include_directories(fovea_${folder} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/fovea>)
  target_compile_features(fovea_${folder} PUBLIC cxx_std_20)
  target_link_libraries(fovea_${folder} PUBLIC ${ARG_PUBLIC} Threads::Threads PRIVATE $<BUILD_INTERFACE:fovea_options> ${ARG_PRIVATE})
endfunction()

# fovea_per_isa(TARGET): TARGET's *_cpu.cpp files leave the ordinary sources and are compiled three times, always optimised
# (a debug build would leave functions un-inlined that the linker could then share between instruction sets).
function(fovea_per_isa target)
  get_target_property(sources ${target} SOURCES)
  set(per_isa ${sources})
  list(FILTER per_isa INCLUDE REGEX "_cpu\\.cpp$")
  list(FILTER sources EXCLUDE REGEX "_cpu\\.cpp$")
  set_target_properties(${target} PROPERTIES SOURCES "${sources}")
  set(flags_baseline -O1 -msse2 -DFOVEA_BASELINE)   # runs where nothing better can, and takes longest to compile: four registers a vector
  set(flags_avx2 -O3 -mavx2 -mfma -mtune=haswell)
  set(flags_avx512 -O3 -march=x86-64-v4 -mprefer-vector-width=512)
  # Formulas of many dependent steps, four vectors at a time: clang interleaves them by itself, GCC when asked to schedule before it allocates
  # registers.
  set(interleaved ${per_isa})
  list(FILTER interleaved INCLUDE REGEX "/(activation|cross_entropy|dropout|local_response_norm|softmax)_cpu\\.cpp$")
  set_source_files_properties(${interleaved} PROPERTIES COMPILE_OPTIONS "$<$<CXX_COMPILER_ID:GNU>:-fschedule-insns;-fsched-pressure>")
  foreach(isa baseline avx2 avx512)
    add_library(${target}_${isa} OBJECT ${per_isa})
    target_include_directories(${target}_${isa} PRIVATE ${PROJECT_SOURCE_DIR})
    target_compile_options(${target}_${isa} PRIVATE -DFOVEA_ISA=${isa} ${flags_${isa}})
    target_link_libraries(${target}_${isa} PRIVATE fovea_options fovea_isa_options)
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:${target}_${isa}>)
  endforeach()
endfunction()
