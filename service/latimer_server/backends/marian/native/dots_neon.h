// Dot products of four signed bytes by SDOT (ARMv8.2), or by widening products on older processors. The sums are exact.
//
// Source: Arm Architecture Reference Manual (SDOT, SMULL, SADALP).
#pragma once

namespace LATIMER_KERNELS {

// Activations are stored, and tables are multiplied, as signed bytes: this offset is subtracted from the unsigned ones.
constexpr int kShift = 128;
constexpr int kTableShift = 128;

// Four activations, for the four columns of a register.
struct Four {
  int8x16_t v;
};

inline Four broadcast_signed(const int8_t* x) {
  int32_t four;
  std::memcpy(&four, x, 4);
  return {vreinterpretq_s8_s32(vdupq_n_s32(four))};
}
inline Four broadcast(const uint8_t* x) { return broadcast_signed(reinterpret_cast<const int8_t*>(x)); }

#ifdef LATIMER_NEON_DOTPROD
inline int32x4_t add_products(int32x4_t sums, int8x16_t a, int8x16_t b) { return vdotq_s32(sums, a, b); }
#else
inline int32x4_t add_products(int32x4_t sums, int8x16_t a, int8x16_t b) {
  const int32x4_t low = vpaddlq_s16(vmull_s8(vget_low_s8(a), vget_low_s8(b)));
  const int32x4_t high = vpaddlq_s16(vmull_s8(vget_high_s8(a), vget_high_s8(b)));
  return vaddq_s32(sums, vpaddq_s32(low, high));
}
#endif

inline Ints dot(Ints sums, Four x, const int8_t* entry) {
  return {add_products(sums.v[0], x.v, vld1q_s8(entry)), add_products(sums.v[1], x.v, vld1q_s8(entry + 16)),
          add_products(sums.v[2], x.v, vld1q_s8(entry + 32)), add_products(sums.v[3], x.v, vld1q_s8(entry + 48))};
}

inline int8x16_t load_table(const uint8_t* from) { return vreinterpretq_s8_u8(veorq_u8(vld1q_u8(from), vdupq_n_u8(0x80))); }

inline Ints dot_table(Ints sums, Four x, const uint8_t* entry) {
  return {add_products(sums.v[0], x.v, load_table(entry)), add_products(sums.v[1], x.v, load_table(entry + 16)),
          add_products(sums.v[2], x.v, load_table(entry + 32)), add_products(sums.v[3], x.v, load_table(entry + 48))};
}

inline int32_t dot_row(const uint8_t* row, const int8_t* x, int size) {
  Ints sums = fill(0);
  for (int k = 0; k < size; k += 64)
    for (int n = 0; n < kParts; ++n)
      sums.v[n] = add_products(sums.v[n], load_table(row + k + 16 * n), vld1q_s8(x + k + 16 * n));
  return sum_lanes(sums);
}

}  // namespace LATIMER_KERNELS
