// Dot products of four bytes by VPMADDUBSW, which adds pairs of products in 16 bits with saturation.
//
// It multiplies unsigned bytes by signed ones. The sign of an activation is therefore moved to the weight: |x| times
// sign(x) w. With |x| <= 128 and |w| <= 127 two products are at most 32,512, so that no sum saturates.
// Source: Intel's Software Developer's Manual; intgemm (Kim et al. 2019, D19-5632) moves signs in the same way.
#pragma once

namespace LATIMER_KERNELS {

// Activations are stored, and tables are multiplied, as signed bytes: this offset is subtracted from the unsigned ones.
constexpr int kShift = 128;
constexpr int kTableShift = 128;

// Four activations, for all columns: their absolute values and their signs.
struct Four {
  __m256i size, sign;
};

inline __m256i load_half(const void* from) { return _mm256_loadu_si256(static_cast<const __m256i*>(from)); }

inline Four broadcast_signed(const int8_t* x) {
  int32_t four;
  std::memcpy(&four, x, 4);
  const __m256i sign = _mm256_set1_epi32(four);
  return {_mm256_abs_epi8(sign), sign};
}
inline Four broadcast(const uint8_t* x) { return broadcast_signed(reinterpret_cast<const int8_t*>(x)); }

// Adds the sums of four products each: `size` has absolute values, and `other` the other factors with the signs.
inline __m256i add_products(__m256i sums, __m256i size, __m256i other) {
  return _mm256_add_epi32(sums, _mm256_madd_epi16(_mm256_maddubs_epi16(size, other), _mm256_set1_epi16(1)));
}

inline Ints dot(Ints sums, Four x, const int8_t* entry) {
  return {add_products(sums.a, x.size, _mm256_sign_epi8(load_half(entry), x.sign)),
          add_products(sums.b, x.size, _mm256_sign_epi8(load_half(entry + 32), x.sign))};
}

// Here the table gives the absolute value, because its bytes may be -128 and those of x may not.
inline __m256i add_table_products(__m256i sums, __m256i x, const uint8_t* table) {
  const __m256i row = _mm256_xor_si256(load_half(table), _mm256_set1_epi8(-128));
  return add_products(sums, _mm256_abs_epi8(row), _mm256_sign_epi8(x, row));
}

inline Ints dot_table(Ints sums, Four x, const uint8_t* entry) {
  return {add_table_products(sums.a, x.sign, entry), add_table_products(sums.b, x.sign, entry + 32)};
}

inline int32_t dot_row(const uint8_t* row, const int8_t* x, int size) {
  Ints sums = fill(0);
  for (int k = 0; k < size; k += 64) {
    sums.a = add_table_products(sums.a, load_half(x + k), row + k);
    sums.b = add_table_products(sums.b, load_half(x + k + 32), row + k + 32);
  }
  return sum_lanes(sums);
}

}  // namespace LATIMER_KERNELS
