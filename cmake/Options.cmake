# Flags that every target of the project shares, through the interface library tapline_options.
option(TAPLINE_WERROR "Treat warnings as errors" OFF)
option(TAPLINE_TESTS "Build the tests" ON)
option(TAPLINE_CLI "Build the program tapline; without it only the library and its plugins" ON)
option(TAPLINE_EXAMPLES "Build the examples" ON)
option(TAPLINE_FUZZ "Build the fuzzers of tests/fuzz (clang)" OFF)
option(TAPLINE_COVERAGE "Count executed lines (gcov)" OFF)
set(TAPLINE_SANITIZE "" CACHE STRING "Sanitizers, comma-separated: address,undefined or thread")
set(TAPLINE_OPERATORS "all" CACHE STRING "Standard operators to include: all, or a list like Conv;Relu;Add")

include(CheckCCompilerFlag)
include(CheckCSourceCompiles)
check_c_compiler_flag(-malign-data=abi TAPLINE_ALIGNS_DATA) # gcc on x86

add_library(tapline_options INTERFACE)
target_compile_options(tapline_options INTERFACE -Wall -Wextra -Wpointer-arith -Wstrict-prototypes
  -Wmissing-prototypes -Wshadow -Wvla -ffunction-sections -fdata-sections $<$<BOOL:${TAPLINE_WERROR}>:-Werror>
  # -O3's copies of loops make the library half as large again, and nothing faster but what ops/kernels says itself.
  $<$<CONFIG:Release>:-O2 -fno-asynchronous-unwind-tables $<$<C_COMPILER_ID:GNU>:-fvect-cost-model=dynamic
    -falign-functions=1 -falign-jumps=1> # loops stay aligned
    $<$<BOOL:${TAPLINE_ALIGNS_DATA}>:-malign-data=abi>> # else each table of an operator begins at a multiple of 32
  # A multiplication and an addition are fused only where a kernel says so: clang would do it on its own.
  -ffp-contract=off)
target_compile_definitions(tapline_options INTERFACE _GNU_SOURCE) # POSIX, mmap and syscall beside plain C11
target_include_directories(tapline_options INTERFACE ${CMAKE_SOURCE_DIR}/runtime/include ${CMAKE_SOURCE_DIR}/runtime
  ${CMAKE_SOURCE_DIR}/ops)

# The tables of operators hold pointers by the thousand: as a bitmap their relocations take 2 KB instead of 110. Only
# glibc 2.36 and newer can read it.
set(CMAKE_REQUIRED_LINK_OPTIONS -Wl,-z,pack-relative-relocs)
check_c_source_compiles("#include <features.h>
#if !__GLIBC_PREREQ(2, 36)
#error
#endif
int main(void) { return 0; }" TAPLINE_PACKS_RELOCATIONS)
unset(CMAKE_REQUIRED_LINK_OPTIONS)
if(TAPLINE_PACKS_RELOCATIONS)
  target_link_options(tapline_options INTERFACE -Wl,-z,pack-relative-relocs)
endif()

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
