// The time at which a batch returns to its caller, who polls for cancellation then.
//
// Include this before LATIMER_TARGET_BEGIN, so that it runs on every processor.
#pragma once

#include <stdint.h>

#if defined(__linux__)
#include <time.h>
#endif

namespace latimer {

// Returns the nanoseconds of CLOCK_MONOTONIC, or 0 on systems where Python's `time.monotonic_ns` reads another clock.
// There the caller polls every few steps at least.
inline int64_t read_clock() {
#if defined(__linux__)
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000000000 + now.tv_nsec;
#else
  return 0;
#endif
}

// Returns true if the time at `time` has come; false if `time` is null. Another thread may set it meanwhile. Reads the
// clock only for times that are neither 0 nor the greatest number.
inline bool has_come(const int64_t* time) {
  if (time == nullptr) return false;
  const int64_t set = __atomic_load_n(time, __ATOMIC_RELAXED);
  if (set <= 0 || set == INT64_MAX) return set <= 0;
  return read_clock() >= set;
}

}  // namespace latimer
