# What the build needs from outside. Each thing that is missing is named with the Debian package that has it, all at once.
set(TAPLINE_MISSING "")

function(tapline_need variable what package)
  if(NOT ${variable})
    list(APPEND TAPLINE_MISSING "${what} (Debian package ${package})")
    set(TAPLINE_MISSING "${TAPLINE_MISSING}" PARENT_SCOPE)
  endif()
endfunction()

find_program(TAPLINE_PROTOC_C protoc-c)
tapline_need(TAPLINE_PROTOC_C "the compiler protoc-c" protobuf-c-compiler)
find_path(TAPLINE_PROTOBUF_C_INCLUDE protobuf-c/protobuf-c.h)
tapline_need(TAPLINE_PROTOBUF_C_INCLUDE "the headers of protobuf-c" libprotobuf-c-dev)
find_path(TAPLINE_PROTOBUF_INCLUDE google/protobuf/descriptor.proto)
tapline_need(TAPLINE_PROTOBUF_INCLUDE "descriptor.proto, of protobuf" libprotobuf-dev)

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)

if(TAPLINE_CLI OR TAPLINE_EXAMPLES)
  find_path(TAPLINE_CJSON_INCLUDE cjson/cJSON.h)
  find_library(TAPLINE_CJSON_LIBRARY NAMES cjson)
  if(NOT TAPLINE_CJSON_INCLUDE)
    set(TAPLINE_CJSON_LIBRARY "")
  endif()
  tapline_need(TAPLINE_CJSON_LIBRARY
    "the library cJSON, or -DTAPLINE_CLI=OFF -DTAPLINE_EXAMPLES=OFF to do without" libcjson-dev)
endif()

if(TAPLINE_TESTS)
  find_path(TAPLINE_CHECK_INCLUDE check.h)
  find_library(TAPLINE_CHECK_LIBRARY NAMES check)
  find_library(TAPLINE_PROTOBUF_C_LIBRARY NAMES protobuf-c) # to compare with
  tapline_need(TAPLINE_PROTOBUF_C_LIBRARY "the library protobuf-c for the tests" libprotobuf-c-dev)
  find_library(TAPLINE_SUBUNIT_LIBRARY NAMES subunit) # Debian's Check reports through it
  if(NOT TAPLINE_CHECK_INCLUDE)
    set(TAPLINE_CHECK_LIBRARY "")
  endif()
  tapline_need(TAPLINE_CHECK_LIBRARY "the library Check for the tests, or -DTAPLINE_TESTS=OFF to do without" check)
endif()

if(TAPLINE_MISSING)
  list(JOIN TAPLINE_MISSING "\n  " missing)
  message(FATAL_ERROR "Tapline cannot be built here; missing:\n  ${missing}")
endif()
