// Products with rows of an embedding table in registers of AVX-512, and the list of groups that are not all 0.
#pragma once

namespace LATIMER_KERNELS {

// Returns the sum of the lanes of each of 16 vectors.
inline __m512i sum_each(const __m512i* vectors) {
  __m512i pairs[8], fours[4], halves[2];
  for (int i = 0; i < 8; ++i)
    pairs[i] = _mm512_add_epi32(_mm512_unpacklo_epi32(vectors[2 * i], vectors[2 * i + 1]),
                                _mm512_unpackhi_epi32(vectors[2 * i], vectors[2 * i + 1]));
  for (int i = 0; i < 4; ++i)
    fours[i] = _mm512_add_epi32(_mm512_unpacklo_epi64(pairs[2 * i], pairs[2 * i + 1]),
                                _mm512_unpackhi_epi64(pairs[2 * i], pairs[2 * i + 1]));
  for (int i = 0; i < 2; ++i)
    halves[i] = _mm512_add_epi32(_mm512_shuffle_i32x4(fours[2 * i], fours[2 * i + 1], 0x88),
                                 _mm512_shuffle_i32x4(fours[2 * i], fours[2 * i + 1], 0xdd));
  return _mm512_add_epi32(_mm512_shuffle_i32x4(halves[0], halves[1], 0x88), _mm512_shuffle_i32x4(halves[0], halves[1], 0xdd));
}

// Transposes a 16 x 16 matrix of 32-bit values.
inline void transpose(__m512i* rows) {
  __m512i pairs[16], fours[16], halves[16];
  for (int i = 0; i < 8; ++i) {
    pairs[2 * i] = _mm512_unpacklo_epi32(rows[2 * i], rows[2 * i + 1]);
    pairs[2 * i + 1] = _mm512_unpackhi_epi32(rows[2 * i], rows[2 * i + 1]);
  }
  for (int i = 0; i < 4; ++i)
    for (int n = 0; n < 2; ++n) {
      fours[4 * i + 2 * n] = _mm512_unpacklo_epi64(pairs[4 * i + n], pairs[4 * i + n + 2]);
      fours[4 * i + 2 * n + 1] = _mm512_unpackhi_epi64(pairs[4 * i + n], pairs[4 * i + n + 2]);
    }
  for (int i = 0; i < 2; ++i)
    for (int n = 0; n < 4; ++n) {
      halves[8 * i + n] = _mm512_shuffle_i32x4(fours[8 * i + n], fours[8 * i + n + 4], 0x88);
      halves[8 * i + n + 4] = _mm512_shuffle_i32x4(fours[8 * i + n], fours[8 * i + n + 4], 0xdd);
    }
  for (int n = 0; n < 8; ++n) {
    rows[n] = _mm512_shuffle_i32x4(halves[n], halves[n + 8], 0x88);
    rows[n + 8] = _mm512_shuffle_i32x4(halves[n], halves[n + 8], 0xdd);
  }
}

// Packs 16 rows of a table [.., size], in groups of four bytes: for each group 16 rows times 4. Reads the rows `next`
// ahead of time.
inline void gather_block(const uint8_t* table, int size, const int32_t* ids, const int32_t* next, uint8_t* packed) {
  for (int k = 0; k < size; k += kEntryBytes) {
    __m512i rows[kLanes];
    for (int i = 0; i < kLanes; ++i) {
      rows[i] = _mm512_loadu_si512(table + static_cast<size_t>(ids[i]) * size + k);
      prefetch(table + static_cast<size_t>(next[i]) * size + k);
    }
    transpose(rows);
    for (int i = 0; i < kLanes; ++i) _mm512_storeu_si512(packed + (k + 4 * i) * kLanes, rows[i]);
  }
}

// Multiplies signed bytes x [size] with 16 rows of a table that is not packed. Reads the rows `next` ahead of time.
inline Ints multiply_rows(const int8_t* x, const uint8_t* table, int size, const int32_t* ids, const int32_t* next) {
  __m512i sums[kLanes];
  for (int i = 0; i < kLanes; ++i) {
    const uint8_t* row = table + static_cast<size_t>(ids[i]) * size;
    const uint8_t* ahead = table + static_cast<size_t>(next[i]) * size;
    __m512i sum = _mm512_setzero_si512();
    for (int k = 0; k < size; k += kEntryBytes) {
      prefetch(ahead + k);
      sum = _mm512_dpbusd_epi32(sum, _mm512_loadu_si512(row + k), _mm512_loadu_si512(x + k));
    }
    sums[i] = sum;
  }
  return {sum_each(sums)};
}

// Lists the groups of four bytes of x [size] that are not all 0. Returns their number. `groups` has 16 entries more than
// there are groups.
inline int list_groups(const uint8_t* x, int size, int* groups) {
  int count = 0;
  const __m512i numbers = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  for (int k = 0; k < size; k += kEntryBytes) {
    const __m512i values = _mm512_loadu_si512(x + k);
    const __mmask16 some = _mm512_test_epi32_mask(values, values);
    // Stores all sixteen lanes: a masked store of a part is slow on AMD processors.
    const __m512i found = _mm512_maskz_compress_epi32(some, _mm512_add_epi32(numbers, _mm512_set1_epi32(k / 4)));
    _mm512_storeu_si512(groups + count, found);
    count += __builtin_popcount(some);
  }
  return count;
}

// Stores the lanes of a that `mask` has bits of, one after the other. Writes 16 values. Returns the number of bits.
inline int store_chosen(int32_t* to, uint32_t mask, Ints a) {
  _mm512_storeu_si512(to, _mm512_maskz_compress_epi32(static_cast<__mmask16>(mask), a.v));
  return __builtin_popcount(mask);
}

}  // namespace LATIMER_KERNELS
