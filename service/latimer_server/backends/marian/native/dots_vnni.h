// Dot products of four bytes by VPDPBUSD, in registers of AVX-512 or (AVX-VNNI) of AVX2. Unsigned bytes meet signed ones,
// and the sums are exact in 32 bits.
//
// Source: Intel's Software Developer's Manual.
#pragma once

namespace LATIMER_KERNELS {

// Activations are stored, and tables are multiplied, as unsigned bytes: no offset is subtracted from either.
constexpr int kShift = 0;
constexpr int kTableShift = 0;

#ifdef LATIMER_AVX_VNNI
#define LATIMER_DPBUSD _mm256_dpbusd_avx_epi32

// Four activations, for all columns.
struct Four {
  __m256i v;
};

inline Four broadcast(const uint8_t* x) {
  int32_t four;
  std::memcpy(&four, x, 4);
  return {_mm256_set1_epi32(four)};
}
inline Four broadcast_signed(const int8_t* x) { return broadcast(reinterpret_cast<const uint8_t*>(x)); }

inline __m256i load_half(const void* from) { return _mm256_loadu_si256(static_cast<const __m256i*>(from)); }

// Adds the products of four activations and an entry of a matrix.
inline Ints dot(Ints sums, Four x, const int8_t* entry) {
  return {LATIMER_DPBUSD(sums.a, x.v, load_half(entry)), LATIMER_DPBUSD(sums.b, x.v, load_half(entry + 32))};
}

// Adds the products of four signed bytes and an entry of a table of bytes around `kZero`.
inline Ints dot_table(Ints sums, Four x, const uint8_t* entry) {
  return {LATIMER_DPBUSD(sums.a, load_half(entry), x.v), LATIMER_DPBUSD(sums.b, load_half(entry + 32), x.v)};
}

// Returns the sum of the products of a row of a table and signed bytes.
inline int32_t dot_row(const uint8_t* row, const int8_t* x, int size) {
  Ints sums = fill(0);
  for (int k = 0; k < size; k += 64) {
    sums.a = LATIMER_DPBUSD(sums.a, load_half(row + k), load_half(x + k));
    sums.b = LATIMER_DPBUSD(sums.b, load_half(row + k + 32), load_half(x + k + 32));
  }
  return sum_lanes(sums);
}

#else

struct Four {
  __m512i v;
};

inline Four broadcast(const uint8_t* x) {
  int32_t four;
  std::memcpy(&four, x, 4);
  return {_mm512_set1_epi32(four)};
}
inline Four broadcast_signed(const int8_t* x) { return broadcast(reinterpret_cast<const uint8_t*>(x)); }

inline Ints dot(Ints sums, Four x, const int8_t* entry) {
  return {_mm512_dpbusd_epi32(sums.v, x.v, _mm512_loadu_si512(entry))};
}

inline Ints dot_table(Ints sums, Four x, const uint8_t* entry) {
  return {_mm512_dpbusd_epi32(sums.v, _mm512_loadu_si512(entry), x.v)};
}

#endif

}  // namespace LATIMER_KERNELS
