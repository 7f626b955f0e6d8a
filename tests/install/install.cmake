# Installs the build into a folder of its own, builds the project in consumer/ against that and nothing else, by
# find_package and by pkg-config, C and C++, shared and static, and runs all that comes out.
#   cmake -D BUILD= -D SOURCE= -D WORK= -D LIBDIR= -D FLAGS= -D GENERATOR= -D CC= -D CXX= -P install.cmake
cmake_minimum_required(VERSION 3.25)

function(run)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    list(JOIN ARGV " " command)
    message(FATAL_ERROR "failed (${result}): ${command}\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

file(REMOVE_RECURSE ${WORK})
set(prefix ${WORK}/prefix)
run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${prefix})

foreach(file include/tapline/tapline.h include/tapline/plugin.h include/tapline/types.h ${LIBDIR}/libtapline.so
    ${LIBDIR}/libtapline.a ${LIBDIR}/tapline/plugins/separable_conv1d.so ${LIBDIR}/pkgconfig/tapline.pc)
  if(NOT EXISTS ${prefix}/${file})
    message(FATAL_ERROR "not installed: ${file}")
  endif()
endforeach()
file(GLOB installed RELATIVE ${prefix} ${prefix}/include/* ${prefix}/include/tapline/*)
if(NOT installed STREQUAL "include/tapline;include/tapline/plugin.h;include/tapline/tapline.h;include/tapline/types.h")
  message(FATAL_ERROR "headers installed that are not the interface's: ${installed}")
endif()

# The plugin of the examples: everything in it comes from the installed headers.
file(COPY ${SOURCE}/examples/plugin/exponential_average.c DESTINATION ${WORK}/plugin)
file(COPY ${SOURCE}/tests/install/consumer DESTINATION ${WORK})
set(model ${SOURCE}/examples/plugin/model/model.onnx)
separate_arguments(flags UNIX_COMMAND "${FLAGS}")

# By find_package. The models' results must agree between all programs.
run(${CMAKE_COMMAND} -S ${WORK}/consumer -B ${WORK}/build -G ${GENERATOR} -DCMAKE_PREFIX_PATH=${prefix}
  -DCMAKE_C_COMPILER=${CC} -DCMAKE_CXX_COMPILER=${CXX} -DCMAKE_C_FLAGS=${FLAGS} -DCMAKE_CXX_FLAGS=${FLAGS}
  -DPLUGIN_SOURCE=${WORK}/plugin/exponential_average.c)
run(${CMAKE_COMMAND} --build ${WORK}/build)
set(plugin ${WORK}/build/exponential_average.so)
set(expected "")
foreach(program c_shared c_static cpp_shared cpp_static)
  run(${WORK}/build/${program} ${model} ${plugin})
  if(expected STREQUAL "")
    set(expected "${output}")
    # 0, then 0.75 * 0 + 0.25 * sin(3) and so on: channels of 50 steps lie side by side.
    if(NOT output MATCHES "^[0-9.]+: 0.0000 0.8415 0.9093")
      message(FATAL_ERROR "unexpected result: ${output}")
    endif()
  elseif(NOT output STREQUAL expected)
    message(FATAL_ERROR "${program} says ${output}, but c_shared ${expected}")
  endif()
endforeach()

# By pkg-config, as one does on a command line.
set(ENV{PKG_CONFIG_PATH} ${prefix}/${LIBDIR}/pkgconfig)
foreach(package tapline tapline-static)
  run(pkg-config --cflags --libs ${package})
  separate_arguments(package_flags UNIX_COMMAND "${output}")
  foreach(language c cpp)
    set(compiler ${CC} -std=c11)
    if(language STREQUAL cpp)
      set(compiler ${CXX} -std=c++11)
    endif()
    set(program ${WORK}/${package}_${language})
    run(${compiler} ${flags} ${WORK}/consumer/consumer.${language} -o ${program} ${package_flags} -lm
      -Wl,-rpath,${prefix}/${LIBDIR})
    run(${program} ${model} ${plugin})
    if(NOT output STREQUAL expected)
      message(FATAL_ERROR "${program} says ${output}, but c_shared ${expected}")
    endif()
  endforeach()
endforeach()

# A plugin by pkg-config's header path alone, and one in C++.
run(pkg-config --cflags tapline)
separate_arguments(include_flags UNIX_COMMAND "${output}")
run(${CC} -std=c11 -Wall -Wextra -Wpedantic -Werror -shared -fPIC -fvisibility=hidden ${flags} ${include_flags}
  ${WORK}/plugin/exponential_average.c -o ${WORK}/by_hand.so -Wl,--no-as-needed)
run(${WORK}/build/c_shared ${model} ${WORK}/by_hand.so)
run(${CXX} -std=c++11 -Wall -Wextra -Wpedantic -Werror -shared -fPIC -fvisibility=hidden ${flags} ${include_flags}
  ${WORK}/consumer/plugin.cpp -o ${WORK}/cpp.so)
execute_process(COMMAND ${WORK}/build/c_shared ${model} ${WORK}/cpp.so RESULT_VARIABLE result ERROR_VARIABLE error)
if(NOT result EQUAL 1 OR NOT error MATCHES "ExponentialAverage")
  message(FATAL_ERROR "a model without its plugin: ${result}, '${error}'")
endif()

# The installed program finds the installed plugins.
if(EXISTS ${prefix}/bin/tapline)
  run(${prefix}/bin/tapline run ${model} --random 1 --dim N=1 --dim T=5 --plugin ${plugin})
endif()
