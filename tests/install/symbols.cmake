# The shared library exports what the header declares and nothing else; the static one has no other global names.
#   cmake -D NM= -D SHARED= -D ARCHIVE= -D HEADER= -P symbols.cmake
cmake_minimum_required(VERSION 3.25)

file(READ ${HEADER} text)
string(REGEX MATCHALL "TL_API [^(]*[ *]tl_[a-z0-9_]+\\(" declared "${text}")
list(TRANSFORM declared REPLACE ".*[ *](tl_[a-z0-9_]+)\\($" "\\1")
list(SORT declared)
list(LENGTH declared count)
if(count LESS 20)
  message(FATAL_ERROR "only ${count} functions found in ${HEADER}")
endif()

function(check what)
  execute_process(COMMAND ${NM} ${ARGN} OUTPUT_VARIABLE output COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL "[0-9a-f]+ [TDRBVWiu] [^\n]+" lines "${output}")
  list(TRANSFORM lines REPLACE "^[0-9a-f]+ . " "")
  list(TRANSFORM lines REPLACE "@.*$" "")
  list(FILTER lines EXCLUDE REGEX "^(__asan_|__odr_asan|__ubsan_|__tsan_|__gcov|__llvm)")
  list(SORT lines)
  if(NOT lines STREQUAL declared)
    message(FATAL_ERROR "${what} exports\n  ${lines}\nbut the header declares\n  ${declared}")
  endif()
endfunction()

check("the shared library" -D --defined-only ${SHARED})
check("the static library" --defined-only --extern-only ${ARCHIVE})
