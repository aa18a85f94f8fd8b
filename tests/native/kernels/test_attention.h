// Tests of attention: each output equals a naive one in double precision.
#pragma once

namespace LATIMER_KERNELS {

// Keys and values of one source, [width, heads * depth]. All are multiples of 1/64, so that half precision keeps them.
struct Source {
  int width, heads, depth;
  std::vector<float> keys, values;

  Source(Random& random, int tokens, int count_of_heads, int depth_of_heads)
      : width(tokens), heads(count_of_heads), depth(depth_of_heads) {
    for (std::vector<float>* floats : {&keys, &values})
      for (const int step : draw<int>(random, static_cast<size_t>(width) * heads * depth, -128, 128))
        floats->push_back(static_cast<float>(step) / 64);
  }

  // Returns the attention of a query [heads * depth], and the weights of its first head.
  std::vector<double> attend_naively(const float* query, std::vector<double>& weights) const {
    std::vector<double> out(static_cast<size_t>(heads) * depth);
    for (int head = heads - 1; head >= 0; --head) {
      weights.assign(width, 0.0);
      double peak = -INFINITY, total = 0.0;
      for (int j = 0; j < width; ++j) {
        for (int c = head * depth; c < (head + 1) * depth; ++c)
          weights[j] += static_cast<double>(query[c]) * keys[static_cast<size_t>(j) * heads * depth + c];
        peak = std::max(peak, weights[j]);
      }
      for (double& weight : weights) total += weight = std::exp(weight - peak);
      for (double& weight : weights) weight /= total;
      for (int j = 0; j < width; ++j)
        for (int c = head * depth; c < (head + 1) * depth; ++c)
          out[c] += weights[j] * values[static_cast<size_t>(j) * heads * depth + c];
    }
    return out;
  }
};

// Computes attention for `Queries` queries and compares it with the naive one. The values are laid out as in the encoder
// (by position) or as in the decoder (by head).
template <int Queries, class Value>
void check_attention(Random& random, const Source& source, float spread, bool by_head) {
  const int d = source.heads * source.depth, wide = padded(source.width), stride = 3 * d;
  std::vector<float> keys(static_cast<size_t>(d) * wide), values(source.values.size());
  transpose_keys(source.keys.data(), d, source.width, source.heads, source.depth, keys.data());
  for (int j = 0; j < source.width; ++j)
    for (int c = 0; c < d; ++c) {
      const size_t place = (static_cast<size_t>(c / source.depth) * source.width + j) * source.depth + c % source.depth;
      values[by_head ? place : static_cast<size_t>(j) * d + c] = source.values[static_cast<size_t>(j) * d + c];
    }
  std::vector<Value> stored_keys(keys.size()), stored_values(values.size());
  if constexpr (sizeof(Value) == 2) {
    write_halves(keys.data(), stored_keys.data(), static_cast<int>(keys.size()));
    write_halves(values.data(), stored_values.data(), static_cast<int>(values.size()));
  } else {
    stored_keys = keys;
    stored_values = values;
  }
  const Memories<Value> memories{stored_keys.data(),
                                 stored_values.data(),
                                 source.width,
                                 wide,
                                 by_head ? source.depth : d,
                                 by_head ? source.width * source.depth : source.depth};
  const auto queries = draw_floats(random, static_cast<size_t>(Queries) * stride, spread);
  std::vector<float> scores(static_cast<size_t>(Queries) * wide), out(static_cast<size_t>(Queries) * d, NAN);
  Focus focus{-1, -1.0f};
  attend<Queries>(queries.data(), stride, memories, source.heads, source.depth, scores.data(), out.data(), d, &focus);
  for (int n = 0; n < Queries; ++n) {
    std::vector<double> weights;
    const auto expected = source.attend_naively(queries.data() + static_cast<size_t>(n) * stride, weights);
    const std::vector<float> found(out.begin() + static_cast<size_t>(n) * d, out.begin() + static_cast<size_t>(n + 1) * d);
    INFO(source.width << " tokens, " << source.heads << " heads of " << source.depth << ", query " << n);
    CHECK(find_difference(found, expected) < 1e-4);
    if (n > 0 || weights.empty()) continue;
    CHECK(focus.weight == Approx(weights[focus.place]).margin(1e-5));
    CHECK(weights[focus.place] == Approx(*std::max_element(weights.begin(), weights.end())).margin(1e-5));
  }
}

TEST_CASE("attention equals a naive one for every width") {
  Random random(41);
  for (int width = 1; width <= 70; ++width) {
    const Source source(random, width, 2, 32);
    check_attention<1, float>(random, source, 0.1f, false);
    check_attention<4, float>(random, source, 0.1f, false);
    check_attention<1, uint16_t>(random, source, 0.1f, true);
  }
}

TEST_CASE("attention equals a naive one for every number and depth of heads") {
  Random random(42);
  for (const int heads : {1, 2, 8})
    for (const int depth : {16, 32, 48, 64, 96}) {
      const Source source(random, 19, heads, depth);
      check_attention<1, float>(random, source, 0.1f, false);
      check_attention<4, float>(random, source, 0.1f, false);
      check_attention<1, uint16_t>(random, source, 0.1f, true);
    }
}

TEST_CASE("attention with extreme scores looks at one token") {
  Random random(43);
  for (const int width : {1, 16, 33}) {
    const Source source(random, width, 2, 32);
    check_attention<1, float>(random, source, 1e3f, false);
    check_attention<4, float>(random, source, 1e3f, false);
    check_attention<1, uint16_t>(random, source, 1e3f, true);
  }
}

TEST_CASE("attention to a source without tokens is 0 and looks nowhere") {
  const Memories<uint16_t> halves{nullptr, nullptr, 0, 0, 32, 0};
  const Memories<float> floats{nullptr, nullptr, 0, 0, 64, 32};
  const std::vector<float> query(4 * 64, 1.0f);
  std::vector<float> one(64, NAN), four(4 * 64, NAN);
  Focus focus{-1, -1.0f};
  attend<1>(query.data(), 64, halves, 2, 32, nullptr, one.data(), 64, &focus);
  attend<4>(query.data(), 64, floats, 2, 32, nullptr, four.data(), 64, nullptr);
  CHECK(one == std::vector<float>(64));
  CHECK(four == std::vector<float>(4 * 64));
  CHECK(focus.place == 0);
  CHECK(focus.weight == 0.0f);
}

TEST_CASE("the first of equal weights is the focus") {
  const std::vector<float> keys(32 * 16), values(3 * 32), query(32, 1.0f);
  std::vector<float> scores(16), out(32);
  Focus focus{-1, -1.0f};
  attend<1>(query.data(), 32, Memories<float>{keys.data(), values.data(), 3, 16, 32, 32}, 1, 32, scores.data(), out.data(), 32,
            &focus);
  CHECK(focus.place == 0);
  CHECK(focus.weight == Approx(1.0f / 3));
}

}  // namespace LATIMER_KERNELS
