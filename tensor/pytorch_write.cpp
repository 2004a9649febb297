// pytorch_write.cpp: an archive like torch.save's: data.pkl, the pickle of an OrderedDict, and data/0, data/1, ... with the tensors' bytes.
#include <set>

#include "tensor/pytorch_file.h"
#include "tensor/zip_file.h"

namespace fovea {
namespace {

const char* storage_of(DType dtype) {
  switch (dtype) {
    case DType::f32: return "FloatStorage";
    case DType::f64: return "DoubleStorage";
    case DType::bf16: return "BFloat16Storage";
    case DType::i64: return "LongStorage";
    case DType::u8: return "ByteStorage";
  }
  return "";
}

/// Instructions of a pickle of protocol 2, named as in Lib/pickletools.py.
class Pickler {
 public:
  Pickler() : program_("\x80\x02") {}   // PROTO 2
  void op(std::string_view bytes) { program_ += bytes; }
  template <class T> void number(T x) { program_.append(reinterpret_cast<const char*>(&x), sizeof x); }
  void global(std::string_view module, std::string_view name) { ((program_ += 'c') += module) += '\n', (program_ += name) += '\n'; }
  void text(std::string_view s) {   // BINUNICODE
    program_ += 'X';
    number(static_cast<std::uint32_t>(s.size()));
    program_ += s;
  }
  void integer(std::int64_t n) {
    if (n >= 0 && n < 256) {
      program_ += 'K', number(static_cast<std::uint8_t>(n));   // BININT1
    } else if (n >= 0 && n <= 0x7fffffff) {
      program_ += 'J', number(static_cast<std::int32_t>(n));   // BININT
    } else {
      program_ += "\x8a\x08", number(n);   // LONG1
    }
  }
  void tuple(const std::vector<std::int64_t>& numbers) {
    program_ += '(';
    for (const std::int64_t n : numbers) integer(n);
    program_ += 't';
  }
  void ordered_dict() {
    global("collections", "OrderedDict");
    program_ += ")R";   // EMPTY_TUPLE REDUCE
  }
  std::string finish() { return program_ + '.'; }

 private:
  std::string program_;
};

/// torch._utils._rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks)
void tensor(Pickler& p, const Tensor& t, std::size_t key) {
  std::vector<std::int64_t> size(static_cast<std::size_t>(t.rank())), stride(size.size());
  std::int64_t step = 1;
  for (int i = t.rank() - 1; i >= 0; --i) {
    size[static_cast<std::size_t>(i)] = t.dim(i), stride[static_cast<std::size_t>(i)] = step;
    step *= std::max<std::int64_t>(t.dim(i), 1);
  }
  p.global("torch._utils", "_rebuild_tensor_v2");
  p.op("((");
  p.text("storage");
  p.global("torch", storage_of(t.dtype()));
  p.text(std::to_string(key));
  p.text("cpu");
  p.integer(t.elements());
  p.op("tQ");   // TUPLE BINPERSID
  p.integer(0);
  p.tuple(size);
  p.tuple(stride);
  p.op("\x89");   // NEWFALSE
  p.ordered_dict();
  p.op("tR");
}

}   // namespace

void write_pytorch_file(const std::filesystem::path& path, const TensorFile& file) {
  const auto fail = [&](const auto&... parts) { throw Error(detail::join(path.string(), ": cannot write: ", parts...)); };
  Pickler p;
  p.ordered_dict();
  p.op("(");
  std::set<std::string> names;
  for (std::size_t i = 0; i < file.tensors.size(); ++i) {
    const auto& [name, t] = file.tensors[i];
    if (!names.insert(name).second) fail("the name \"", name, "\" is taken");
    if (!t.defined()) fail("\"", name, "\" is undefined");
    p.text(name);
    tensor(p, t, i);
  }
  p.op("u");   // SETITEMS
  ZipWriter zip(path);
  zip.add("archive/data.pkl", p.finish());
  zip.add("archive/byteorder", "little");
  for (std::size_t i = 0; i < file.tensors.size(); ++i)
    zip.add("archive/data/" + std::to_string(i), file.tensors[i].second.host().raw(), file.tensors[i].second.bytes());
  zip.add("archive/version", "3\n");
  zip.commit();
}

}   // namespace fovea
