// Rows of float32 and how they become bytes: norms, softmax, quantisation, sixteen values at a time.
//
// Each function reads one row and writes one row, so that nothing depends on what stands beside it. Sizes are multiples
// of 16. Knows no layer. Sources: Vaswani et al. 2017 (norm after the sum), Cephes (`expf`).
#pragma once

#include <immintrin.h>

#include <cmath>
#include <cstdint>

#include "clock.h"

namespace latimer {

constexpr int kLanes = 16;
// Not in the file; 1e-5 to 1e-9 give the same text. Marian's own default.
constexpr float kNormEpsilon = 1e-6f;
// Activations are kept in bytes with 0 in the middle.
constexpr int kZero = 128;

// e^x, within two units of the last place; 0 below -87.
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

// The lanes that hold values `from` to `count`.
inline __mmask16 lanes_left(int count, int from) {
  const int left = count - from;
  return left >= kLanes ? 0xffff : static_cast<__mmask16>((1u << left) - 1);
}

// x = LayerNorm(x + added) * scale + bias.
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

// Bytes around `kZero`: x * multiplier, what is outside -128..127 cut off.
inline void quantize(const float* x, float multiplier, uint8_t* out, int size) {
  const __m512 factor = _mm512_set1_ps(multiplier);
  for (int i = 0; i < size; i += kLanes) {
    const __m512i steps = _mm512_add_epi32(round_steps(_mm512_loadu_ps(x + i), factor), _mm512_set1_epi32(kZero));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i), _mm512_cvtepi32_epi8(steps));
  }
}

// The largest absolute value.
inline float find_peak(const float* x, int size) {
  __m512 most = _mm512_setzero_ps();
  for (int i = 0; i < size; i += kLanes) most = _mm512_max_ps(most, _mm512_abs_ps(_mm512_loadu_ps(x + i)));
  return _mm512_reduce_max_ps(most);
}

// Bytes around `kZero`, the largest absolute value of the row being 127 steps. Gives what one step is worth.
inline float quantize_by_peak(const float* x, uint8_t* out, int size) {
  const float peak = find_peak(x, size);
  quantize(x, peak > 0 ? 127.0f / peak : 0.0f, out, size);
  return peak / 127.0f;
}

// The same as signed bytes, whose sum goes to `total`.
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

// The recurrence of the SSRU (Kim et al. 2019, D19-5632): cell = f * cell + (1 - f) * candidate with f = sigmoid(forget);
// out = relu(cell).
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

// Half precision (IEEE 754 binary16); what is more than that can hold is cut off.
inline void write_halves(const float* from, uint16_t* to, int size) {
  const __m512 most = _mm512_set1_ps(65504.0f), least = _mm512_set1_ps(-65504.0f);
  for (int i = 0; i < size; i += kLanes) {
    const __m512 value = _mm512_max_ps(_mm512_min_ps(_mm512_loadu_ps(from + i), most), least);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + i), _mm512_cvtps_ph(value, _MM_FROUND_TO_NEAREST_INT));
  }
}

// Where the keys and values of one source lie: keys [heads, depth, padded], so that one query meets sixteen of them at
// once; the values of position j and head h from `j * value_stride + h * head_stride` on.
template <class Value>
struct Memories {
  const Value* keys;
  const Value* values;
  int width, padded, value_stride, head_stride;
};

// What `Queries` queries of one head have in common with 16 * `Blocks` keys from `first` on.
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
        const __m512 own = read(keys + static_cast<size_t>(c + chain) * padded + first + block * kLanes);
        for (int n = 0; n < Queries; ++n)
          sums[chain][n][block] = _mm512_fmadd_ps(_mm512_set1_ps(query[n * stride + c + chain]), own, sums[chain][n][block]);
      }
  for (int n = 0; n < Queries; ++n)
    for (int block = 0; block < Blocks; ++block) {
      __m512 sum = sums[0][n][block];
      for (int chain = 1; chain < kChains; ++chain) sum = _mm512_add_ps(sum, sums[chain][n][block]);
      _mm512_storeu_ps(scores + n * padded + first + block * kLanes, sum);
    }
}

// Scores [width] become shares of one whole, whose inverse it gives; what is past the width becomes 0.
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

// Sums of 16 * `Columns` values of each position, weighed by the shares of `Queries` queries.
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
      const __m512 own = read(values + static_cast<size_t>(j) * memories.value_stride + column * kLanes);
      for (int n = 0; n < Queries; ++n) {
        const __m512 share = _mm512_set1_ps(scores[n * memories.padded + j]);
        sums[chain][n][column] = _mm512_fmadd_ps(share, own, sums[chain][n][column]);
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

// Where the first head of a query looks most, and how much (0..1).
struct Focus {
  int place;
  float weight;
};

// Attention of `Queries` queries [.., stride] of heads * depth values. `scores`: scratch [Queries, padded]. `focus`, where
// given, is that of the first query.
template <int Queries, class Value>
inline void attend(const float* query, int stride, const Memories<Value>& memories, int heads, int depth, float* scores, float* out,
int out_stride, Focus* focus) {
  LATIMER_CLOCK(kAttention);
  const int padded = memories.padded;
  for (int head = 0; head < heads; ++head) {
    const float* own = query + head * depth;
    const Value* keys = memories.keys + static_cast<size_t>(head) * depth * padded;
    int j = 0;
    for (; j + 2 * kLanes <= padded; j += 2 * kLanes) meet<Queries, 2>(own, stride, keys, padded, depth, j, scores);
    if (j < padded) meet<Queries, 1>(own, stride, keys, padded, depth, j, scores);
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

// Scores of candidates: sums of a product whose one operand had its zero at `kZero` and whose other has the sum `total`,
// times `unit`, plus `bias`.
inline void finish_scores(const int32_t* sums, int total, float unit, const float* bias, int count, float* out) {
  const __m512i offset = _mm512_set1_epi32(kZero * total);
  for (int i = 0; i < count; i += kLanes) {
    const __m512 exact = _mm512_cvtepi32_ps(_mm512_sub_epi32(_mm512_loadu_si512(sums + i), offset));
    _mm512_storeu_ps(out + i, _mm512_add_ps(_mm512_mul_ps(exact, _mm512_set1_ps(unit)), _mm512_loadu_ps(bias + i)));
  }
}

// The place of the greatest of `count` scores, the first of several, and its log-probability among them.
inline int choose(const float* scores, int count, float* log_prob) {
  __m512 most = _mm512_set1_ps(-INFINITY);
  for (int i = 0; i < count; i += kLanes)
    most = _mm512_mask_max_ps(most, lanes_left(count, i), most, _mm512_loadu_ps(scores + i));
  const __m512 peak = _mm512_set1_ps(_mm512_reduce_max_ps(most));
  int best = -1;
  __m512 total = _mm512_setzero_ps();
  for (int i = 0; i < count; i += kLanes) {
    const __mmask16 lanes = lanes_left(count, i);
    const __m512 own = _mm512_loadu_ps(scores + i);
    if (best < 0) {
      const __mmask16 found = _mm512_mask_cmp_ps_mask(lanes, own, peak, _CMP_EQ_OQ);
      if (found != 0) best = i + __builtin_ctz(found);
    }
    total = _mm512_mask_add_ps(total, lanes, total, exponential(_mm512_sub_ps(own, peak)));
  }
  *log_prob = -std::log(_mm512_reduce_add_ps(total));
  return best < 0 ? 0 : best;
}

}  // namespace latimer
