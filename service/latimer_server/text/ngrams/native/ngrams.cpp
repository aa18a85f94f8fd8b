// The n-gram scorer of language detection, after eldc 0.4 (Nito T.M., Apache-2.0). scorer.py has the same in numpy.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>
#include <vector>

#define LATIMER_INTERFACE 1

namespace {

enum CharacterClass : std::uint8_t { kOther, kLetter, kIdeograph, kApostrophe };

constexpr std::size_t kNgramBytes = 6;
constexpr int kMaxLanguages = 64;

// The arrays of `NgramTable`, and the classes of the code points below `class_count`.
struct Table {
  const std::uint32_t* starts;
  const std::uint16_t* remainders;
  const std::uint8_t* labels;
  const std::uint8_t* weights;
  const std::uint8_t* classes;
  std::size_t class_count;
};

struct Character {
  std::uint8_t kind;
  std::size_t bytes;
};

// Reads a character of UTF-8. A sequence that the text cuts off, or an invalid first byte, is one byte of no class.
Character read_character(const Table& table, const std::uint8_t* text, std::size_t left) {
  const std::uint8_t first = text[0];
  const std::size_t bytes = first < 0x80 ? 1 : first < 0xC0 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  if (bytes == 0 || bytes > left) return {kOther, 1};
  std::uint32_t point = bytes == 1 ? first : first & (0x7Fu >> bytes);
  for (std::size_t i = 1; i < bytes; ++i) point = point << 6 | (text[i] & 0x3Fu);
  return {point < table.class_count ? table.classes[point] : std::uint8_t{kOther}, bytes};
}

// Returns eight bytes as a number: a space if `begins`, at most six bytes of a word, a space if `ends`, and zeros.
std::uint64_t pack(const std::uint8_t* bytes, std::size_t count, bool begins, bool ends) {
  std::uint64_t packed = 0;
  std::size_t at = 0;
  if (begins) packed = ' ', at = 1;
  for (std::size_t i = 0; i < count; ++i, ++at) packed |= std::uint64_t{bytes[i]} << (8 * at);
  if (ends) packed |= std::uint64_t{' '} << (8 * at);
  return packed;
}

void add_word(std::vector<std::uint64_t>& ngrams, const std::uint8_t* word, std::size_t bytes) {
  if (bytes <= kNgramBytes) {
    ngrams.push_back(pack(word, bytes, true, true));
    return;
  }
  ngrams.push_back(pack(word, kNgramBytes, true, false));
  for (std::size_t start = kNgramBytes; start + kNgramBytes < bytes; start += kNgramBytes) {
    ngrams.push_back(pack(word + start, kNgramBytes, false, false));
  }
  ngrams.push_back(pack(word + bytes - kNgramBytes, kNgramBytes, false, true));
}

// Appends the n-grams of all words. An apostrophe between letters belongs to the word; an ideograph is a word.
void add_ngrams(const Table& table, const std::uint8_t* text, std::size_t length, std::vector<std::uint64_t>& ngrams) {
  std::size_t at = 0;
  while (at < length) {
    const Character character = read_character(table, text + at, length - at);
    const std::size_t start = at;
    at += character.bytes;
    if (character.kind == kIdeograph) add_word(ngrams, text + start, character.bytes);
    if (character.kind != kLetter) continue;
    while (at < length) {
      const Character next = read_character(table, text + at, length - at);
      if (next.kind == kLetter) {
        at += next.bytes;
        continue;
      }
      const std::size_t after = at + next.bytes;
      if (next.kind != kApostrophe || after >= length) break;
      if (read_character(table, text + after, length - after).kind != kLetter) break;
      at = after;
    }
    add_word(ngrams, text + start, at - start);
  }
}

// Returns the key of an n-gram: the upper half of eldc's hash, whose steps are the first ones of SplitMix64.
std::uint32_t hash(std::uint64_t ngram) {
  ngram = (ngram ^ ngram >> 30) * 0xBF58476D1CE4E5B9u;
  ngram ^= ngram >> 27;
  return std::max(static_cast<std::uint32_t>(ngram >> 32), std::uint32_t{1});
}

void add_weights(const Table& table, std::uint32_t key, std::uint64_t* totals) {
  const auto remainder = static_cast<std::uint16_t>(key);
  const std::uint32_t end = table.starts[(key >> 16) + 1];
  for (std::uint32_t row = table.starts[key >> 16]; row < end; ++row) {
    if (table.remainders[row] == remainder) totals[table.labels[row]] += table.weights[row];
  }
}

}  // namespace

extern "C" int latimer_get_ngrams_interface() { return LATIMER_INTERFACE; }

// Scores a text: `length` bytes of UTF-8 in lower case. Of the languages in `among` (bit i is language i) that have any
// of its n-grams, the `most` ones (64 at most) with the greatest evidence are written to `labels`, the greatest first,
// and their evidence to `evidence`: the sum of the weights times `unit`, divided by the number of different n-grams.
// Returns the number of these languages, or -1 if memory is short.
extern "C" int latimer_score_ngrams(const Table* table, const std::uint8_t* text, std::size_t length, std::uint64_t among,
                                    int most, double unit, std::uint8_t* labels, double* evidence) {
  try {
    std::vector<std::uint64_t> ngrams;
    ngrams.reserve(length / 3 + 1);
    add_ngrams(*table, text, length, ngrams);
    std::sort(ngrams.begin(), ngrams.end());
    ngrams.erase(std::unique(ngrams.begin(), ngrams.end()), ngrams.end());
    std::uint64_t totals[kMaxLanguages] = {};
    for (const std::uint64_t ngram : ngrams) add_weights(*table, hash(ngram), totals);
    std::uint8_t found[kMaxLanguages];
    int count = 0;
    for (int label = 0; label < kMaxLanguages; ++label) {
      if ((among >> label & 1) != 0 && totals[label] != 0) found[count++] = static_cast<std::uint8_t>(label);
    }
    const int written = std::min(most, count);
    std::partial_sort_copy(found, found + count, labels, labels + written, [&](std::uint8_t a, std::uint8_t b) {
      return totals[a] != totals[b] ? totals[a] > totals[b] : a < b;
    });
    for (int i = 0; i < written; ++i) {
      evidence[i] = static_cast<double>(totals[labels[i]]) * unit / static_cast<double>(ngrams.size());
    }
    return written;
  } catch (const std::bad_alloc&) {
    return -1;
  }
}
