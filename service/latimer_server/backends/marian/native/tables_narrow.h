// Products with rows of an embedding table, and the list of groups that are not all 0, for registers of 16 or 32 bytes.
// See `tables_avx512.h` for what each function does.
#pragma once

namespace LATIMER_KERNELS {

inline void gather_block(const uint8_t* table, int size, const int32_t* ids, const int32_t* next, uint8_t* packed) {
  for (int first = 0; first < kLanes; first += kSquare) {
    const uint8_t* rows[kSquare];
    for (int n = 0; n < kSquare; ++n) {
      rows[n] = table + static_cast<size_t>(ids[first + n]) * size;
      const uint8_t* ahead = table + static_cast<size_t>(next[first + n]) * size;
      for (int k = 0; k < size; k += kEntryBytes) prefetch(ahead + k);
    }
    for (int k = 0; k < size; k += 4 * kSquare) transpose_square(rows, k, packed + k * kLanes + 4 * first, kEntryBytes);
  }
}

inline Ints multiply_rows(const int8_t* x, const uint8_t* table, int size, const int32_t* ids, const int32_t* next) {
  int32_t sums[kLanes];
  for (int i = 0; i < kLanes; ++i) {
    const uint8_t* ahead = table + static_cast<size_t>(next[i]) * size;
    for (int k = 0; k < size; k += kEntryBytes) prefetch(ahead + k);
    sums[i] = dot_row(table + static_cast<size_t>(ids[i]) * size, x, size);
  }
  return load(sums);
}

inline int list_groups(const uint8_t* x, int size, int* groups) {
  int count = 0;
  for (int k = 0; k < size; k += 4) {
    uint32_t four;
    std::memcpy(&four, x + k, 4);
    groups[count] = k / 4;
    count += four != 0;
  }
  return count;
}

inline int store_chosen(int32_t* to, uint32_t mask, Ints a) {
  int32_t lanes[kLanes];
  store(lanes, a);
  int count = 0;
  for (int i = 0; i < kLanes; ++i) {
    to[count] = lanes[i];
    count += (mask >> i) & 1;
  }
  return count;
}

}  // namespace LATIMER_KERNELS
