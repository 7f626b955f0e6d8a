# tapline_add_plugin(NAME sources... [OBJECTS target...] [NO_INSTALL])
#
# A plugin NAME.so in build/plugins, installed beside the others. It links against nothing of Tapline, and exports its
# entry and nothing else: its other symbols must not be found in place of the program's, nor the other way round.
function(tapline_add_plugin name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "NO_INSTALL" "" "OBJECTS")
  set(objects "")
  foreach(target IN LISTS arg_OBJECTS)
    list(APPEND objects $<TARGET_OBJECTS:${target}>)
  endforeach()
  add_library(${name} MODULE ${arg_UNPARSED_ARGUMENTS} ${objects})
  target_link_libraries(${name} PRIVATE tapline_options m)
  target_link_options(${name} PRIVATE -Wl,--gc-sections -Wl,--version-script=${PROJECT_SOURCE_DIR}/cmake/plugin.map)
  set_target_properties(${name} PROPERTIES PREFIX "" LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/plugins
    LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/plugin.map)
  if(NOT arg_NO_INSTALL)
    install(TARGETS ${name} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/tapline/plugins)
  endif()
endfunction()
