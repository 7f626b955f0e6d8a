# Flags that every target of the project shares, through the interface library tapline_options.
option(TAPLINE_WERROR "Treat warnings as errors" OFF)
option(TAPLINE_TESTS "Build the tests" ON)
option(TAPLINE_CLI "Build the program tapline; without it only the library and its plugins" ON)
option(TAPLINE_EXAMPLES "Build the examples" ON)
option(TAPLINE_PTHREADS "Plain POSIX threads instead of pthreadpool, whose futex ThreadSanitizer cannot see" OFF)
option(TAPLINE_FUZZ "Build the fuzzers of tests/fuzz (clang)" OFF)
option(TAPLINE_COVERAGE "Count executed lines (gcov)" OFF)
set(TAPLINE_SANITIZE "" CACHE STRING "Sanitizers, comma-separated: address,undefined or thread")
set(TAPLINE_OPERATORS "all" CACHE STRING "Standard operators to include: all, or a list like Conv;Relu;Add")

add_library(tapline_options INTERFACE)
target_compile_options(tapline_options INTERFACE -Wall -Wextra -Wpointer-arith -Wstrict-prototypes
  -Wmissing-prototypes -Wshadow -Wvla -ffunction-sections -fdata-sections $<$<BOOL:${TAPLINE_WERROR}>:-Werror>
  # A multiplication and an addition are fused only where a kernel says so: clang would do it on its own.
  -ffp-contract=off)
target_compile_definitions(tapline_options INTERFACE _GNU_SOURCE $<$<BOOL:${TAPLINE_PTHREADS}>:TAPLINE_PTHREADS=1>)
target_include_directories(tapline_options INTERFACE ${CMAKE_SOURCE_DIR}/runtime/include ${CMAKE_SOURCE_DIR}/runtime
  ${CMAKE_SOURCE_DIR}/ops)

if(TAPLINE_SANITIZE)
  add_compile_options(-fsanitize=${TAPLINE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all -g)
  add_link_options(-fsanitize=${TAPLINE_SANITIZE})
endif()
if(TAPLINE_FUZZ)
  if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "TAPLINE_FUZZ needs clang (Debian packages clang-14 and libclang-rt-14-dev)")
  endif()
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
if(TAPLINE_COVERAGE)
  add_compile_options(--coverage)
  add_link_options(--coverage)
endif()
