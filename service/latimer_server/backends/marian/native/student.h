// What a student is called with: sizes, weights as they lie in Marian's file, and arrays that the caller keeps.
//
// Every pointer that is given to `latimer_load` but those of matrices must live as long as the student, and those of
// `latimer_begin` as long as the batch. Nothing is checked here. A student may be used by several threads at once, a
// batch by one at a time.
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Of everything below: whoever calls compares it, for a library may have stayed from an earlier version.
enum { LATIMER_INTERFACE = 1 };
int latimer_get_interface(void);

enum { LATIMER_NONE = 0, LATIMER_DOTS = 1, LATIMER_TILES = 2, LATIMER_NO_MEMORY = -1 };

typedef struct {
  int32_t dimension, heads, ffn_dimension, encoder_depth, decoder_depth, target_vocabulary;
} LatimerSizes;

// Embeddings [vocabulary + 1, dimension] in bytes around 128, the last row nothing. `shortlist_ids`: null where every
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

// int8 [columns, size]; value = byte / multiplier. `activation_multiplier`: 0 where a row's own peak is used.
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

// What rows wrote in some steps: `ids`, `focus` and `weights` [rows, stride], of which a row has its one of `counts` and the
// rest is as it was. `finished`: 1 where </s> came; to `scores` the log-probabilities are added. `focus` and `weights` may be
// null where no alignment is asked for.
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

// LATIMER_TILES, LATIMER_DOTS, or LATIMER_NONE where this processor cannot.
int latimer_find_instructions(void);

// Null where there is no memory.
LatimerStudent* latimer_load(const LatimerSizes* sizes, const LatimerTables* tables, const LatimerEncoderLayer* encoder,
                             const LatimerDecoderLayer* decoder, int instructions);
void latimer_unload(LatimerStudent* student);

// Reads the sources: `ids` of all rows one behind the other. `caps`: how much each may write, </s> not counted;
// `positions`: as many [.., dimension] as the longest source has tokens. Null where there is no memory.
LatimerBatch* latimer_begin(const LatimerStudent* student, int rows, const int32_t* ids, const int32_t* lengths,
                            const int32_t* caps, const float* positions, int aligned);
// Writes so many tokens of each row, or fewer where all have ended; `positions` [steps, dimension] are those of the
// tokens. Gives how many rows are left, or LATIMER_NO_MEMORY.
int latimer_advance(LatimerBatch* batch, int steps, const float* positions, const LatimerOutput* output);
void latimer_end(LatimerBatch* batch);

#ifdef __cplusplus
}
#endif
