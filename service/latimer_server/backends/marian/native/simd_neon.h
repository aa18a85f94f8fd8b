// Sixteen values of float32 or int32 in four registers of NEON. See `simd_avx512.h` for what each function returns.
#pragma once

namespace LATIMER_KERNELS {

constexpr int kLanes = 16;
constexpr int kParts = 4;

struct Floats {
  float32x4_t v[kParts];
};
struct Ints {
  int32x4_t v[kParts];
};

template <class Operation>
inline Floats apply(Floats a, Floats b, const Operation& operation) {
  return {operation(a.v[0], b.v[0]), operation(a.v[1], b.v[1]), operation(a.v[2], b.v[2]), operation(a.v[3], b.v[3])};
}

inline Floats load(const float* from) {
  return {vld1q_f32(from), vld1q_f32(from + 4), vld1q_f32(from + 8), vld1q_f32(from + 12)};
}
inline void store(float* to, Floats a) {
  for (int n = 0; n < kParts; ++n) vst1q_f32(to + 4 * n, a.v[n]);
}
inline Floats fill(float value) {
  const float32x4_t all = vdupq_n_f32(value);
  return {all, all, all, all};
}
inline Floats add(Floats a, Floats b) {
  return apply(a, b, [](float32x4_t x, float32x4_t y) { return vaddq_f32(x, y); });
}
inline Floats sub(Floats a, Floats b) {
  return apply(a, b, [](float32x4_t x, float32x4_t y) { return vsubq_f32(x, y); });
}
inline Floats mul(Floats a, Floats b) {
  return apply(a, b, [](float32x4_t x, float32x4_t y) { return vmulq_f32(x, y); });
}
inline Floats div(Floats a, Floats b) {
  return apply(a, b, [](float32x4_t x, float32x4_t y) { return vdivq_f32(x, y); });
}
inline Floats fma(Floats a, Floats b, Floats c) {
  return {vfmaq_f32(c.v[0], a.v[0], b.v[0]), vfmaq_f32(c.v[1], a.v[1], b.v[1]), vfmaq_f32(c.v[2], a.v[2], b.v[2]),
          vfmaq_f32(c.v[3], a.v[3], b.v[3])};
}
inline Floats fnma(Floats a, Floats b, Floats c) {
  return {vfmsq_f32(c.v[0], a.v[0], b.v[0]), vfmsq_f32(c.v[1], a.v[1], b.v[1]), vfmsq_f32(c.v[2], a.v[2], b.v[2]),
          vfmsq_f32(c.v[3], a.v[3], b.v[3])};
}
inline Floats min(Floats a, Floats b) {
  return apply(a, b, [](float32x4_t x, float32x4_t y) { return vminq_f32(x, y); });
}
inline Floats max(Floats a, Floats b) {
  return apply(a, b, [](float32x4_t x, float32x4_t y) { return vmaxq_f32(x, y); });
}
inline Floats abs(Floats a) { return {vabsq_f32(a.v[0]), vabsq_f32(a.v[1]), vabsq_f32(a.v[2]), vabsq_f32(a.v[3])}; }
inline Floats round(Floats a) { return {vrndnq_f32(a.v[0]), vrndnq_f32(a.v[1]), vrndnq_f32(a.v[2]), vrndnq_f32(a.v[3])}; }
inline Floats scale(Floats a, Floats power) {
  return apply(a, power, [](float32x4_t x, float32x4_t p) {
    const int32x4_t exponent = vaddq_s32(vcvtnq_s32_f32(p), vdupq_n_s32(127));
    return vmulq_f32(x, vreinterpretq_f32_s32(vshlq_n_s32(exponent, 23)));
  });
}
inline Floats zero_below(Floats x, Floats limit, Floats value) {
  Floats kept;
  for (int n = 0; n < kParts; ++n) {
    const uint32x4_t below = vcltq_f32(x.v[n], limit.v[n]);
    kept.v[n] = vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(value.v[n]), below));
  }
  return kept;
}
inline uint32x4_t first_lanes(int count, int part) {
  static const int32_t kPlaces[4] = {0, 1, 2, 3};
  return vcltq_s32(vld1q_s32(kPlaces), vdupq_n_s32(count - 4 * part));
}
inline Floats keep_first(int count, Floats a, Floats b) {
  Floats kept;
  for (int n = 0; n < kParts; ++n) kept.v[n] = vbslq_f32(first_lanes(count, n), a.v[n], b.v[n]);
  return kept;
}
inline uint32_t find_equal(int count, Floats a, Floats b) {
  static const uint32_t kBits[4] = {1, 2, 4, 8};
  uint32_t found = 0;
  for (int n = 0; n < kParts; ++n) found |= vaddvq_u32(vandq_u32(vceqq_f32(a.v[n], b.v[n]), vld1q_u32(kBits))) << 4 * n;
  return found & (count >= kLanes ? 0xffffu : (1u << count) - 1);
}
inline uint32_t find_greater(int count, Floats a, Floats b) {
  static const uint32_t kBits[4] = {1, 2, 4, 8};
  uint32_t found = 0;
  for (int n = 0; n < kParts; ++n) found |= vaddvq_u32(vandq_u32(vcgtq_f32(a.v[n], b.v[n]), vld1q_u32(kBits))) << 4 * n;
  return found & (count >= kLanes ? 0xffffu : (1u << count) - 1);
}
inline float sum_lanes(Floats a) {
  const float32x4_t quarter = vaddq_f32(vaddq_f32(a.v[0], a.v[2]), vaddq_f32(a.v[1], a.v[3]));
  const float32x2_t pair = vadd_f32(vget_low_f32(quarter), vget_high_f32(quarter));
  return vget_lane_f32(pair, 0) + vget_lane_f32(pair, 1);
}
inline float find_largest(Floats a) { return vmaxvq_f32(vmaxq_f32(vmaxq_f32(a.v[0], a.v[2]), vmaxq_f32(a.v[1], a.v[3]))); }

