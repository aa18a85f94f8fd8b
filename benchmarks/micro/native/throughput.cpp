// Times the engine's products of bytes for one instruction set, whose file the macro LATIMER_KERNELS_FILE names, beside the
// peak of the core: the same dot products on operands in registers. Prints lines of `size columns rows rate share`: the best
// rate in 10^9 multiply-adds a second, and the median share of the peak. `benchmarks.micro.throughput` compiles and runs it.
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <utility>
#include <vector>

#include LATIMER_KERNELS_FILE

namespace LATIMER_KERNELS {

constexpr int kRounds = 101;
constexpr double kWindow = 2e-3;  // seconds of one measurement

// Tells the compiler that the activations have changed, so that it computes each dot product anew.
template <class Activations>
inline void renew(Activations& four) {
#if defined(__aarch64__)
  __asm__ volatile("" : "+w"(four.v));
#else
  if constexpr (kShift != 0)  // AVX2, which keeps signs apart
    __asm__ volatile("" : "+x"(four.size), "+x"(four.sign));
  else
    __asm__ volatile("" : "+v"(four.v));
#endif
}

// Adds dot products to independent sums, enough of them to hide the latency of the instruction. They stay in registers.
constexpr int kSums = sizeof(Four) == 64 ? 16 : 4;

int32_t compute_dots(int count, const uint8_t* x, const int8_t* entry) {
  Ints sums[kSums];
  Four four = broadcast(x);
  LATIMER_UNROLL
  for (int n = 0; n < kSums; ++n) sums[n] = fill(0);
  for (int done = 0; done < count; done += kSums) {
    LATIMER_UNROLL
    for (int n = 0; n < kSums; ++n) {
      renew(four);
      sums[n] = dot(sums[n], four, entry);
    }
  }
  Ints total = sums[0];
  for (int n = 1; n < kSums; ++n) total = add(total, sums[n]);
  return sum_lanes(total);
}

// Returns the seconds of the processor that this thread has used. Other programs on the core do not count.
double read_seconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// Runs `work` until the window ends. Returns its multiply-adds, of which a call makes `each`, in 10^9 a second.
template <class Work>
double measure(double each, const Work& work) {
  const int repeats = 1 + static_cast<int>(5e6 / each);  // between two looks at the clock
  const double started = read_seconds();
  double seconds = 0.0;
  int calls = 0;
  for (; seconds < kWindow; calls += repeats) {
    for (int n = 0; n < repeats; ++n) work();
    seconds = read_seconds() - started;
  }
  return each * calls / seconds / 1e9;
}

void compare(int size, int columns, int rows) {
  Memory memory;
  Matrix matrix;
  const std::vector<int8_t> weights(static_cast<size_t>(size) * columns, 3);
  prepare(memory, matrix, size, columns);
  add(matrix, 0, LatimerMatrix{weights.data(), nullptr, columns, 16.0f, 1.0f}, kZero, 1.0f);
  const std::vector<uint8_t> x(static_cast<size_t>(rows) * size, 7);
  std::vector<float> out(static_cast<size_t>(rows) * columns);
  const float step = 0.1f;
  constexpr int kDots = 16'000;
  alignas(64) int8_t entry[kEntryBytes] = {1, 2, 3};
  volatile int32_t kept = 0;
  double best = 0.0;
  std::vector<double> shares;
  // The two take turns, and the median of the ratios of adjacent windows counts: the clock rate of a shared core varies.
  for (int round = 0; round < kRounds; ++round) {
    const double peak =
        measure(static_cast<double>(kDots) * kEntryBytes, [&] { kept = kept + compute_dots(kDots, x.data(), entry); });
    const double rate = measure(static_cast<double>(rows) * size * columns, [&] {
      multiply(x.data(), rows, matrix, false, nullptr, ToFloats{matrix, &step, 0, out.data(), columns});
    });
    best = std::max(best, rate);
    shares.push_back(rate / peak);
  }
  std::nth_element(shares.begin(), shares.begin() + kRounds / 2, shares.end());
  std::printf("%d %d %d %.2f %.4f\n", size, columns, rows, best, shares[kRounds / 2]);
}

}  // namespace LATIMER_KERNELS

int main() {
  for (const int rows : {1, 4, 16, 64})
    for (const auto& shape : {std::pair{256, 64}, {256, 768}, {256, 1536}, {1536, 256}})
      LATIMER_KERNELS::compare(shape.first, shape.second, rows);
}
