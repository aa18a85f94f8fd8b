// Attention of one or four queries at a time (Vaswani et al. 2017).
#pragma once

namespace LATIMER_KERNELS {

// The keys and values of one source. Keys are [heads, depth, padded], so that one query reads sixteen of them at once.
// The values of position j and head h start at `j * value_stride + h * head_stride`.
template <class Value>
struct Memories {
  const Value* keys;
  const Value* values;
  int width, padded, value_stride, head_stride;
};

// Products of one query are added in two chains, because each addition waits for the one before it in its chain.
template <int Queries>
constexpr int kChains = Queries == 1 ? 2 : 1;

// Computes the dot products of `Queries` queries of one head and 16 * `Blocks` keys from `first` on.
template <int Queries, int Blocks, class Value>
inline void multiply_keys(const float* query, int stride, const Value* keys, int padded, int depth, int first, float* scores) {
  constexpr int kCount = kChains<Queries>;
  Floats sums[kCount][Queries][Blocks];
  LATIMER_UNROLL
  for (int chain = 0; chain < kCount; ++chain) {
    LATIMER_UNROLL
    for (int n = 0; n < Queries; ++n) {
      LATIMER_UNROLL
      for (int block = 0; block < Blocks; ++block) sums[chain][n][block] = fill(0.0f);
    }
  }
  for (int c = 0; c < depth; c += kCount) {
    LATIMER_UNROLL
    for (int chain = 0; chain < kCount; ++chain) {
      LATIMER_UNROLL
      for (int block = 0; block < Blocks; ++block) {
        const Floats key = load(keys + static_cast<size_t>(c + chain) * padded + first + block * kLanes);
        LATIMER_UNROLL
        for (int n = 0; n < Queries; ++n)
          sums[chain][n][block] = fma(fill(query[n * stride + c + chain]), key, sums[chain][n][block]);
      }
    }
  }
  LATIMER_UNROLL
  for (int n = 0; n < Queries; ++n) {
    LATIMER_UNROLL
    for (int block = 0; block < Blocks; ++block) {
      Floats sum = sums[0][n][block];
      if (kCount > 1) sum = add(sum, sums[kCount - 1][n][block]);
      store(scores + n * padded + first + block * kLanes, sum);
    }
  }
}

// Computes the sums of 16 * `Columns` values over all positions, weighted by `scores`, for `Queries` queries. Multiplies
// them by `factors`.
template <int Queries, int Columns, class Value>
inline void multiply_values(const float* scores, const float* factors, const Value* values, const Memories<Value>& memories,
                            float* out, int stride) {
  constexpr int kCount = kChains<Queries>;
  Floats sums[kCount][Queries][Columns];
  LATIMER_UNROLL
  for (int chain = 0; chain < kCount; ++chain) {
    LATIMER_UNROLL
    for (int n = 0; n < Queries; ++n) {
      LATIMER_UNROLL
      for (int column = 0; column < Columns; ++column) sums[chain][n][column] = fill(0.0f);
    }
  }
  const Value* at = values;
  int j = 0;
  for (; j + kCount <= memories.width; j += kCount) {
    LATIMER_UNROLL
    for (int chain = 0; chain < kCount; ++chain, at += memories.value_stride) {
      LATIMER_UNROLL
      for (int column = 0; column < Columns; ++column) {
        const Floats value = load(at + column * kLanes);
        LATIMER_UNROLL
        for (int n = 0; n < Queries; ++n)
          sums[chain][n][column] = fma(fill(scores[n * memories.padded + j + chain]), value, sums[chain][n][column]);
      }
    }
  }
  if (j < memories.width) {
    LATIMER_UNROLL
    for (int column = 0; column < Columns; ++column) {
      const Floats value = load(at + column * kLanes);
      LATIMER_UNROLL
      for (int n = 0; n < Queries; ++n)
        sums[0][n][column] = fma(fill(scores[n * memories.padded + j]), value, sums[0][n][column]);
    }
  }
  LATIMER_UNROLL
  for (int n = 0; n < Queries; ++n) {
    LATIMER_UNROLL
    for (int column = 0; column < Columns; ++column) {
      Floats sum = sums[0][n][column];
      if (kCount > 1) sum = add(sum, sums[kCount - 1][n][column]);
      store(out + n * stride + column * kLanes, mul(sum, fill(factors[n])));
    }
  }
}

// The source position with the largest attention weight, and that weight (0 to 1).
struct Focus {
  int place;
  float weight;
};

// Computes attention for `Queries` queries [.., stride] of heads * depth values. `scores` is scratch memory
// [Queries, padded]. `focus`, unless null, receives that of the first head of the first query. A source without tokens
// gives zeros.
template <int Queries, class Value>
inline void attend(const float* query, int stride, const Memories<Value>& memories, int heads, int depth, float* scores,
                   float* out, int out_stride, Focus* focus) {
  LATIMER_CLOCK(kAttention);
  const int padded = memories.padded;
  if (memories.width == 0) {
    for (int n = 0; n < Queries; ++n) std::memset(out + n * out_stride, 0, sizeof(float) * heads * depth);
    if (focus != nullptr) *focus = {0, 0.0f};
    return;
  }
  for (int head = 0; head < heads; ++head) {
    const float* head_query = query + head * depth;
    const Value* keys = memories.keys + static_cast<size_t>(head) * depth * padded;
    int j = 0;
    for (; j + kAttentionBlocks * kLanes <= padded; j += kAttentionBlocks * kLanes)
      multiply_keys<Queries, kAttentionBlocks>(head_query, stride, keys, padded, depth, j, scores);
    for (; j < padded; j += kLanes) multiply_keys<Queries, 1>(head_query, stride, keys, padded, depth, j, scores);
    float factors[Queries];
    for (int n = 0; n < Queries; ++n) factors[n] = exponentiate(scores + n * padded, memories.width, padded);
    if (focus != nullptr && head == 0) {
      focus->place = 0;
      for (int at = 1; at < memories.width; ++at) focus->place = scores[at] > scores[focus->place] ? at : focus->place;
      focus->weight = scores[focus->place] * factors[0];
    }
    const Value* values = memories.values + static_cast<size_t>(head) * memories.head_stride;
    float* to = out + head * depth;
    int c = 0;
    for (; c + kAttentionBlocks * kLanes <= depth; c += kAttentionBlocks * kLanes)
      multiply_values<Queries, kAttentionBlocks>(scores, factors, values + c, memories, to + c, out_stride);
    for (; c < depth; c += kLanes) multiply_values<Queries, 1>(scores, factors, values + c, memories, to + c, out_stride);
  }
}

}  // namespace LATIMER_KERNELS
