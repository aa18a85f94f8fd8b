// Finds out which kernels this processor can run, and hands the calls of the C interface to them.
#include "student.h"

#include "checks.h"
#include "clock.h"
#include "kernels.h"

#if defined(__x86_64__)

#include <cpuid.h>

#include <cstdint>

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace {

uint64_t read_enabled_state() {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t{high} << 32 | low;
}

// Asks the kernel for permission to use AMX tiles, which it grants on request only (arch_prctl(2)).
bool ask_for_tiles() {
#if defined(__linux__)
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

// Source: Intel's Software Developer's Manual, CPUID leaves 1 and 7, and XCR0.
int find_kernels() {
  uint32_t a, b, c, d;
  constexpr uint32_t kSaved = 1u << 27, kFma = 1u << 12, kHalves = 1u << 29;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & kSaved) == 0 || (c & kFma) == 0 || (c & kHalves) == 0) return 0;
  const uint64_t enabled = read_enabled_state();
  if ((enabled & 0x6) != 0x6 || __get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || (b & 1u << 5) == 0) return 0;
  const uint32_t leaves = a;
  int found = 1 << LATIMER_AVX2;
  constexpr uint32_t kWide = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;  // AVX512F, DQ, BW, VL
  constexpr uint32_t kTiles = 1u << 24 | 1u << 25;
  if ((b & kWide) == kWide && (c & 1u << 11) != 0 && (enabled & 0xe6) == 0xe6) {
    found |= 1 << LATIMER_AVX512_VNNI;
#ifdef LATIMER_EMULATE_TILES
    found |= 1 << LATIMER_AMX;
#endif
    if ((d & kTiles) == kTiles && (enabled & 0x60000) == 0x60000 && ask_for_tiles()) found |= 1 << LATIMER_AMX;
  }
  if (leaves >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a & 1u << 4) != 0) found |= 1 << LATIMER_AVX_VNNI;
  return found;
}

const latimer::Kernels* get_kernels(int instructions) {
  switch (instructions) {
    case LATIMER_AMX:
    case LATIMER_AVX512_VNNI:
      return &latimer::kAvx512;
    case LATIMER_AVX_VNNI:
      return &latimer::kAvxVnni;
    case LATIMER_AVX2:
      return &latimer::kAvx2;
    default:
      return nullptr;
  }
}

}  // namespace

#elif defined(__aarch64__) && defined(__linux__)

#include <sys/auxv.h>

namespace {

int find_kernels() {
  constexpr unsigned long kDotProducts = 1ul << 20;  // HWCAP_ASIMDDP
  constexpr unsigned long kMatrices = 1ul << 13;     // HWCAP2_I8MM
  int found = 1 << LATIMER_NEON;
  if ((getauxval(AT_HWCAP) & kDotProducts) == 0) return found;
  found |= 1 << LATIMER_NEON_DOTPROD;
  if ((getauxval(AT_HWCAP2) & kMatrices) != 0) found |= 1 << LATIMER_NEON_I8MM;
  return found;
}

const latimer::Kernels* get_kernels(int instructions) {
  switch (instructions) {
    case LATIMER_NEON_I8MM:
      return &latimer::kNeonI8mm;
    case LATIMER_NEON_DOTPROD:
      return &latimer::kNeonDotprod;
    case LATIMER_NEON:
      return &latimer::kNeon;
    default:
      return nullptr;
  }
}

}  // namespace

#else  // other processors and systems: the library loads, and reports that it has no kernels

namespace {

int find_kernels() { return 0; }

const latimer::Kernels* get_kernels(int) { return nullptr; }

}  // namespace

#endif

#ifdef LATIMER_PROFILE

namespace latimer {

Clock::Clock(Part part) : part_(part), phase_(profile.phase), started_(std::chrono::steady_clock::now()) {
  if (part == kReading || part == kWriting) profile.phase = part;
}

Clock::~Clock() {
  const std::chrono::duration<double, std::nano> passed = std::chrono::steady_clock::now() - started_;
  profile.parts[profile.phase][part_] += passed.count();
  profile.phase = phase_;
}

}  // namespace latimer

