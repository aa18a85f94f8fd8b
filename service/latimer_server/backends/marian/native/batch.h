// A loaded student, and a batch of rows on its way.
//
// Knows only what there is, not what is done with it.
#pragma once

#include "layers.h"

struct LatimerStudent {
  latimer::Memory memory;
  LatimerSizes sizes;
  LatimerTables tables;
  latimer::EncoderLayer* encoder;
  latimer::DecoderLayer* decoder;
  latimer::Matrix context;  // keys and values of every decoder layer
  bool tiles;

  int depth() const { return sizes.dimension / sizes.heads; }
};

struct LatimerBatch {
  latimer::Memory memory;
  const LatimerStudent* student;
  int rows, left, position, aligned;
  const float* positions;  // of sources
  const int32_t* lengths;
  const int32_t* caps;
  int* active;           // [rows]: those that are left
  int32_t* previous;     // [rows]
  float** cells;         // of each layer [rows, d]
  uint16_t*** keys;         // of each layer and row [heads, depth, padded]
  uint16_t*** values;       // of each layer and row [heads, length, depth]
  int32_t** candidates;  // of each row, ascending, and 32 more
  float** biases;
  int* counts;
  // The candidates of all rows, gathered; which of them are each row's, sixteen at a time [blocks, rows].
  int all;
  uint8_t* gathered;
  uint16_t* wanted;
  // Scratch of a step.
  float *x, *y, *z, *scores, *steps;
  uint8_t *bytes, *hidden;
  int* groups;
  int8_t* features;
  int32_t** sums;  // [rows, candidates]
  int* totals;
};
