// Tests of the operations on rows of float32: exponential, norm, quantisation, recurrence, half precision.
#pragma once

namespace LATIMER_KERNELS {

// Returns e^x of one value, in the first lane.
inline float exponential_of(float x) {
  float lanes[kLanes];
  store(lanes, exponential(fill(x)));
  return lanes[0];
}

TEST_CASE("the exponential is accurate to two units in the last place") {
  double worst = 0.0;
  for (float x = -87.0f; x <= 88.0f; x += 0.0011f) {
    const double exact = std::exp(static_cast<double>(x));
    const float rounded = static_cast<float>(exact);
    const double unit = std::nextafter(rounded, INFINITY) - rounded;
    worst = std::max(worst, std::abs(exponential_of(x) - exact) / unit);
  }
  CHECK(worst <= 2.0);
  CHECK(exponential_of(0.0f) == 1.0f);
}

TEST_CASE("the exponential is 0 below -87, and no more than e^88") {
  for (const float x : {-87.001f, -100.0f, -1e30f, -INFINITY}) CHECK(exponential_of(x) == 0.0f);
  CHECK(exponential_of(-87.0f) > 0.0f);
  for (const float x : {88.001f, 1e30f, INFINITY}) CHECK(exponential_of(x) == exponential_of(88.0f));
}

// Returns the largest difference between two rows.
inline double find_difference(const std::vector<float>& found, const std::vector<double>& expected) {
  double most = found.size() == expected.size() ? 0.0 : INFINITY;
  for (size_t n = 0; n < found.size(); ++n) {
    const double difference = std::abs(found[n] - expected[n]);
    most = difference <= most ? most : std::isnan(difference) ? INFINITY : difference;
  }
  return most;
}

TEST_CASE("the norm has the mean and deviation of its factors and bias") {
  Random random(21);
  for (const int size : {16, 64, 256, 1536})
    for (const float spread : {1e-3f, 1.0f, 1e6f}) {
      auto x = draw_floats(random, size, spread);
      const auto added = draw_floats(random, size, spread), factors = draw_floats(random, size, 1.0f);
      const auto bias = draw_floats(random, size, 1.0f);
      double mean = 0.0, variance = 0.0;
      for (int n = 0; n < size; ++n) mean += (static_cast<double>(x[n]) + added[n]) / size;
      for (int n = 0; n < size; ++n) variance += std::pow(x[n] + static_cast<double>(added[n]) - mean, 2) / size;
      std::vector<double> expected;
      for (int n = 0; n < size; ++n) {
        const double even = (x[n] + static_cast<double>(added[n]) - mean) / std::sqrt(variance + kNormEpsilon);
        expected.push_back(even * factors[n] + bias[n]);
      }
      normalize(x.data(), added.data(), factors.data(), bias.data(), size);
      INFO(size << " values of " << spread);
      CHECK(find_difference(x, expected) < 2e-5);
    }
}

TEST_CASE("the norm of equal values is the bias") {
  std::vector<float> x(64, 3.0f);
  const std::vector<float> added(64, -1.0f), factors(64, 5.0f), bias(64, 0.25f);
  normalize(x.data(), added.data(), factors.data(), bias.data(), 64);
  CHECK(x == bias);
}

TEST_CASE("quantisation rounds halves to even steps and stays within a byte") {
  const std::vector<float> given = {0.0f,   0.5f,   1.5f,    2.5f,   -0.5f, -1.5f,    -2.5f,     126.5f,
                                    127.5f, 128.0f, -128.0f, 128.6f, 1e30f, INFINITY, -INFINITY, -0.0f};
  const std::vector<int> steps = {0, 0, 2, 2, 0, -2, -2, 126, 127, 127, -128, 127, 127, 127, -128, 0};
  std::vector<uint8_t> found(16), expected;
  quantize(given.data(), 1.0f, found.data(), 16);
  for (const int step : steps) expected.push_back(static_cast<uint8_t>(step + kZero));
  CHECK(found == shift(expected));
}

TEST_CASE("quantisation by the largest value uses 127 steps") {
  Random random(22);
  for (const int size : {16, 64, 256})
    for (const float spread : {1e-20f, 1.0f, 1e20f}) {
      const auto x = draw_floats(random, size, spread);
      float peak = 0.0f;
      for (const float value : x) peak = std::max(peak, std::abs(value));
      std::vector<uint8_t> found(size), expected;
      std::vector<int8_t> signed_found(size), signed_expected;
      int total = -1, expected_total = 0;
      for (const float value : x) {
        const int step = static_cast<int>(std::nearbyint(value * (127.0f / peak)));
        expected.push_back(static_cast<uint8_t>(step + kZero));
        signed_expected.push_back(static_cast<int8_t>(step));
        expected_total += step;
      }
      CHECK(find_peak(x.data(), size) == peak);
      CHECK(quantize_by_peak(x.data(), found.data(), size) == peak / 127.0f);
      CHECK(found == shift(expected));
      CHECK(quantize_signed(x.data(), signed_found.data(), size, &total) == peak / 127.0f);
      CHECK(signed_found == signed_expected);
      CHECK(total == expected_total);
    }
}

TEST_CASE("a row of zeros is quantised to zeros with a step of 0") {
  const std::vector<float> x(32, -0.0f);
  std::vector<uint8_t> found(32);
  std::vector<int8_t> signed_found(32, 5);
  int total = -1;
  CHECK(quantize_by_peak(x.data(), found.data(), 32) == 0.0f);
  CHECK(found == shift(std::vector<uint8_t>(32, kZero)));
  CHECK(quantize_signed(x.data(), signed_found.data(), 32, &total) == 0.0f);
  CHECK(signed_found == std::vector<int8_t>(32));
  CHECK(total == 0);
}

TEST_CASE("the recurrence keeps a share of the cell and rectifies the output") {
  Random random(23);
  for (const float spread : {0.1f, 3.0f, 1e4f}) {
    const auto candidate = draw_floats(random, 256, 2.0f), forget = draw_floats(random, 256, spread);
    auto cell = draw_floats(random, 256, 2.0f);
    std::vector<float> out(256);
    std::vector<double> cells, outputs;
    for (int n = 0; n < 256; ++n) {
      const double share = 1.0 / (1.0 + std::exp(-static_cast<double>(forget[n])));
      cells.push_back(share * cell[n] + (1.0 - share) * candidate[n]);
      outputs.push_back(std::max(cells.back(), 0.0));
    }
    recur(candidate.data(), forget.data(), cell.data(), cell.data(), out.data(), 256);
    CHECK(find_difference(cell, cells) < 3e-6);
    CHECK(find_difference(out, outputs) < 3e-6);
  }
}

TEST_CASE("half precision keeps eleven bits, and limits values to its range") {
  const std::vector<float> given = {0.0f,    1.0f,    -1.0f,   0.333251953125f, 65504.0f, 1e6f,   -1e6f,  INFINITY,
                                    1.0005f, 2049.0f, 2051.0f, 6.1035e-5f,      5.96e-8f, 1e-10f, -3.14f, 100.25f};
  std::vector<uint16_t> halves(16);
  std::vector<float> found(16);
  write_halves(given.data(), halves.data(), 16);
  store(found.data(), load(halves.data()));
  for (int n = 0; n < 16; ++n) {
    const float limited = std::min(std::max(given[n], -65504.0f), 65504.0f);
    const float most = std::max(std::abs(limited) / 2048, 3e-8f);  // half a unit in the last place
    CHECK(std::abs(found[n] - limited) <= most);
  }
  CHECK(found[3] == given[3]);
  CHECK(found[9] == 2048.0f);  // halfway: the even one
  CHECK(found[10] == 2052.0f);
  CHECK(found[13] == 0.0f);
}

}  // namespace LATIMER_KERNELS
