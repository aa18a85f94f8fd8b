// Operations on rows of float32, sixteen values at a time: norm, softmax, quantisation, recurrence.
//
// Each function reads and writes the values of one row, so that no result depends on the rest of the batch. Sizes are
// multiples of 16. Sources: Vaswani et al. 2017 (norm after the sum), Cephes (`expf`).
#pragma once

namespace LATIMER_KERNELS {

// Marian's default; the file does not contain it. Values from 1e-5 to 1e-9 give the same text.
constexpr float kNormEpsilon = 1e-6f;

// Returns e^x, accurate to two units in the last place; 0 below -87.
inline Floats exponential(Floats x) {
  const Floats limited = min(x, fill(88.0f));
  const Floats power = round(mul(limited, fill(1.44269504088896341f)));
  Floats r = fnma(power, fill(0.693359375f), limited);
  r = fnma(power, fill(-2.12194440e-4f), r);
  Floats sum = fill(1.9875691500e-4f);
  sum = fma(sum, r, fill(1.3981999507e-3f));
  sum = fma(sum, r, fill(8.3334519073e-3f));
  sum = fma(sum, r, fill(4.1665795894e-2f));
  sum = fma(sum, r, fill(1.6666665459e-1f));
  sum = fma(sum, r, fill(5.0000001201e-1f));
  sum = fma(sum, mul(r, r), add(r, fill(1.0f)));
  return zero_below(x, fill(-87.0f), scale(sum, power));
}

// Computes x = LayerNorm(x + added) * scale + bias.
inline void normalize(float* x, const float* added, const float* factors, const float* bias, int size) {
  Floats total = fill(0.0f);
  for (int i = 0; i < size; i += kLanes) {
    const Floats value = add(load(x + i), load(added + i));
    store(x + i, value);
    total = add(total, value);
  }
  const Floats mean = fill(sum_lanes(total) / static_cast<float>(size));
  Floats squares = fill(0.0f);
  for (int i = 0; i < size; i += kLanes) {
    const Floats distance = sub(load(x + i), mean);
    squares = fma(distance, distance, squares);
  }
  const float deviation = std::sqrt(sum_lanes(squares) / static_cast<float>(size) + kNormEpsilon);
  const Floats factor = fill(1.0f / deviation);
  for (int i = 0; i < size; i += kLanes) {
    const Floats even = mul(sub(load(x + i), mean), factor);
    store(x + i, fma(even, load(factors + i), load(bias + i)));
  }
}

inline Ints round_steps(Floats x, Floats factor) { return to_ints(min(max(mul(x, factor), fill(-128.0f)), fill(127.0f))); }

// Quantises x to bytes around `kZero`, minus `kShift`: x * multiplier, limited to -128..127.
inline void quantize(const float* x, float multiplier, uint8_t* out, int size) {
  const Floats factor = fill(multiplier);
  for (int i = 0; i < size; i += kLanes) store_bytes(out + i, add(round_steps(load(x + i), factor), fill(kZero - kShift)));
}

// Returns the largest absolute value.
inline float find_peak(const float* x, int size) {
  Floats most = fill(0.0f);
  for (int i = 0; i < size; i += kLanes) most = max(most, abs(load(x + i)));
  return find_largest(most);
}

// Quantises x in the same way, so that its largest absolute value becomes 127 steps. Returns the value of a step.
inline float quantize_by_peak(const float* x, uint8_t* out, int size) {
  const float peak = find_peak(x, size);
  quantize(x, peak > 0 ? 127.0f / peak : 0.0f, out, size);
  return peak / 127.0f;
}

// Quantises x in the same way to signed bytes, and stores their sum in `total`.
inline float quantize_signed(const float* x, int8_t* out, int size, int* total) {
  const float peak = find_peak(x, size);
  const Floats factor = fill(peak > 0 ? 127.0f / peak : 0.0f);
  Ints sum = fill(0);
  for (int i = 0; i < size; i += kLanes) {
    const Ints steps = round_steps(load(x + i), factor);
    sum = add(sum, steps);
    store_bytes(reinterpret_cast<uint8_t*>(out + i), steps);
  }
  *total = sum_lanes(sum);
  return peak / 127.0f;
}

// Computes the recurrence of the SSRU (Kim et al. 2019, D19-5632): cell = f * before + (1 - f) * candidate with
// f = sigmoid(forget), and out = relu(cell). `cell` may be `before`.
inline void recur(const float* candidate, const float* forget, const float* before, float* cell, float* out, int size) {
  const Floats one = fill(1.0f), zero = fill(0.0f);
  for (int i = 0; i < size; i += kLanes) {
    const Floats fresh = load(candidate + i);
    const Floats inverse = exponential(sub(zero, load(forget + i)));
    const Floats share = div(one, add(one, inverse));
    const Floats kept = fma(share, sub(load(before + i), fresh), fresh);
    store(cell + i, kept);
    store(out + i, max(kept, zero));
  }
}

// Converts to half precision (IEEE 754 binary16), limited to the range of that format.
inline void write_halves(const float* from, uint16_t* to, int size) {
  for (int i = 0; i < size; i += kLanes) store_halves(to + i, max(min(load(from + i), fill(65504.0f)), fill(-65504.0f)));
}

// Replaces scores [width] by their exponentials, and those past the width by 0. Returns 1 / their sum, which completes a
// softmax.
inline float exponentiate(float* scores, int width, int padded) {
  const Floats least = fill(-INFINITY), zero = fill(0.0f);
  Floats most = least;
  for (int j = 0; j < padded; j += kLanes) most = max(most, keep_first(width - j, load(scores + j), least));
  const Floats peak = fill(find_largest(most));
  Floats total = zero;
  for (int j = 0; j < padded; j += kLanes) {
    const Floats share = keep_first(width - j, exponential(sub(load(scores + j), peak)), zero);
    store(scores + j, share);
    total = add(total, share);
  }
  return 1.0f / sum_lanes(total);
}

// Converts sums to scores of candidates: removes the offset of the table's bytes, where `total` is the sum of the other
// operand, multiplies by `unit` and adds `bias`.
inline Floats finish_scores(Ints sums, int total, float unit, const float* bias) {
  const Ints exact = sub(sums, fill((kZero - kTableShift) * total));
  return add(mul(to_floats(exact), fill(unit)), load(bias));
}

// The largest of some scores, its index, and the sum of the exponentials of all scores minus the largest.
struct Best {
  float peak = -INFINITY;
  int index = 0;
  float total = 0.0f;