inline Floats load(const uint16_t* from) {
  Floats values;
  for (int n = 0; n < kParts; ++n) values.v[n] = vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(from + 4 * n)));
  return values;
}
inline void store_halves(uint16_t* to, Floats a) {
  for (int n = 0; n < kParts; ++n) vst1_u16(to + 4 * n, vreinterpret_u16_f16(vcvt_f16_f32(a.v[n])));
}

inline Ints load(const int32_t* from) {
  return {vld1q_s32(from), vld1q_s32(from + 4), vld1q_s32(from + 8), vld1q_s32(from + 12)};
}
inline void store(int32_t* to, Ints a) {
  for (int n = 0; n < kParts; ++n) vst1q_s32(to + 4 * n, a.v[n]);
}
inline Ints fill(int32_t value) {
  const int32x4_t all = vdupq_n_s32(value);
  return {all, all, all, all};
}
inline Ints add(Ints a, Ints b) {
  return {vaddq_s32(a.v[0], b.v[0]), vaddq_s32(a.v[1], b.v[1]), vaddq_s32(a.v[2], b.v[2]), vaddq_s32(a.v[3], b.v[3])};
}
inline Ints sub(Ints a, Ints b) {
  return {vsubq_s32(a.v[0], b.v[0]), vsubq_s32(a.v[1], b.v[1]), vsubq_s32(a.v[2], b.v[2]), vsubq_s32(a.v[3], b.v[3])};
}
inline int32_t sum_lanes(Ints a) { return vaddvq_s32(vaddq_s32(vaddq_s32(a.v[0], a.v[2]), vaddq_s32(a.v[1], a.v[3]))); }
inline Floats to_floats(Ints a) {
  return {vcvtq_f32_s32(a.v[0]), vcvtq_f32_s32(a.v[1]), vcvtq_f32_s32(a.v[2]), vcvtq_f32_s32(a.v[3])};
}
inline Ints to_ints(Floats a) {
  return {vcvtnq_s32_f32(a.v[0]), vcvtnq_s32_f32(a.v[1]), vcvtnq_s32_f32(a.v[2]), vcvtnq_s32_f32(a.v[3])};
}
inline Ints load_bytes(const uint8_t* from) {
  const uint8x16_t bytes = vld1q_u8(from);
  const uint16x8_t low = vmovl_u8(vget_low_u8(bytes)), high = vmovl_u8(vget_high_u8(bytes));
  const auto widen = [](uint16x4_t half) { return vreinterpretq_s32_u32(vmovl_u16(half)); };
  return {widen(vget_low_u16(low)), widen(vget_high_u16(low)), widen(vget_low_u16(high)), widen(vget_high_u16(high))};
}
inline void store_bytes(uint8_t* to, Ints a) {
  const int16x8_t low = vcombine_s16(vmovn_s32(a.v[0]), vmovn_s32(a.v[1]));
  const int16x8_t high = vcombine_s16(vmovn_s32(a.v[2]), vmovn_s32(a.v[3]));
  vst1q_u8(to, vreinterpretq_u8_s8(vcombine_s8(vmovn_s16(low), vmovn_s16(high))));
}

// Transposes a square of groups of four bytes: those of each of four rows from byte `from` on. Its lines are `stride` bytes
// apart in `to`.
constexpr int kSquare = 4;
inline void transpose_square(const uint8_t* const* rows, int from, uint8_t* to, int stride) {
  uint32x4_t lines[kSquare];
  for (int n = 0; n < kSquare; ++n) lines[n] = vreinterpretq_u32_u8(vld1q_u8(rows[n] + from));
  const uint32x4x2_t even = vzipq_u32(lines[0], lines[2]), odd = vzipq_u32(lines[1], lines[3]);
  for (int n = 0; n < 2; ++n) {
    const uint32x4x2_t both = vzipq_u32(even.val[n], odd.val[n]);
    vst1q_u8(to + 2 * n * stride, vreinterpretq_u8_u32(both.val[0]));
    vst1q_u8(to + (2 * n + 1) * stride, vreinterpretq_u8_u32(both.val[1]));
  }
}

inline void prefetch(const void* at) { __builtin_prefetch(at); }

}  // namespace LATIMER_KERNELS
