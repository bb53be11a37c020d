// A library under the name of LibTorch's CUDA library whose device is memory of
// this machine that the program cannot touch. It is what model/device.cpp loads
// for `cuda` where LD_LIBRARY_PATH puts it first, and shows without a GPU
// whether code keeps to the rules of one:
//   - the address of a tensor on the device lies in pages without access: whoever
//     reads or writes them without an operator dies of it;
//   - operators run on the CPU, after a check that all their tensors are on the
//     device (tensors without dimensions may be on the CPU, as for CUDA);
//   - backward passes run on a thread of the device.
// Speed, and what a kernel of CUDA's own makes of its arguments, it cannot show.
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/EmptyTensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/native/transformers/attention.h>
#include <ATen/native/transformers/sdp_utils_cpp.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/view_native.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <sys/mman.h>
#include <torch/library.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

namespace {

using std::int64_t;

const c10::Device device{c10::kCUDA, 0};

// --- memory ------------------------------------------------------------------

/// One file of memory, mapped twice: where tensors say that they are, and where
/// operators find them. Blocks are powers of two and are used again.
class arena {
 public:
  static arena& get() {
    static arena one;
    return one;
  }

  void* take(std::size_t bytes) {
    std::size_t size = 256;
    while (size < bytes) size *= 2;
    const std::lock_guard lock{mutex_};
    auto& free = free_[size];
    if (!free.empty()) {
      auto* block = free.back();
      free.pop_back();
      return block;
    }
    TORCH_CHECK_WITH(OutOfMemoryError, used_ + size <= capacity,
                     "the pretended device is out of memory");
    auto* block = closed_ + used_;
    used_ += size;
    sizes_[block] = size;
    return block;
  }

  void give(void* block) {
    const std::lock_guard lock{mutex_};
    free_[sizes_.at(block)].push_back(block);
  }

  bool has(const void* address) const {
    return address >= closed_ && address < closed_ + capacity;
  }
  char* open(const void* address) const {
    return open_ + (static_cast<const char*>(address) - closed_);
  }

 private:
  static constexpr std::size_t capacity = std::size_t{16} << 30;

  arena() {
    const int file = memfd_create("pretended device", 0);
    TORCH_CHECK(file >= 0 && ftruncate(file, capacity) == 0, "memfd");
    const auto map = [&](int access) {
      void* at = mmap(nullptr, capacity, access, MAP_SHARED | MAP_NORESERVE,
                      file, 0);
      TORCH_CHECK(at != MAP_FAILED, "mmap");
      return static_cast<char*>(at);
    };
    closed_ = map(PROT_NONE);
    open_ = map(PROT_READ | PROT_WRITE);
  }

  std::mutex mutex_;
  std::map<std::size_t, std::vector<void*>> free_;
  std::map<const void*, std::size_t> sizes_;
  std::size_t used_ = 0;
  char* closed_ = nullptr;
  char* open_ = nullptr;
};

struct allocator final : c10::DeviceAllocator {
  static void free(void* block) {
    if (block) arena::get().give(block);
  }
  c10::DataPtr allocate(std::size_t bytes) override {
    void* at = bytes ? arena::get().take(bytes) : nullptr;
    return {at, at, &free, device};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &free; }
  void copy_data(void* to, const void* from, std::size_t n) const override {
    std::memcpy(arena::get().open(to), arena::get().open(from), n);
  }
  bool initialized() override { return true; }
  void emptyCache(c10::MempoolId_t) override {}
  void recordStream(const c10::DataPtr&, c10::Stream) override {}
  c10::CachingDeviceAllocator::DeviceStats getDeviceStats(
      c10::DeviceIndex) override {
    return {};
  }
  void resetAccumulatedStats(c10::DeviceIndex) override {}
  void resetPeakStats(c10::DeviceIndex) override {}
};

allocator memory;

// --- the device --------------------------------------------------------------

struct guard final : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return c10::kCUDA; }
  c10::Device exchangeDevice(c10::Device) const override { return device; }
  c10::Device getDevice() const override { return device; }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::Stream getStream(c10::Device) const override {
    return c10::Stream{c10::Stream::DEFAULT, device};
  }
  c10::Stream exchangeStream(c10::Stream s) const override { return s; }
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
  void destroyEvent(void*, c10::DeviceIndex) const noexcept override {}
  void record(void**, const c10::Stream&, c10::DeviceIndex,
              c10::EventFlag) const override {}
  void block(void*, const c10::Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  bool queryStream(const c10::Stream&) const override { return true; }
  void synchronizeStream(const c10::Stream&) const override {}
  void synchronizeEvent(void*) const override {}
  void synchronizeDevice(c10::DeviceIndex) const override {}
  void recordDataPtrOnStream(const c10::DataPtr&,
                             const c10::Stream&) const override {}
};
C10_REGISTER_GUARD_IMPL(CUDA, guard);

