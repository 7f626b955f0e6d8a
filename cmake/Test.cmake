# What a program of Check tests links.
set(CHECK_LIBRARIES ${TAPLINE_CHECK_LIBRARY} $<$<BOOL:${TAPLINE_SUBUNIT_LIBRARY}>:${TAPLINE_SUBUNIT_LIBRARY}>
  Threads::Threads m rt)

# tapline_add_test(NAME sources... [LIBRARIES lib...] [ARGUMENTS arg...])
#
# A program of Check tests, run by ctest as NAME. It sees the library's insides: it links the static library, whose
# hidden symbols are still there.
function(tapline_add_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "LIBRARIES;ARGUMENTS")
  string(REPLACE "." "_" target "test_${name}")
  add_executable(${target} ${arg_UNPARSED_ARGUMENTS})
  target_include_directories(${target} SYSTEM PRIVATE ${TAPLINE_CHECK_INCLUDE})
  target_link_libraries(${target} PRIVATE tapline_options tapline_test_common ${arg_LIBRARIES} tapline_static
    ${CHECK_LIBRARIES})
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  add_test(NAME ${name} COMMAND ${target} ${arg_ARGUMENTS} WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES LABELS unit)
endfunction()
