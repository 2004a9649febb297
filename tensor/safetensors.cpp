// safetensors.cpp: the header is parsed and checked against the file's size before any tensor is made.
#include "tensor/safetensors.h"

#include <algorithm>
#include <bit>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string_view>

#include "tensor/error.h"
#include "tensor/input_file.h"

namespace fovea {

namespace {

static_assert(std::endian::native == std::endian::little, "the data of a safetensors file are little endian");
constexpr std::uint64_t kMaxHeader = 100'000'000;   // bytes, as in the format's own library
constexpr const char* kMetadata = "__metadata__";

// The dtypes of a file, and what they become here.
enum class Widen { no, half_to_float, int32_to_int64 };
struct DiskType {
  std::string_view name;
  std::size_t bytes;
  DType dtype;
  Widen widen = Widen::no;
};
constexpr DiskType kDiskTypes[] = {
    {"F32", 4, DType::f32},
    {"F64", 8, DType::f64},
    {"BF16", 2, DType::bf16},
    {"I64", 8, DType::i64},
    {"U8", 1, DType::u8},
    {"F16", 2, DType::f32, Widen::half_to_float},
    {"I32", 4, DType::i64, Widen::int32_to_int64},
};

const DiskType& disk_type(DType dtype) {
  return *std::ranges::find_if(kDiskTypes, [&](const DiskType& t) { return t.dtype == dtype && t.widen == Widen::no; });
}

std::int64_t int32_to_int64(std::int32_t i) { return i; }

struct Entry {
  std::string name;
  const DiskType* type = nullptr;
  Shape shape;
  std::uint64_t begin = 0, end = 0;   // bytes, from the end of the header
};

/// The header as JSON: {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...}. The parser keeps the last of
/// equal keys and any depth; here both are errors.
nlohmann::json parse_header(const InputFile& in, const std::string& text) {
  using Event = nlohmann::json::parse_event_t;
  std::set<std::string> keys[3];   // of the open object at each depth
  const auto check = [&](int depth, Event event, nlohmann::json& value) {
    if (event == Event::object_start || event == Event::array_start) {
      if (depth > 2) in.fail("malformed header: nested too deeply");
      if (event == Event::object_start) keys[depth].clear();
    } else if (event == Event::key && !keys[depth - 1].insert(value.get<std::string>()).second) {
      in.fail("malformed header: \"", value.get<std::string>(), "\" appears twice");
    }
    return true;
  };
  try {
    return nlohmann::json::parse(text, check);
  } catch (const nlohmann::json::exception& e) {
    in.fail("malformed header: ", e.what());
  }
}

std::optional<std::vector<std::uint64_t>> whole_numbers(const nlohmann::json& entry, const char* key) {
  const auto list = entry.find(key);
  if (list == entry.end() || !list->is_array()) return {};
  std::vector<std::uint64_t> numbers;
  for (const auto& number : *list) {
    if (!number.is_number_unsigned()) return {};
    numbers.push_back(number.get<std::uint64_t>());
  }
  return numbers;
}

Entry parse_entry(const InputFile& in, const std::string& name, const nlohmann::json& value, std::uint64_t data_bytes) {
  const auto wrong = [&](const auto&... parts) { in.fail("entry \"", name, "\": ", parts...); };
  if (!value.is_object()) wrong("expected an object");
  Entry entry;
  entry.name = name;

  const auto dtype = value.find("dtype");
  if (dtype == value.end() || !dtype->is_string()) wrong("expected a dtype");
  const auto& type_name = dtype->get_ref<const std::string&>();
  const auto* const type = std::ranges::find(kDiskTypes, type_name, &DiskType::name);
  if (type == std::end(kDiskTypes)) wrong("dtype ", type_name, " is not supported (F32, F64, BF16, F16, I64, I32, U8)");
  entry.type = type;

  const auto extents = whole_numbers(value, "shape");
  if (!extents) wrong("expected a shape of whole numbers");
  std::vector<std::int64_t> dims;
  for (const std::uint64_t extent : *extents) {
    if (extent > std::uint64_t{1} << 62) wrong("an extent of ", extent, " is too large");
    dims.push_back(static_cast<std::int64_t>(extent));
  }
  try {
    entry.shape = Shape(dims);
  } catch (const ShapeError& e) {
    wrong(e.what());
  }

  const auto offsets = whole_numbers(value, "data_offsets");
  if (!offsets || offsets->size() != 2) wrong("expected data_offsets of two whole numbers");
  entry.begin = (*offsets)[0];
  entry.end = (*offsets)[1];
  if (entry.begin > entry.end || entry.end > data_bytes)
    wrong("expected data_offsets within the ", data_bytes, " bytes of data, got ", entry.begin, "..", entry.end);
  const std::uint64_t bytes = entry.end - entry.begin, elements = static_cast<std::uint64_t>(entry.shape.elements());
  if (bytes % type->bytes != 0 || bytes / type->bytes != elements)   // a product of both could overflow
    wrong("expected ", type->bytes, " bytes for each element of ", entry.shape, ", got ", bytes, " bytes");
  return entry;
}

template <class From, class To> void read_widened(const InputFile& in, std::uint64_t at, std::size_t bytes, To (*widen)(From), To* y) {
  std::vector<From> values(bytes / sizeof(From));
  in.read(values.data(), at, bytes);
  std::ranges::transform(values, y, widen);
}

Tensor read_tensor(const InputFile& in, const Entry& entry, std::uint64_t data_start) {
  Tensor y = Tensor::empty(entry.shape, entry.type->dtype);
  const std::uint64_t at = data_start + entry.begin;
  const std::size_t bytes = entry.end - entry.begin;
  switch (entry.type->widen) {
    case Widen::no: in.read(y.raw(), at, bytes); break;
    case Widen::half_to_float: read_widened(in, at, bytes, half_to_float, y.data<float>()); break;
    case Widen::int32_to_int64: read_widened(in, at, bytes, int32_to_int64, y.data<std::int64_t>()); break;
  }
  return y;
}

}   // namespace

const Tensor* TensorFile::find(const std::string& name) const {
  const auto found = std::ranges::find(tensors, name, &std::pair<std::string, Tensor>::first);
  return found == tensors.end() ? nullptr : &found->second;
}

TensorFile read_safetensors(const std::filesystem::path& path) {
  const InputFile in(path);
  std::uint64_t header_bytes = 0;
  if (in.size() < sizeof header_bytes) in.fail("expected a safetensors file, got ", in.size(), " bytes");
  in.read(&header_bytes, 0, sizeof header_bytes);
  if (header_bytes > kMaxHeader || header_bytes > in.size() - sizeof header_bytes)
    in.fail("expected a safetensors header within the file's ", in.size(), " bytes, got a length of ", header_bytes,
            " (truncated, or not a safetensors file)");
  std::string text(header_bytes, '\0');
  in.read(text.data(), sizeof header_bytes, header_bytes);
  if (!text.starts_with('{')) in.fail("malformed header: expected a JSON object");
  const nlohmann::json header = parse_header(in, text);
  const std::uint64_t data_start = sizeof header_bytes + header_bytes, data_bytes = in.size() - data_start;

  TensorFile file;
  std::vector<Entry> entries;
  for (const auto& [name, value] : header.items()) {
    if (name != kMetadata) {
      entries.push_back(parse_entry(in, name, value, data_bytes));
      continue;
    }
    if (!value.is_object()) in.fail(kMetadata, ": expected an object");
    for (const auto& [key, entry] : value.items()) {
      if (!entry.is_string()) in.fail(kMetadata, " \"", key, "\": expected a string");
      file.metadata[key] = entry.get<std::string>();
    }
  }
  std::ranges::stable_sort(entries, {}, [](const Entry& e) { return std::pair(e.begin, e.end); });
  std::uint64_t expected = 0;   // every byte of the data belongs to exactly one entry
  for (const Entry& e : entries) {
    if (e.begin != expected) in.fail("entry \"", e.name, "\": expected data at offset ", expected, ", got ", e.begin, " (overlap or gap)");
    expected = e.end;
  }
  if (expected != data_bytes) in.fail("expected ", expected, " bytes of data, got ", data_bytes);
  for (const Entry& e : entries) file.tensors.emplace_back(e.name, read_tensor(in, e, data_start));
  return file;
}

void write_safetensors(const std::filesystem::path& path, const TensorFile& file) {
  const auto fail = [&](const auto&... parts) { throw Error(detail::join(path.string(), ": cannot write: ", parts...)); };
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!file.metadata.empty()) header[kMetadata] = file.metadata;
  std::set<std::string> names{kMetadata};
  std::uint64_t at = 0;
  for (const auto& [name, tensor] : file.tensors) {
    if (!names.insert(name).second) fail("the name \"", name, "\" is taken");
    if (!tensor.defined()) fail("\"", name, "\" is undefined");
    nlohmann::ordered_json entry;
    entry["dtype"] = disk_type(tensor.dtype()).name;
    entry["shape"] = tensor.shape().dims();
    entry["data_offsets"] = {at, at + tensor.bytes()};
    header.push_back({name, std::move(entry)});
    at += tensor.bytes();
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const nlohmann::json::exception& e) {   // a name that is not UTF-8
    fail(e.what());
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');   // so that the data start at a multiple of 8
  const std::uint64_t header_bytes = text.size();
  if (header_bytes > kMaxHeader) fail("a header of ", header_bytes, " bytes is too large");

  AtomicFile out(path);
  out.write(&header_bytes, sizeof header_bytes);
  out.write(text.data(), text.size());
  for (const auto& [name, tensor] : file.tensors) out.write(tensor.host().raw(), tensor.bytes());
  out.commit();
}

}   // namespace fovea
