// The C interface of the search: sizes, weights in the layout of Marian's file, and output arrays of the caller.
//
// Pointers given to `latimer_load`, except those to matrices, must stay valid as long as the student, and those given to
// `latimer_begin` as long as the batch. Nothing is checked here. Several threads may use one student at a time, but only
// one may use a batch.
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// The version of this interface. The caller compares it, because a library of an earlier version may be installed.
enum { LATIMER_INTERFACE = 3 };
int latimer_get_interface(void);

// The instruction sets that there are kernels for, the best ones of a processor last.
enum {
  LATIMER_NEON = 1,
  LATIMER_NEON_DOTPROD = 2,
  LATIMER_AVX2 = 3,
  LATIMER_AVX_VNNI = 4,
  LATIMER_AVX512_VNNI = 5,
  LATIMER_AMX = 6
};

enum { LATIMER_NO_MEMORY = -1 };

typedef struct {
  int32_t dimension, heads, ffn_dimension, encoder_depth, decoder_depth, target_vocabulary;
} LatimerSizes;

// Embeddings [vocabulary + 1, dimension] in bytes around 128; the last row is zero. `shortlist_ids` is null if every
// token is a candidate.
typedef struct {
  const uint8_t* source;
  const uint8_t* target;
  float source_unit, target_unit, output_unit;
  const float* output_bias;
  const uint64_t* shortlist_offsets;
  const uint32_t* shortlist_ids;
  int32_t first, shared;
} LatimerTables;

// int8 [columns, size], where a weight is a byte / multiplier. `activation_multiplier` is 0 if each row of activations is
// quantised by its own largest value.
typedef struct {
  const int8_t* values;
  const float* bias;
  int32_t columns;
  float multiplier, activation_multiplier;
} LatimerMatrix;

typedef struct {
  const float* scale;
  const float* bias;
} LatimerNorm;

typedef struct {
  LatimerMatrix inner, outer;
  LatimerNorm norm;
} LatimerFeedForward;

typedef struct {
  LatimerMatrix query, key, value, out;
  LatimerNorm norm;
  LatimerFeedForward feed;
} LatimerEncoderLayer;

typedef struct {
  LatimerMatrix candidate, forget;
  LatimerNorm cell_norm;
  LatimerMatrix query, key, value, out;
  LatimerNorm norm;
  LatimerFeedForward feed;
} LatimerDecoderLayer;

// The output of some steps. `ids`, `focus` and `weights` are [rows, stride]; a row has as many valid entries as its value
// in `counts`. `finished` becomes 1 for a row that wrote </s>. The log-probabilities are added to `scores`. `focus` and
// `weights` have the alignment, and may be null without it.
typedef struct {
  int32_t* ids;
  int32_t* counts;
  uint8_t* finished;
  double* scores;
  int32_t* focus;
  float* weights;
  int32_t stride;
} LatimerOutput;

typedef struct LatimerStudent LatimerStudent;
typedef struct LatimerBatch LatimerBatch;

// Returns the sum of 1 << n for each instruction set n that this processor has.
int latimer_find_instructions(void);

// Packs the weights for an instruction set. Returns null if there is no memory, or if the processor lacks it.
LatimerStudent* latimer_load(const LatimerSizes* sizes, const LatimerTables* tables, const LatimerEncoderLayer* encoder,
                             const LatimerDecoderLayer* decoder, int instructions);
void latimer_unload(LatimerStudent* student);

// Begins a batch. `ids` has those of all rows, one after the other. `caps` is the maximum number of output tokens of
// each row without </s>. `positions` [.., dimension] has an embedding for each token of the longest source. Returns null
// if there is no memory.
LatimerBatch* latimer_begin(const LatimerStudent* student, int rows, const int32_t* ids, const int32_t* lengths,
                            const int32_t* caps, const float* positions, int aligned);
// Encodes at most `groups` groups of sources, of about 256 tokens each. Returns the number of sources that are left; the
// batch may advance when none is.
int latimer_encode(LatimerBatch* batch, int groups);
// Decodes at most `steps` tokens of each row; fewer if all rows end. `positions` [steps, dimension] has their position
// embeddings. Returns the number of active rows, or LATIMER_NO_MEMORY.
int latimer_advance(LatimerBatch* batch, int steps, const float* positions, const LatimerOutput* output);
void latimer_end(LatimerBatch* batch);

#ifdef __cplusplus
}
#endif
