// pickle.cpp: the stack machine. Instructions are named as in Lib/pickletools.py.
#include "tensor/pickle.h"

#include <bit>
#include <charconv>
#include <cstring>
#include <unordered_map>

#include "tensor/error.h"

namespace fovea::pickle {

const Value* Value::find(std::string_view key) const {
  for (auto pair = pairs.rbegin(); pair != pairs.rend(); ++pair)
    if (pair->first->is(Kind::text) && pair->first->text == key) return pair->second;
  return nullptr;
}

namespace {

// What a program may make of itself: a few bytes of it can name a long tuple or text that exists already, again and again.
constexpr std::size_t kMostValues = std::size_t{1} << 20, kMostArguments = std::size_t{1} << 22, kLongestName = 1000;

template <class... Parts> [[noreturn]] void fail(const Parts&... parts) { throw Error(detail::join("pickle: ", parts...)); }

class Machine {
 public:
  explicit Machine(std::string_view program) : program_(program) {}

  Pickle run() {
    for (;;) {
      const auto instruction = static_cast<unsigned char>(bytes(1)[0]);
      if (instruction == '.') break;   // STOP
      step(instruction);
    }
    result_.top = pop();
    result_.bytes = at_;
    return std::move(result_);
  }

 private:
  // ---- the program

  std::string_view bytes(std::uint64_t n) {
    if (n > program_.size() - at_) fail("truncated at byte ", at_);
    at_ += n;
    return program_.substr(at_ - n, n);
  }
  template <class T> T number() {
    T x;
    std::memcpy(&x, bytes(sizeof x).data(), sizeof x);   // little endian, like this machine
    return x;
  }
  std::string_view line() {
    const auto end = program_.find('\n', at_);
    if (end == std::string_view::npos) fail("truncated at byte ", at_);
    const std::string_view text = program_.substr(at_, end - at_);
    at_ = end + 1;
    return text;
  }

  // ---- values and stack

  Value& make(Kind kind) {
    if (result_.values.size() == kMostValues) fail("more than ", kMostValues, " values");
    result_.values.emplace_back().kind = kind;
    return result_.values.back();
  }
  void push(Value& v) { stack_.push_back(&v); }
  Value& push_new(Kind kind) {
    Value& v = make(kind);
    push(v);
    return v;
  }
  Value* pop() {
    if (stack_.empty() || (!marks_.empty() && stack_.size() <= marks_.back())) fail("nothing on the stack at byte ", at_);
    Value* v = stack_.back();
    stack_.pop_back();
    return v;
  }
  Value& top() {
    Value* v = pop();
    stack_.push_back(v);
    return *v;
  }
  std::vector<const Value*> pop_to_mark() {
    if (marks_.empty()) fail("no mark on the stack at byte ", at_);
    std::vector<const Value*> items(stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back()), stack_.end());
    stack_.resize(marks_.back());
    marks_.pop_back();
    return items;
  }
  void push_text(std::string_view text) { push_new(Kind::text).text = text; }
  void push_integer(std::int64_t n) { push_new(Kind::integer).integer = n; }
  void push_tuple(std::vector<const Value*> items) { push_new(Kind::tuple).items = std::move(items); }
  void push_tuple(std::size_t n) {
    std::vector<const Value*> items(n);
    while (n > 0) items[--n] = pop();
    push_tuple(std::move(items));
  }
  /// A whole number of any length, little-endian two's complement.
  void push_long(std::string_view digits) {
    if (digits.size() > 8) {
      push_new(Kind::big_integer).text = digits;
      return;
    }
    std::uint64_t n = !digits.empty() && (digits.back() & 0x80) ? ~std::uint64_t{0} : 0;
    for (std::size_t i = digits.size(); i-- > 0;) n = n << 8 | static_cast<unsigned char>(digits[i]);
    push_integer(static_cast<std::int64_t>(n));
  }
  void push_line_integer(std::string_view text) {
    if (!text.empty() && text.back() == 'L') text.remove_suffix(1);
    std::int64_t n = 0;
    if (const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
        error != std::errc{} || end != text.data() + text.size())
      fail("expected a whole number, got ", text.substr(0, 40));
    push_integer(n);
  }
  void call(const Value* callee, std::vector<const Value*> arguments) {   // from the stack, or a tuple's
    arguments_ += arguments.size();
    if (arguments_ > kMostArguments) fail("more than ", kMostArguments, " arguments");
    Value& v = push_new(Kind::call);
    v.callee = callee;
    v.items = std::move(arguments);
  }
  static void require_tuple(const Value* v) {
    if (!v->is(Kind::tuple)) fail("expected a tuple of arguments");
  }
  void set_items(Value& dict, const std::vector<const Value*>& items) {
    if (items.size() % 2) fail("a key without a value");
    if (!dict.is(Kind::dict) && !dict.is(Kind::call)) fail("expected a dictionary to put items into");
    for (std::size_t i = 0; i < items.size(); i += 2) dict.pairs.emplace_back(items[i], items[i + 1]);
  }
  void append(Value& list, const std::vector<const Value*>& items) {
    if (!list.is(Kind::list) && !list.is(Kind::call)) fail("expected a list to append to");
    list.items.insert(list.items.end(), items.begin(), items.end());
  }
  void remember(std::uint64_t key) { memo_[key] = &top(); }
  void recall(std::uint64_t key) {
    const auto it = memo_.find(key);
    if (it == memo_.end()) fail("memo ", key, " is empty");
    stack_.push_back(it->second);
  }
  static std::uint64_t key_of(std::string_view text) {
    std::uint64_t key = 0;
    if (std::from_chars(text.data(), text.data() + text.size(), key).ec != std::errc{}) fail("expected the number of a memo");
    return key;
  }

