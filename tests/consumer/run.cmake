# run.cmake: cmake -D BUILD=<Fovea's build> -D WORK=<folder> -D CXX=<compiler> -D FLAGS=<flags> -P run.cmake
# Installs Fovea under WORK, checks that the installed package names no path of the build or the sources, and that the
# consumer builds and runs with it.
function(step what)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE code OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "${what}: exit code ${code}\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

file(REMOVE_RECURSE ${WORK})
step("install" ${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/prefix)

get_filename_component(source ${CMAKE_CURRENT_LIST_DIR}/../.. ABSOLUTE)
file(GLOB_RECURSE package ${WORK}/prefix/*.cmake)
foreach(file ${package})
  file(READ ${file} text)
  foreach(unwanted ${BUILD} ${source} fovea_options)
    string(FIND "${text}" "${unwanted}" at)
    if(NOT at EQUAL -1)
      message(FATAL_ERROR "${file} names ${unwanted}")
    endif()
  endforeach()
endforeach()

step("configure" ${CMAKE_COMMAND} -G Ninja -S ${CMAKE_CURRENT_LIST_DIR} -B ${WORK}/build -DCMAKE_PREFIX_PATH=${WORK}/prefix
     -DCMAKE_CXX_COMPILER=${CXX} -DCMAKE_CXX_FLAGS=${FLAGS} -DCMAKE_EXPORT_NO_PACKAGE_REGISTRY=ON)
step("build" ${CMAKE_COMMAND} --build ${WORK}/build)
step("run" ${WORK}/build/consumer)
if(NOT output MATCHES "^loss [0-9.]+, parameters 8\n$")
  message(FATAL_ERROR "the consumer printed: ${output}")
endif()
