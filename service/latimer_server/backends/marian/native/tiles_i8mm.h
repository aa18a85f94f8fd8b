// Products of bytes by the matrix instruction of ARMv8.6 (SMMLA), in place of `tiles.h`: two rows of eight bytes times two
// columns of eight bytes give a tile of four sums in a register. The sums are exact.
//
// Source: Arm Architecture Reference Manual (SMMLA).
#pragma once

namespace LATIMER_KERNELS {

constexpr bool kHasTiles = true;
constexpr int kLeastTileRows = 2;

template <bool IsTable>
inline int8x16_t load_columns(const uint8_t* from) {
  return IsTable ? load_table(from) : vreinterpretq_s8_u8(vld1q_u8(from));
}

// Returns two vectors of four values, one after the other.
inline int8x16_t interleave_low(int8x16_t a, int8x16_t b) {
  return vreinterpretq_s8_s32(vzip1q_s32(vreinterpretq_s32_s8(a), vreinterpretq_s32_s8(b)));
}
inline int8x16_t interleave_high(int8x16_t a, int8x16_t b) {
  return vreinterpretq_s8_s32(vzip2q_s32(vreinterpretq_s32_s8(a), vreinterpretq_s32_s8(b)));
}

// Multiplies the rows `first` to `first` + `count` - 1 of x [.., size], at most twice `Pairs`, with 16 columns, whose entries
// of four bytes each are `step` bytes apart. Calls `then` with the number of a row and 16 sums.
template <int Pairs, bool IsTable, class Then>
inline void multiply_pairs(const int8_t* x, int size, int first, int count, const uint8_t* entries, size_t step,
                           const Then& then) {
  const int8_t* rows[2 * Pairs];
  LATIMER_UNROLL
  for (int n = 0; n < 2 * Pairs; ++n) rows[n] = x + static_cast<size_t>(first + (n < count ? n : count - 1)) * size;
  int32x4_t sums[Pairs][2 * kParts];  // [a pair of rows][a pair of columns]: row by row
  LATIMER_UNROLL
  for (int pair = 0; pair < Pairs; ++pair) {
    LATIMER_UNROLL
    for (int n = 0; n < 2 * kParts; ++n) sums[pair][n] = vdupq_n_s32(0);
  }
  for (int k = 0; k < size; k += 8, entries += 2 * step) {
    int8x16_t both[Pairs];
    LATIMER_UNROLL
    for (int pair = 0; pair < Pairs; ++pair)
      both[pair] = vcombine_s8(vld1_s8(rows[2 * pair] + k), vld1_s8(rows[2 * pair + 1] + k));
    LATIMER_UNROLL
    for (int n = 0; n < kParts; ++n) {
      const int8x16_t upper = load_columns<IsTable>(entries + 16 * n), lower = load_columns<IsTable>(entries + step + 16 * n);
      const int8x16_t low = interleave_low(upper, lower), high = interleave_high(upper, lower);
      LATIMER_UNROLL
      for (int pair = 0; pair < Pairs; ++pair) {
        sums[pair][2 * n] = vmmlaq_s32(sums[pair][2 * n], both[pair], low);
        sums[pair][2 * n + 1] = vmmlaq_s32(sums[pair][2 * n + 1], both[pair], high);
      }
    }
  }
  LATIMER_UNROLL
  for (int pair = 0; pair < Pairs; ++pair) {
    Ints upper, lower;
    LATIMER_UNROLL
    for (int n = 0; n < kParts; ++n) {
      const int32x4_t a = sums[pair][2 * n], b = sums[pair][2 * n + 1];
      upper.v[n] = vcombine_s32(vget_low_s32(a), vget_low_s32(b));
      lower.v[n] = vcombine_s32(vget_high_s32(a), vget_high_s32(b));
    }
    if (2 * pair < count) then(first + 2 * pair, upper);
    if (2 * pair + 1 < count) then(first + 2 * pair + 1, lower);
  }
}

// Multiplies all `rows` of x with 16 columns, as `multiply_pairs` does.
template <bool IsTable, class Then>
inline void multiply_columns(const int8_t* x, int rows, int size, const uint8_t* entries, size_t step, const Then& then) {
  int row = 0;
  for (; row + 2 < rows; row += 4)
    multiply_pairs<2, IsTable>(x, size, row, rows - row < 4 ? rows - row : 4, entries, step, then);
  if (row < rows) multiply_pairs<1, IsTable>(x, size, row, rows - row, entries, step, then);
}

// Multiplies x [rows, matrix.size] with the matrix.
template <class Then>
inline void multiply_by_tiles(const uint8_t* x, int rows, const Matrix& matrix, const Then& then) {
  for (int block = 0; block < matrix.columns / kLanes; ++block) {
    const int8_t* at = matrix.panel(block) + static_cast<size_t>(block % kPanelBlocks) * kEntryBytes;
    multiply_columns<false>(reinterpret_cast<const int8_t*>(x), rows, matrix.size, reinterpret_cast<const uint8_t*>(at),
                            static_cast<size_t>(matrix.panel_blocks(block)) * kEntryBytes,
                            [&](int row, Ints sums) { then(row, block * kLanes, sums); });
  }
}

// Multiplies signed bytes x [rows, size] with all rows of a table that `gather` packed, and calls `then` with the 16 sums
// of a row and block at a time.
template <class Then>
inline void multiply_table_by_tiles(const int8_t* x, int rows, const uint8_t* packed, int size, int blocks, const Then& then) {
  for (int block = 0; block < blocks; ++block)
    multiply_columns<true>(x, rows, size, packed + static_cast<size_t>(block) * kLanes * size, kEntryBytes,
                           [&](int row, Ints sums) { then(row, block, sums); });
}

}  // namespace LATIMER_KERNELS
