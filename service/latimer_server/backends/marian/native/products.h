// Integer products: rows of activations in bytes times int8 matrices. The sums are exact in 32 bits, so that all
// instruction sets give the same result.
//
// Source: Intel's Software Developer's Manual (VPDPBUSD, TDPBUSD).
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "vectors.h"

namespace latimer {

constexpr int kTileRows = 16;
constexpr int kTileBytes = 64;
constexpr int kPanelBlocks = 16;
// The smallest number of rows for which tiles are faster than dot products of one row at a time.
constexpr int kLeastTileRows = 3;

// A packed int8 matrix [size, columns]. Columns are divided into blocks of 16, and blocks into panels of at most 16. A
// panel has its values by groups of four rows; a group has one entry of 16 columns times 4 bytes for each block. Both
// sizes are multiples of 64.
struct Matrix {
  int size = 0, columns = 0;
  int8_t* packed = nullptr;
  float* units = nullptr;      // [columns]: the value of a sum of 1, for activations with a step of 1
  float* bias = nullptr;       // [columns]: for `ToFloats` in values, for `ToBytes` in sums
  int32_t* offsets = nullptr;  // [columns]: the zero byte of the activations times the sum of the column

  const int8_t* panel(int block) const {
    return packed + static_cast<size_t>(block / kPanelBlocks * kPanelBlocks) * kLanes * size;
  }
  int panel_blocks(int block) const {
    const int left = columns / kLanes - block / kPanelBlocks * kPanelBlocks;
    return left < kPanelBlocks ? left : kPanelBlocks;
  }
};

// Packs `values` [count, size] as the columns from `column` on. Each row of `values` is one column of the matrix.
inline void pack(Matrix& matrix, int column, const int8_t* values, int count, int zero) {
  for (int n = 0; n < count; ++n) {
    const int at = column + n, block = at / kLanes, blocks = matrix.panel_blocks(block);
    int8_t* panel = const_cast<int8_t*>(matrix.panel(block));
    int32_t sum = 0;
    for (int k = 0; k < matrix.size; ++k) {
      const int8_t value = values[static_cast<size_t>(n) * matrix.size + k];
      sum += value;
      const size_t group = static_cast<size_t>(k / 4) * blocks + block % kPanelBlocks;
      panel[group * kTileBytes + at % kLanes * 4 + k % 4] = value;
    }
    matrix.offsets[at] = zero * sum;
  }
}

// Converts sums to float32. `steps` holds the step of each row, or one step for all.
struct ToFloats {
  const Matrix& matrix;
  const float* steps;  // [rows], or one value if `stride_of_steps` is 0
  int stride_of_steps;
  float* out;
  int stride;

  void operator()(int row, int column, __m512i sums) const {
    const __m512i exact = _mm512_sub_epi32(sums, _mm512_loadu_si512(matrix.offsets + column));
    const __m512 step = _mm512_set1_ps(steps[row * stride_of_steps]);
    const __m512 unit = _mm512_mul_ps(step, _mm512_loadu_ps(matrix.units + column));
    const __m512 bias = _mm512_loadu_ps(matrix.bias + column);
    _mm512_storeu_ps(out + static_cast<size_t>(row) * stride + column,
                     _mm512_add_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(exact), unit), bias));
  }
};

// Converts sums to bytes where 0 represents 0, which cuts off negative values (a rectifier).
struct ToBytes {
  const Matrix& matrix;
  uint8_t* out;
  int stride;

  void operator()(int row, int column, __m512i sums) const {
    const __m512i exact = _mm512_sub_epi32(sums, _mm512_loadu_si512(matrix.offsets + column));
    const __m512 bias = _mm512_loadu_ps(matrix.bias + column);
    __m512 steps = _mm512_mul_ps(_mm512_add_ps(_mm512_cvtepi32_ps(exact), bias), _mm512_loadu_ps(matrix.units + column));
    steps = _mm512_min_ps(_mm512_max_ps(steps, _mm512_setzero_ps()), _mm512_set1_ps(255.0f));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + static_cast<size_t>(row) * stride + column),
                     _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(steps)));
  }
};

