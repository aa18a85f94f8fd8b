// Sixteen values of float32 or int32 in one register of AVX-512.
//
// Every header `simd_*.h` defines the same types and functions, which give the same results to the bit: each operation
// rounds once, and sums over lanes are taken in the same order (halves, quarters, pairs, single lanes).
#pragma once

namespace LATIMER_KERNELS {

constexpr int kLanes = 16;

struct Floats {
  __m512 v;
};
struct Ints {
  __m512i v;
};

inline Floats load(const float* from) { return {_mm512_loadu_ps(from)}; }
inline void store(float* to, Floats a) { _mm512_storeu_ps(to, a.v); }
inline Floats fill(float value) { return {_mm512_set1_ps(value)}; }
inline Floats add(Floats a, Floats b) { return {_mm512_add_ps(a.v, b.v)}; }
inline Floats sub(Floats a, Floats b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline Floats mul(Floats a, Floats b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline Floats div(Floats a, Floats b) { return {_mm512_div_ps(a.v, b.v)}; }
// Returns a * b + c, rounded once.
inline Floats fma(Floats a, Floats b, Floats c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
// Returns c - a * b, rounded once.
inline Floats fnma(Floats a, Floats b, Floats c) { return {_mm512_fnmadd_ps(a.v, b.v, c.v)}; }
inline Floats min(Floats a, Floats b) { return {_mm512_min_ps(a.v, b.v)}; }
inline Floats max(Floats a, Floats b) { return {_mm512_max_ps(a.v, b.v)}; }
inline Floats abs(Floats a) { return {_mm512_abs_ps(a.v)}; }
// Rounds to whole numbers, halves to even ones.
inline Floats round(Floats a) { return {_mm512_roundscale_ps(a.v, 0)}; }
// Returns a * 2^power for whole powers from -126 to 127.
inline Floats scale(Floats a, Floats power) { return {_mm512_scalef_ps(a.v, power.v)}; }
// Returns `value` where x >= limit, and 0 elsewhere.
inline Floats zero_below(Floats x, Floats limit, Floats value) {
  return {_mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x.v, limit.v, _CMP_NLT_UQ), value.v)};
}
inline __mmask16 first_lanes(int count) { return count >= kLanes ? 0xffff : static_cast<__mmask16>((1u << count) - 1); }
// Returns the first `count` lanes of a, and the others of b.
inline Floats keep_first(int count, Floats a, Floats b) { return {_mm512_mask_mov_ps(b.v, first_lanes(count), a.v)}; }
// Returns a bit for each of the first `count` lanes where a equals b.
inline uint32_t find_equal(int count, Floats a, Floats b) {
  return _mm512_mask_cmp_ps_mask(first_lanes(count), a.v, b.v, _CMP_EQ_OQ);
}
// Returns a bit for each of the first `count` lanes where a is greater than b.
inline uint32_t find_greater(int count, Floats a, Floats b) {
  return _mm512_mask_cmp_ps_mask(first_lanes(count), a.v, b.v, _CMP_GT_OQ);
}
inline float sum_lanes(Floats a) {
  const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 quarter = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
  const __m128 pair = _mm_add_ps(quarter, _mm_movehl_ps(quarter, quarter));
  return _mm_cvtss_f32(_mm_add_ss(pair, _mm_shuffle_ps(pair, pair, 1)));
}
inline float find_largest(Floats a) { return _mm512_reduce_max_ps(a.v); }

// Converts from and to half precision (IEEE 754 binary16).
inline Floats load(const uint16_t* from) {
  return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)))};
}
inline void store_halves(uint16_t* to, Floats a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT));
}

inline Ints load(const int32_t* from) { return {_mm512_loadu_si512(from)}; }
inline void store(int32_t* to, Ints a) { _mm512_storeu_si512(to, a.v); }
inline Ints fill(int32_t value) { return {_mm512_set1_epi32(value)}; }
inline Ints add(Ints a, Ints b) { return {_mm512_add_epi32(a.v, b.v)}; }
inline Ints sub(Ints a, Ints b) { return {_mm512_sub_epi32(a.v, b.v)}; }
inline int32_t sum_lanes(Ints a) { return _mm512_reduce_add_epi32(a.v); }
inline Floats to_floats(Ints a) { return {_mm512_cvtepi32_ps(a.v)}; }
// Rounds to the nearest integers, halves to even ones.
inline Ints to_ints(Floats a) { return {_mm512_cvtps_epi32(a.v)}; }
inline Ints load_bytes(const uint8_t* from) {
  return {_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)))};
}
// Stores the lowest byte of each lane.
inline void store_bytes(uint8_t* to, Ints a) { _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8(a.v)); }

inline void prefetch(const void* at) { _mm_prefetch(static_cast<const char*>(at), _MM_HINT_T0); }

}  // namespace LATIMER_KERNELS
