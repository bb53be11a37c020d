# LibTorch out of the wheel that tools/setup.sh installs. find_package(Torch)
# would demand a CUDA toolkit even for a CPU program; t2 links torch_cpu alone
# and loads the CUDA library at run time when asked for it.
# Defines LibTorch::cpu. LIBTORCH_DIR: the folder `torch` of a wheel.
file(GLOB _torch ${CMAKE_SOURCE_DIR}/.venv/lib/python3*/site-packages/torch)
set(LIBTORCH_DIR "${_torch}" CACHE PATH "the folder `torch` of a LibTorch wheel")
find_path(LibTorch_INCLUDE_DIR ATen/core/Tensor.h
  PATHS ${LIBTORCH_DIR}/include NO_DEFAULT_PATH)
find_library(LibTorch_CPU torch_cpu PATHS ${LIBTORCH_DIR}/lib NO_DEFAULT_PATH)
find_library(LibTorch_C10 c10 PATHS ${LIBTORCH_DIR}/lib NO_DEFAULT_PATH)
# The wheel brings an OpenMP runtime of its own. Our kernels must run on its
# threads: a second pool would spin beside the first on the same cores.
file(GLOB LibTorch_OPENMP ${LIBTORCH_DIR}/lib/libgomp*.so*)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibTorch REQUIRED_VARS
  LibTorch_CPU LibTorch_C10 LibTorch_OPENMP LibTorch_INCLUDE_DIR
  REASON_FAILURE_MESSAGE "run tools/setup.sh, or set LIBTORCH_DIR")

if(LibTorch_FOUND AND NOT TARGET LibTorch::cpu)
  get_filename_component(_packages ${LIBTORCH_DIR} DIRECTORY)
  add_library(LibTorch::c10 SHARED IMPORTED)
  set_target_properties(LibTorch::c10 PROPERTIES IMPORTED_LOCATION ${LibTorch_C10})
  add_library(LibTorch::cpu SHARED IMPORTED)
  set_target_properties(LibTorch::cpu PROPERTIES
    IMPORTED_LOCATION ${LibTorch_CPU}
    INTERFACE_INCLUDE_DIRECTORIES
      "${LibTorch_INCLUDE_DIR};${LibTorch_INCLUDE_DIR}/torch/csrc/api/include")
  target_link_libraries(LibTorch::cpu INTERFACE LibTorch::c10 ${LibTorch_OPENMP})
  target_compile_options(LibTorch::cpu INTERFACE -fopenmp)
  target_link_options(LibTorch::cpu INTERFACE
    -Wl,--allow-shlib-undefined
    -Wl,-rpath,${LIBTORCH_DIR}/lib
    -Wl,-rpath,${_packages}/nvidia/cu13/lib)
endif()
