// The data of a loaded student and of a batch in progress.
//
// This file has no algorithms.
#pragma once

namespace LATIMER_KERNELS {

struct Student : LatimerStudent {
  Memory memory;
  LatimerTables tables;
  EncoderLayer* encoder;
  DecoderLayer* decoder;
  Matrix context;  // keys and values of every decoder layer, side by side
  bool tiles;
  // The whole output table, packed as `gather` does, if the student has no shortlist; else null.
  uint8_t* whole_table;
  float* whole_bias;  // [padded vocabulary]

  int depth() const { return sizes.dimension / sizes.heads; }
};

// Scratch memory of the encoder, for one group of sources.
struct EncoderScratch {
  float *x, *y, *read, *keys, *scores, *steps;
  uint8_t *bytes, *hidden;
};

// The places of a hypothesis' state in `Batch::cells`, before a step and after it.
struct Slots {
  int from, to;
};

struct Beams;

// The active hypotheses are the first `left` of all arrays [hypotheses]. In greedy search each active row has one.
struct Batch : LatimerBatch {
  Memory memory;
  const Student* student;
  int left;
  bool whole;              // every token is a candidate
  const float* positions;  // position embeddings of the sources
  const int32_t* lengths;
  const int32_t* caps;
  int* active;           // [hypotheses]: the row of each active hypothesis; those of a row are adjacent
  int32_t* previous;     // [hypotheses]: the last token of each
  Slots* slots;          // [hypotheses]
  float** cells;         // per layer [slots, d]: the state of the SSRU
  uint16_t*** keys;      // per layer and row [heads, depth, padded], half precision
  uint16_t*** values;    // per layer and row [heads, length, depth], half precision
  int32_t** candidates;  // per row, ascending, with padding of at least 32
  float** biases;
  int* counts;
  // The number and the gathered weights of the candidates of all rows. `wanted` [blocks, rows] marks the candidates of
  // each row in a block of 16.
  int all;
  uint8_t* gathered;
  uint16_t* wanted;
  // The progress of the encoder: the most tokens of a group, the sources that are encoded, and the tokens of the next one.
  int group_tokens, encoded;
  const int32_t* next_ids;
  EncoderScratch encoder;
  Beams* search;  // null in greedy search
  // Scratch memory of one step.
  float *x, *y, *z, *scores, *steps;
  uint8_t *bytes, *hidden;
  int* groups;
  int8_t* features;
  uint8_t* chunk;    // a part of the whole table, packed
  int32_t** sums;    // [rows, candidates]
  int32_t** places;  // [rows]: where the next sums of each row go
  int* totals;
  Best* best;
};

}  // namespace LATIMER_KERNELS
