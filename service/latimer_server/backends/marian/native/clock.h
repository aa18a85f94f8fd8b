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
  explicit Clock(Part part) : part_(part), phase_(profile.phase) {
    if (part == kReading || part == kWriting) profile.phase = part;
  }
  ~Clock() {
    const std::chrono::duration<double, std::nano> passed = std::chrono::steady_clock::now() - started_;
    profile.parts[profile.phase][part_] += passed.count();
    profile.phase = phase_;
  }

 private:
  Part part_;
  int phase_;
  std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
};

}  // namespace latimer

#define LATIMER_CLOCK(part) const latimer::Clock clock(latimer::part)

#else

#define LATIMER_CLOCK(part) static_cast<void>(0)

#endif