// Multiplies `Rows` rows with `Blocks` blocks of columns.
template <int Rows, int Blocks, class Then>
inline void multiply_dots(const uint8_t* x, const Matrix& matrix, int first_row, int first_block, const Then& then) {
  __m512i sums[Rows][Blocks];
  for (auto& row : sums)
    for (auto& sum : row) sum = _mm512_setzero_si512();
  const int blocks = matrix.panel_blocks(first_block), groups = matrix.size / 4;
  const int8_t* at = matrix.panel(first_block) + static_cast<size_t>(first_block % kPanelBlocks) * kTileBytes;
  for (int group = 0; group < groups; ++group, at += static_cast<size_t>(blocks) * kTileBytes) {
    for (int row = 0; row < Rows; ++row) {
      int32_t four;
      std::memcpy(&four, x + static_cast<size_t>(first_row + row) * matrix.size + 4 * group, 4);
      const __m512i value = _mm512_set1_epi32(four);
      for (int block = 0; block < Blocks; ++block)
        sums[row][block] = _mm512_dpbusd_epi32(sums[row][block], value, _mm512_loadu_si512(at + block * kTileBytes));
    }
  }
  for (int row = 0; row < Rows; ++row)
    for (int block = 0; block < Blocks; ++block)
      then(first_row + row, (first_block + block) * kLanes, sums[row][block]);
}

// Multiplies one row whose bytes are mostly 0. Reads only the weights of the `groups` that are not.
template <int Blocks, class Then>
inline void multiply_sparse(const uint8_t* x, const Matrix& matrix, int row, int first_block, const int* groups, int count,
                            const Then& then) {
  __m512i sums[Blocks];
  for (auto& sum : sums) sum = _mm512_setzero_si512();
  const int blocks = matrix.panel_blocks(first_block);
  const int8_t* base = matrix.panel(first_block) + static_cast<size_t>(first_block % kPanelBlocks) * kTileBytes;
  for (int n = 0; n < count; ++n) {
    int32_t four;
    std::memcpy(&four, x + 4 * groups[n], 4);
    const __m512i value = _mm512_set1_epi32(four);
    const int8_t* at = base + static_cast<size_t>(groups[n]) * blocks * kTileBytes;
    for (int block = 0; block < Blocks; ++block)
      sums[block] = _mm512_dpbusd_epi32(sums[block], value, _mm512_loadu_si512(at + block * kTileBytes));
  }
  for (int block = 0; block < Blocks; ++block) then(row, (first_block + block) * kLanes, sums[block]);
}

// Lists the groups of four bytes that are not all 0. Returns their number.
inline int list_groups(const uint8_t* x, int size, int* groups) {
  int count = 0;
  const __m512i numbers = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  for (int k = 0; k < size; k += kTileBytes) {
    const __m512i values = _mm512_loadu_si512(x + k);
    const __mmask16 some = _mm512_test_epi32_mask(values, values);
    // Stores all sixteen lanes: a masked store of a part is slow on AMD processors.
    const __m512i found = _mm512_maskz_compress_epi32(some, _mm512_add_epi32(numbers, _mm512_set1_epi32(k / 4)));
    _mm512_storeu_si512(groups + count, found);
    count += __builtin_popcount(some);
  }
  return count;
}

template <class Then>
inline void multiply_one(const uint8_t* x, const Matrix& matrix, int row, int* groups, const Then& then) {
  const int blocks = matrix.columns / kLanes;
  const int count = groups != nullptr ? list_groups(x + static_cast<size_t>(row) * matrix.size, matrix.size, groups) : 0;
  for (int block = 0; block < blocks; block += 4) {
    if (block % kPanelBlocks == 0 && matrix.panel_blocks(block) == kPanelBlocks) {
      if (groups != nullptr)
        multiply_sparse<16>(x + static_cast<size_t>(row) * matrix.size, matrix, row, block, groups, count, then);
      else
        multiply_dots<1, 16>(x, matrix, row, block, then);
      block += 12;
    } else if (groups != nullptr) {
      multiply_sparse<4>(x + static_cast<size_t>(row) * matrix.size, matrix, row, block, groups, count, then);
    } else {
      multiply_dots<1, 4>(x, matrix, row, block, then);
    }
  }
}

struct alignas(64) TileConfig {
  uint8_t palette = 1, start = 0, reserved[14] = {};
  uint16_t columns[16] = {};
  uint8_t rows[16] = {};
};

// Tiles 0 to 3 hold the sums of twice 16 rows and twice 16 columns. Tiles 4 and 5 hold rows, 6 and 7 columns.
inline void configure_tiles(int first, int second) {
  TileConfig config;
  const int rows[8] = {first, first, second, second, first, second, kTileRows, kTileRows};
  for (int tile = 0; tile < 8; ++tile) {
    config.columns[tile] = kTileBytes;
    config.rows[tile] = static_cast<uint8_t>(rows[tile] > 0 ? rows[tile] : 1);
  }
  // gcc before 14 assumes that `_tile_loadconfig` reads eight of these bytes and may omit stores of the others. It also
  // assumes that `_tile_loadd` reads no memory, so the source of the tiles must be stored before this point.
  __asm__ volatile("" : : "r"(&config) : "memory");
  _tile_loadconfig(&config);
}

