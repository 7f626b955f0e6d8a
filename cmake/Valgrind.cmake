# Runs the Check programs of a build under valgrind, in one process each; every PARTS-th of them, beginning with number
# PART, so that several cores can share the work.
#   cmake -D BUILD=build -D PART=0 -D PARTS=2 -P cmake/Valgrind.cmake
# Left out are the programs that go through grids of numbers, or measure time: they take minutes by themselves, and
# valgrind makes that hours. The sanitizers run them.
set(grids "^(exec\\.(growth|strips)|kernels\\.|ops_math\\.(cast|elementwise|reduce|vmath)|ops_nn\\.matmul|ops_tensor\\.copy|separable_conv1d\\.(properties|values))")
cmake_minimum_required(VERSION 3.25)

find_program(valgrind valgrind REQUIRED)
execute_process(COMMAND ctest --show-only=json-v1 -L unit -E "${grids}" WORKING_DIRECTORY ${BUILD} OUTPUT_VARIABLE json
  COMMAND_ERROR_IS_FATAL ANY)
string(JSON count LENGTH "${json}" tests)
if(count EQUAL 0)
  message(FATAL_ERROR "no unit tests in ${BUILD}")
endif()
math(EXPR last "${count} - 1")
if(PART GREATER last)
  return()
endif()
set(failed "")
set(run 0)
foreach(k RANGE ${PART} ${last} ${PARTS})
  math(EXPR run "${run} + 1")
  string(JSON name GET "${json}" tests ${k} name)
  string(JSON words LENGTH "${json}" tests ${k} command)
  math(EXPR last_word "${words} - 1")
  set(command "")
  foreach(w RANGE ${last_word})
    string(JSON word GET "${json}" tests ${k} command ${w})
    list(APPEND command "${word}")
  endforeach()
  set(folder ${BUILD})
  string(JSON properties LENGTH "${json}" tests ${k} properties)
  math(EXPR last_property "${properties} - 1")
  foreach(p RANGE ${last_property})
    string(JSON property GET "${json}" tests ${k} properties ${p} name)
    if(property STREQUAL "WORKING_DIRECTORY")
      string(JSON folder GET "${json}" tests ${k} properties ${p} value)
    endif()
  endforeach()
  # Blocks are known by an address behind their head (base/memory.c): what a program keeps to its end is "possibly lost".
  execute_process(COMMAND ${CMAKE_COMMAND} -E env CK_FORK=no CK_EXCLUDE_TAGS=processor ${valgrind} --quiet --error-exitcode=99 --leak-check=full
      --errors-for-leak-kinds=definite
      --show-leak-kinds=definite,indirect --max-stackframe=33554432 ${command}
    WORKING_DIRECTORY ${folder} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    message("${name}: ${result}\n${output}")
    list(APPEND failed ${name})
  endif()
endforeach()
list(LENGTH failed failures)
math(EXPR passed "${run} - ${failures}")
message("${passed} of ${run} programs of unit tests are clean under valgrind")
if(failed)
  message(FATAL_ERROR "not clean: ${failed}")
endif()
