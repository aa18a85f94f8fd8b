// Operations on rows of float32, sixteen values at a time: norm, softmax, attention, quantisation.
//
// Each function reads and writes the values of one row, so that no result depends on the rest of the batch. Sizes are
// multiples of 16. Sources: Vaswani et al. 2017 (norm after the sum), Cephes (`expf`).
#pragma once

#include <immintrin.h>

#include <cmath>
#include <cstdint>

#include "clock.h"

namespace latimer {

constexpr int kLanes = 16;
// Marian's default; the file does not contain it. Values from 1e-5 to 1e-9 give the same text.
constexpr float kNormEpsilon = 1e-6f;
// The byte that represents 0 in quantised activations.
constexpr int kZero = 128;

// Returns e^x, accurate to two units in the last place; 0 below -87.
inline __m512 exponential(__m512 x) {
  const __mmask16 tiny = _mm512_cmp_ps_mask(x, _mm512_set1_ps(-87.0f), _CMP_LT_OQ);
  x = _mm512_min_ps(x, _mm512_set1_ps(88.0f));
  const __m512 power = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504088896341f)), 0);
  __m512 r = _mm512_fnmadd_ps(power, _mm512_set1_ps(0.693359375f), x);
  r = _mm512_fnmadd_ps(power, _mm512_set1_ps(-2.12194440e-4f), r);
  __m512 sum = _mm512_set1_ps(1.9875691500e-4f);
  sum = _mm512_fmadd_ps(sum, r, _mm512_set1_ps(1.3981999507e-3f));
  sum = _mm512_fmadd_ps(sum, r, _mm512_set1_ps(8.3334519073e-3f));
  sum = _mm512_fmadd_ps(sum, r, _mm512_set1_ps(4.1665795894e-2f));
  sum = _mm512_fmadd_ps(sum, r, _mm512_set1_ps(1.6666665459e-1f));
  sum = _mm512_fmadd_ps(sum, r, _mm512_set1_ps(5.0000001201e-1f));
  sum = _mm512_fmadd_ps(sum, _mm512_mul_ps(r, r), _mm512_add_ps(r, _mm512_set1_ps(1.0f)));
  return _mm512_maskz_mov_ps(static_cast<__mmask16>(~tiny), _mm512_scalef_ps(sum, power));
}

// Returns the mask of the lanes of a vector at `from` that are below `count`.
inline __mmask16 lanes_left(int count, int from) {
  const int left = count - from;
  return left >= kLanes ? 0xffff : static_cast<__mmask16>((1u << left) - 1);
}

// Computes x = LayerNorm(x + added) * scale + bias.
inline void normalize(float* x, const float* added, const float* scale, const float* bias, int size) {
  __m512 total = _mm512_setzero_ps();
  for (int i = 0; i < size; i += kLanes) {
    const __m512 value = _mm512_add_ps(_mm512_loadu_ps(x + i), _mm512_loadu_ps(added + i));
    _mm512_storeu_ps(x + i, value);
    total = _mm512_add_ps(total, value);
  }
  const __m512 mean = _mm512_set1_ps(_mm512_reduce_add_ps(total) / size);
  __m512 squares = _mm512_setzero_ps();
  for (int i = 0; i < size; i += kLanes) {
    const __m512 distance = _mm512_sub_ps(_mm512_loadu_ps(x + i), mean);
    squares = _mm512_fmadd_ps(distance, distance, squares);
  }
  const float deviation = std::sqrt(_mm512_reduce_add_ps(squares) / size + kNormEpsilon);
  const __m512 factor = _mm512_set1_ps(1.0f / deviation);
  for (int i = 0; i < size; i += kLanes) {
    const __m512 even = _mm512_mul_ps(_mm512_sub_ps(_mm512_loadu_ps(x + i), mean), factor);
    _mm512_storeu_ps(x + i, _mm512_fmadd_ps(even, _mm512_loadu_ps(scale + i), _mm512_loadu_ps(bias + i)));
  }
}

