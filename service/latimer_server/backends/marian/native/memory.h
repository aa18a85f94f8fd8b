// An arena: memory of one owner that is freed together.
#pragma once

namespace LATIMER_KERNELS {

// If the system has no memory, `take` returns null and sets `failed`.
class Memory {
 public:
  Memory() = default;
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() {
    while (blocks_ != nullptr) {
      Block* next = blocks_->next;
      std::free(blocks_);
      blocks_ = next;
    }
  }

  template <class T>
  T* take(size_t count) {
    const size_t bytes = (sizeof(Block) + count * sizeof(T) + 63) / 64 * 64;
    auto* block = static_cast<Block*>(std::aligned_alloc(64, bytes));
    if (block == nullptr) {
      failed = true;
      return nullptr;
    }
    block->next = blocks_;
    blocks_ = block;
    return reinterpret_cast<T*>(block + 1);
  }

  template <class T>
  T* take_zeros(size_t count) {
    T* taken = take<T>(count);
    if (taken != nullptr) std::memset(taken, 0, count * sizeof(T));
    return taken;
  }

  bool failed = false;

 private:
  struct alignas(64) Block {
    Block* next;
  };
  Block* blocks_ = nullptr;
};

template <class T>
inline void exchange(T*& a, T*& b) {
  T* kept = a;
  a = b;
  b = kept;
}

}  // namespace LATIMER_KERNELS
