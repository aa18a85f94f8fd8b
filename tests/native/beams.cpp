// Runs greedy and beam search over small random students of odd sizes, which `tests/conformance/test_student_search.py`
// builds with sanitizers. Prints the first check that fails.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "student.h"

namespace {

#define CHECK(condition)                                           \
  do {                                                             \
    if (!(condition)) {                                            \
      std::printf("line %d: %s is false\n", __LINE__, #condition); \
      std::exit(1);                                                \
    }                                                              \
  } while (false)

std::mt19937 draw(7);

template <class T>
std::vector<T> draw_values(size_t count, double least, double most) {
  std::uniform_real_distribution<double> values(least, most);
  std::vector<T> drawn(count);
  for (T& value : drawn) value = static_cast<T>(values(draw));
  return drawn;
}

// A random student. Every array has exactly its stated length, so that a read past its end is found.
struct Weights {
  LatimerSizes sizes;
  LatimerTables tables;
  std::vector<std::vector<int8_t>> matrices;
  std::vector<std::vector<float>> vectors;
  std::vector<uint8_t> source, target;
  std::vector<float> bias;
  std::vector<uint64_t> offsets;
  std::vector<uint32_t> ids;
  std::vector<LatimerEncoderLayer> encoder;
  std::vector<LatimerDecoderLayer> decoder;

  Weights(int dimension, int heads, int inner, int depth, int source_vocabulary, int target_vocabulary, bool listed) {
    sizes = {dimension, heads, inner, depth, depth, source_vocabulary, target_vocabulary};
    source = draw_table(source_vocabulary);
    target = draw_table(target_vocabulary);
    bias = draw_values<float>(target_vocabulary, -0.5, 0.5);
    tables = {};
    tables.source = source.data();
    tables.target = target.data();
    tables.source_unit = tables.target_unit = 0.05f;
    tables.output_unit = 0.02f;
    tables.output_bias = bias.data();
    if (listed) {
      for (int id = 0; id < source_vocabulary; ++id) {
        offsets.push_back(ids.size());
        for (int n = id % 4; n > 0; --n) ids.push_back(draw() % target_vocabulary);
      }
      offsets.push_back(ids.size());
      ids.push_back(0);  // the file may have ids that no offset reaches
      tables.shortlist_offsets = offsets.data();
      tables.shortlist_ids = ids.data();
      tables.offset_count = offsets.size();
      tables.id_count = ids.size();
      tables.first = target_vocabulary < 3 ? target_vocabulary : 3;
      tables.shared = source_vocabulary <= target_vocabulary;
    }
    for (int n = 0; n < depth; ++n) {
      encoder.emplace_back();
      fill_layer(encoder.back());
      decoder.emplace_back();
      decoder.back().candidate = draw_matrix(dimension, dimension);
      decoder.back().forget = draw_matrix(dimension, dimension);
      decoder.back().cell_norm = draw_norm();
      fill_layer(decoder.back());
    }
  }

  std::vector<uint8_t> draw_table(int vocabulary) {
    std::vector<uint8_t> table = draw_values<uint8_t>(static_cast<size_t>(vocabulary + 1) * sizes.dimension, 60, 200);
    for (int n = 0; n < sizes.dimension; ++n) table[static_cast<size_t>(vocabulary) * sizes.dimension + n] = 128;
    return table;
  }

  LatimerMatrix draw_matrix(int rows, int columns) {
    matrices.push_back(draw_values<int8_t>(static_cast<size_t>(rows) * columns, -127, 127));
    vectors.push_back(draw_values<float>(columns, -0.2, 0.2));
    return {matrices.back().data(), vectors.back().data(), rows, columns, 300.0f, 25.0f};
  }

  LatimerNorm draw_norm() {
    vectors.push_back(draw_values<float>(sizes.dimension, 0.9, 1.1));
    const float* scale = vectors.back().data();
    vectors.push_back(draw_values<float>(sizes.dimension, -0.1, 0.1));
    return {scale, vectors.back().data()};
  }

  template <class Layer>
  void fill_layer(Layer& layer) {
    for (LatimerMatrix* matrix : {&layer.query, &layer.key, &layer.value, &layer.out})
      *matrix = draw_matrix(sizes.dimension, sizes.dimension);
    layer.norm = draw_norm();
    layer.feed = {draw_matrix(sizes.dimension, sizes.ffn_dimension), draw_matrix(sizes.ffn_dimension, sizes.dimension),
                  draw_norm()};
  }
};

struct Options {
  int beams = 1, hypotheses = 1, ngram = 0, whole = 0;
  double length_penalty = 1.0, repetition_penalty = 1.0;
};

struct Found {
  std::vector<int32_t> ids, focus;
  std::vector<float> weights;
  double score;
  bool finished;

  bool operator==(const Found& other) const {
    return ids == other.ids && focus == other.focus && weights == other.weights && score == other.score &&
           finished == other.finished;
  }
};

// The hypotheses of each row.
using Results = std::vector<std::vector<Found>>;
using Rows = std::vector<std::vector<int32_t>>;

// A request with arrays of exactly the lengths that it states.
struct Request {
  std::vector<int32_t> ids, lengths, caps;
  std::vector<float> positions;
  LatimerRequest value;

  Request(const Rows& rows, const std::vector<int32_t>& given_caps, const LatimerSizes& sizes, const Options& options,
          int beams)
      : caps(given_caps) {
    size_t longest = 0;
    for (const auto& row : rows) {
      ids.insert(ids.end(), row.begin(), row.end());
      lengths.push_back(static_cast<int32_t>(row.size()));
      longest = row.size() > longest ? row.size() : longest;
    }
    // An empty vector has no address.
    positions = std::vector<float>(longest * sizes.dimension + 1, 0.3f);
    ids.push_back(0);
    value = {ids.data(),
             lengths.data(),
             caps.data(),
             positions.data(),
             nullptr,
             static_cast<int64_t>(ids.size()) - 1,
             static_cast<int64_t>(positions.size()) - 1,
             static_cast<int32_t>(rows.size()),
             1,
             options.whole,
             beams,
             options.hypotheses,
             options.ngram,
             options.length_penalty,
             options.repetition_penalty};
  }
};

std::vector<float> make_position(const LatimerSizes& sizes, int position) {
  std::vector<float> values(sizes.dimension);
  for (int n = 0; n < sizes.dimension; ++n) values[n] = std::sin(0.3f * position + n);
  return values;
}

// Runs beam search, at most `steps` steps.
Results search(const LatimerStudent* student, const LatimerSizes& sizes, const Rows& rows, const std::vector<int32_t>& caps,
               const Options& options, int steps) {
  const Request request(rows, caps, sizes, options, options.beams);
  LatimerBatch* batch = nullptr;
  CHECK(latimer_begin(student, &request.value, &batch) == 0);
  while (latimer_encode(batch) > 0) {
  }
  int left = 1;
  for (int n = 0; n < steps && left > 0; ++n) {
    const auto position = make_position(sizes, n);
    left = latimer_advance_beams(batch, 1, position.data(), sizes.dimension);
    CHECK(left >= 0 && left <= static_cast<int>(rows.size()) * options.beams);
  }
  const size_t count = rows.size() * options.hypotheses;
  std::vector<int32_t> counts(count);
  std::vector<uint8_t> finished(count);
  std::vector<double> scores(count);
  const LatimerHypotheses listed = {counts.data(), finished.data(), scores.data(), static_cast<int32_t>(rows.size()),
                                    options.hypotheses};
  const int64_t size = latimer_list_hypotheses(batch, &listed);
  CHECK(size >= 0);
  std::vector<int32_t> ids(size), focus(size);
  std::vector<float> weights(size);
  float none;
  LatimerTokens tokens = {ids.data(), size != 0 ? focus.data() : reinterpret_cast<int32_t*>(&none),
                          size != 0 ? weights.data() : &none, size};
  CHECK(latimer_write_tokens(batch, &tokens) == 0);
  tokens.size = size + 1;
  CHECK(latimer_write_tokens(batch, &tokens) == LATIMER_INVALID);
  latimer_end(batch);
  Results results(rows.size());
  size_t at = 0;
  for (size_t n = 0; n < count; ++n) {
    if (counts[n] < 0) continue;
    const size_t end = at + counts[n];
    results[n / options.hypotheses].push_back({{ids.begin() + at, ids.begin() + end},
                                               {focus.begin() + at, focus.begin() + end},
                                               {weights.begin() + at, weights.begin() + end},
                                               scores[n],
                                               finished[n] != 0});
    at = end;
  }
  CHECK(at == static_cast<size_t>(size));
  return results;
}

// Runs greedy search.
Results search_greedily(const LatimerStudent* student, const LatimerSizes& sizes, const Rows& rows,
                        const std::vector<int32_t>& caps, const Options& options) {
  const Request request(rows, caps, sizes, options, 0);
  LatimerBatch* batch = nullptr;
  CHECK(latimer_begin(student, &request.value, &batch) == 0);
  while (latimer_encode(batch) > 0) {
  }
  const size_t count = rows.size();
  Results results(count, {{{}, {}, {}, 0.0, false}});
  std::vector<int32_t> ids(count), counts(count), focus(count);
  std::vector<uint8_t> finished(count);
  std::vector<double> scores(count);
  std::vector<float> weights(count);
  const LatimerOutput output = {
      ids.data(), counts.data(), finished.data(), scores.data(), focus.data(), weights.data(), static_cast<int32_t>(count), 1};
  for (int n = 0, left = 1; left > 0; ++n) {
    const auto position = make_position(sizes, n);
    counts.assign(count, 0);
    left = latimer_advance(batch, 1, position.data(), sizes.dimension, &output);
    CHECK(left >= 0);
    for (size_t row = 0; row < count; ++row)
      if (counts[row] == 1) {
        results[row][0].ids.push_back(ids[row]);
        results[row][0].focus.push_back(focus[row]);
        results[row][0].weights.push_back(weights[row]);
      }
  }
  latimer_end(batch);
  for (size_t row = 0; row < count; ++row) {
    results[row][0].score = scores[row];
    results[row][0].finished = finished[row] != 0;
  }
  return results;
}

bool has_twice(const std::vector<int32_t>& ids, int size) {
  for (size_t n = 0; n + size <= ids.size(); ++n)
    for (size_t other = n + 1; other + size <= ids.size(); ++other)
      if (std::vector<int32_t>(ids.begin() + n, ids.begin() + n + size) ==
          std::vector<int32_t>(ids.begin() + other, ids.begin() + other + size))
        return true;
  return false;
}

void check_searches(const LatimerStudent* student, const LatimerSizes& sizes) {
  const auto draw_row = [&](int length) {
    std::vector<int32_t> row(length);
    for (int32_t& id : row) id = static_cast<int32_t>(draw() % sizes.source_vocabulary);
    return row;
  };
  const Rows rows = {draw_row(5), {}, draw_row(1), draw_row(17), draw_row(33)};
  const std::vector<int32_t> caps = {6, 4, 0, 1, 9};
  for (const int whole : {0, 1}) {
    Options one;
    one.whole = whole;
    CHECK(search(student, sizes, rows, caps, one, 100) == search_greedily(student, sizes, rows, caps, one));
    for (const int beams : {1, 3, sizes.target_vocabulary < 100 ? 24 : 8})
      for (const Options& penalties : {Options{}, Options{1, 1, 2, 0, 0.6, 1.4}, Options{1, 1, 1, 0, 2.0, 1.0}}) {
        Options options = penalties;
        options.beams = beams;
        options.hypotheses = beams;
        options.whole = whole;
        for (const int steps : {0, 2, 100}) {
          if (steps != 100 && beams != 3) continue;
          const Results together = search(student, sizes, rows, caps, options, steps);
          for (size_t row = 0; row < rows.size(); ++row) {
            CHECK(!together[row].empty());
            CHECK(search(student, sizes, {rows[row]}, {caps[row]}, options, steps)[0] == together[row]);
            for (const Found& found : together[row]) {
              CHECK(found.ids.size() <= static_cast<size_t>(caps[row]) && std::isfinite(found.score));
              CHECK(found.finished || steps <= caps[row] || found.ids.size() == static_cast<size_t>(caps[row]));
              CHECK(options.ngram == 0 || !has_twice(found.ids, options.ngram));
              for (const int32_t id : found.ids) CHECK(id >= 2 && id < sizes.target_vocabulary);
            }
          }
        }
      }
  }
}

// Checks that wrong ids and lengths are refused.
void check_refusals(const LatimerStudent* student, const LatimerSizes& sizes) {
  const Rows rows = {{0, 0}, {0}};
  const std::vector<int32_t> caps = {3, 3};
  const auto begin = [&](auto change) {
    Options options;
    options.beams = 2;
    Request request(rows, caps, sizes, options, 2);
    change(request);
    LatimerBatch* batch = nullptr;
    const int result = latimer_begin(student, &request.value, &batch);
    if (result == 0) latimer_end(batch);
    return result;
  };
  CHECK(begin([](Request&) {}) == 0);
  CHECK(begin([](Request& request) { request.value.id_count = 2; }) == LATIMER_INVALID);
  CHECK(begin([](Request& request) { request.value.id_count = 4; }) == LATIMER_INVALID);
  CHECK(begin([](Request& request) { request.lengths[0] = -1; }) == LATIMER_INVALID);
  CHECK(begin([](Request& request) { request.ids[2] = -1; }) == LATIMER_INVALID);
  CHECK(begin([&](Request& request) { request.ids[2] = sizes.source_vocabulary; }) == LATIMER_INVALID);
  CHECK(begin([](Request& request) { request.caps[1] = -1; }) == LATIMER_INVALID);
  CHECK(begin([](Request& request) { request.value.position_values -= 1; }) == LATIMER_INVALID);
  CHECK(begin([](Request& request) { request.value.rows = 0; }) == LATIMER_INVALID);
  CHECK(begin([](Request& request) { request.value.beams = -1; }) == LATIMER_INVALID);
  CHECK(begin([](Request& request) { request.value.beams = 1 << 30; }) == LATIMER_INVALID);
  CHECK(begin([](Request& request) { request.value.hypotheses = 3; }) == LATIMER_INVALID);
  CHECK(begin([](Request& request) { request.value.no_repeat_ngram_size = -1; }) == LATIMER_INVALID);
  CHECK(begin([](Request& request) { request.value.repetition_penalty = 0.0; }) == LATIMER_INVALID);
  CHECK(begin([](Request& request) { request.value.length_penalty = NAN; }) == LATIMER_INVALID);
  CHECK(begin([](Request& request) { request.value.ids = nullptr; }) == LATIMER_INVALID);

  Request request(rows, caps, sizes, Options{}, 2);
  LatimerBatch* batch = nullptr;
  CHECK(latimer_begin(student, &request.value, &batch) == 0);
  const auto position = make_position(sizes, 0);
  CHECK(latimer_advance_beams(batch, 1, position.data(), sizes.dimension) == LATIMER_INVALID);  // not encoded yet
  while (latimer_encode(batch) > 0) {
  }
  CHECK(latimer_advance(batch, 1, position.data(), sizes.dimension, nullptr) == LATIMER_INVALID);
  CHECK(latimer_advance_beams(batch, 2, position.data(), sizes.dimension) == LATIMER_INVALID);
  CHECK(latimer_advance_beams(batch, 0, position.data(), 0) == LATIMER_INVALID);
  const LatimerHypotheses wrong = {nullptr, nullptr, nullptr, 2, 2};
  CHECK(latimer_list_hypotheses(batch, &wrong) == LATIMER_INVALID);
  const LatimerTokens early = {nullptr, nullptr, nullptr, 0};
  CHECK(latimer_write_tokens(batch, &early) == LATIMER_INVALID);
  latimer_end(batch);
}

// Checks that encoding and decoding return at the poll time, after one group of sources and one step.
void check_poll_time(const LatimerStudent* student, const LatimerSizes& sizes) {
  const Rows rows(3, std::vector<int32_t>(200, 0));  // three groups
  constexpr int kSteps = 4;
  const std::vector<int32_t> caps(rows.size(), kSteps);
  std::vector<float> positions;
  for (int n = 0; n < kSteps; ++n)
    for (const float value : make_position(sizes, n)) positions.push_back(value);
  const int64_t size = static_cast<int64_t>(positions.size()), never = std::numeric_limits<int64_t>::max();
  for (const int beams : {0, 2})
    for (const int64_t time : {int64_t{0}, int64_t{1}, never - 1, never}) {
      Request request(rows, caps, sizes, Options{}, beams);
      request.value.poll_time = &time;
      LatimerBatch* batch = nullptr;
      CHECK(latimer_begin(student, &request.value, &batch) == 0);
      const bool comes = time < 2;
      for (int left = comes ? 2 : 0; left >= 0; --left) CHECK(latimer_encode(batch) == left);
      std::vector<int32_t> ids(rows.size() * kSteps), counts(rows.size()), focus(ids.size());
      std::vector<uint8_t> finished(rows.size());
      std::vector<double> scores(rows.size());
      std::vector<float> weights(ids.size());
      const LatimerOutput output = {ids.data(), counts.data(), finished.data(), scores.data(), focus.data(), weights.data(),
                                    3,          kSteps};
      const int left = beams != 0 ? latimer_advance_beams(batch, kSteps, positions.data(), size)
                                  : latimer_advance(batch, kSteps, positions.data(), size, &output);
      CHECK(left >= 0);
      CHECK(comes ? latimer_count_steps(batch) == 1 : left == 0 || latimer_count_steps(batch) == kSteps);
      latimer_end(batch);
    }
}

void check_wrong_weights(const Weights& given, int instructions) {
  const auto load = [&](auto change) {
    Weights weights = given;
    weights.tables.shortlist_ids = weights.ids.data();
    weights.tables.shortlist_offsets = weights.offsets.data();
    change(weights);
    LatimerStudent* student = nullptr;
    const int result =
        latimer_load(&weights.sizes, &weights.tables, weights.encoder.data(), weights.decoder.data(), instructions, &student);
    if (result == 0) latimer_unload(student);
    return result;
  };
  CHECK(load([](Weights&) {}) == 0);
  CHECK(load([](Weights& w) { w.sizes.dimension += 1; }) == LATIMER_INVALID);
  CHECK(load([](Weights& w) { w.sizes.heads = 0; }) == LATIMER_INVALID);
  CHECK(load([](Weights& w) { w.sizes.target_vocabulary = 0; }) == LATIMER_INVALID);
  CHECK(load([](Weights& w) { w.sizes.source_vocabulary += 1; }) == LATIMER_INVALID);
  CHECK(load([](Weights& w) { w.encoder[0].out.rows -= 1; }) == LATIMER_INVALID);
  CHECK(load([](Weights& w) { w.decoder[0].forget.columns += 64; }) == LATIMER_INVALID);
  CHECK(load([](Weights& w) { w.decoder[0].feed.outer.values = nullptr; }) == LATIMER_INVALID);
  CHECK(load([](Weights& w) { w.tables.first = 0; }) == LATIMER_INVALID);
  CHECK(load([](Weights& w) { w.tables.id_count = 1; }) == LATIMER_INVALID);
  CHECK(load([](Weights& w) { w.offsets[1] = 1000; }) == LATIMER_INVALID);
  CHECK(load([](Weights& w) { w.ids[0] = w.sizes.target_vocabulary; }) == LATIMER_INVALID);
}

}  // namespace

int main(int, char** arguments) {
  const int instructions = std::atoi(arguments[1]);
  struct Case {
    int dimension, heads, inner, depth, source, target;
  };
  for (const Case& sizes :
       {Case{64, 4, 64, 1, 9, 9}, Case{128, 2, 192, 2, 40, 1}, Case{64, 1, 128, 3, 5, 2}, Case{192, 4, 64, 2, 50, 1027}})
    for (const bool listed : {true, false}) {
      const Weights weights(sizes.dimension, sizes.heads, sizes.inner, sizes.depth, sizes.source, sizes.target, listed);
      LatimerStudent* student = nullptr;
      CHECK(latimer_load(&weights.sizes, &weights.tables, weights.encoder.data(), weights.decoder.data(), instructions,
                         &student) == 0);
      check_searches(student, weights.sizes);
      check_refusals(student, weights.sizes);
      check_poll_time(student, weights.sizes);
      latimer_unload(student);
      if (listed && sizes.source > 9) check_wrong_weights(weights, instructions);
    }
  std::printf("ok\n");
  return 0;
}
