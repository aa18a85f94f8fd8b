// Products of rows of bytes and packed matrices. The sums are exact in 32 bits, so that all instruction sets give the same
// result.
#pragma once

namespace LATIMER_KERNELS {

// Multiplies `Rows` rows with `Blocks` blocks of columns. Their sums stay in registers.
template <int Rows, int Blocks, class Then>
inline void multiply_dots(const uint8_t* x, const Matrix& matrix, int first_row, int first_block, const Then& then) {
  Ints sums[Rows][Blocks];
  LATIMER_UNROLL
  for (int row = 0; row < Rows; ++row) {
    LATIMER_UNROLL
    for (int block = 0; block < Blocks; ++block) sums[row][block] = fill(0);
  }
  const int blocks = matrix.panel_blocks(first_block), groups = matrix.size / 4;
  const int8_t* at = matrix.panel(first_block) + static_cast<size_t>(first_block % kPanelBlocks) * kEntryBytes;
  const uint8_t* from = x + static_cast<size_t>(first_row) * matrix.size;
  for (int group = 0; group < groups; ++group, at += static_cast<size_t>(blocks) * kEntryBytes, from += 4) {
    LATIMER_UNROLL
    for (int row = 0; row < Rows; ++row) {
      const Four four = broadcast(from + static_cast<size_t>(row) * matrix.size);
      LATIMER_UNROLL
      for (int block = 0; block < Blocks; ++block) sums[row][block] = dot(sums[row][block], four, at + block * kEntryBytes);
    }
  }
  LATIMER_UNROLL
  for (int row = 0; row < Rows; ++row) {
    LATIMER_UNROLL
    for (int block = 0; block < Blocks; ++block) then(first_row + row, (first_block + block) * kLanes, sums[row][block]);
  }
}

// Multiplies one row whose bytes are mostly 0. Reads only the weights of the `groups` that are not.
template <int Blocks, class Then>
inline void multiply_sparse(const uint8_t* x, const Matrix& matrix, int row, int first_block, const int* groups, int count,
                            const Then& then) {
  Ints sums[Blocks];
  LATIMER_UNROLL
  for (int block = 0; block < Blocks; ++block) sums[block] = fill(0);
  const int blocks = matrix.panel_blocks(first_block);
  const int8_t* base = matrix.panel(first_block) + static_cast<size_t>(first_block % kPanelBlocks) * kEntryBytes;
  for (int n = 0; n < count; ++n) {
    const Four four = broadcast(x + 4 * groups[n]);
    const int8_t* at = base + static_cast<size_t>(groups[n]) * blocks * kEntryBytes;
    LATIMER_UNROLL
    for (int block = 0; block < Blocks; ++block) sums[block] = dot(sums[block], four, at + block * kEntryBytes);
  }
  LATIMER_UNROLL
  for (int block = 0; block < Blocks; ++block) then(row, (first_block + block) * kLanes, sums[block]);
}

// Multiplies one row. `groups` is as in `multiply`.
template <class Then>
inline void multiply_one(const uint8_t* x, const Matrix& matrix, int row, int* groups, const Then& then) {
  const int blocks = matrix.columns / kLanes;
  const uint8_t* from = x + static_cast<size_t>(row) * matrix.size;
  const int count = groups != nullptr ? list_groups(from, matrix.size, groups) : 0;
  for (int block = 0; block < blocks;) {
    const bool wide = kWideBlocks == kPanelBlocks && block % kPanelBlocks == 0 && matrix.panel_blocks(block) == kPanelBlocks;
    if (wide && groups != nullptr)
      multiply_sparse<kWideBlocks>(from, matrix, row, block, groups, count, then);
    else if (wide)
      multiply_dots<1, kWideBlocks>(x, matrix, row, block, then);
    else if (groups != nullptr)
      multiply_sparse<4>(from, matrix, row, block, groups, count, then);
    else
      multiply_dots<1, 4>(x, matrix, row, block, then);
    block += wide ? kWideBlocks : 4;
  }
}

// Multiplies x [rows, matrix.size] with the matrix, and calls `then` with 16 columns of sums of a row at a time.
// `groups` is scratch memory [size / 4 + 16], or null. It may be given if the zero byte of x is 0 and x has many zeros.
template <class Then>
inline void multiply(const uint8_t* x, int rows, const Matrix& matrix, bool tiles, int* groups, const Then& then) {
  LATIMER_CLOCK(kProducts);
  if (kHasTiles && tiles && rows >= kLeastTileRows) {
    multiply_by_tiles(x, rows, matrix, then);
    return;
  }
  if (kShift != 0) groups = nullptr;  // a byte of 0 is then not a factor of 0
  const int blocks = matrix.columns / kLanes;
  int row = 0;
  for (; row + 4 <= rows; row += 4)
    for (int block = 0; block < blocks; block += kBlocks) multiply_dots<4, kBlocks>(x, matrix, row, block, then);
  for (; row < rows; ++row) multiply_one(x, matrix, row, groups, then);
}

// Packs the rows `ids` [count] of a table [.., size] of bytes around `kZero`, in blocks of 16 rows: for each four bytes
// 16 times 4. `ids` has a padding of at least 16 valid ids after the last block.
inline void gather(const uint8_t* table, int size, const int32_t* ids, int count, uint8_t* packed) {
  for (int n = 0; n < count; n += kLanes)
    gather_block(table, size, ids + n, ids + n + kLanes, packed + static_cast<size_t>(n) * size);
}

// Multiplies `Rows` rows of signed bytes x [.., size] with `Blocks` blocks of a table that `gather` packed. Calls `then`
// with the number of a row, that of a block, and 16 sums.
template <int Rows, int Blocks, class Then>
inline void multiply_table(const int8_t* x, int first_row, const uint8_t* packed, int size, int first_block, const Then& then) {
  Ints sums[Rows][Blocks];
  LATIMER_UNROLL
  for (int row = 0; row < Rows; ++row) {
    LATIMER_UNROLL
    for (int block = 0; block < Blocks; ++block) sums[row][block] = fill(0);
  }
  const size_t step = static_cast<size_t>(kLanes) * size;
  const uint8_t* at = packed + first_block * step;
  const int8_t* from = x + static_cast<size_t>(first_row) * size;
  for (int k = 0; k < size; k += 4, at += kEntryBytes, from += 4) {
    LATIMER_UNROLL
    for (int row = 0; row < Rows; ++row) {
      const Four four = broadcast_signed(from + static_cast<size_t>(row) * size);
      LATIMER_UNROLL
      for (int block = 0; block < Blocks; ++block) sums[row][block] = dot_table(sums[row][block], four, at + block * step);
    }
  }
  LATIMER_UNROLL
  for (int row = 0; row < Rows; ++row) {
    LATIMER_UNROLL
    for (int block = 0; block < Blocks; ++block) then(first_row + row, first_block + block, sums[row][block]);
  }
}

// Multiplies signed bytes x [rows, size] with the `blocks` blocks of a table that `gather` packed.
template <class Then>
inline void multiply_whole_table(const int8_t* x, int rows, const uint8_t* packed, int size, int blocks, bool tiles,
                                 const Then& then) {
  if (kHasTiles && tiles && rows > 1) {
    multiply_table_by_tiles(x, rows, packed, size, blocks, then);
    return;
  }
  int row = 0;
  for (; row + 4 <= rows; row += 4) {
    int block = 0;
    for (; block + kBlocks <= blocks; block += kBlocks) multiply_table<4, kBlocks>(x, row, packed, size, block, then);
    for (; block < blocks; ++block) multiply_table<4, 1>(x, row, packed, size, block, then);
  }
  for (; row < rows; ++row) {
    int block = 0;
    for (; block + 4 <= blocks; block += 4) multiply_table<1, 4>(x, row, packed, size, block, then);
    for (; block < blocks; ++block) multiply_table<1, 1>(x, row, packed, size, block, then);
  }
}

// Multiplies signed bytes x [size] with the rows `ids` [count] of a table that is not packed. `ids` has a padding of at
// least 16 valid ids after the last block.
inline void multiply_listed(const int8_t* x, const uint8_t* table, int size, const int32_t* ids, int count, int32_t* out) {
  for (int n = 0; n < count; n += kLanes) store(out + n, multiply_rows(x, table, size, ids + n, ids + n + kLanes));
}

}  // namespace LATIMER_KERNELS
