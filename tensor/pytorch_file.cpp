#include "tensor/pytorch_file.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>

#include "tensor/pickle.h"
#include "tensor/zip_file.h"

namespace fovea {

namespace {

using pickle::Kind, pickle::Value;

/// The element types of storages, and what they become here.
struct StorageType {
  std::string_view name;
  std::size_t bytes;
  DType dtype;
  void (*convert)(const char* from, std::byte* to);   // one element
};

template <class T> void same(const char* from, std::byte* to) { std::memcpy(to, from, sizeof(T)); }
template <class T> void widen(const char* from, std::byte* to) {
  T x;
  std::memcpy(&x, from, sizeof x);
  const std::int64_t y = x;
  std::memcpy(to, &y, sizeof y);
}
void half(const char* from, std::byte* to) {
  std::uint16_t h;
  std::memcpy(&h, from, sizeof h);
  const float x = half_to_float(h);
  std::memcpy(to, &x, sizeof x);
}

constexpr StorageType kStorageTypes[] = {
    {"FloatStorage", 4, DType::f32, same<float>},
    {"DoubleStorage", 8, DType::f64, same<double>},
    {"BFloat16Storage", 2, DType::bf16, same<std::uint16_t>},
    {"HalfStorage", 2, DType::f32, half},
    {"LongStorage", 8, DType::i64, same<std::int64_t>},
    {"IntStorage", 4, DType::i64, widen<std::int32_t>},
    {"ShortStorage", 2, DType::i64, widen<std::int16_t>},
    {"CharStorage", 1, DType::i64, widen<std::int8_t>},
    {"ByteStorage", 1, DType::u8, same<std::uint8_t>},
    {"BoolStorage", 1, DType::i64, widen<std::uint8_t>},
};

/// What a persistent id says: ('storage', torch.FloatStorage, key, location, elements[, view]).
struct StorageId {
  const StorageType* type = nullptr;
  std::string key;
  std::uint64_t elements = 0;
  std::uint64_t view_offset = 0;   // of legacy files: a storage that is a part of another
};

class Reader {
 public:
  explicit Reader(const std::filesystem::path& path) : file_(path) {}

  PyTorchFile read() {
    try {
      is_zip(file_) ? read_archive() : read_legacy();
    } catch (const ShapeError& e) {
      file_.fail(e.what());
    }
    return std::move(result_);
  }

 private:
  std::string text(std::uint64_t at, std::uint64_t bytes) const {
    std::string s(bytes, '\0');
    file_.read(s.data(), at, s.size());
    return s;
  }
  pickle::Pickle unpickle(std::string_view program) const {
    try {
      return pickle::read(program);
    } catch (const Error& e) {
      file_.fail(e.what());
    }
  }

  // ---- the two forms: where the pickle lies, and where each storage's bytes do

  void read_archive() {
    const auto members = read_zip_directory(file_);
    const auto main = std::ranges::find_if(members, [](const auto& m) { return m.first == "data.pkl" || m.first.ends_with("/data.pkl"); });
    if (main == members.end()) file_.fail("a zip archive without data.pkl is no file of torch.save");
    const std::string folder = main->first.substr(0, main->first.size() - std::string_view("data.pkl").size());
    if (const auto order = members.find(folder + "byteorder"); order != members.end() && order->second.bytes == 3)
      file_.fail("written on a big-endian machine");   // "big"; else "little"
    for (const auto& [name, member] : members)
      if (name.starts_with(folder + "data/")) storages_[name.substr(folder.size() + 5)] = {member.begin, member.bytes};
    const pickle::Pickle p = unpickle(text(main->second.begin, main->second.bytes));
    walk(*p.top, "", 0);
  }

