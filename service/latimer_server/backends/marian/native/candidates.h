// The output candidates of each row, and their scores.
//
// Source: the lexical shortlist of browsermt/marian-dev. The rows of a batch may share the gathered weights of all their
// candidates. The result of a row does not depend on this.
#pragma once

#include "batch.h"

namespace latimer {

constexpr int32_t kUnknown = 1;

// Lists the candidates of a row: its shortlist, or the whole vocabulary without one. Never <unk>. Returns false if
// there is no memory.
inline bool choose_candidates(LatimerBatch& batch, const int32_t* ids, int row, uint64_t* wanted) {
  LATIMER_CLOCK(kCandidates);
  const LatimerTables& tables = batch.student->tables;
  const int vocabulary = batch.student->sizes.target_vocabulary, words = (vocabulary + 63) / 64;
  const auto want = [wanted](uint32_t id) { wanted[id / 64] |= uint64_t{1} << (id % 64); };
  std::memset(wanted, 0, words * sizeof(uint64_t));
  if (tables.shortlist_ids == nullptr) {
    for (int id = 0; id < vocabulary; ++id) want(id);
  } else {
    for (int id = 0; id < tables.first; ++id) want(id);
    for (int j = 0; j < batch.lengths[row]; ++j) {
      for (uint64_t at = tables.shortlist_offsets[ids[j]]; at < tables.shortlist_offsets[ids[j] + 1]; ++at)
        want(tables.shortlist_ids[at]);
      if (tables.shared) want(ids[j]);
    }
  }
  wanted[kUnknown / 64] &= ~(uint64_t{1} << (kUnknown % 64));
  int count = 0;
  for (int word = 0; word < words; ++word) count += __builtin_popcountll(wanted[word]);
  batch.counts[row] = count;
  const int room = padded(count) + 2 * kLanes;
  batch.candidates[row] = batch.memory.take_zeros<int32_t>(room);
  batch.biases[row] = batch.memory.take_zeros<float>(room);
  if (batch.memory.failed) return false;
  int at = 0;
  for (int word = 0; word < words; ++word)
    for (uint64_t bits = wanted[word]; bits != 0; bits &= bits - 1) {
      const int id = word * 64 + __builtin_ctzll(bits);
      batch.candidates[row][at] = id;
      batch.biases[row][at++] = tables.output_bias[id];
    }
  return true;
}

// Gathers the weights of the candidates of all rows where that makes products faster, and marks the candidates of each
// row. Returns false if there is no memory.
inline bool gather_candidates(LatimerBatch& batch, uint64_t* all) {
  LATIMER_CLOCK(kCandidates);
  const LatimerStudent& student = *batch.student;
  const int d = student.sizes.dimension, words = (student.sizes.target_vocabulary + 63) / 64;
  batch.gathered = nullptr;
  if (batch.rows > 1 && !student.tiles) return true;
  std::memset(all, 0, words * sizeof(uint64_t));
  for (int row = 0; row < batch.rows; ++row)
    for (int n = 0; n < batch.counts[row]; ++n) all[batch.candidates[row][n] / 64] |= uint64_t{1} << (batch.candidates[row][n] % 64);
  batch.all = 0;
  for (int word = 0; word < words; ++word) batch.all += __builtin_popcountll(all[word]);
  const int room = padded(batch.all), blocks = room / kLanes;
  batch.gathered = batch.memory.take<uint8_t>(static_cast<size_t>(room) * d);
  batch.wanted = batch.memory.take_zeros<uint16_t>(static_cast<size_t>(blocks) * batch.rows);
  Memory memory;
  int32_t* ids = memory.take_zeros<int32_t>(room + kLanes);
  int32_t* places = memory.take<int32_t>(student.sizes.target_vocabulary);
  if (batch.memory.failed || memory.failed) return false;
  int at = 0;
  for (int word = 0; word < words; ++word)
    for (uint64_t bits = all[word]; bits != 0; bits &= bits - 1, ++at) {
      ids[at] = word * 64 + __builtin_ctzll(bits);
      places[ids[at]] = at;
    }
  for (int row = 0; row < batch.rows; ++row)
    for (int n = 0; n < batch.counts[row]; ++n) {
      const int place = places[batch.candidates[row][n]];
      batch.wanted[static_cast<size_t>(place / kLanes) * batch.rows + row] |= static_cast<uint16_t>(1u << place % kLanes);
    }
  gather(student.tables.target, d, ids, batch.all, batch.gathered);
  return true;
}

// Finds the likeliest candidate of every active row, and its log-probability.
inline void score_rows(LatimerBatch& batch, int* chosen, float* log_probs) {
  LATIMER_CLOCK(kScores);
  const LatimerStudent& student = *batch.student;
  const int d = student.sizes.dimension, rows = batch.left;
  int candidates = 0;
  for (int n = 0; n < rows; ++n) {
    batch.steps[n] = quantize_signed(batch.x + n * d, batch.features + n * d, d, batch.totals + n);
    candidates += batch.counts[batch.active[n]];
  }
  // With little overlap between rows it is faster to read each row's candidates from the embedding table.
  if (batch.gathered == nullptr || (batch.rows > 1 && candidates < batch.all / 2)) {
    for (int n = 0; n < rows; ++n) {
      const int row = batch.active[n];
      multiply_listed(batch.features + n * d, student.tables.target, d, batch.candidates[row], batch.counts[row], batch.sums[n]);
    }
  } else if (batch.rows == 1) {
    multiply_gathered(batch.features, batch.gathered, d, batch.all, batch.sums[0]);
  } else {
    multiply_gathered_tiles(batch.features, rows, batch.gathered, d, padded(batch.all) / kLanes, batch.wanted, batch.rows,
                            batch.active, batch.sums);
  }
  for (int n = 0; n < rows; ++n) {
    const int row = batch.active[n], count = batch.counts[row];
    finish_scores(batch.sums[n], batch.totals[n], batch.steps[n] * student.tables.output_unit, batch.biases[row], count,
                  batch.scores);
    chosen[n] = batch.candidates[row][choose(batch.scores, count, log_probs + n)];
  }
}

}  // namespace latimer
