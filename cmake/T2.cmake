# How every target of t2 is compiled.
add_library(t2_flags INTERFACE)
target_compile_features(t2_flags INTERFACE cxx_std_20)
target_include_directories(t2_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(t2_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror
  # GCC 12 sees overlaps in its own std::string::operator+ (PR105651).
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)
if(T2_PRECOMPILE)
  # The same, once its headers are precompiled.
  target_compile_options(t2_flags INTERFACE
    $<$<CXX_COMPILER_ID:GNU>:-Wno-stringop-overflow>)
endif()
if(T2_FUZZ)
  target_compile_options(t2_flags INTERFACE -fsanitize=fuzzer-no-link
    # Clang's view of what GCC lets pass.
    -Wno-sign-conversion)
endif()
if(T2_SANITIZE)
  target_compile_options(t2_flags INTERFACE
    -fsanitize=${T2_SANITIZE} -fno-omit-frame-pointer
    # Half the time to build; traces keep their lines.
    -O1 -g1
    # Instrumented variants look uninitialised to GCC 12; plain builds warn.
    $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
  target_link_options(t2_flags INTERFACE -fsanitize=${T2_SANITIZE})
  if(T2_SANITIZE STREQUAL "thread")
    # GCC's thread sanitizer does not follow fences; Asio does without them.
    target_compile_definitions(t2_flags INTERFACE
      BOOST_ASIO_DISABLE_FENCED_BLOCK)
  endif()
endif()

# Linked after t2_flags, so that it has the last word: CAF 0.17 dereferences null
# pointers to empty tuples when it starts actors.
add_library(t2_caf_flags INTERFACE)
if(T2_SANITIZE MATCHES undefined)
  target_compile_options(t2_caf_flags INTERFACE -fno-sanitize=null)
endif()

# LibTorch's headers take a file ten seconds to read, nlohmann's two: once for all
# files of the target, and of those that REUSE_FROM it. A file that knows no
# tensors is faster without them (SKIP_PRECOMPILE_HEADERS).
set(t2_standard_headers <nlohmann/json.hpp> <algorithm> <chrono> <filesystem>
  <functional> <map> <memory> <optional> <string> <string_view> <utility> <vector>)
function(t2_precompile_tensors target)
  target_precompile_headers(${target} PRIVATE <ATen/ATen.h> ${t2_standard_headers})
endfunction()
function(t2_precompile_json target)
  target_precompile_headers(${target} PRIVATE ${t2_standard_headers})
endfunction()

# t2_room(NAME SOURCES... LINK targets...): the static library t2_NAME.
function(t2_room name)
  cmake_parse_arguments(room "" "" "LINK" ${ARGN})
  add_library(t2_${name} STATIC ${room_UNPARSED_ARGUMENTS})
  target_link_libraries(t2_${name} PUBLIC t2_flags ${room_LINK})
endfunction()

# t2_test(NAME LINK targets...): t2_test_NAME from tests/NAME/*.cpp, one ctest
# entry for each binary (the binaries are heavy to start, their tests are not).
function(t2_test name)
  cmake_parse_arguments(test "" "TIMEOUT" "LINK" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/${name}/*.cpp)
  if(NOT sources)
    return()
  endif()
  add_executable(t2_test_${name} ${sources})
  # What a test does takes no time; that it compiles does.
  target_compile_options(t2_test_${name} PRIVATE $<$<CONFIG:Release>:-O1>)
  target_link_libraries(t2_test_${name} PRIVATE ${test_LINK} t2_test_paths
    GTest::gtest GTest::gtest_main)
  if(NOT test_TIMEOUT)
    set(test_TIMEOUT 600)
  endif()
  if(T2_SANITIZE)
    math(EXPR test_TIMEOUT "4 * ${test_TIMEOUT}")
  endif()
  add_test(NAME ${name} COMMAND t2_test_${name})
  # Tests run small models beside other processes: threads that spin between
  # two loops would take the cores from those who work.
  set_tests_properties(${name} PROPERTIES TIMEOUT ${test_TIMEOUT}
    ENVIRONMENT OMP_WAIT_POLICY=passive)
endfunction()
