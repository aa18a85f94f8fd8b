// Packed int8 matrices, and what becomes of the sums of their products.
#pragma once

namespace LATIMER_KERNELS {

constexpr int kEntryBytes = 64;
constexpr int kPanelBlocks = 16;
// The byte that represents 0 in quantised activations.
constexpr int kZero = 128;

// A packed int8 matrix [size, columns]. Columns are divided into blocks of 16, and blocks into panels of at most 16. A
// panel has its values by groups of four rows; a group has one entry of 16 columns times 4 bytes for each block. Both
// sizes are multiples of 64.
struct Matrix {
  int size = 0, columns = 0;
  int8_t* packed = nullptr;
  float* units = nullptr;      // [columns]: the value of a sum of 1, for activations with a step of 1
  float* bias = nullptr;       // [columns]: for `ToFloats` in values, for `ToBytes` in sums
  int32_t* offsets = nullptr;  // [columns]: what to subtract from the sum of a column

  const int8_t* panel(int block) const {
    return packed + static_cast<size_t>(block / kPanelBlocks * kPanelBlocks) * kLanes * size;
  }
  int panel_blocks(int block) const {
    const int left = columns / kLanes - block / kPanelBlocks * kPanelBlocks;
    return left < kPanelBlocks ? left : kPanelBlocks;
  }
};

// Packs `values` [count, size] as the columns from `column` on. Each row of `values` is one column of the matrix. `zero`
// is the byte that represents 0 in the activations. A weight of -128, which Marian does not write, becomes -127: the
// products of AVX2 have no room for it.
inline void pack(Matrix& matrix, int column, const int8_t* values, int count, int zero) {
  for (int n = 0; n < count; ++n) {
    const int at = column + n, block = at / kLanes, blocks = matrix.panel_blocks(block);
    int8_t* panel = const_cast<int8_t*>(matrix.panel(block));
    int32_t sum = 0;
    for (int k = 0; k < matrix.size; ++k) {
      const int8_t given = values[static_cast<size_t>(n) * matrix.size + k];
      const int8_t value = given == -128 ? static_cast<int8_t>(-127) : given;
      sum += value;
      const size_t group = static_cast<size_t>(k / 4) * blocks + block % kPanelBlocks;
      panel[group * kEntryBytes + at % kLanes * 4 + k % 4] = value;
    }
    matrix.offsets[at] = (zero - kShift) * sum;
  }
}

// Converts sums to float32. `steps` holds the step of each row, or one step for all.
struct ToFloats {
  const Matrix& matrix;
  const float* steps;  // [rows], or one value if `stride_of_steps` is 0
  int stride_of_steps;
  float* out;
  int stride;

  void operator()(int row, int column, Ints sums) const {
    const Ints exact = sub(sums, load(matrix.offsets + column));
    const Floats unit = mul(fill(steps[row * stride_of_steps]), load(matrix.units + column));
    store(out + static_cast<size_t>(row) * stride + column, add(mul(to_floats(exact), unit), load(matrix.bias + column)));
  }
};

// Converts sums to bytes where 0 represents 0, minus `kShift`, which cuts off negative values (a rectifier).
struct ToBytes {
  const Matrix& matrix;
  uint8_t* out;
  int stride;

  void operator()(int row, int column, Ints sums) const {
    const Ints exact = sub(sums, load(matrix.offsets + column));
    Floats steps = mul(add(to_floats(exact), load(matrix.bias + column)), load(matrix.units + column));
    steps = min(max(steps, fill(0.0f)), fill(255.0f));
    store_bytes(out + static_cast<size_t>(row) * stride + column, sub(to_ints(steps), fill(kShift)));
  }
};

}  // namespace LATIMER_KERNELS
