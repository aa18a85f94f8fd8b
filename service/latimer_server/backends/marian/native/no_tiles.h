// Takes the place of `tiles.h` on processors without matrix instructions.
#pragma once

namespace LATIMER_KERNELS {

constexpr bool kHasTiles = false;
constexpr int kLeastTileRows = 0;

template <class Then>
inline void multiply_by_tiles(const uint8_t*, int, const Matrix&, const Then&) {}

template <class Then>
inline void multiply_table_by_tiles(const int8_t*, int, const uint8_t*, int, int, const Then&) {}

}  // namespace LATIMER_KERNELS