  /// Five pickles (magic number, protocol, machine, the object, the storages' keys), then for each key its number of elements and its bytes.
  void read_legacy() {
    constexpr std::string_view kMagic("\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 10);
    // Pickles do not say how long they are, and the data behind them may be gigabytes: read more until they are whole.
    std::string head;
    std::uint64_t wanted = std::uint64_t{1} << 20;
    for (;;) {
      wanted = std::min(wanted, file_.size());
      head = text(0, wanted);
      try {
        std::size_t at = 0;
        const pickle::Pickle magic = pickle::read(head);
        if (!magic.top->is(Kind::big_integer) || !std::string_view(magic.top->text).starts_with(kMagic)) break;
        at += magic.bytes;
        for (int skip = 0; skip < 2; ++skip) at += pickle::read(std::string_view(head).substr(at)).bytes;
        const pickle::Pickle object = pickle::read(std::string_view(head).substr(at));
        at += object.bytes;
        const pickle::Pickle keys = pickle::read(std::string_view(head).substr(at));
        at += keys.bytes;
        collect_types(object);
        locate_storages(*keys.top, at);
        walk(*object.top, "", 0);
        return;
      } catch (const Error& e) {
        if (wanted == file_.size() || located_) {
          if (located_) throw;
          file_.fail("no file of torch.save: ", e.what());
        }
        wanted *= 4;
      }
    }
    file_.fail("no file of torch.save: neither a zip archive nor a legacy file's magic number");
  }

  /// Element sizes by key: the bytes of a legacy storage are counted in elements.
  void collect_types(const pickle::Pickle& p) {
    for (const Value& v : p.values)
      if (v.is(Kind::persistent)) {
        const StorageId id = storage_id(v, "storages");
        const auto [it, fresh] = types_.emplace(id.key, id.type);
        if (!fresh && it->second != id.type) file_.fail("storage ", id.key, " has two types");
      }
  }
  void locate_storages(const Value& keys, std::uint64_t at) {
    located_ = true;
    if (!keys.is(Kind::list)) file_.fail("expected a list of storages");
    for (const Value* key : keys.items) {
      if (!key->is(Kind::text)) file_.fail("expected the name of a storage");
      const auto type = types_.find(key->text);
      if (type == types_.end()) file_.fail("storage ", key->text, " belongs to no tensor");
      std::uint64_t elements;
      file_.read(&elements, at, sizeof elements);
      at += sizeof elements;
      if (elements > (file_.size() - at) / type->second->bytes) file_.fail("storage ", key->text, " ends outside of the file");
      storages_[key->text] = {at, elements * type->second->bytes};
      at += elements * type->second->bytes;
    }
  }

  // ---- from values to tensors

  StorageId storage_id(const Value& v, const std::string& name) const {
    const auto wrong = [&](const char* what) { file_.fail(name, ": ", what); };
    const Value* id = v.items.empty() ? nullptr : v.items[0];
    if (!id || !id->is(Kind::tuple) || id->items.size() < 5 || !id->items[0]->is(Kind::text) || id->items[0]->text != "storage")
      wrong("expected the description of a storage");
    const Value &type = *id->items[1], &key = *id->items[2], &elements = *id->items[4];
    const std::string_view full = type.text;
    const auto known = std::ranges::find_if(kStorageTypes, [&](const StorageType& t) { return full == "torch." + std::string(t.name); });
    if (!type.is(Kind::global) || known == std::end(kStorageTypes)) wrong("expected a storage of a known element type");
    if (!key.is(Kind::text) || !elements.is(Kind::integer) || elements.integer < 0) wrong("malformed storage");
    StorageId s{.type = known, .key = key.text, .elements = static_cast<std::uint64_t>(elements.integer)};
    if (id->items.size() > 5 && id->items[5]->is(Kind::tuple)) {   // (key, offset, size) of a view
      const Value& view = *id->items[5];
      if (view.items.size() != 3 || !view.items[1]->is(Kind::integer) || view.items[1]->integer < 0) wrong("malformed view of a storage");
      s.view_offset = static_cast<std::uint64_t>(view.items[1]->integer);
    }
    return s;
  }

  std::vector<std::uint64_t> whole_numbers(const Value& v, const std::string& name) const {
    // torch.Size is a tuple that some files mention by its class.
    const Value& list = v.is(Kind::call) && v.items.size() == 1 && v.callee->text == "torch.Size" ? *v.items[0] : v;
    if (!list.is(Kind::tuple) && !list.is(Kind::list)) file_.fail(name, ": expected a tuple of sizes");
    std::vector<std::uint64_t> numbers;
    for (const Value* n : list.items) {
      if (!n->is(Kind::integer) || n->integer < 0) file_.fail(name, ": expected sizes and strides of at least 0");
      numbers.push_back(static_cast<std::uint64_t>(n->integer));
    }
    return numbers;
  }

  /// _rebuild_tensor_v2(storage, offset, size, stride, ...): y[i, j, ...] = storage[offset + i stride_0 + j stride_1 + ...].
  Tensor tensor(const Value& v, const std::string& name) {
    if (v.items.size() < 4 || !v.items[0]->is(Kind::persistent) || !v.items[1]->is(Kind::integer) || v.items[1]->integer < 0)
      file_.fail(name, ": expected a tensor made of storage, offset, size and stride");
    const StorageId id = storage_id(*v.items[0], name);
    const auto place = storages_.find(id.key);
    if (place == storages_.end()) file_.fail(name, ": its storage ", id.key, " is not in the file");
    const std::uint64_t stored = place->second.second / id.type->bytes;
    const auto size = whole_numbers(*v.items[2], name), stride = whole_numbers(*v.items[3], name);
    if (size.size() != stride.size() || size.size() > 8) file_.fail(name, ": expected as many strides as sizes, at most 8");

    constexpr std::uint64_t kMost = std::uint64_t{1} << 40;
    const std::uint64_t offset = id.view_offset + static_cast<std::uint64_t>(v.items[1]->integer);
    std::uint64_t elements = 1, last = offset;
    std::vector<std::int64_t> extents;
    for (std::size_t i = 0; i < size.size(); ++i) {
      if (size[i] > kMost || stride[i] > kMost || (size[i] > 0 && elements > kMost / size[i])) file_.fail(name, ": absurd size");
      elements *= size[i];
      if (size[i] > 0) last += (size[i] - 1) * std::min(stride[i], kMost);
      extents.push_back(static_cast<std::int64_t>(size[i]));
      if (last > kMost) file_.fail(name, ": reaches outside of its storage");
    }
    if (elements > 0 && last >= stored) file_.fail(name, ": reaches outside of its storage of ", stored, " elements");
    taken_ += elements * size_of(id.type->dtype);
    if (taken_ > 16 * file_.size() + (1 << 20)) file_.fail(name, ": the tensors would take more than 16 times the file's size");

    Tensor t = Tensor::empty(Shape(extents), id.type->dtype);
    if (elements == 0) return t;
    const std::string bytes = text(place->second.first + offset * id.type->bytes, (last - offset + 1) * id.type->bytes);
    auto* to = static_cast<std::byte*>(t.raw());
    std::vector<std::uint64_t> index(size.size());
    for (std::uint64_t i = 0, from = 0; i < elements; ++i, to += size_of(id.type->dtype)) {
      id.type->convert(bytes.data() + from * id.type->bytes, to);
      for (std::size_t axis = size.size(); axis-- > 0;) {   // the next index, like an odometer
        from += stride[axis];
        if (++index[axis] < size[axis]) break;
        from -= size[axis] * stride[axis];
        index[axis] = 0;
      }
    }
    return t;
  }

  /// The function that v describes a call of; "" if it is none.
  static std::string_view function(const Value& v) {
    return v.is(Kind::call) && v.callee->is(Kind::global) ? v.callee->text : std::string_view();
  }

  void walk(const Value& v, const std::string& name, int depth) {
    if (depth > 32) file_.fail(name, ": dictionaries nested too deeply");
    if (++visited_ > (1 << 20)) file_.fail("more than 2^20 entries");   // a few that name each other can stand for any number
    if (name.size() > 1000) file_.fail(name, ": a name longer than 1000 bytes");
    const std::string_view made_by = function(v);
    const auto below = [&](const std::string& key) { return name.empty() ? key : name + "." + key; };
    if (made_by == "torch._utils._rebuild_tensor_v2" || made_by == "torch._utils._rebuild_tensor") {
      if (!names_.insert(name).second) file_.fail(name, ": appears twice");
      result_.tensors.tensors.emplace_back(name, tensor(v, name));
    } else if (made_by == "torch._utils._rebuild_parameter" || made_by == "torch._utils._rebuild_parameter_with_state") {
      if (v.items.empty()) file_.fail(name, ": a parameter without its tensor");
      walk(*v.items[0], name, depth + 1);
    } else if (v.is(Kind::dict) || made_by == "collections.OrderedDict") {
      for (const auto& [key, value] : v.pairs)
        if (key->is(Kind::text) || key->is(Kind::integer))
          walk(*value, below(key->is(Kind::text) ? key->text : std::to_string(key->integer)), depth + 1);
    } else if (v.is(Kind::list) || v.is(Kind::tuple)) {
      for (std::size_t i = 0; i < v.items.size(); ++i) walk(*v.items[i], below(std::to_string(i)), depth + 1);
    } else if (v.is(Kind::call)) {
      result_.ignored.insert(made_by.empty() ? "an object" : std::string(made_by.substr(0, 200)));
    } else if (v.is(Kind::global)) {
      result_.ignored.insert(v.text.substr(0, 200));
    }
  }

  InputFile file_;
  PyTorchFile result_;
  std::map<std::string, std::pair<std::uint64_t, std::uint64_t>> storages_;   // key -> place, bytes
  std::map<std::string, const StorageType*> types_;
  std::set<std::string> names_;
  bool located_ = false;
  std::uint64_t taken_ = 0, visited_ = 0;
};

}   // namespace

bool is_pytorch_file(const std::filesystem::path& path) {
  const InputFile file(path);
  if (is_zip(file)) return true;
  char first[2] = {};
  if (file.size() < 2) return false;
  file.read(first, 0, 2);
  return first[0] == '\x80' && first[1] <= 5;   // a pickle's PROTO
}

PyTorchFile read_pytorch_file(const std::filesystem::path& path) { return Reader(path).read(); }

}   // namespace fovea
