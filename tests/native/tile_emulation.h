// Emulates the tiles of AMX for processors without them, so that the kernels for AMX run in tests.
//
// Source: Intel's Software Developer's Manual (LDTILECFG, TILELOADD, TDPBUSD, TDPBSUD, TILESTORED, TILERELEASE).
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace latimer_emulation {

struct Tiles {
  uint16_t columns[8] = {};  // bytes of a row
  uint8_t rows[8] = {};
  uint8_t bytes[8][16][64] = {};
};

inline Tiles& tiles() {
  static thread_local Tiles state;
  return state;
}

inline void load_config(const void* config) {
  Tiles& state = tiles();
  state = Tiles();
  const auto* bytes = static_cast<const uint8_t*>(config);
  if (bytes[0] != 1) std::abort();
  std::memcpy(state.columns, bytes + 16, sizeof(state.columns));
  std::memcpy(state.rows, bytes + 48, sizeof(state.rows));
  for (int n = 0; n < 8; ++n)
    if (state.rows[n] < 1 || state.rows[n] > 16 || state.columns[n] > 64) std::abort();
}

inline void zero(int tile) { std::memset(tiles().bytes[tile], 0, sizeof(tiles().bytes[tile])); }

inline void load(int tile, const void* base, long stride) {
  Tiles& state = tiles();
  zero(tile);
  for (int row = 0; row < state.rows[tile]; ++row)
    std::memcpy(state.bytes[tile][row], static_cast<const uint8_t*>(base) + row * stride, state.columns[tile]);
}

inline void store(int tile, void* base, long stride) {
  const Tiles& state = tiles();
  for (int row = 0; row < state.rows[tile]; ++row)
    std::memcpy(static_cast<uint8_t*>(base) + row * stride, state.bytes[tile][row], state.columns[tile]);
}

template <class First, class Second>
inline void multiply(int sums, int a, int b) {
  Tiles& state = tiles();
  for (int row = 0; row < state.rows[sums]; ++row)
    for (int column = 0; column < state.columns[sums] / 4; ++column) {
      int32_t sum;
      std::memcpy(&sum, state.bytes[sums][row] + 4 * column, 4);
      for (int k = 0; k < state.columns[a] / 4; ++k)
        for (int n = 0; n < 4; ++n)
          sum += static_cast<First>(state.bytes[a][row][4 * k + n]) * static_cast<Second>(state.bytes[b][k][4 * column + n]);
      std::memcpy(state.bytes[sums][row] + 4 * column, &sum, 4);
    }
}

}  // namespace latimer_emulation

#undef _tile_loadconfig
#undef _tile_zero
#undef _tile_loadd
#undef _tile_stored
#undef _tile_dpbusd
#undef _tile_dpbsud
#undef _tile_release
#define _tile_loadconfig latimer_emulation::load_config
#define _tile_zero latimer_emulation::zero
#define _tile_loadd latimer_emulation::load
#define _tile_stored latimer_emulation::store
#define _tile_dpbusd latimer_emulation::multiply<uint8_t, int8_t>
#define _tile_dpbsud latimer_emulation::multiply<int8_t, uint8_t>
#define _tile_release() static_cast<void>(0)