  void step(unsigned char instruction) {
    switch (instruction) {
      // How the program is laid out
      case 0x80: bytes(1); break;   // PROTO
      case 0x95:
        number<std::uint64_t>();
        break;   // FRAME
      // Simple values
      case 'N': push_new(Kind::none); break;
      case 0x88: push_new(Kind::boolean).integer = 1; break;
      case 0x89: push_new(Kind::boolean).integer = 0; break;
      case 'J': push_integer(number<std::int32_t>()); break;    // BININT
      case 'K': push_integer(number<std::uint8_t>()); break;    // BININT1
      case 'M': push_integer(number<std::uint16_t>()); break;   // BININT2
      case 'I': {                                               // INT, and booleans of protocol 0
        const std::string_view text = line();
        if (text == "00" || text == "01")
          push_new(Kind::boolean).integer = text == "01";
        else
          push_line_integer(text);
        break;
      }
      case 'L': push_line_integer(line()); break;                         // LONG
      case 0x8a: push_long(bytes(number<std::uint8_t>())); break;         // LONG1
      case 0x8b: push_long(bytes(number<std::uint32_t>())); break;        // LONG4
      case 'G': push_new(Kind::real).real = big_endian_double(); break;   // BINFLOAT
      case 'F': push_new(Kind::real).real = line_double(); break;         // FLOAT
      case 'U':
      case 0x8c:
      case 'C': push_text(bytes(number<std::uint8_t>())); break;   // SHORT_BINSTRING, _BINUNICODE, _BINBYTES
      case 'T':
      case 'X':
      case 'B': push_text(bytes(number<std::uint32_t>())); break;   // BINSTRING, BINUNICODE, BINBYTES
      case 0x8d:
      case 0x8e:
      case 0x96: push_text(bytes(number<std::uint64_t>())); break;   // BINUNICODE8, BINBYTES8, BYTEARRAY8
      case 'S':
      case 'V':
        push_text(unquoted(line()));
        break;   // STRING, UNICODE
      // Containers
      case '(': marks_.push_back(stack_.size()); break;   // MARK
      case ')': push_new(Kind::tuple); break;             // EMPTY_TUPLE
      case ']':
      case 0x8f: push_new(Kind::list); break;   // EMPTY_LIST, EMPTY_SET
      case '}': push_new(Kind::dict); break;    // EMPTY_DICT
      case 't': push_tuple(pop_to_mark()); break;
      case 0x85: push_tuple(std::size_t{1}); break;
      case 0x86: push_tuple(std::size_t{2}); break;
      case 0x87: push_tuple(std::size_t{3}); break;
      case 'l':
      case 0x91: {   // LIST, FROZENSET
        auto items = pop_to_mark();
        push_new(Kind::list).items = std::move(items);
        break;
      }
      case 'd': {   // DICT
        const auto items = pop_to_mark();
        set_items(push_new(Kind::dict), items);
        break;
      }
      case 'a': {   // APPEND
        const Value* item = pop();
        append(top(), {item});
        break;
      }
      case 'e':
      case 0x90: {   // APPENDS, ADDITEMS
        const auto items = pop_to_mark();
        append(top(), items);
        break;
      }
      case 's': {   // SETITEM
        const Value* value = pop();
        const Value* key = pop();
        set_items(top(), {key, value});
        break;
      }
      case 'u': {   // SETITEMS
        const auto items = pop_to_mark();
        set_items(top(), items);
        break;
      }
      // The stack and the memo
      case '0': marks_.empty() || stack_.size() > marks_.back() ? void(pop()) : marks_.pop_back(); break;   // POP
      case '1': pop_to_mark(); break;                                                                       // POP_MARK
      case '2': stack_.push_back(&top()); break;                                                            // DUP
      case 'q': remember(number<std::uint8_t>()); break;                                                    // BINPUT
      case 'r': remember(number<std::uint32_t>()); break;                                                   // LONG_BINPUT
      case 'p': remember(key_of(line())); break;                                                            // PUT
      case 0x94: remember(memo_.size()); break;                                                             // MEMOIZE
      case 'h': recall(number<std::uint8_t>()); break;                                                      // BINGET
      case 'j': recall(number<std::uint32_t>()); break;                                                     // LONG_BINGET
      case 'g':
        recall(key_of(line()));
        break;   // GET
      // What Python would look up, call or fill; here it is written down
      case 'c': {   // GLOBAL
        const std::string module(line());
        push_new(Kind::global).text = module + "." + std::string(line());
        break;
      }
      case 0x93: {   // STACK_GLOBAL
        const Value *name = pop(), *module = pop();
        if (module->text.size() + name->text.size() > kLongestName) fail("the name of a function is longer than ", kLongestName, " bytes");
        push_new(Kind::global).text = module->text + "." + name->text;
        break;
      }
      case 'R':
      case 0x81: {   // REDUCE, NEWOBJ
        const Value *arguments = pop(), *callee = pop();
        require_tuple(arguments);
        call(callee, arguments->items);
        break;
      }
      case 0x92: {   // NEWOBJ_EX
        pop();       // keyword arguments
        const Value *arguments = pop(), *callee = pop();
        require_tuple(arguments);
        call(callee, arguments->items);
        break;
      }
      case 'o':
      case 'i': {   // OBJ, INST
        auto items = pop_to_mark();
        const Value* callee = nullptr;
        if (instruction == 'i') {
          const std::string module(line());
          Value& global = make(Kind::global);
          global.text = module + "." + std::string(line());
          callee = &global;
        } else {
          if (items.empty()) fail("OBJ without a class");
          callee = items.front();
          items.erase(items.begin());
        }
        call(callee, std::move(items));
        break;
      }
      case 'b': {   // BUILD
        const Value* state = pop();
        top().state = state;
        break;
      }
      case 'Q': {   // BINPERSID
        const Value* id = pop();
        push_new(Kind::persistent).items = {id};
        break;
      }
      case 'P': {   // PERSID
        Value& id = make(Kind::text);
        id.text = line();
        push_new(Kind::persistent).items = {&id};
        break;
      }
      default: fail("unknown instruction ", int{instruction}, " at byte ", at_ - 1);
    }
  }

  double big_endian_double() {
    std::uint64_t bits = 0;
    for (const char c : bytes(8)) bits = bits << 8 | static_cast<unsigned char>(c);
    return std::bit_cast<double>(bits);
  }
  double line_double() {
    const std::string_view text = line();
    double x = 0;
    if (std::from_chars(text.data(), text.data() + text.size(), x).ec != std::errc{}) fail("expected a number");
    return x;
  }
  static std::string_view unquoted(std::string_view text) {
    if (text.size() >= 2 && (text.front() == '\'' || text.front() == '"') && text.back() == text.front())
      return text.substr(1, text.size() - 2);
    return text;
  }

  std::string_view program_;
  std::size_t at_ = 0;
  Pickle result_;
  std::vector<Value*> stack_;
  std::vector<std::size_t> marks_;
  std::size_t arguments_ = 0;
  std::unordered_map<std::uint64_t, Value*> memo_;
};

}   // namespace

Pickle read(std::string_view program) { return Machine(program).run(); }

}   // namespace fovea::pickle
