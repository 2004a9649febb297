# without_cuda.cmake: cmake -D NM=<nm> -D OBJECTS=<of fovea_kernels, a list> -D OUT=<file.cpp> -P without_cuda.cmake
# Writes the stand-ins that programs without CUDA are linked with: every Cpu kernel has a Cuda twin, whose symbol differs by the tag alone, and
# each of those becomes another name of one function that throws.
execute_process(COMMAND ${NM} --defined-only ${OBJECTS} OUTPUT_VARIABLE symbols RESULT_VARIABLE code)
if(code)
  message(FATAL_ERROR "${NM}: exit code ${code}")
endif()
string(REGEX MATCHALL "_ZN5fovea7kernels[A-Za-z0-9_]*NS0_3CpuE[A-Za-z0-9_]*" names "${symbols}")
string(REPLACE "NS0_3CpuE" "NS0_4CudaE" names "${names}")
list(APPEND names _ZN5fovea7kernels11cuda_deviceENS0_4CudaE)   # device.h
list(REMOVE_DUPLICATES names)
list(SORT names)
set(text [=[
// Made by cmake/without_cuda.cmake.
#include <stdexcept>

extern "C" [[noreturn]] void fovea_without_cuda() {
  throw std::runtime_error("this program was built without CUDA (CMake's FOVEA_CUDA=ON builds it in)");
}
]=])
foreach(name ${names})
  string(APPEND text "asm(\".weak ${name}\\n.set ${name}, fovea_without_cuda\");\n")
endforeach()
file(CONFIGURE OUTPUT ${OUT} CONTENT "${text}" @ONLY)   # keeps its time where nothing changed