template <bool Both, class Then>
inline void multiply_tiles(const uint8_t* x, const Matrix& matrix, int row, int first, int second, int block,
                           int32_t* sums, const Then& then) {
  const size_t stride = matrix.size;
  const int blocks = matrix.panel_blocks(block);
  const long step = static_cast<long>(blocks) * kTileBytes;
  const int8_t* columns = matrix.panel(block) + static_cast<size_t>(block % kPanelBlocks) * kTileBytes;
  const uint8_t* rows = x + row * stride;
  _tile_zero(0);
  _tile_zero(1);
  if (Both) {
    _tile_zero(2);
    _tile_zero(3);
  }
  for (int k = 0; k < matrix.size; k += kTileBytes) {
    _tile_loadd(4, rows + k, stride);
    _tile_loadd(6, columns + k / 4 * step, step);
    _tile_loadd(7, columns + k / 4 * step + kTileBytes, step);
    _tile_dpbusd(0, 4, 6);
    _tile_dpbusd(1, 4, 7);
    if (Both) {
      _tile_loadd(5, rows + kTileRows * stride + k, stride);
      _tile_dpbusd(2, 5, 6);
      _tile_dpbusd(3, 5, 7);
    }
  }
  _tile_stored(0, sums, 128);
  _tile_stored(1, sums + kLanes, 128);
  if (Both) {
    _tile_stored(2, sums + 512, 128);
    _tile_stored(3, sums + 512 + kLanes, 128);
  }
  const int count = first + second;
  for (int n = 0; n < count; ++n) {
    then(row + n, block * kLanes, _mm512_loadu_si512(sums + 32 * n));
    then(row + n, (block + 1) * kLanes, _mm512_loadu_si512(sums + 32 * n + kLanes));
  }
}

// Multiplies x [rows, matrix.size] with the matrix, and calls `then` with 16 columns of sums of a row at a time.
// `groups` is scratch memory [size / 4], or null. It may be given if the zero byte of x is 0 and x has many zeros.
template <class Then>
inline void multiply(const uint8_t* x, int rows, const Matrix& matrix, bool tiles, int* groups, const Then& then) {
  LATIMER_CLOCK(kProducts);
  const int blocks = matrix.columns / kLanes;
  if (tiles && rows >= kLeastTileRows) {
    alignas(64) int32_t sums[32 * 32];
    const int whole = rows / 32 * 32, left = rows - whole;
    if (whole > 0) {
      configure_tiles(16, 16);
      for (int block = 0; block < blocks; block += 2)
        for (int row = 0; row < whole; row += 32) multiply_tiles<true>(x, matrix, row, 16, 16, block, sums, then);
    }
    if (left > 16) {
      configure_tiles(16, left - 16);
      for (int block = 0; block < blocks; block += 2)
        multiply_tiles<true>(x, matrix, whole, 16, left - 16, block, sums, then);
    } else if (left > 0) {
      configure_tiles(left, 0);
      for (int block = 0; block < blocks; block += 2) multiply_tiles<false>(x, matrix, whole, left, 0, block, sums, then);
    }
    _tile_release();
    return;
  }
  int row = 0;
  for (; row + 4 <= rows; row += 4)
    for (int block = 0; block < blocks; block += 4) multiply_dots<4, 4>(x, matrix, row, block, then);
  for (; row < rows; ++row) multiply_one(x, matrix, row, groups, then);
}

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
  return _mm512_add_epi32(_mm512_shuffle_i32x4(halves[0], halves[1], 0x88),
                          _mm512_shuffle_i32x4(halves[0], halves[1], 0xdd));
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

// Packs the rows `ids` [count] of a table [.., size] of bytes around `kZero`, in blocks of 16 rows: for each four bytes
// 16 times 4. `ids` must have a padding of at least 16 valid ids.
inline void gather(const uint8_t* table, int size, const int32_t* ids, int count, uint8_t* packed) {
  for (int n = 0; n < count; n += kLanes)
    for (int k = 0; k < size; k += kTileBytes) {
      __m512i rows[kLanes];
      for (int i = 0; i < kLanes; ++i) {
        rows[i] = _mm512_loadu_si512(table + static_cast<size_t>(ids[n + i]) * size + k);
        const uint8_t* next = table + static_cast<size_t>(ids[n + kLanes + i]) * size + k;
        _mm_prefetch(reinterpret_cast<const char*>(next), _MM_HINT_T0);
      }
      transpose(rows);
      for (int i = 0; i < kLanes; ++i)
        _mm512_storeu_si512(packed + static_cast<size_t>(n) * size + (k + 4 * i) * kLanes, rows[i]);
    }
}

