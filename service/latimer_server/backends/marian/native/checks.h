// Checks of the arguments of the C interface: ids, sizes, and the stated lengths of arrays.
//
// No call of the kernels reads or writes past an array if its stated length is true.
#pragma once

#include "student.h"

namespace latimer {

bool is_valid_student(const LatimerSizes& sizes, const LatimerTables& tables, const LatimerEncoderLayer* encoder,
                      const LatimerDecoderLayer* decoder);
bool is_valid_request(const LatimerSizes& sizes, const LatimerRequest& request);
// True for the position embeddings of `steps` steps.
bool are_valid_steps(const LatimerSizes& sizes, int steps, const float* positions, int64_t position_values);

}  // namespace latimer
