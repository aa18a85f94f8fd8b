#include "checks.h"

#include <cmath>
#include <initializer_list>

namespace latimer {

namespace {

// Bounds that no real network or batch reaches. Within them no product of sizes overflows.
constexpr int32_t kMostDimension = 1 << 13, kMostVocabulary = 1 << 24, kMostDepth = 1 << 10;
constexpr int32_t kMostTokens = 1 << 16, kMostHypotheses = 1 << 16;

bool is_between(int64_t value, int64_t least, int64_t most) { return least <= value && value <= most; }

bool are_valid_sizes(const LatimerSizes& sizes) {
  // The kernels read blocks of 64 bytes and vectors of 16 values.
  return is_between(sizes.dimension, 64, kMostDimension) && sizes.dimension % 64 == 0 &&
         is_between(sizes.ffn_dimension, 64, 8 * kMostDimension) && sizes.ffn_dimension % 64 == 0 &&
         is_between(sizes.heads, 1, sizes.dimension) && sizes.dimension % sizes.heads == 0 &&
         sizes.dimension / sizes.heads % 16 == 0 && is_between(sizes.encoder_depth, 1, kMostDepth) &&
         is_between(sizes.decoder_depth, 1, kMostDepth) && is_between(sizes.source_vocabulary, 1, kMostVocabulary) &&
         is_between(sizes.target_vocabulary, 1, kMostVocabulary);
}

bool is_valid_shortlist(const LatimerSizes& sizes, const LatimerTables& tables) {
  if (tables.shortlist_offsets == nullptr && tables.shortlist_ids == nullptr) return true;
  if (tables.shortlist_offsets == nullptr || tables.shortlist_ids == nullptr) return false;
  // The first of the most frequent ids is </s>, without which an output could never end.
  if (tables.offset_count != static_cast<uint64_t>(sizes.source_vocabulary) + 1 ||
      !is_between(tables.first, 1, sizes.target_vocabulary))
    return false;
  if (tables.shared != 0 && sizes.source_vocabulary > sizes.target_vocabulary) return false;
  for (uint64_t n = 0; n + 1 < tables.offset_count; ++n)
    if (tables.shortlist_offsets[n] > tables.shortlist_offsets[n + 1]) return false;
  if (tables.shortlist_offsets[tables.offset_count - 1] > tables.id_count) return false;
  for (uint64_t n = 0; n < tables.id_count; ++n)
    if (tables.shortlist_ids[n] >= static_cast<uint32_t>(sizes.target_vocabulary)) return false;
  return true;
}

bool is_valid_matrix(const LatimerMatrix& matrix, int32_t rows, int32_t columns) {
  return matrix.values != nullptr && matrix.rows == rows && matrix.columns == columns;
}

bool is_valid_norm(const LatimerNorm& norm) { return norm.scale != nullptr && norm.bias != nullptr; }

// Checks the members that both kinds of layers have.
template <class Layer>
bool is_valid_layer(const Layer& layer, const LatimerSizes& sizes) {
  const int32_t d = sizes.dimension, inner = sizes.ffn_dimension;
  for (const LatimerMatrix* matrix : {&layer.query, &layer.key, &layer.value, &layer.out})
    if (!is_valid_matrix(*matrix, d, d)) return false;
  return is_valid_norm(layer.norm) && is_valid_matrix(layer.feed.inner, d, inner) && layer.feed.inner.bias != nullptr &&
         is_valid_matrix(layer.feed.outer, inner, d) && is_valid_norm(layer.feed.norm);
}

}  // namespace

bool is_valid_student(const LatimerSizes& sizes, const LatimerTables& tables, const LatimerEncoderLayer* encoder,
                      const LatimerDecoderLayer* decoder) {
  if (!are_valid_sizes(sizes) || tables.source == nullptr || tables.target == nullptr || tables.output_bias == nullptr ||
      !is_valid_shortlist(sizes, tables))
    return false;
  for (int n = 0; n < sizes.encoder_depth; ++n)
    if (!is_valid_layer(encoder[n], sizes)) return false;
  for (int n = 0; n < sizes.decoder_depth; ++n) {
    const LatimerDecoderLayer& layer = decoder[n];
    const int32_t d = sizes.dimension;
    if (!is_valid_matrix(layer.candidate, d, d) || !is_valid_matrix(layer.forget, d, d) || !is_valid_norm(layer.cell_norm) ||
        !is_valid_layer(layer, sizes))
      return false;
  }
  return true;
}

bool is_valid_request(const LatimerSizes& sizes, const LatimerRequest& request) {
  if (request.ids == nullptr || request.lengths == nullptr || request.caps == nullptr || request.positions == nullptr ||
      !is_between(request.rows, 1, kMostHypotheses) || request.id_count < 0)
    return false;
  int64_t all = 0;
  int32_t longest = 0;
  for (int row = 0; row < request.rows; ++row) {
    if (!is_between(request.lengths[row], 0, kMostTokens) || request.caps[row] < 0) return false;
    all += request.lengths[row];
    longest = request.lengths[row] > longest ? request.lengths[row] : longest;
  }
  if (all != request.id_count || request.position_values < static_cast<int64_t>(longest) * sizes.dimension) return false;
  for (int64_t n = 0; n < all; ++n)
    if (!is_between(request.ids[n], 0, static_cast<int64_t>(sizes.source_vocabulary) - 1)) return false;
  if (request.beams == 0) return true;
  return is_between(request.beams, 1, kMostHypotheses / request.rows) && is_between(request.hypotheses, 1, request.beams) &&
         request.no_repeat_ngram_size >= 0 && std::isfinite(request.length_penalty) &&
         std::isfinite(request.repetition_penalty) && request.repetition_penalty > 0;
}

bool are_valid_steps(const LatimerSizes& sizes, int steps, const float* positions, int64_t position_values) {
  return steps > 0 && positions != nullptr && position_values == static_cast<int64_t>(steps) * sizes.dimension;
}

}  // namespace latimer
