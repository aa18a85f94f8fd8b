// The likeliest next tokens of every active hypothesis of a beam search, with penalties on what it already has.
//
// Sources: Keskar et al. 2019 (1909.05858, the repetition penalty), CTranslate2 (penalties before normalisation).
#pragma once

namespace LATIMER_KERNELS {

// A candidate of a hypothesis. `column` is its index among the candidates of the row. `score` is its logit with
// penalties, and `plain` that without.
struct Ranked {
  float score, plain;
  int32_t column;
};

// The likeliest candidates of one hypothesis, best first, and what its logits sum up to, with and without penalties.
struct Ranking {
  Best steered, plain;
  Ranked* top;
  int count;

  float log_prob(int n) const { return (top[n].score - steered.peak) - std::log(steered.total); }
  float plain_log_prob(int n) const { return (top[n].plain - plain.peak) - std::log(plain.total); }
};

// The tokens of one hypothesis, as columns, and those that would repeat an n-gram as the next one.
struct History {
  const int32_t* columns;
  const int32_t* repeating;
  int count, repeating_count;
};

// The penalties of a search. `marks` [candidates] is -1 everywhere between two calls; `saved` [tokens] is scratch memory.
struct Penalties {
  float repetition;
  int ngram;
  int32_t* marks;
  float* saved;

  bool apply() const { return repetition != 1.0f || ngram != 0; }
};

// Lists the columns that, as the next one after `columns` [count], would repeat an n-gram of this size. Returns their
// number.
inline int list_repeating(const int32_t* columns, int count, int size, int32_t* repeating) {
  int found = 0;
  const int32_t* end = columns + count - (size - 1);
  for (int n = 0; n + size <= count; ++n)
    if (std::memcmp(columns + n, end, sizeof(int32_t) * (size - 1)) == 0) repeating[found++] = columns[n + size - 1];
  return found;
}

// Applies the penalties to the scores of the columns `first` to `first` + `count` - 1. Keeps the values of repeated tokens
// before that in `saved`, and marks where. Returns their number.
inline int penalize(const Penalties& penalties, const History& history, float* scores, int first, int count) {
  int saved = 0;
  if (penalties.repetition != 1.0f)
    for (int n = 0; n < history.count; ++n) {
      const int place = history.columns[n] - first;
      if (place < 0 || place >= count || penalties.marks[history.columns[n]] >= 0) continue;
      penalties.marks[history.columns[n]] = saved;
      penalties.saved[saved++] = scores[place];
      scores[place] = scores[place] < 0.0f ? scores[place] * penalties.repetition : scores[place] / penalties.repetition;
    }
  for (int n = 0; n < history.repeating_count; ++n) {
    const int place = history.repeating[n] - first;
    if (place >= 0 && place < count) scores[place] = -INFINITY;
  }
  return saved;
}

// Adds the scores greater than those in `ranking` to it, which keeps at most `most`. Of equal scores the first one counts.
inline void add_largest(const float* scores, int count, int first, int most, Ranking& ranking) {
  Ranked* top = ranking.top;
  float least = ranking.count == most ? top[most - 1].score : -INFINITY;
  for (int i = 0; i < count; i += kLanes)
    for (uint32_t greater = find_greater(count - i, load(scores + i), fill(least)); greater != 0; greater &= greater - 1) {
      const int at = i + __builtin_ctz(greater);
      if (!(scores[at] > least)) continue;
      int place = ranking.count < most ? ranking.count++ : most - 1;
      for (; place > 0 && scores[at] > top[place - 1].score; --place) top[place] = top[place - 1];
      top[place] = {scores[at], scores[at], first + at};
      if (ranking.count == most) least = top[most - 1].score;
    }
}

// Ranks the candidates from `first` on, after those before them. Changes `scores`. `history` is null without penalties.
inline void rank(float* scores, int count, int first, int most, const Penalties& penalties, const History* history,
                 Ranking& ranking) {
  choose(scores, count, first, ranking.plain);
  if (history == nullptr) {
    add_largest(scores, count, first, most, ranking);
    ranking.steered = ranking.plain;
    return;
  }
  const int saved = penalize(penalties, *history, scores, first, count);
  choose(scores, count, first, ranking.steered);
  add_largest(scores, count, first, most, ranking);
  if (saved == 0) return;
  for (int n = 0; n < ranking.count; ++n) {
    const int mark = penalties.marks[ranking.top[n].column];
    if (mark >= 0) ranking.top[n].plain = penalties.saved[mark];
  }
  for (int n = 0; n < history->count; ++n) {
    const int place = history->columns[n] - first;
    if (place >= 0 && place < count) penalties.marks[history->columns[n]] = -1;
  }
}

}  // namespace LATIMER_KERNELS
