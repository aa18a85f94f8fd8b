// Runs a search that `tests/conformance/test_student_replay.py` recorded, and prints the ids and the score of each row. It
// needs no Python, so that it runs under an emulator of another processor.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "student.h"

namespace {

std::FILE* file;
// The arrays that were read. They are freed at the end, so that the leak sanitizer reports memory of the engine only.
std::vector<std::unique_ptr<void, decltype(&std::free)>> arrays;

// Reads the next array: its size in bytes (64 bits), then its bytes. An empty one stands for a null pointer.
template <class T>
const T* read() {
  uint64_t size;
  if (std::fread(&size, sizeof(size), 1, file) != 1) std::exit(2);
  if (size == 0) return nullptr;
  void* bytes = std::aligned_alloc(64, (size + 63) / 64 * 64);
  if (std::fread(bytes, 1, size, file) != size) std::exit(2);
  arrays.emplace_back(bytes, std::free);
  return static_cast<const T*>(bytes);
}

template <class T>
T read_value() {
  T value;
  std::memcpy(&value, read<char>(), sizeof(T));
  return value;
}

LatimerMatrix read_matrix() {
  LatimerMatrix matrix = read_value<LatimerMatrix>();
  matrix.values = read<int8_t>();
  matrix.bias = read<float>();
  return matrix;
}

LatimerNorm read_norm() {
  const float* scale = read<float>();
  return {scale, read<float>()};
}

// Reads the members that both kinds of layers have.
template <class Layer>
void read_attention(Layer& layer) {
  for (LatimerMatrix* matrix : {&layer.query, &layer.key, &layer.value, &layer.out}) *matrix = read_matrix();
  layer.norm = read_norm();
  layer.feed.inner = read_matrix();
  layer.feed.outer = read_matrix();
  layer.feed.norm = read_norm();
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3 || (file = std::fopen(arguments[1], "rb")) == nullptr) return 2;
  const int instructions = std::atoi(arguments[2]);
  const auto sizes = read_value<LatimerSizes>();
  auto tables = read_value<LatimerTables>();
  tables.source = read<uint8_t>();
  tables.target = read<uint8_t>();
  tables.output_bias = read<float>();
  tables.shortlist_offsets = read<uint64_t>();
  tables.shortlist_ids = read<uint32_t>();
  std::vector<LatimerEncoderLayer> encoder(sizes.encoder_depth);
  for (auto& layer : encoder) read_attention(layer);
  std::vector<LatimerDecoderLayer> decoder(sizes.decoder_depth);
  for (auto& layer : decoder) {
    layer.candidate = read_matrix();
    layer.forget = read_matrix();
    layer.cell_norm = read_norm();
    read_attention(layer);
  }
  const auto rows = read_value<int32_t>();
  const auto* ids = read<int32_t>();
  const auto* lengths = read<int32_t>();
  const auto* caps = read<int32_t>();
  const auto* positions = read<float>();
  if ((latimer_find_instructions() >> instructions & 1) == 0) return 3;
  LatimerStudent* student = nullptr;
  if (latimer_load(&sizes, &tables, encoder.data(), decoder.data(), instructions, &student) != 0) return 4;
  constexpr int kSteps = 512;
  std::vector<int32_t> written(static_cast<size_t>(rows) * kSteps), counts(rows), focus(written.size());
  std::vector<float> weights(written.size());
  std::vector<double> scores(rows);
  std::vector<uint8_t> finished(rows);
  const LatimerOutput output = {written.data(), counts.data(), finished.data(), scores.data(), focus.data(),
                                weights.data(), rows,          kSteps};
  int64_t all = 0;
  for (int row = 0; row < rows; ++row) all += lengths[row];
  const int64_t values = static_cast<int64_t>(kSteps) * sizes.dimension;
  LatimerRequest request = {ids, lengths, caps, positions, nullptr, all, values, rows, 1, 0, 0, 1, 0, 1.0, 1.0};
  LatimerBatch* batch = nullptr;
  if (latimer_begin(student, &request, &batch) != 0 || latimer_encode(batch) != 0) return 5;
  if (latimer_advance(batch, kSteps, positions, values, &output) != 0) return 5;
  for (int row = 0; row < rows; ++row) {
    std::printf("%a", scores[row]);
    for (int n = 0; n < counts[row]; ++n) {
      const size_t at = static_cast<size_t>(row) * kSteps + n;
      std::printf(" %d:%d:%a", written[at], focus[at], static_cast<double>(weights[at]));
    }
    std::printf("\n");
  }
  latimer_end(batch);
  // The same rows by beam search, with the options of the test.
  constexpr int kBeams = 4;
  request.beams = request.hypotheses = kBeams;
  request.no_repeat_ngram_size = 3;
  request.length_penalty = 0.8;
  request.repetition_penalty = 1.25;
  if (latimer_begin(student, &request, &batch) != 0 || latimer_encode(batch) != 0) return 5;
  if (latimer_advance_beams(batch, kSteps, positions, values) != 0) return 5;
  counts.resize(rows * kBeams);
  finished.resize(counts.size());
  scores.resize(counts.size());
  const LatimerHypotheses listed = {counts.data(), finished.data(), scores.data(), rows, kBeams};
  const int64_t size = latimer_list_hypotheses(batch, &listed);
  written.resize(size > 0 ? size : 1);
  focus.resize(written.size());
  weights.resize(written.size());
  const LatimerTokens tokens = {written.data(), focus.data(), weights.data(), size};
  if (latimer_write_tokens(batch, &tokens) != 0) return 5;
  int64_t at = 0;
  for (size_t n = 0; n < counts.size(); ++n) {
    if (counts[n] < 0) continue;
    std::printf("%a", scores[n]);
    for (const int64_t end = at + counts[n]; at < end; ++at)
      std::printf(" %d:%d:%a", written[at], focus[at], static_cast<double>(weights[at]));
    std::printf("\n");
  }
  latimer_end(batch);
  latimer_unload(student);
  return 0;
}
