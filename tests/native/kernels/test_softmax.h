// Tests of softmax, of the scores of candidates and of the choice of the likeliest one.
#pragma once

namespace LATIMER_KERNELS {

TEST_CASE("a softmax of any width adds up to 1 and ignores what follows") {
  Random random(31);
  for (int width = 1; width <= 70; ++width)
    for (const float spread : {1.0f, 300.0f}) {
      auto scores = draw_floats(random, padded(width), spread);
      for (int n = width; n < padded(width); ++n) scores[n] = n % 2 == 0 ? NAN : 1e30f;
      const auto given = scores;
      const float peak = *std::max_element(given.begin(), given.begin() + width);
      double total = 0.0;
      std::vector<double> expected;
      for (int n = 0; n < width; ++n) total += std::exp(static_cast<double>(given[n]) - peak);
      for (int n = 0; n < padded(width); ++n)
        expected.push_back(n < width ? std::exp(static_cast<double>(given[n]) - peak) / total : 0.0);
      const float factor = exponentiate(scores.data(), width, padded(width));
      for (float& score : scores) score *= factor;
      INFO(width << " scores of " << spread);
      CHECK(find_difference(scores, expected) < 1e-6);
      CHECK(std::all_of(scores.begin() + width, scores.end(), [](float share) { return share == 0.0f; }));
    }
}

TEST_CASE("equal and impossible scores share a softmax rightly") {
  std::vector<float> scores(16, -INFINITY);
  for (const int place : {2, 5, 9}) scores[place] = -1e30f;
  const float factor = exponentiate(scores.data(), 13, 16);
  for (int n = 0; n < 16; ++n) CHECK(scores[n] * factor == Approx(n == 2 || n == 5 || n == 9 ? 1.0f / 3 : 0.0f));
}

TEST_CASE("scores of candidates are exact sums times the unit, plus the bias") {
  Random random(32);
  const auto sums = draw<int32_t>(random, kLanes, -4'000'000, 4'000'000);
  const auto bias = draw_floats(random, kLanes, 10.0f);
  for (const int total : {-30'000, 0, 30'000}) {
    std::vector<float> found(kLanes), expected;
    store(found.data(), finish_scores(load(sums.data()), total, 0.003f, bias.data()));
    for (int n = 0; n < kLanes; ++n)
      expected.push_back(static_cast<float>(sums[n] - (kZero - kTableShift) * total) * 0.003f + bias[n]);
    CHECK(found == expected);
  }
}

// Returns the choice among scores in parts of `size`, each with the padding that kernels read.
inline Best choose_in_parts(const std::vector<float>& scores, int size) {
  Best best;
  const int count = static_cast<int>(scores.size());
  for (int first = 0; first < count; first += size) {
    const int left = std::min(size, count - first);
    std::vector<float> part(padded(left), 1e30f);  // a larger score in the padding
    std::copy_n(scores.begin() + first, left, part.begin());
    choose(part.data(), left, first, best);
  }
  return best;
}

TEST_CASE("the largest score is chosen, and its log-probability is that among all") {
  Random random(33);
  for (const int count : {1, 2, 15, 16, 17, 33, 200})
    for (const int size : {16, 64, 1000})
      for (const float spread : {0.01f, 5.0f, 1e3f}) {
        const auto scores = draw_floats(random, count, spread);
        const auto largest = std::max_element(scores.begin(), scores.end());
        double total = 0.0;
        for (const float score : scores) total += std::exp(static_cast<double>(score) - *largest);
        const Best best = choose_in_parts(scores, size);
        INFO(count << " scores of " << spread << " in parts of " << size);
        CHECK(best.index == largest - scores.begin());
        CHECK(best.peak == *largest);
        CHECK(best.log_prob() == Approx(-std::log(total)).margin(1e-5));
      }
}

TEST_CASE("of equal scores the first one is chosen") {
  for (const int first : {0, 3, 16, 40}) {
    std::vector<float> scores(50, -2.0f);
    for (int n = first; n < 50; n += 3) scores[n] = 7.0f;
    for (const int size : {16, 32, 1000}) CHECK(choose_in_parts(scores, size).index == first);
  }
}

TEST_CASE("a score of minus infinity has no share of the probability") {
  std::vector<float> scores(40, -INFINITY);
  scores[35] = -3.0f;
  for (const int size : {64, 1000}) {
    CHECK(choose_in_parts(scores, size).index == 35);
    CHECK(choose_in_parts(scores, size).log_prob() == 0.0f);
  }
}

}  // namespace LATIMER_KERNELS
