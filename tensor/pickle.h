// pickle.h: reads Python's pickles (protocols 0 to 5: the parts that torch.save uses), without ever calling anything.
//
// A pickle is a program for a small stack machine (CPython, Lib/pickletools.py): it builds lists, dictionaries and strings, and it may call
// any function of any module, which is why Python's own reader must not be fed with files from strangers. Here a call becomes a
// description of itself, Call, and whoever reads the result decides what a description means.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fovea::pickle {

enum class Kind {
  none,
  boolean,   // integer
  integer,
  big_integer,   // of more than 64 bits: text, little-endian two's complement
  real,
  text,         // UTF-8 or bytes
  tuple,        // items
  list,         // items: also of sets
  dict,         // pairs
  global,       // text = "module.name": a class or function that is mentioned
  call,         // callee(items...), and state from BUILD: a class's object or a function's result, not made
  persistent,   // items[0]: what the file calls a persistent id; in torch's files a storage
};

struct Value {
  Kind kind = Kind::none;
  std::int64_t integer = 0;
  double real = 0;
  std::string text;
  std::vector<const Value*> items;
  std::vector<std::pair<const Value*, const Value*>> pairs;   // of dict; a call that is filled like one (OrderedDict) has them, too
  const Value* callee = nullptr;
  const Value* state = nullptr;

  bool is(Kind k) const { return kind == k; }
  /// The value under a text key; null when absent. Of equal keys the last.
  const Value* find(std::string_view key) const;
};

/// What a pickle built. Values live as long as it does; they are few objects that refer to each other, perhaps in cycles.
struct Pickle {
  std::deque<Value> values;
  const Value* top = nullptr;
  std::size_t bytes = 0;   // of the program, up to and with STOP: a legacy file has several, one behind the other
};

/// Throws Error: truncated, an unknown instruction, an empty stack, more than 2^20 values.
Pickle read(std::string_view program);

}   // namespace fovea::pickle