#endif

extern "C" {

int latimer_get_interface(void) { return LATIMER_INTERFACE; }

int latimer_find_instructions(void) {
  static const int found = find_kernels();
  return found;
}

int latimer_load(const LatimerSizes* sizes, const LatimerTables* tables, const LatimerEncoderLayer* encoder,
                 const LatimerDecoderLayer* decoder, int instructions, LatimerStudent** student) {
  const latimer::Kernels* kernels = get_kernels(instructions);
  if (kernels == nullptr || (latimer_find_instructions() >> instructions & 1) == 0) return LATIMER_INVALID;
  if (!latimer::is_valid_student(*sizes, *tables, encoder, decoder)) return LATIMER_INVALID;
  const bool tiles = instructions == LATIMER_AMX || instructions == LATIMER_NEON_I8MM;
  *student = kernels->load(*sizes, *tables, encoder, decoder, tiles);
  if (*student == nullptr) return LATIMER_NO_MEMORY;
  (*student)->kernels = kernels;
  return 0;
}

void latimer_unload(LatimerStudent* student) { student->kernels->unload(student); }

int latimer_begin(const LatimerStudent* student, const LatimerRequest* request, LatimerBatch** batch) {
  if (!latimer::is_valid_request(student->sizes, *request)) return LATIMER_INVALID;
  *batch = student->kernels->begin(student, *request);
  if (*batch == nullptr) return LATIMER_NO_MEMORY;
  (*batch)->kernels = student->kernels;
  (*batch)->waiting = request->rows;
  return 0;
}

int latimer_encode(LatimerBatch* batch) { return batch->waiting = batch->kernels->encode(batch); }

int latimer_advance(LatimerBatch* batch, int steps, const float* positions, int64_t position_values,
                    const LatimerOutput* output) {
  if (batch->beams != 0 || batch->waiting != 0 || output->rows != batch->rows || output->stride < steps ||
      !latimer::are_valid_steps(batch->sizes, steps, positions, position_values))
    return LATIMER_INVALID;
  if (batch->aligned != 0 && (output->focus == nullptr || output->weights == nullptr)) return LATIMER_INVALID;
  return batch->kernels->advance(batch, steps, positions, *output);
}

int latimer_advance_beams(LatimerBatch* batch, int steps, const float* positions, int64_t position_values) {
  if (batch->beams == 0 || batch->waiting != 0 || batch->tokens >= 0 ||
      !latimer::are_valid_steps(batch->sizes, steps, positions, position_values))
    return LATIMER_INVALID;
  return batch->kernels->advance_beams(batch, steps, positions);
}

int latimer_count_steps(const LatimerBatch* batch) { return batch->position; }

int64_t latimer_list_hypotheses(LatimerBatch* batch, const LatimerHypotheses* hypotheses) {
  if (batch->beams == 0 || hypotheses->rows != batch->rows || hypotheses->hypotheses != batch->hypotheses)
    return LATIMER_INVALID;
  return batch->tokens = batch->kernels->list_hypotheses(batch, *hypotheses);
}

int latimer_write_tokens(const LatimerBatch* batch, const LatimerTokens* tokens) {
  if (batch->tokens < 0 || tokens->size != batch->tokens) return LATIMER_INVALID;
  if (batch->aligned != 0 && (tokens->focus == nullptr || tokens->weights == nullptr)) return LATIMER_INVALID;
  batch->kernels->write_tokens(batch, *tokens);
  return 0;
}

void latimer_end(LatimerBatch* batch) { batch->kernels->end(batch); }

#ifdef LATIMER_PROFILE
// Copies the nanoseconds since the last call, encoding [6], then decoding [6].
void latimer_read_profile(double* parts) {
  for (int phase = 0; phase < 2; ++phase)
    for (int part = 0; part < latimer::kParts; ++part)
      parts[phase * latimer::kParts + part] = latimer::profile.parts[phase][part];
  latimer::profile = latimer::Profile();
}
#endif

}  // extern "C"