inline __m512i round_steps(__m512 x, __m512 factor) {
  const __m512 steps = _mm512_mul_ps(x, factor);
  return _mm512_cvtps_epi32(_mm512_min_ps(_mm512_max_ps(steps, _mm512_set1_ps(-128.0f)), _mm512_set1_ps(127.0f)));
}

// Quantises x to bytes around `kZero`: x * multiplier, limited to -128..127.
inline void quantize(const float* x, float multiplier, uint8_t* out, int size) {
  const __m512 factor = _mm512_set1_ps(multiplier);
  for (int i = 0; i < size; i += kLanes) {
    const __m512i steps = _mm512_add_epi32(round_steps(_mm512_loadu_ps(x + i), factor), _mm512_set1_epi32(kZero));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i), _mm512_cvtepi32_epi8(steps));
  }
}

// Returns the largest absolute value.
inline float find_peak(const float* x, int size) {
  __m512 most = _mm512_setzero_ps();
  for (int i = 0; i < size; i += kLanes) most = _mm512_max_ps(most, _mm512_abs_ps(_mm512_loadu_ps(x + i)));
  return _mm512_reduce_max_ps(most);
}

// Quantises x to bytes around `kZero`, so that its largest absolute value becomes 127 steps. Returns the value of a step.
inline float quantize_by_peak(const float* x, uint8_t* out, int size) {
  const float peak = find_peak(x, size);
  quantize(x, peak > 0 ? 127.0f / peak : 0.0f, out, size);
  return peak / 127.0f;
}

// Quantises x in the same way to signed bytes, and stores their sum in `total`.
inline float quantize_signed(const float* x, int8_t* out, int size, int* total) {
  const float peak = find_peak(x, size);
  const __m512 factor = _mm512_set1_ps(peak > 0 ? 127.0f / peak : 0.0f);
  __m512i sum = _mm512_setzero_si512();
  for (int i = 0; i < size; i += kLanes) {
    const __m512i steps = round_steps(_mm512_loadu_ps(x + i), factor);
    sum = _mm512_add_epi32(sum, steps);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i), _mm512_cvtepi32_epi8(steps));
  }
  *total = _mm512_reduce_add_epi32(sum);
  return peak / 127.0f;
}

// Computes the recurrence of the SSRU (Kim et al. 2019, D19-5632): cell = f * cell + (1 - f) * candidate with
// f = sigmoid(forget), and out = relu(cell).
inline void recur(const float* candidate, const float* forget, float* cell, float* out, int size) {
  const __m512 one = _mm512_set1_ps(1.0f), zero = _mm512_setzero_ps();
  for (int i = 0; i < size; i += kLanes) {
    const __m512 fresh = _mm512_loadu_ps(candidate + i);
    const __m512 inverse = exponential(_mm512_sub_ps(zero, _mm512_loadu_ps(forget + i)));
    const __m512 share = _mm512_div_ps(one, _mm512_add_ps(one, inverse));
    const __m512 kept = _mm512_fmadd_ps(share, _mm512_sub_ps(_mm512_loadu_ps(cell + i), fresh), fresh);
    _mm512_storeu_ps(cell + i, kept);
    _mm512_storeu_ps(out + i, _mm512_max_ps(kept, zero));
  }
}

inline __m512 read(const float* from) { return _mm512_loadu_ps(from); }
inline __m512 read(const uint16_t* from) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}

// Converts to half precision (IEEE 754 binary16), limited to the range of that format.
inline void write_halves(const float* from, uint16_t* to, int size) {
  const __m512 most = _mm512_set1_ps(65504.0f), least = _mm512_set1_ps(-65504.0f);
  for (int i = 0; i < size; i += kLanes) {
    const __m512 value = _mm512_max_ps(_mm512_min_ps(_mm512_loadu_ps(from + i), most), least);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + i), _mm512_cvtps_ph(value, _MM_FROUND_TO_NEAREST_INT));
  }
}