  float log_prob() const { return -std::log(total); }
};

// Updates `best` with `count` scores, whose first index is `first`. Of equal scores the first one counts.
inline void choose(const float* scores, int count, int first, Best& best) {
  const Floats least = fill(-INFINITY), zero = fill(0.0f);
  Floats most = least;
  for (int i = 0; i < count; i += kLanes) most = max(most, keep_first(count - i, load(scores + i), least));
  const float largest = find_largest(most);
  const bool is_new = largest > best.peak;
  const Floats peak = fill(is_new ? largest : best.peak);
  bool found = !is_new;
  Floats total = zero;
  for (int i = 0; i < count; i += kLanes) {
    const Floats score = load(scores + i);
    if (!found) {
      const uint32_t equal = find_equal(count - i, score, peak);
      if (equal != 0) best.index = first + i + __builtin_ctz(equal);
      found = equal != 0;
    }
    total = add(total, keep_first(count - i, exponential(sub(score, peak)), zero));
  }
  float kept = best.total;
  if (is_new) {
    float lanes[kLanes];
    store(lanes, exponential(fill(best.peak - largest)));
    kept = best.total > 0.0f ? best.total * lanes[0] : 0.0f;
    best.peak = largest;
  }
  best.total = kept + sum_lanes(total);
}

}  // namespace LATIMER_KERNELS
