# What `cmake --install` lays down besides the library, the program and the plugins, which say it where they are built:
# headers, and how others find the library by pkg-config and by find_package(tapline).
include(CMakePackageConfigHelpers)

install(DIRECTORY ${PROJECT_SOURCE_DIR}/runtime/include/tapline DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  FILES_MATCHING PATTERN "*.h")
install(TARGETS tapline tapline_archive EXPORT tapline
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

set(cmake_folder ${CMAKE_INSTALL_LIBDIR}/cmake/tapline)
install(EXPORT tapline NAMESPACE tapline:: FILE tapline-targets.cmake DESTINATION ${cmake_folder})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/tapline-config.cmake.in
  ${PROJECT_BINARY_DIR}/tapline-config.cmake INSTALL_DESTINATION ${cmake_folder})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/tapline-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/tapline-config.cmake ${PROJECT_BINARY_DIR}/tapline-config-version.cmake
  DESTINATION ${cmake_folder})

# What a program that links the static library needs besides it.
set(TAPLINE_PC_STATIC "-pthread -ldl -lm")
foreach(name tapline tapline-static)
  configure_file(${PROJECT_SOURCE_DIR}/cmake/${name}.pc.in ${PROJECT_BINARY_DIR}/${name}.pc.configured @ONLY)
  # The prefix may still change: `cmake --install build --prefix ...` writes the files for the one that it got.
  install(CODE "
    file(READ \"${PROJECT_BINARY_DIR}/${name}.pc.configured\" text)
    string(REPLACE \"%PREFIX%\" \"\${CMAKE_INSTALL_PREFIX}\" text \"\${text}\")
    file(WRITE \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_LIBDIR}/pkgconfig/${name}.pc\" \"\${text}\")
    message(STATUS \"Installing: \${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_LIBDIR}/pkgconfig/${name}.pc\")
  ")
endforeach()
