// cut_reference.cpp: picture by picture, row by row, channel by channel. One thread: who has many pictures has a thread for each.
#include <algorithm>

#include "kernels/cut.h"

namespace fovea::kernels {

template <class T> void cut(Cpu, const std::uint8_t* pixels, const Cut* cuts, const float* table, T* y, const CutShape& s) {
  const std::int64_t row = s.width * s.c;
  for (std::int64_t i = 0; i < s.n; ++i) {
    const Cut& picture = cuts[i];
    // Columns begin..end-1 of the window lie in the picture.
    const std::int64_t begin = std::clamp<std::int64_t>(-picture.left, 0, s.width);
    const std::int64_t end = std::max(begin, std::clamp<std::int64_t>(std::int64_t{picture.w} - picture.left, 0, s.width));
    for (std::int64_t r = 0; r < s.height; ++r, y += row) {
      const std::int64_t from_row = picture.top + r;
      const bool outside = from_row < 0 || from_row >= picture.h;
      for (std::int64_t ch = 0; ch < s.c; ++ch) {
        const float* value = table + 256 * ch;
        T* to = picture.flip ? y + row - s.c + ch : y + ch;
        const std::int64_t step = picture.flip ? -s.c : s.c;
        const T black = T(value[0]);
        if (outside) {
          for (std::int64_t q = 0; q < s.width; ++q) to[q * step] = black;
          continue;
        }
        const std::uint8_t* from = pixels + picture.first + from_row * picture.w * s.c + ch;
        for (std::int64_t q = 0; q < begin; ++q) to[q * step] = black;
        for (std::int64_t q = begin; q < end; ++q) to[q * step] = T(value[from[(picture.left + q) * s.c]]);
        for (std::int64_t q = end; q < s.width; ++q) to[q * step] = black;
      }
    }
  }
}
template void cut(Cpu, const std::uint8_t*, const Cut*, const float*, float*, const CutShape&);
template void cut(Cpu, const std::uint8_t*, const Cut*, const float*, bfloat16*, const CutShape&);

}   // namespace fovea::kernels