// The keys and values of one source. Keys are [heads, depth, padded], so that one query reads sixteen of them at once.
// The values of position j and head h start at `j * value_stride + h * head_stride`.
template <class Value>
struct Memories {
  const Value* keys;
  const Value* values;
  int width, padded, value_stride, head_stride;
};

// Computes the dot products of `Queries` queries of one head and 16 * `Blocks` keys from `first` on.
template <int Queries, int Blocks, class Value>
inline void meet(const float* query, int stride, const Value* keys, int padded, int depth, int first, float* scores) {
  constexpr int kChains = Queries * Blocks < 4 ? 2 : 1;
  __m512 sums[kChains][Queries][Blocks];
  for (auto& chain : sums)
    for (auto& row : chain)
      for (auto& sum : row) sum = _mm512_setzero_ps();
  for (int c = 0; c < depth; c += kChains)
    for (int chain = 0; chain < kChains; ++chain)
      for (int block = 0; block < Blocks; ++block) {
        const __m512 key = read(keys + static_cast<size_t>(c + chain) * padded + first + block * kLanes);
        for (int n = 0; n < Queries; ++n)
          sums[chain][n][block] = _mm512_fmadd_ps(_mm512_set1_ps(query[n * stride + c + chain]), key, sums[chain][n][block]);
      }
  for (int n = 0; n < Queries; ++n)
    for (int block = 0; block < Blocks; ++block) {
      __m512 sum = sums[0][n][block];
      for (int chain = 1; chain < kChains; ++chain) sum = _mm512_add_ps(sum, sums[chain][n][block]);
      _mm512_storeu_ps(scores + n * padded + first + block * kLanes, sum);
    }
}

// Replaces scores [width] by their exponentials, and those past the width by 0. Returns 1 / their sum, which completes a
// softmax.
inline float share_out(float* scores, int width, int padded) {
  __m512 most = _mm512_set1_ps(-INFINITY);
  for (int j = 0; j < padded; j += kLanes)
    most = _mm512_mask_max_ps(most, lanes_left(width, j), most, _mm512_loadu_ps(scores + j));
  const __m512 peak = _mm512_set1_ps(_mm512_reduce_max_ps(most));
  __m512 total = _mm512_setzero_ps();
  for (int j = 0; j < padded; j += kLanes) {
    const __m512 share = exponential(_mm512_sub_ps(_mm512_loadu_ps(scores + j), peak));
    _mm512_storeu_ps(scores + j, _mm512_maskz_mov_ps(lanes_left(width, j), share));
    total = _mm512_mask_add_ps(total, lanes_left(width, j), total, share);
  }
  return 1.0f / _mm512_reduce_add_ps(total);
}

// Computes the weighted sums of 16 * `Columns` values over all positions for `Queries` queries.
template <int Queries, int Columns, class Value>
inline void collect(const float* scores, const float* wholes, const Value* values, const Memories<Value>& memories, float* out,
                    int stride) {
  constexpr int kChains = Queries * Columns < 4 ? 2 : 1;
  __m512 sums[kChains][Queries][Columns];
  for (auto& chain : sums)
    for (auto& row : chain)
      for (auto& sum : row) sum = _mm512_setzero_ps();
  const auto add = [&](int j, int chain) {
    for (int column = 0; column < Columns; ++column) {
      const __m512 value = read(values + static_cast<size_t>(j) * memories.value_stride + column * kLanes);
      for (int n = 0; n < Queries; ++n) {
        const __m512 share = _mm512_set1_ps(scores[n * memories.padded + j]);
        sums[chain][n][column] = _mm512_fmadd_ps(share, value, sums[chain][n][column]);
      }
    }
  };
  int j = 0;
  for (; j + kChains <= memories.width; j += kChains)
    for (int chain = 0; chain < kChains; ++chain) add(j + chain, chain);
  if (j < memories.width) add(j, 0);
  for (int n = 0; n < Queries; ++n)
    for (int column = 0; column < Columns; ++column) {
      __m512 sum = sums[0][n][column];
      for (int chain = 1; chain < kChains; ++chain) sum = _mm512_add_ps(sum, sums[chain][n][column]);
      _mm512_storeu_ps(out + n * stride + column * kLanes, _mm512_mul_ps(sum, _mm512_set1_ps(wholes[n])));
    }
}

