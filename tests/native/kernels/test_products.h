// Tests of the products of bytes and packed matrices: each equals a naive product.
#pragma once

namespace LATIMER_KERNELS {

// A matrix [size, columns] as the engine packs it, and its weights [columns, size] as the file has them.
struct Packed {
  Memory memory;
  Matrix matrix;
  std::vector<int8_t> weights;
  std::vector<float> bias;
  int zero;

  Packed(Random& random, int size, int columns, int zero_byte, const std::vector<int8_t>& given = {})
      : weights(given.empty() ? draw<int8_t>(random, static_cast<size_t>(size) * columns, -127, 127) : given),
        bias(draw_floats(random, columns, 100.0f)),
        zero(zero_byte) {
    prepare(memory, matrix, size, columns);
    add(matrix, 0, LatimerMatrix{weights.data(), bias.data(), size, columns, 16.0f, 1.0f}, zero, 1.0f);
  }

  // Returns the products of activations [rows, size], which `zero` represents 0 in: [rows, columns].
  std::vector<int32_t> multiply_naively(const std::vector<uint8_t>& x, int rows) const {
    std::vector<int32_t> sums;
    for (int row = 0; row < rows; ++row)
      for (int column = 0; column < matrix.columns; ++column) {
        int32_t sum = 0;
        for (int k = 0; k < matrix.size; ++k) {
          const int weight = std::max<int>(weights[static_cast<size_t>(column) * matrix.size + k], -127);
          sum += (x[static_cast<size_t>(row) * matrix.size + k] - zero) * weight;
        }
        sums.push_back(sum);
      }
    return sums;
  }
};

// Returns the exact products of the engine: [rows, columns]. `groups`: the list of groups that are not 0 is used.
inline std::vector<int32_t> multiply_exactly(const Packed& packed, const std::vector<uint8_t>& x, int rows, bool tiles,
                                             bool groups) {
  const Matrix& matrix = packed.matrix;
  const std::vector<uint8_t> stored = shift(x);
  std::vector<int> scratch(matrix.size / 4 + kLanes);
  std::vector<int32_t> sums(static_cast<size_t>(rows) * matrix.columns, -1);
  multiply(stored.data(), rows, matrix, tiles, groups ? scratch.data() : nullptr, [&](int row, int column, Ints found) {
    store(sums.data() + static_cast<size_t>(row) * matrix.columns + column, sub(found, load(matrix.offsets + column)));
  });
  return sums;
}

TEST_CASE("products equal naive ones for every number of rows") {
  Random random(1);
  const Packed packed(random, 64, 320, kZero);
  for (const bool tiles : list_tiles())
    for (int rows = 1; rows <= 70; ++rows) {
      const auto x = draw<uint8_t>(random, static_cast<size_t>(rows) * 64, 0, 255);
      INFO(rows << " rows, tiles " << tiles);
      CHECK(multiply_exactly(packed, x, rows, tiles, false) == packed.multiply_naively(x, rows));
    }
}

TEST_CASE("products equal naive ones for every shape of a matrix") {
  Random random(2);
  for (const int size : {64, 128, 192, 256, 1536})
    for (const int columns : {64, 128, 192, 256, 320, 576, 768}) {
      const Packed packed(random, size, columns, kZero);
      for (const bool tiles : list_tiles())
        for (const int rows : {1, 5, 19}) {
          const auto x = draw<uint8_t>(random, static_cast<size_t>(rows) * size, 0, 255);
          INFO(size << " x " << columns << ", " << rows << " rows, tiles " << tiles);
          CHECK(multiply_exactly(packed, x, rows, tiles, false) == packed.multiply_naively(x, rows));
        }
    }
}

TEST_CASE("products of extreme bytes do not saturate") {
  Random random(3);
  for (const int weight : {-128, -127, 127})
    for (const int value : {0, 1, 127, 128, 129, 255}) {
      const std::vector<int8_t> weights(1536 * 64, static_cast<int8_t>(weight));
      const Packed packed(random, 1536, 64, kZero, weights);
      for (const bool tiles : list_tiles())
        for (const int rows : {1, 4}) {
          const std::vector<uint8_t> x(static_cast<size_t>(rows) * 1536, static_cast<uint8_t>(value));
          INFO("weights " << weight << ", activations " << value);
          CHECK(multiply_exactly(packed, x, rows, tiles, false) == packed.multiply_naively(x, rows));
        }
    }
}

TEST_CASE("products of rows that are mostly 0 equal naive ones") {
  Random random(4);
  for (const int columns : {64, 256, 320, 576}) {
    const Packed packed(random, 256, columns, 0);
    for (const int others : {0, 1, 3, 40, 256}) {
      std::vector<uint8_t> x(7 * 256);
      for (int row = 0; row < 7; ++row)
        for (int n = 0; n < others; ++n) x[row * 256 + random() % 256] = static_cast<uint8_t>(1 + random() % 255);
      for (const bool tiles : list_tiles()) {
        INFO(columns << " columns, at most " << others << " values that are not 0");
        CHECK(multiply_exactly(packed, x, 7, tiles, true) == packed.multiply_naively(x, 7));
      }
    }
  }
}

TEST_CASE("groups of four bytes are listed if one of them is not 0") {
  Random random(5);
  for (const int size : {64, 128, 1536}) {
    std::vector<uint8_t> x(size);
    std::vector<int> expected, groups(size / 4 + kLanes);
    for (int group = 0; group < size / 4; ++group)
      if (random() % 3 == 0) {
        x[4 * group + random() % 4] = static_cast<uint8_t>(1 + random() % 255);
        expected.push_back(group);
      }
    groups.resize(list_groups(x.data(), size, groups.data()));
    CHECK(groups == expected);
  }
}

TEST_CASE("sums become values with the unit of their row and column, and the bias") {
  Random random(6);
  const Packed packed(random, 128, 192, kZero);
  const auto x = draw<uint8_t>(random, 9 * 128, 0, 255);
  const auto stored = shift(x);
  const auto sums = packed.multiply_naively(x, 9);
  const auto steps = draw_floats(random, 9, 1.0f);
  for (const int stride : {0, 1}) {
    std::vector<float> found(9 * 192, NAN), expected;
    multiply(stored.data(), 9, packed.matrix, false, nullptr, ToFloats{packed.matrix, steps.data(), stride, found.data(), 192});
    for (int n = 0; n < 9 * 192; ++n) {
      const float unit = steps[n / 192 * stride] * packed.matrix.units[n % 192];
      expected.push_back(static_cast<float>(sums[n]) * unit + packed.bias[n % 192]);
    }
    CHECK(found == expected);
  }
}

TEST_CASE("sums become bytes from 0 to 255, rounded to even ones") {
  Random random(7);
  const Packed packed(random, 64, 64, kZero);
  for (const float unit : {0.5f, 1e-3f, 1e9f}) {
    std::fill_n(packed.matrix.units, 64, unit);
    const auto x = draw<uint8_t>(random, 6 * 64, 0, 255);
    const auto stored = shift(x);
    const auto sums = packed.multiply_naively(x, 6);
    std::vector<uint8_t> found(6 * 64), expected;
    multiply(stored.data(), 6, packed.matrix, false, nullptr, ToBytes{packed.matrix, found.data(), 64});
    for (int n = 0; n < 6 * 64; ++n) {
      const float value = (static_cast<float>(sums[n]) + packed.matrix.bias[n % 64]) * unit;
      expected.push_back(static_cast<uint8_t>(std::nearbyint(std::min(std::max(value, 0.0f), 255.0f))));
    }
    CHECK(found == shift(expected));
  }
}

}  // namespace LATIMER_KERNELS
