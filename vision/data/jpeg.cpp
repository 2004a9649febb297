// jpeg.cpp: libjpeg reports errors by a function that must not return, so each decoding lies between a setjmp and calls into C: no
// C++ object with a destructor lives there.
#include "vision/data/jpeg.h"

#include <csetjmp>
#include <cstddef>
#include <cstdio>
#include <vector>

#include <jerror.h>   // <cstdio> must come first
#include <jpeglib.h>

namespace fovea::vision {
namespace {

struct Failure {
  jpeg_error_mgr manager;   // first: libjpeg knows this part only
  std::jmp_buf escape;
  char message[JMSG_LENGTH_MAX];
};

[[noreturn]] void fail(j_common_ptr c) {
  auto* failure = reinterpret_cast<Failure*>(c->err);
  c->err->format_message(c, failure->message);
  std::longjmp(failure->escape, 1);
}

/// Warnings are counted by libjpeg and otherwise passed over, but for data that end too early: libjpeg would fill up with grey.
void note(j_common_ptr c, int level) {
  if (level < 0 && c->err->msg_code == JWRN_JPEG_EOF) fail(c);
}

jpeg_error_mgr* quiet(Failure& f) {
  jpeg_std_error(&f.manager);
  f.manager.error_exit = fail;
  f.manager.emit_message = note;
  f.message[0] = '\0';
  return &f.manager;
}

void open(jpeg_decompress_struct& d, std::string_view bytes) {
  jpeg_create_decompress(&d);
  jpeg_mem_src(&d, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  jpeg_read_header(&d, TRUE);
}

/// Reads the header into d. False: failure.message says why.
bool read_header(jpeg_decompress_struct& d, Failure& failure, std::string_view bytes) {
  if (setjmp(failure.escape)) return false;
  open(d, bytes);
  if (d.num_components != 1 && d.num_components != 3 && d.num_components != 4) {
    std::snprintf(failure.message, sizeof failure.message, "expected 1, 3 or 4 components, got %d", d.num_components);
    return false;
  }
  return true;
}

/// Decodes behind read_header: rows of `stride` bytes into `pixels`.
bool read_rows(jpeg_decompress_struct& d, Failure& failure, std::uint8_t* pixels, std::size_t stride) {
  if (setjmp(failure.escape)) return false;
  d.out_color_space = d.num_components == 1 ? JCS_GRAYSCALE : d.num_components == 3 ? JCS_RGB : JCS_CMYK;
  d.dct_method = JDCT_ISLOW;
  d.do_fancy_upsampling = TRUE;
  jpeg_start_decompress(&d);
  while (d.output_scanline < d.output_height) {
    JSAMPROW row = pixels + d.output_scanline * stride;
    jpeg_read_scanlines(&d, &row, 1);
  }
  return true;   // what follows the last row is of no interest: no jpeg_finish_decompress
}

/// Frees what libjpeg holds; a structure that was never created is zero, which it takes as nothing to do.
struct Decoder {
  jpeg_decompress_struct d{};
  Failure failure;
  explicit Decoder(std::string_view bytes) {
    d.err = quiet(failure);
    if (!read_header(d, failure, bytes)) {
      jpeg_destroy_decompress(&d);
      throw Error(failure.message);
    }
  }
  ~Decoder() { jpeg_destroy_decompress(&d); }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
};

/// a b / 255, rounded: exact for bytes.
int times(int a, int b) {
  const int t = a * b + 128;
  return ((t >> 8) + t) >> 8;
}

}   // namespace

bool is_jpeg(std::string_view bytes) { return bytes.starts_with("\xff\xd8\xff"); }

JpegSize jpeg_size(std::string_view bytes) {
  const Decoder decoder(bytes);
  return {.height = decoder.d.image_height, .width = decoder.d.image_width};
}

Tensor decode_jpeg(std::string_view bytes) {
  Decoder decoder(bytes);
  jpeg_decompress_struct& d = decoder.d;
  const std::int64_t H = d.image_height, W = d.image_width, stored = d.num_components;
  Tensor image = Tensor::empty({H, W, stored == 1 ? 1 : 3}, DType::u8);
  std::vector<std::uint8_t> cmyk(stored == 4 ? static_cast<std::size_t>(H * W * 4) : 0);
  std::uint8_t* to = image.data<std::uint8_t>();
  if (!read_rows(d, decoder.failure, stored == 4 ? cmyk.data() : to, static_cast<std::size_t>(W * stored)))
    throw Error(decoder.failure.message);
  for (std::size_t i = 0; i < cmyk.size(); i += 4)   // inverted: 255 is no ink
    for (std::size_t c = 0; c < 3; ++c) {
      const int paper = cmyk[i + 3], ink = 255 - cmyk[i + c];
      *to++ = static_cast<std::uint8_t>(paper - times(ink, paper));
    }
  return image;
}

}   // namespace fovea::vision
