// Tests of gathers, and of the products with rows of an embedding table.
#pragma once

namespace LATIMER_KERNELS {

// A table [100, size] of bytes around `kZero`, and some of its rows in any order, with the padding that kernels read.
struct Table {
  int size, count;
  std::vector<uint8_t> bytes;
  std::vector<int32_t> ids;

  Table(Random& random, int size_of_rows, int count_of_ids)
      : size(size_of_rows), count(count_of_ids), bytes(draw<uint8_t>(random, static_cast<size_t>(100) * size_of_rows, 0, 255)) {
    ids.resize(padded(count) + kLanes);
    for (int n = 0; n < count; ++n) ids[n] = static_cast<int32_t>(random() % 100);
  }

  int blocks() const { return padded(count) / kLanes; }

  std::vector<uint8_t> gather_rows() const {
    std::vector<uint8_t> packed(static_cast<size_t>(padded(count)) * size);
    gather(bytes.data(), size, ids.data(), count, packed.data());
    return packed;
  }

  // Returns the products of signed bytes x [rows, size] and the chosen rows: [rows, padded(count)].
  std::vector<int32_t> multiply_naively(const std::vector<int8_t>& x, int rows) const {
    std::vector<int32_t> sums;
    for (int row = 0; row < rows; ++row)
      for (int n = 0; n < padded(count); ++n) {
        int32_t sum = 0;
        for (int k = 0; k < size; ++k)
          sum += x[static_cast<size_t>(row) * size + k] * (bytes[static_cast<size_t>(ids[n]) * size + k] - kZero);
        sums.push_back(sum);
      }
    return sums;
  }

  // Returns the sum of the bytes of a row times the offset of the table's bytes: what the kernels' sums are too large by.
  int excess(const std::vector<int8_t>& x, int row) const {
    int total = 0;
    for (int k = 0; k < size; ++k) total += x[static_cast<size_t>(row) * size + k];
    return (kZero - kTableShift) * total;
  }
};

TEST_CASE("gathered rows lie in blocks of 16, by groups of four bytes") {
  Random random(11);
  for (const int size : {64, 128, 256})
    for (const int count : {1, 15, 16, 17, 33}) {
      const Table table(random, size, count);
      const auto packed = table.gather_rows();
      std::vector<uint8_t> expected(packed.size());
      for (int n = 0; n < padded(count); ++n)
        for (int k = 0; k < size; ++k)
          expected[static_cast<size_t>(n / kLanes * kLanes) * size + (k / 4 * kLanes + n % kLanes) * 4 + k % 4] =
              table.bytes[static_cast<size_t>(table.ids[n]) * size + k];
      INFO(count << " rows of " << size);
      CHECK(packed == expected);
    }
}

TEST_CASE("products with gathered rows equal naive ones") {
  Random random(12);
  for (const int size : {64, 256, 320})
    for (const int count : {1, 16, 17, 65, 150}) {
      const Table table(random, size, count);
      const auto packed = table.gather_rows();
      for (const bool tiles : list_tiles())
        for (const int rows : {1, 2, 3, 4, 5, 15, 16, 17, 31, 33}) {
          const auto x = draw<int8_t>(random, static_cast<size_t>(rows) * size, -127, 127);
          std::vector<int32_t> sums(static_cast<size_t>(rows) * padded(count), -1);
          const auto keep = [&](int row, int block, Ints found) {
            store(sums.data() + static_cast<size_t>(row) * padded(count) + block * kLanes,
                  sub(found, fill(static_cast<int32_t>(table.excess(x, row)))));
          };
          multiply_whole_table(x.data(), rows, packed.data(), size, table.blocks(), tiles, keep);
          INFO(rows << " rows, " << count << " of " << size << ", tiles " << tiles);
          CHECK(sums == table.multiply_naively(x, rows));
        }
    }
}

TEST_CASE("products with listed rows equal naive ones") {
  Random random(13);
  for (const int size : {64, 256, 320})
    for (const int count : {1, 16, 17, 65}) {
      const Table table(random, size, count);
      const auto x = draw<int8_t>(random, size, -127, 127);
      std::vector<int32_t> sums(padded(count));
      multiply_listed(x.data(), table.bytes.data(), size, table.ids.data(), count, sums.data());
      for (int32_t& sum : sums) sum -= table.excess(x, 0);
      INFO(count << " of " << size);
      CHECK(sums == table.multiply_naively(x, 1));
    }
}

TEST_CASE("products of extreme bytes with a table do not saturate") {
  Random random(14);
  for (const int byte : {0, 1, 128, 255})
    for (const int value : {-127, 127}) {
      Table table(random, 256, 16);
      std::fill(table.bytes.begin(), table.bytes.end(), static_cast<uint8_t>(byte));
      const std::vector<int8_t> x(256, static_cast<int8_t>(value));
      std::vector<int32_t> sums(16);
      multiply_listed(x.data(), table.bytes.data(), 256, table.ids.data(), 16, sums.data());
      for (int32_t& sum : sums) sum -= table.excess(x, 0);
      CHECK(sums == table.multiply_naively(x, 1));
    }
}

TEST_CASE("chosen lanes are stored one after the other") {
  Random random(15);
  std::vector<int32_t> lanes(kLanes);
  for (int n = 0; n < kLanes; ++n) lanes[n] = n;
  for (const uint32_t mask : {0x0000u, 0xffffu, 0x0001u, 0x8000u, 0xa5c3u}) {
    std::vector<int32_t> expected, found(kLanes);
    for (int n = 0; n < kLanes; ++n)
      if ((mask >> n & 1) != 0) expected.push_back(n);
    found.resize(store_chosen(found.data(), mask, load(lanes.data())));
    CHECK(found == expected);
  }
}

TEST_CASE("an embedding is the bytes times their unit, plus the position") {
  Random random(16);
  const auto row = draw<uint8_t>(random, 64, 0, 255);
  const auto position = draw_floats(random, 64, 1.0f);
  std::vector<float> found(64), expected;
  embed(row.data(), 0.37f, position.data(), found.data(), 64);
  for (int n = 0; n < 64; ++n) expected.push_back(static_cast<float>(row[n] - kZero) * 0.37f + position[n]);
  CHECK(found == expected);
}

}  // namespace LATIMER_KERNELS
