// Beam search: keeps several hypotheses of each row and returns the best. `beam.py` is the same search for other engines.
//
// The score of a hypothesis is its log-probability divided by its length (with </s>) to the power of the length penalty.
// A row is done when it has as many ended hypotheses as beams, and no active hypothesis has a better current score
// (Hugging Face transformers, `early_stopping=False`).
#pragma once

namespace LATIMER_KERNELS {

// A token of a hypothesis and the one before it, which is null for the first. `column` is its index among the candidates
// of its row.
struct Token {
  const Token* before;
  int32_t column;
  Focus focus;
};

// An active hypothesis. The search compares `score`, its log-probability with penalties; `log_prob` is that without.
struct Hypothesis {
  const Token* last;
  double score, log_prob;
};

// A hypothesis of the result. `rank` is its score divided by its length.
struct Ended {
  const Token* last;
  double rank, log_prob;
  int length;
};

// The hypotheses of a row that ended with </s>, at most one for each beam, and those without, best first: `cut` has the
// active ones of a row that reached its cap or was cancelled.
struct BeamRow {
  Ended *ended, *cut;
  int ended_count, cut_count;
};

// A continuation of the active hypothesis `parent` by a candidate of its row.
struct Choice {
  int parent;
  int32_t column;
  double score, log_prob;
};

struct Beams {
  int beams, wanted;  // the number of hypotheses that are kept for each row, and that are returned
  double length_penalty;
  Penalties penalties;
  BeamRow* rows;
  Hypothesis *active, *next;  // [rows * beams]
  // The values of `Batch` for the next step, which replace those of this step.
  int* next_active;
  int32_t* next_previous;
  Slots* next_slots;
  Ranking* rankings;  // [rows * beams]
  History* histories;
  Focus* focus;
  uint8_t** packed;  // per row: the weights of its candidates, unless every token is one
  // Scratch memory of one row.
  Choice* choices;     // [2 * beams]
  int* heads;          // [beams]
  uint8_t* has_ended;  // [beams]
};

inline double weigh(const Beams& search, double score, int length) {
  return score / std::pow(static_cast<double>(length), search.length_penalty);
}

// Inserts a hypothesis into a list of at most `most`, ordered by `rank`. Those of equal rank keep their order.
inline void insert(Ended* list, int& count, int most, const Ended& ended) {
  int place = count;
  while (place > 0 && ended.rank > list[place - 1].rank) --place;
  if (place == most) return;
  count = count < most ? count + 1 : most;
  for (int n = count - 1; n > place; --n) list[n] = list[n - 1];
  list[place] = ended;
}

// Allocates what a beam search needs in addition, and packs the weights of each row's candidates. Returns false if there
// is no memory.
inline bool prepare_beams(Batch& batch, const LatimerRequest& request, int most_candidates) {
  Memory& memory = batch.memory;
  const Student& student = *batch.student;
  const size_t beams = request.beams, count = batch.rows * beams;
  Beams* search = batch.search = memory.take_zeros<Beams>(1);
  if (memory.failed) return false;
  search->beams = request.beams;
  search->wanted = request.hypotheses;
  search->length_penalty = request.length_penalty;
  search->penalties.repetition = static_cast<float>(request.repetition_penalty);
  search->penalties.ngram = request.no_repeat_ngram_size;
  search->rows = memory.take_zeros<BeamRow>(batch.rows);
  search->active = memory.take_zeros<Hypothesis>(count);
  search->next = memory.take<Hypothesis>(count);
  search->next_active = memory.take<int>(count);
  search->next_previous = memory.take<int32_t>(count);
  search->next_slots = memory.take<Slots>(count);
  search->rankings = memory.take<Ranking>(count);
  search->histories = memory.take<History>(count);
  search->focus = memory.take_zeros<Focus>(count);
  search->packed = memory.take<uint8_t*>(batch.rows);
  search->choices = memory.take<Choice>(2 * beams);
  search->heads = memory.take<int>(beams);
  search->has_ended = memory.take<uint8_t>(beams);
  const int columns = batch.whole ? student.sizes.target_vocabulary : most_candidates;
  search->penalties.marks = memory.take<int32_t>(columns);
  for (size_t n = 0; n < count && !memory.failed; ++n) search->rankings[n].top = memory.take<Ranked>(2 * beams);
  if (memory.failed) return false;
  for (int n = 0; n < columns; ++n) search->penalties.marks[n] = -1;
  for (int row = 0; row < batch.rows; ++row) {
    search->rows[row].ended = memory.take<Ended>(beams);
    search->rows[row].cut = memory.take<Ended>(beams);
    if (batch.whole || memory.failed) continue;
    const size_t d = student.sizes.dimension;
    search->packed[row] = memory.take<uint8_t>(padded(batch.counts[row]) * d);
    if (!memory.failed)
      gather(student.tables.target, student.sizes.dimension, batch.candidates[row], batch.counts[row], search->packed[row]);
  }
  return !memory.failed;
}

// Writes the columns of every active hypothesis, and those that would repeat an n-gram, into `histories`. Returns false if
// there is no memory.
inline bool read_histories(Batch& batch, Memory& memory) {
  Beams& search = *batch.search;
  const size_t length = batch.position;
  int32_t* columns = memory.take<int32_t>(2 * length * batch.left);
  search.penalties.saved = memory.take<float>(length);
  if (memory.failed) return false;
  for (int n = 0; n < batch.left; ++n, columns += 2 * length) {
    size_t at = length;
    for (const Token* token = search.active[n].last; token != nullptr; token = token->before) columns[--at] = token->column;
    const int size = search.penalties.ngram, count = batch.position;
    const int repeating = size != 0 ? list_repeating(columns, count, size, columns + length) : 0;
    search.histories[n] = {columns, columns + length, count, repeating};
  }
  return true;
}

// Ranks the candidates of every active hypothesis. Returns false if there is no memory.
inline bool rank_candidates(Batch& batch) {
  LATIMER_CLOCK(kScores);
  const Student& student = *batch.student;
  Beams& search = *batch.search;
  const int d = student.sizes.dimension, most = 2 * search.beams;
  Memory memory;
  const bool steers = batch.position > 0 && search.penalties.apply();
  if (steers && !read_histories(batch, memory)) return false;
  const auto rank_some = [&](int n, float* scores, int count, int first) {
    rank(scores, count, first, most, search.penalties, steers ? search.histories + n : nullptr, search.rankings[n]);
  };
  for (int n = 0; n < batch.left; ++n) {
    search.rankings[n].steered = search.rankings[n].plain = Best();
    search.rankings[n].count = 0;
  }
  quantize_features(batch);
  if (batch.whole) {
    score_whole(batch, rank_some);
    return true;
  }
  for (int first = 0, last = 0; first < batch.left; first = last) {
    const int row = batch.active[first], count = batch.counts[row], wide = padded(count);
    while (last < batch.left && batch.active[last] == row) ++last;
    const auto keep = [&](int n, int block, Ints sums) {
      const float unit = batch.steps[first + n] * student.tables.output_unit;
      store(batch.scores + static_cast<size_t>(n) * wide + block * kLanes,
            finish_scores(sums, batch.totals[first + n], unit, batch.biases[row] + block * kLanes));
    };
    multiply_whole_table(batch.features + static_cast<size_t>(first) * d, last - first, search.packed[row], d, wide / kLanes,
                         student.tiles, keep);
    for (int n = first; n < last; ++n) rank_some(n, batch.scores + static_cast<size_t>(n - first) * wide, count, 0);
  }
  return true;
}

// Merges the rankings of the hypotheses `first` to `last` - 1 of a row: writes its likeliest continuations to `choices`,
// at most twice as many as beams, because each beam may end once. Returns their number.
inline int merge_rankings(Beams& search, int first, int last) {
  int count = 0;
  for (int n = first; n < last; ++n) search.heads[n - first] = 0;
  for (; count < 2 * search.beams; ++count) {
    Choice best = {-1, 0, -INFINITY, 0.0};
    for (int n = first; n < last; ++n) {
      const int head = search.heads[n - first];
      if (head == search.rankings[n].count) continue;
      const double score = search.active[n].score + static_cast<double>(search.rankings[n].log_prob(head));
      if (score > best.score) best = {n, search.rankings[n].top[head].column, score, 0.0};
    }
    if (best.parent < 0) break;
    const int head = search.heads[best.parent - first]++;
    best.log_prob =
        search.active[best.parent].log_prob + static_cast<double>(search.rankings[best.parent].plain_log_prob(head));
    search.choices[count] = best;
  }
  return count;
}

// Ends a row: its hypotheses `first` to `last` - 1 become unfinished ones, except those that got </s> in this step.
inline void cut_row(Batch& batch, int first, int last, const uint8_t* has_ended) {
  Beams& search = *batch.search;
  BeamRow& row = search.rows[batch.active[first]];
  const int length = batch.position;
  for (int n = first; n < last; ++n) {
    if (has_ended != nullptr && has_ended[n - first] != 0) continue;
    const Hypothesis& active = search.active[n];
    insert(row.cut, row.cut_count, search.beams,
           {active.last, weigh(search, active.score, length > 1 ? length : 1), active.log_prob, length});
  }
}

// Records the hypotheses of a row that end at this step. Puts the other continuations, at most as many as beams, to the
// front of `choices`, and returns their number: 0 if the row is done.
inline int end_hypotheses(Batch& batch, int first, int last) {
  Beams& search = *batch.search;
  const int row = batch.active[first], count = merge_rankings(search, first, last), length = batch.position + 1;
  BeamRow& result = search.rows[row];
  const int before = result.ended_count;
  int active = 0;
  std::memset(search.has_ended, 0, last - first);
  for (int n = 0; n < count && active < search.beams; ++n) {
    const Choice choice = search.choices[n];
    const bool ends = (batch.whole ? choice.column : batch.candidates[row][choice.column]) == kEnd;
    if (!ends) {
      search.choices[active++] = choice;
    } else if (n < search.beams) {
      search.has_ended[choice.parent - first] = 1;
      insert(result.ended, result.ended_count, search.beams,
             {search.active[choice.parent].last, weigh(search, choice.score, length), choice.log_prob, batch.position});
    }
  }
  // Scores that are no numbers, by a damaged file, give no choices.
  const bool lost = count == 0 && before == 0;
  if (batch.position == batch.caps[row] || lost) {
    cut_row(batch, first, last, search.has_ended);
    return 0;
  }
  if (active > 0 && result.ended_count == search.beams) {
    // An active hypothesis ends with one more token than the choice, because it gets </s> after it.
    const double best = weigh(search, search.choices[0].score, length + 1);
    if (search.beams == 1 || result.ended[search.beams - 1].rank >= best) return 0;
  }
  return active;
}

// Computes one step of every active hypothesis and chooses those of the next step. Returns false if there is no memory.
inline bool step_beams(Batch& batch, const float* position) {
  LATIMER_CLOCK(kWriting);
  Beams& search = *batch.search;
  decode(batch, position, search.focus);
  if (!rank_candidates(batch)) return false;
  Token* tokens = batch.memory.take<Token>(static_cast<size_t>(batch.rows) * search.beams);
  if (batch.memory.failed) return false;
  // The states of even and odd steps take turns in the two halves of the cells.
  const int half = batch.rows * search.beams, offset = batch.position % 2 == 0 ? 0 : half;
  int left = 0;
  for (int first = 0, last = 0; first < batch.left; first = last) {
    const int row = batch.active[first];
    while (last < batch.left && batch.active[last] == row) ++last;
    const int count = end_hypotheses(batch, first, last);
    for (int n = 0; n < count; ++n, ++left) {
      const Choice& choice = search.choices[n];
      tokens[left] = {search.active[choice.parent].last, choice.column, search.focus[choice.parent]};
      search.next[left] = {tokens + left, choice.score, choice.log_prob};
      search.next_active[left] = row;
      search.next_previous[left] = batch.whole ? choice.column : batch.candidates[row][choice.column];
      search.next_slots[left] = {batch.slots[choice.parent].to, half - offset + left};
    }
  }
  batch.left = left;
  exchange(search.active, search.next);
  exchange(batch.active, search.next_active);
  exchange(batch.previous, search.next_previous);
  exchange(batch.slots, search.next_slots);
  return true;
}

inline int advance_beams(LatimerBatch* given, int steps, const float* positions) {
  Batch* batch = static_cast<Batch*>(given);
  for (int n = 0; n < steps && batch->left > 0; ++n) {
    if (!step_beams(*batch, positions + static_cast<size_t>(n) * batch->sizes.dimension)) return LATIMER_NO_MEMORY;
    ++batch->position;
    if (latimer::has_come(batch->poll_time)) break;
  }
  return batch->left;
}

// Returns hypothesis `n` of the result of a row: those with </s> precede the others.
inline const Ended* get_hypothesis(const BeamRow& row, int n) {
  if (n < row.ended_count) return row.ended + n;
  return n - row.ended_count < row.cut_count ? row.cut + (n - row.ended_count) : nullptr;
}

inline int64_t list_hypotheses(LatimerBatch* given, const LatimerHypotheses& out) {
  Batch* batch = static_cast<Batch*>(given);
  Beams& search = *batch->search;
  for (int first = 0, last = 0; first < batch->left; first = last) {
    while (last < batch->left && batch->active[last] == batch->active[first]) ++last;
    cut_row(*batch, first, last, nullptr);
  }
  batch->left = 0;
  int64_t tokens = 0;
  for (int row = 0; row < batch->rows; ++row)
    for (int n = 0; n < search.wanted; ++n) {
      const size_t at = static_cast<size_t>(row) * search.wanted + n;
      const Ended* found = get_hypothesis(search.rows[row], n);
      out.counts[at] = found != nullptr ? found->length : -1;
      out.finished[at] = n < search.rows[row].ended_count;
      out.scores[at] = found != nullptr ? found->log_prob : 0.0;
      tokens += found != nullptr ? found->length : 0;
    }
  return tokens;
}

inline void write_tokens(const LatimerBatch* given, const LatimerTokens& out) {
  const Batch* batch = static_cast<const Batch*>(given);
  const Beams& search = *batch->search;
  int64_t end = 0;
  for (int row = 0; row < batch->rows; ++row)
    for (int n = 0; n < search.wanted; ++n) {
      const Ended* found = get_hypothesis(search.rows[row], n);
      if (found == nullptr) break;
      end += found->length;
      int64_t at = end;
      for (const Token* token = found->last; token != nullptr; token = token->before) {
        out.ids[--at] = batch->whole ? token->column : batch->candidates[row][token->column];
        if (batch->aligned == 0) continue;
        out.focus[at] = token->focus.place;
        out.weights[at] = token->focus.weight;
      }
    }
}

}  // namespace LATIMER_KERNELS
