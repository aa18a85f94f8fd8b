// Products of bytes by the matrix instructions of AMX. The sums are exact.
//
// Source: Intel's Software Developer's Manual (TDPBUSD, TDPBSUD).
#pragma once

namespace LATIMER_KERNELS {

constexpr bool kHasTiles = true;
constexpr int kTileRows = 16;
// The smallest number of rows for which tiles are faster than dot products of one row at a time.
constexpr int kLeastTileRows = 3;

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
    config.columns[tile] = kEntryBytes;
    config.rows[tile] = static_cast<uint8_t>(rows[tile] > 0 ? rows[tile] : 1);
  }
  // gcc before 14 assumes that `_tile_loadconfig` reads eight of these bytes and may omit stores of the others. It also
  // assumes that `_tile_loadd` reads no memory, so the source of the tiles must be stored before this point.
  __asm__ volatile("" : : "r"(&config) : "memory");
  _tile_loadconfig(&config);
}

template <bool Both, class Then>
inline void multiply_tiles(const uint8_t* x, const Matrix& matrix, int row, int first, int second, int block, int32_t* sums,
                           const Then& then) {
  const size_t stride = matrix.size;
  const int blocks = matrix.panel_blocks(block);
  const long step = static_cast<long>(blocks) * kEntryBytes;
  const int8_t* columns = matrix.panel(block) + static_cast<size_t>(block % kPanelBlocks) * kEntryBytes;
  const uint8_t* rows = x + row * stride;
  _tile_zero(0);
  _tile_zero(1);
  if (Both) {
    _tile_zero(2);
    _tile_zero(3);
  }
  for (int k = 0; k < matrix.size; k += kEntryBytes) {
    _tile_loadd(4, rows + k, stride);
    _tile_loadd(6, columns + k / 4 * step, step);
    _tile_loadd(7, columns + k / 4 * step + kEntryBytes, step);
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
    then(row + n, block * kLanes, load(sums + 32 * n));
    then(row + n, (block + 1) * kLanes, load(sums + 32 * n + kLanes));
  }
}

// Multiplies x [rows, matrix.size] with the matrix.
template <class Then>
inline void multiply_by_tiles(const uint8_t* x, int rows, const Matrix& matrix, const Then& then) {
  alignas(64) int32_t sums[32 * 32];
  const int blocks = matrix.columns / kLanes, whole = rows / 32 * 32, left = rows - whole;
  if (whole > 0) {
    configure_tiles(16, 16);
    for (int block = 0; block < blocks; block += 2)
      for (int row = 0; row < whole; row += 32) multiply_tiles<true>(x, matrix, row, 16, 16, block, sums, then);
  }
  if (left > 16) {
    configure_tiles(16, left - 16);
    for (int block = 0; block < blocks; block += 2) multiply_tiles<true>(x, matrix, whole, 16, left - 16, block, sums, then);
  } else if (left > 0) {
    configure_tiles(left, 0);
    for (int block = 0; block < blocks; block += 2) multiply_tiles<false>(x, matrix, whole, left, 0, block, sums, then);
  }
  _tile_release();
}

// Multiplies signed bytes x [rows, size] with all rows of a table that `gather` packed, and calls `then` with the 16 sums
// of a row and block at a time.
template <class Then>
inline void multiply_table_by_tiles(const int8_t* x, int rows, const uint8_t* packed, int size, int blocks, const Then& then) {
  alignas(64) int32_t sums[32 * kLanes];
  for (int first = 0; first < rows; first += 2 * kTileRows) {
    const int count = rows - first < 2 * kTileRows ? rows - first : 2 * kTileRows;
    const int upper = count < kTileRows ? count : kTileRows, lower = count - upper;
    configure_tiles(upper, lower);
    for (int block = 0; block < blocks; ++block) {
      const uint8_t* columns = packed + static_cast<size_t>(block) * kLanes * size;
      const int8_t* first_x = x + static_cast<size_t>(first) * size;
      _tile_zero(0);
      if (lower > 0) _tile_zero(2);
      for (int k = 0; k < size; k += kEntryBytes) {
        _tile_loadd(4, first_x + k, size);
        _tile_loadd(6, columns + k * kLanes, kEntryBytes);
        _tile_dpbsud(0, 4, 6);
        if (lower > 0) {
          _tile_loadd(5, first_x + kTileRows * size + k, size);
          _tile_dpbsud(2, 5, 6);
        }
      }
      _tile_stored(0, sums, kEntryBytes);
      if (lower > 0) _tile_stored(2, sums + kTileRows * kLanes, kEntryBytes);
      for (int n = 0; n < count; ++n) then(first + n, block, load(sums + n * kLanes));
    }
  }
  _tile_release();
}

}  // namespace LATIMER_KERNELS