// Found by this name.
struct CUDAHooks final : at::CUDAHooksInterface {
  explicit CUDAHooks(at::CUDAHooksArgs) {}
  void init() const override {}
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasCUDA() const override { return true; }
  bool hasCUDART() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  c10::DeviceIndex deviceCount() const override { return 1; }
  c10::DeviceIndex getCurrentDevice() const override { return 0; }
  c10::DeviceIndex current_device() const override { return 0; }
  c10::Device getDeviceFromPtr(void*) const override { return device; }
  const at::Generator& getDefaultGenerator(c10::DeviceIndex) const override {
    return at::detail::getDefaultCPUGenerator();
  }
  c10::Allocator* getCUDADeviceAllocator() const override { return &memory; }
};
using at::CUDAHooksRegistry;
using at::RegistererCUDAHooksRegistry;
REGISTER_CUDA_HOOKS(CUDAHooks);

const bool allocator_is_set = [] {
  c10::SetAllocator(c10::kCUDA, &memory, 255);
  return true;
}();

// --- tensors -----------------------------------------------------------------

bool on_device(const at::Tensor& t) {
  return t.defined() && t.device() == device;
}

/// The same elements for an operator of the CPU's.
at::Tensor opened(const at::Tensor& t) {
  const auto options = t.options().device(c10::kCPU);
  // An output that has no elements yet may be given its size by the operator.
  if (t.numel() == 0) return at::empty_strided(t.sizes(), t.strides(), options);
  return at::from_blob(arena::get().open(t.const_data_ptr()), t.sizes(),
                       t.strides(), options);
}

at::Tensor empty_strided(at::IntArrayRef size, at::IntArrayRef stride,
                         std::optional<at::ScalarType> dtype,
                         std::optional<at::Layout>, std::optional<at::Device>,
                         std::optional<bool>) {
  return at::Tensor{at::detail::empty_strided_generic(
      size, stride, &memory, c10::DispatchKeySet{c10::DispatchKey::CUDA},
      c10::dtype_or_default(dtype))};
}

at::Tensor empty(at::IntArrayRef size, std::optional<at::ScalarType> dtype,
                 std::optional<at::Layout>, std::optional<at::Device>,
                 std::optional<bool>,
                 std::optional<at::MemoryFormat> format) {
  return at::Tensor{at::detail::empty_generic(
      size, &memory, c10::DispatchKeySet{c10::DispatchKey::CUDA},
      c10::dtype_or_default(dtype), format)};
}

const at::Tensor& resize_to(const at::Tensor& t, at::IntArrayRef size,
                         std::optional<at::MemoryFormat>) {
  auto* impl = t.unsafeGetTensorImpl();
  const auto elements = c10::multiply_integers(size);
  const auto bytes = static_cast<std::size_t>(
      (elements + t.storage_offset()) * t.element_size());
  if (bytes > t.storage().nbytes()) {
    auto larger = memory.allocate(bytes);
    if (t.storage().nbytes() > 0)
      memory.copy_data(larger.get(), t.storage().data(), t.storage().nbytes());
    t.storage().set_data_ptr_noswap(std::move(larger));
    t.storage().set_nbytes(bytes);
  }
  impl->set_sizes_contiguous(size);
  return t;
}

at::Tensor& copy(at::Tensor& to, const at::Tensor& from, bool) {
  const auto side = [](const at::Tensor& t) {
    return on_device(t) ? opened(t) : t;
  };
  if (to.numel() > 0) side(to).copy_(side(from));
  return to;
}

at::Scalar scalar(const at::Tensor& t) { return opened(t).item(); }

at::Tensor from_cpu(const at::Tensor& t) {
  auto out = at::empty_strided(t.sizes(), t.strides(),
                               t.options().device(device));
  return copy(out, t, false);
}

// --- operators ---------------------------------------------------------------