// Multiplies signed bytes x [size] with `count` rows of a table that `gather` packed.
inline void multiply_gathered(const int8_t* x, const uint8_t* packed, int size, int count, int32_t* out) {
  for (int n = 0; n < count; n += kLanes) {
    __m512i sums[4] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512()};
    const uint8_t* block = packed + static_cast<size_t>(n) * size;
    for (int k = 0; k < size; k += 16)
      for (int i = 0; i < 4; ++i) {
        int32_t four;
        std::memcpy(&four, x + k + 4 * i, 4);
        sums[i] = _mm512_dpbusd_epi32(sums[i], _mm512_loadu_si512(block + (k + 4 * i) * kLanes), _mm512_set1_epi32(four));
      }
    _mm512_storeu_si512(out + n, _mm512_add_epi32(_mm512_add_epi32(sums[0], sums[1]), _mm512_add_epi32(sums[2], sums[3])));
  }
}

// Multiplies signed bytes x [rows, size] with all rows of a table that `gather` packed. `wanted` [blocks, stride] has the
// products that row n of x keeps as the bits in column `places[n]`. `out[n]` receives them one after the other.
inline void multiply_gathered_tiles(const int8_t* x, int rows, const uint8_t* packed, int size, int blocks,
                                    const uint16_t* wanted, int stride, const int* places, int32_t* const* out) {
  alignas(64) int32_t sums[32 * kLanes];
  for (int first = 0; first < rows; first += 2 * kTileRows) {
    const int count = rows - first < 2 * kTileRows ? rows - first : 2 * kTileRows;
    const int upper = count < kTileRows ? count : kTileRows, lower = count - upper;
    int32_t* at[2 * kTileRows];
    for (int n = 0; n < count; ++n) at[n] = out[first + n];
    configure_tiles(upper, lower);
    for (int block = 0; block < blocks; ++block) {
      const uint8_t* columns = packed + static_cast<size_t>(block) * kLanes * size;
      const int8_t* first_x = x + static_cast<size_t>(first) * size;
      _tile_zero(0);
      if (lower > 0) _tile_zero(2);
      for (int k = 0; k < size; k += kTileBytes) {
        _tile_loadd(4, first_x + k, size);
        _tile_loadd(6, columns + k * kLanes, kTileBytes);
        _tile_dpbsud(0, 4, 6);
        if (lower > 0) {
          _tile_loadd(5, first_x + kTileRows * size + k, size);
          _tile_dpbsud(2, 5, 6);
        }
      }
      _tile_stored(0, sums, kTileBytes);
      if (lower > 0) _tile_stored(2, sums + kTileRows * kLanes, kTileBytes);
      for (int n = 0; n < count; ++n) {
        const __mmask16 mask = wanted[static_cast<size_t>(block) * stride + places[first + n]];
        _mm512_storeu_si512(at[n], _mm512_maskz_compress_epi32(mask, _mm512_loadu_si512(sums + n * kLanes)));
        at[n] += __builtin_popcount(mask);
      }
    }
  }
  _tile_release();
}

// Multiplies signed bytes x [size] with the rows `ids` [count] of a table that is not packed. `ids` must have a padding
// of at least 16 valid ids.
inline void multiply_listed(const int8_t* x, const uint8_t* table, int size, const int32_t* ids, int count, int32_t* out) {
  for (int n = 0; n < count; n += kLanes) {
    __m512i sums[kLanes];
    for (int i = 0; i < kLanes; ++i) {
      const uint8_t* row = table + static_cast<size_t>(ids[n + i]) * size;
      const uint8_t* next = table + static_cast<size_t>(ids[n + kLanes + i]) * size;
      __m512i sum = _mm512_setzero_si512();
      for (int k = 0; k < size; k += kTileBytes) {
        _mm_prefetch(reinterpret_cast<const char*>(next + k), _MM_HINT_T0);
        sum = _mm512_dpbusd_epi32(sum, _mm512_loadu_si512(row + k), _mm512_loadu_si512(x + k));
      }
      sums[i] = sum;
    }
    _mm512_storeu_si512(out + n, sum_each(sums));
  }
}

}  // namespace latimer
