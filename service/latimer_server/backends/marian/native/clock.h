// Measures the time of each part of a search for `benchmarks.micro.student_profile`. Installed builds contain none of it.
#pragma once

#ifdef LATIMER_PROFILE

#include <chrono>

namespace latimer {

enum Part { kReading, kWriting, kCandidates, kProducts, kAttention, kScores, kParts };

// The nanoseconds of each part, separately for encoding and decoding. For one thread only.
struct Profile {
  double parts[2][kParts] = {};
  int phase = 0;
};
inline Profile profile;

class Clock {
 public:
  explicit Clock(Part part);
  ~Clock();

 private:
  Part part_;
  int phase_;
  std::chrono::steady_clock::time_point started_;
};

}  // namespace latimer

#define LATIMER_CLOCK(part) const latimer::Clock clock(latimer::part)

#else

#define LATIMER_CLOCK(part) static_cast<void>(0)

#endif
