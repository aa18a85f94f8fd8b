// The output candidates of each row, and their scores.
//
// Source: the lexical shortlist of browsermt/marian-dev. The rows of a batch may share the gathered weights of all their
// candidates. The result of a row does not depend on this.
#pragma once

namespace LATIMER_KERNELS {

// The ids of </s> and <unk> in the vocabulary of every student.
constexpr int32_t kEnd = 0, kUnknown = 1;

// The number of blocks of the whole table that are multiplied with all rows before the next ones: 256 KiB of weights at a
// dimension of 256, which stay in a core's cache.
constexpr int kChunkBlocks = 64;

// Lists the candidates of a row: its shortlist, never <unk>. Returns false if there is no memory.
inline bool choose_candidates(Batch& batch, const int32_t* ids, int row, uint64_t* wanted) {
  LATIMER_CLOCK(kCandidates);
  const LatimerTables& tables = batch.student->tables;
  const int words = (batch.student->sizes.target_vocabulary + 63) / 64;
  const auto want = [wanted](uint32_t id) { wanted[id / 64] |= uint64_t{1} << (id % 64); };
  std::memset(wanted, 0, words * sizeof(uint64_t));
  for (int id = 0; id < tables.first; ++id) want(id);
  for (int j = 0; j < batch.lengths[row]; ++j) {
    for (uint64_t at = tables.shortlist_offsets[ids[j]]; at < tables.shortlist_offsets[ids[j] + 1]; ++at)
      want(tables.shortlist_ids[at]);
    if (tables.shared) want(ids[j]);
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
// row. For greedy search only. Returns false if there is no memory.
inline bool gather_candidates(Batch& batch, uint64_t* all) {
  LATIMER_CLOCK(kCandidates);
  const Student& student = *batch.student;
  const int d = student.sizes.dimension, words = (student.sizes.target_vocabulary + 63) / 64;
  batch.gathered = nullptr;
  if (batch.rows > 1 && !student.tiles) return true;
  std::memset(all, 0, words * sizeof(uint64_t));
  for (int row = 0; row < batch.rows; ++row)
    for (int n = 0; n < batch.counts[row]; ++n)
      all[batch.candidates[row][n] / 64] |= uint64_t{1} << (batch.candidates[row][n] % 64);
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

// Packs `blocks` blocks of the output table from `first` on. The padding is a copy of the last token's embedding.
inline void gather_part(const Student& student, int first, int blocks, uint8_t* packed) {
  const int d = student.sizes.dimension, last = student.sizes.target_vocabulary - 1;
  for (int n = 0; n < blocks; ++n) {
    int32_t ids[2 * kLanes];
    for (int i = 0; i < 2 * kLanes; ++i) {
      const int id = (first + n) * kLanes + i;
      ids[i] = id < last ? id : last;
    }
    gather_block(student.tables.target, d, ids, ids + kLanes, packed + static_cast<size_t>(n) * kLanes * d);
  }
}

// Prepares a student for the whole vocabulary: copies the bias, with -inf for <unk> and the padding, which can never be
// chosen. Packs the whole output table if the student has no shortlist.
inline void pack_whole_table(Student& student) {
  const int vocabulary = student.sizes.target_vocabulary, room = padded(vocabulary);
  student.whole_table = nullptr;
  student.whole_bias = student.memory.take<float>(room);
  if (student.memory.failed) return;
  for (int id = 0; id < room; ++id)
    student.whole_bias[id] = id < vocabulary && id != kUnknown ? student.tables.output_bias[id] : -INFINITY;
  if (student.tables.shortlist_ids != nullptr) return;
  student.whole_table = student.memory.take<uint8_t>(static_cast<size_t>(room) * student.sizes.dimension);
  if (!student.memory.failed) gather_part(student, 0, room / kLanes, student.whole_table);
}

// Scores every token for all active hypotheses, a part of the table after the other. Calls `then` with the number of a
// hypothesis, the scores of a part, their number, and the id of the first.
template <class Then>
inline void score_whole(Batch& batch, const Then& then) {
  const Student& student = *batch.student;
  const int d = student.sizes.dimension, rows = batch.left, blocks = padded(student.sizes.target_vocabulary) / kLanes;
  for (int first = 0; first < blocks; first += kChunkBlocks) {
    const int count = blocks - first < kChunkBlocks ? blocks - first : kChunkBlocks;
    const uint8_t* part = batch.chunk;
    if (student.whole_table != nullptr)
      part = student.whole_table + static_cast<size_t>(first) * kLanes * d;
    else
      gather_part(student, first, count, batch.chunk);
    const float* bias = student.whole_bias + first * kLanes;
    const auto keep = [&](int row, int block, Ints sums) {
      const float unit = batch.steps[row] * student.tables.output_unit;
      store(batch.scores + (static_cast<size_t>(row) * kChunkBlocks + block) * kLanes,
            finish_scores(sums, batch.totals[row], unit, bias + block * kLanes));
    };
    multiply_whole_table(batch.features, rows, part, d, count, student.tiles, keep);
    for (int n = 0; n < rows; ++n)
      then(n, batch.scores + static_cast<size_t>(n) * kChunkBlocks * kLanes, count * kLanes, first * kLanes);
  }
}

// Scores the candidates of all rows.
inline void score_candidates(Batch& batch, int candidates) {
  const Student& student = *batch.student;
  const int d = student.sizes.dimension, rows = batch.left;
  // With little overlap between rows it is faster to read each row's candidates from the embedding table.
  if (batch.gathered == nullptr || (batch.rows > 1 && candidates < batch.all / 2)) {
    for (int n = 0; n < rows; ++n) {
      const int row = batch.active[n];
      multiply_listed(batch.features + n * d, student.tables.target, d, batch.candidates[row], batch.counts[row],
                      batch.sums[n]);
    }
  } else if (batch.rows == 1) {
    multiply_whole_table(batch.features, 1, batch.gathered, d, padded(batch.all) / kLanes, false,
                         [&](int, int block, Ints sums) { store(batch.sums[0] + block * kLanes, sums); });
  } else {
    for (int n = 0; n < rows; ++n) batch.places[n] = batch.sums[n];
    multiply_whole_table(batch.features, rows, batch.gathered, d, padded(batch.all) / kLanes, true,
                         [&](int row, int block, Ints sums) {
                           const uint16_t mask = batch.wanted[static_cast<size_t>(block) * batch.rows + batch.active[row]];
                           batch.places[row] += store_chosen(batch.places[row], mask, sums);
                         });
  }
  for (int n = 0; n < rows; ++n) {
    const int row = batch.active[n], count = batch.counts[row];
    const float unit = batch.steps[n] * student.tables.output_unit;
    for (int i = 0; i < count; i += kLanes)
      store(batch.scores + i, finish_scores(load(batch.sums[n] + i), batch.totals[n], unit, batch.biases[row] + i));
    batch.best[n] = Best();
    choose(batch.scores, count, 0, batch.best[n]);
    batch.best[n].index = batch.candidates[row][batch.best[n].index];
  }
}

inline void quantize_features(Batch& batch) {
  const int d = batch.student->sizes.dimension;
  for (int n = 0; n < batch.left; ++n)
    batch.steps[n] = quantize_signed(batch.x + n * d, batch.features + n * d, d, batch.totals + n);
}

// Finds the likeliest token of every active row, and its log-probability among the candidates.
inline void score_rows(Batch& batch, int* chosen, float* log_probs) {
  LATIMER_CLOCK(kScores);
  quantize_features(batch);
  if (batch.whole) {
    for (int n = 0; n < batch.left; ++n) batch.best[n] = Best();
    score_whole(batch, [&](int n, const float* scores, int count, int first) { choose(scores, count, first, batch.best[n]); });
  } else {
    int candidates = 0;
    for (int n = 0; n < batch.left; ++n) candidates += batch.counts[batch.active[n]];
    score_candidates(batch, candidates);
  }
  for (int n = 0; n < batch.left; ++n) {
    chosen[n] = batch.best[n].index;
    log_probs[n] = batch.best[n].log_prob();
  }
}

}  // namespace LATIMER_KERNELS