// The source position with the largest attention weight, and that weight (0 to 1).
struct Focus {
  int place;
  float weight;
};

// Computes attention for `Queries` queries [.., stride] of heads * depth values. `scores` is scratch memory
// [Queries, padded]. `focus`, unless null, receives that of the first head of the first query.
template <int Queries, class Value>
inline void attend(const float* query, int stride, const Memories<Value>& memories, int heads, int depth, float* scores, float* out,
                   int out_stride, Focus* focus) {
  LATIMER_CLOCK(kAttention);
  const int padded = memories.padded;
  for (int head = 0; head < heads; ++head) {
    const float* head_query = query + head * depth;
    const Value* keys = memories.keys + static_cast<size_t>(head) * depth * padded;
    int j = 0;
    for (; j + 2 * kLanes <= padded; j += 2 * kLanes) meet<Queries, 2>(head_query, stride, keys, padded, depth, j, scores);
    if (j < padded) meet<Queries, 1>(head_query, stride, keys, padded, depth, j, scores);
    float wholes[Queries];
    for (int n = 0; n < Queries; ++n) wholes[n] = share_out(scores + n * padded, memories.width, padded);
    if (focus != nullptr && head == 0) {
      focus->place = 0;
      for (int at = 1; at < memories.width; ++at) focus->place = scores[at] > scores[focus->place] ? at : focus->place;
      focus->weight = scores[focus->place] * wholes[0];
    }
    const Value* values = memories.values + static_cast<size_t>(head) * memories.head_stride;
    float* to = out + head * depth;
    int c = 0;
    for (; c + 2 * kLanes <= depth; c += 2 * kLanes)
      collect<Queries, 2>(scores, wholes, values + c, memories, to + c, out_stride);
    if (c < depth) collect<Queries, 1>(scores, wholes, values + c, memories, to + c, out_stride);
  }
}

// Converts sums to scores of candidates: removes the offset of an operand around `kZero`, where `total` is the sum of the
// other operand, multiplies by `unit` and adds `bias`.
inline void finish_scores(const int32_t* sums, int total, float unit, const float* bias, int count, float* out) {
  const __m512i offset = _mm512_set1_epi32(kZero * total);
  for (int i = 0; i < count; i += kLanes) {
    const __m512 exact = _mm512_cvtepi32_ps(_mm512_sub_epi32(_mm512_loadu_si512(sums + i), offset));
    _mm512_storeu_ps(out + i, _mm512_add_ps(_mm512_mul_ps(exact, _mm512_set1_ps(unit)), _mm512_loadu_ps(bias + i)));
  }
}

// Returns the index of the largest of `count` scores (the first of equal ones), and its log-probability among them.
inline int choose(const float* scores, int count, float* log_prob) {
  __m512 most = _mm512_set1_ps(-INFINITY);
  for (int i = 0; i < count; i += kLanes)
    most = _mm512_mask_max_ps(most, lanes_left(count, i), most, _mm512_loadu_ps(scores + i));
  const __m512 peak = _mm512_set1_ps(_mm512_reduce_max_ps(most));
  int best = -1;
  __m512 total = _mm512_setzero_ps();
  for (int i = 0; i < count; i += kLanes) {
    const __mmask16 lanes = lanes_left(count, i);
    const __m512 score = _mm512_loadu_ps(scores + i);
    if (best < 0) {
      const __mmask16 found = _mm512_mask_cmp_ps_mask(lanes, score, peak, _CMP_EQ_OQ);
      if (found != 0) best = i + __builtin_ctz(found);
    }
    total = _mm512_mask_add_ps(total, lanes, total, exponential(_mm512_sub_ps(score, peak)));
  }
  *log_prob = -std::log(_mm512_reduce_add_ps(total));
  return best < 0 ? 0 : best;
}

}  // namespace latimer
