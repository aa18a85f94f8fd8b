// The C interface of the search: sizes, weights in the layout of Marian's file, and output arrays of the caller.
//
// Pointers given to `latimer_load`, except those to matrices, must stay valid as long as the student, and those in a
// request as long as the batch. Ids and the stated lengths of arrays are checked (`checks.h`); whether an array has its
// stated length is not. Several threads may use one student at a time, but only one may use a batch.
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// The version of this interface. The caller compares it, because a library of an earlier version may be installed.
enum { LATIMER_INTERFACE = 6 };
int latimer_get_interface(void);

// The instruction sets that there are kernels for, the best ones of a processor last.
enum {
  LATIMER_NEON = 1,
  LATIMER_NEON_DOTPROD = 2,
  LATIMER_NEON_I8MM = 3,
  LATIMER_AVX2 = 4,
  LATIMER_AVX_VNNI = 5,
  LATIMER_AVX512_VNNI = 6,
  LATIMER_AMX = 7
};

// The errors that functions return. LATIMER_INVALID: an argument contradicts the sizes, or the processor lacks the
// instructions.
enum { LATIMER_NO_MEMORY = -1, LATIMER_INVALID = -2 };

typedef struct {
  int32_t dimension, heads, ffn_dimension, encoder_depth, decoder_depth, source_vocabulary, target_vocabulary;
} LatimerSizes;

// Embeddings [vocabulary + 1, dimension] in bytes around 128; the last row is zero. The shortlist has `offset_count`
// offsets into its `id_count` ids, one for each source token and the end of the last. Without a shortlist, where every
// token is a candidate, both pointers are null. `first`: the most frequent ids, which every row has as candidates.
typedef struct {
  const uint8_t* source;
  const uint8_t* target;
  float source_unit, target_unit, output_unit;
  const float* output_bias;
  const uint64_t* shortlist_offsets;
  const uint32_t* shortlist_ids;
  uint64_t offset_count, id_count;
  int32_t first, shared;
} LatimerTables;

// int8 [columns, rows], where a weight is a byte / multiplier. `activation_multiplier` is 0 if each row of activations is
// quantised by its own largest value.
typedef struct {
  const int8_t* values;
  const float* bias;
  int32_t rows, columns;
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

// The rows of a batch, and how to decode them. `ids` [id_count] has the ids of all rows, one after the other, as many as
// `lengths` [rows] says. `caps` [rows] is the maximum number of output tokens of each row without </s>. `positions` has an
// embedding for each token of the longest row, `position_values` floats altogether. `aligned`: the alignment is needed.
// `whole_vocabulary`: every token is a candidate, also if the student has a shortlist.
//
// `poll_time`, which may be null, is a time in nanoseconds of CLOCK_MONOTONIC that other threads may set. Encoding returns
// after the first group of sources, and decoding after the first step, that ends at that time or later. So 0 ends either
// at once, and the greatest number never.
//
// `beams` is 0 for greedy search. Otherwise it is the number of hypotheses that are kept for each row, of which at most
// `hypotheses` are returned, and the last three members apply: see `core/decoding.py`.
typedef struct {
  const int32_t* ids;
  const int32_t* lengths;
  const int32_t* caps;
  const float* positions;
  const int64_t* poll_time;
  int64_t id_count, position_values;
  int32_t rows, aligned, whole_vocabulary;
  int32_t beams, hypotheses, no_repeat_ngram_size;
  double length_penalty, repetition_penalty;
} LatimerRequest;

// The output of some greedy steps. `ids`, `focus` and `weights` are [rows, stride]; a row has as many valid entries as its
// value in `counts`. `finished` becomes 1 for a row that wrote </s>. The log-probabilities are added to `scores`. `focus`
// and `weights` have the alignment, and may be null without it.
typedef struct {
  int32_t* ids;
  int32_t* counts;
  uint8_t* finished;
  double* scores;
  int32_t* focus;
  float* weights;
  int32_t rows, stride;
} LatimerOutput;

// The hypotheses of a beam search, [rows, hypotheses], the best of each row first. `counts` has the number of tokens of
// each, or -1 where a row has fewer hypotheses. `finished` is 1 for one with </s>. `scores`: log-probabilities without
// penalties.
typedef struct {
  int32_t* counts;
  uint8_t* finished;
  double* scores;
  int32_t rows, hypotheses;
} LatimerHypotheses;

// The tokens of all hypotheses of a beam search, one after the other, in arrays of `size` items. `focus` and `weights`
// have the alignment, and may be null without it.
typedef struct {
  int32_t* ids;
  int32_t* focus;
  float* weights;
  int64_t size;
} LatimerTokens;

typedef struct LatimerStudent LatimerStudent;
typedef struct LatimerBatch LatimerBatch;

// Returns the sum of 1 << n for each instruction set n that this processor has.
int latimer_find_instructions(void);

// Packs the weights for an instruction set. Sets `student` and returns 0, or returns an error.
int latimer_load(const LatimerSizes* sizes, const LatimerTables* tables, const LatimerEncoderLayer* encoder,
                 const LatimerDecoderLayer* decoder, int instructions, LatimerStudent** student);
void latimer_unload(LatimerStudent* student);

// Begins a batch. Sets `batch` and returns 0, or returns an error.
int latimer_begin(const LatimerStudent* student, const LatimerRequest* request, LatimerBatch** batch);
// Encodes sources, in groups of about 256 tokens, until none is left or the poll time has come. Returns the number of
// sources that are left; the batch may advance when none is.
int latimer_encode(LatimerBatch* batch);
// Decodes at most `steps` tokens of each row by greedy search; fewer if all rows end or the poll time has come.
// `positions` [steps, dimension] has their position embeddings, `position_values` floats. Returns the number of active
// rows, or an error.
int latimer_advance(LatimerBatch* batch, int steps, const float* positions, int64_t position_values,
                    const LatimerOutput* output);
// The same for beam search. Returns the number of active hypotheses, or an error.
int latimer_advance_beams(LatimerBatch* batch, int steps, const float* positions, int64_t position_values);
// Returns the number of steps that the batch has decoded.
int latimer_count_steps(const LatimerBatch* batch);
// Ends the beam search of all rows; those that are active keep their hypotheses as unfinished ones. Writes what the
// hypotheses are, without their tokens. Returns the number of tokens of all hypotheses, or an error.
int64_t latimer_list_hypotheses(LatimerBatch* batch, const LatimerHypotheses* hypotheses);
// Writes the tokens of the listed hypotheses. Returns 0, or an error.
int latimer_write_tokens(const LatimerBatch* batch, const LatimerTokens* tokens);
void latimer_end(LatimerBatch* batch);

#ifdef __cplusplus
}
#endif
