// Random and extreme inputs of the tests. The seeds are fixed, so that a failure can be repeated.
#pragma once

namespace LATIMER_KERNELS {

using Random = std::mt19937;

// Draws whole numbers from `least` to `most`. Every fourth is one of these two, so that sums become extreme.
template <class T>
std::vector<T> draw(Random& random, size_t count, int least, int most) {
  std::uniform_int_distribution<int> any(least, most), fourth(0, 3), second(0, 1);
  std::vector<T> values(count);
  for (T& value : values) {
    const bool extreme = fourth(random) == 0;
    value = static_cast<T>(!extreme ? any(random) : second(random) == 0 ? least : most);
  }
  return values;
}

// Draws values around 0 with the standard deviation `spread`.
inline std::vector<float> draw_floats(Random& random, size_t count, float spread) {
  std::normal_distribution<float> any(0.0f, spread);
  std::vector<float> values(count);
  for (float& value : values) value = any(random);
  return values;
}

// Returns the activations as they are stored: bytes minus `kShift`.
inline std::vector<uint8_t> shift(const std::vector<uint8_t>& activations) {
  std::vector<uint8_t> stored(activations);
  for (uint8_t& value : stored) value = static_cast<uint8_t>(value - kShift);
  return stored;
}

// Whether the kernels with tiles run too: with an emulation of the tiles of AMX, or with those of ARM.
inline bool has_tiles() {
#if defined(LATIMER_EMULATE_TILES) || defined(LATIMER_NEON_I8MM)
  return true;
#else
  return false;
#endif
}

// The values of `tiles` to test.
inline std::vector<bool> list_tiles() { return has_tiles() ? std::vector<bool>{false, true} : std::vector<bool>{false}; }

}  // namespace LATIMER_KERNELS