/// Runs an operator of the CPU's on opened tensors.
class operator_call {
 public:
  operator_call(const c10::OperatorHandle& op, torch::jit::Stack* stack)
      : op_(op), stack_(*stack) {}

  void run() {
    const auto& schema = op_.schema();
    const auto count = schema.arguments().size();
    const auto first = stack_.size() - count;
    for (std::size_t i = 0; i < count; ++i) {
      const auto* alias = schema.arguments()[i].alias_info();
      writes_ = alias && alias->isWrite();
      open(stack_[first + i]);
    }
    op_.redispatchBoxed(c10::DispatchKeySet{c10::DispatchKey::CPU}, &stack_);
    for (const auto& [on_cpu, original, written] : known_)
      if (written) close(on_cpu, original);
    for (auto i = stack_.size() - schema.returns().size(); i < stack_.size();
         ++i)
      give_back(stack_[i]);
  }

 private:
  struct pair {
    at::Tensor on_cpu, original;
    bool written;
  };

  at::Tensor of_cpu(const at::Tensor& t) {
    if (!t.defined()) return t;
    if (!on_device(t)) {
      TORCH_CHECK(t.dim() == 0, op_.operator_name(),
                  ": expected all tensors on the device, found one on ",
                  t.device(), " of sizes ", t.sizes());
      return t;
    }
    known_.push_back({opened(t), t, writes_});
    return known_.back().on_cpu;
  }

  void open(c10::IValue& value) {
    if (value.isTensor()) {
      value = of_cpu(value.toTensor());
    } else if (value.isTensorList()) {
      c10::List<at::Tensor> list;
      for (const at::Tensor& t : value.toTensorVector())
        list.push_back(of_cpu(t));
      value = list;
    } else if (value.isOptionalTensorList()) {
      c10::List<std::optional<at::Tensor>> list;
      for (const std::optional<at::Tensor>& t : value.toOptionalTensorVector())
        list.push_back(t ? std::optional{of_cpu(*t)} : t);
      value = list;
    } else if (value.isDevice() && value.toDevice().is_cuda()) {
      value = c10::Device{c10::kCPU};
    }
  }

  static void close(const at::Tensor& on_cpu, const at::Tensor& original) {
    if (on_cpu.sizes() != original.sizes())
      resize_to(original, on_cpu.sizes(), std::nullopt);
    else if (on_cpu.numel() == 0)
      return;
    if (on_cpu.const_data_ptr() !=
        arena::get().open(original.const_data_ptr()))
      opened(original).copy_(on_cpu);
  }

  at::Tensor given_back(const at::Tensor& t) const {
    if (!t.defined()) return t;
    for (const auto& [on_cpu, original, written] : known_)
      if (on_cpu.is_same(t)) return original;
    return from_cpu(t);
  }

  void give_back(c10::IValue& value) const {
    if (value.isTensor()) {
      value = given_back(value.toTensor());
    } else if (value.isTensorList()) {
      c10::List<at::Tensor> list;
      for (const at::Tensor& t : value.toTensorVector())
        list.push_back(given_back(t));
      value = list;
    }
  }

  const c10::OperatorHandle& op_;
  torch::jit::Stack& stack_;
  std::vector<pair> known_;
  bool writes_ = false;
};

void run(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  operator_call{op, stack}.run();
}

int64_t attention_by_operators(const at::Tensor&, const at::Tensor&,
                               const at::Tensor&,
                               const std::optional<at::Tensor>&, double, bool,
                               std::optional<double>, bool) {
  return static_cast<int64_t>(sdp::SDPBackend::math);
}

}  // namespace

namespace at::native {
REGISTER_CUDA_DISPATCH(_fused_sdp_choice_stub, &attention_by_operators)
}  // namespace at::native

TORCH_LIBRARY_IMPL(_, CUDA, library) {
  library.fallback(torch::CppFunction::makeFromBoxedFunction<&run>());
}

TORCH_LIBRARY_IMPL(aten, CUDA, library) {
  library.impl("empty.memory_format", &empty);
  library.impl("empty_strided", &empty_strided);
  library.impl("as_strided", &at::native::as_strided_tensorimpl);
  library.impl("view", &at::native::view);
  library.impl("_reshape_alias", &at::native::_reshape_alias);
  library.impl("resize_", &resize_to);
  library.impl("copy_", &copy);
  library.impl("_local_scalar_dense", &scalar);
}
