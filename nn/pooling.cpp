#include "nn/pooling.h"

namespace fovea::nn {

Variable MaxPool2d::forward(const Variable& x) { return max_pool2d(x, o_); }

std::string MaxPool2d::describe() const {
  const auto str = [](Size2 s) { return s.h == s.w ? std::to_string(s.h) : detail::join(s.h, " x ", s.w); };
  return "MaxPool2d(kernel " + str(o_.kernel) + ", stride " + str(o_.stride) +
         (o_.padding == Size2(0) ? ")" : ", padding " + str(o_.padding) + ")");
}

Variable GlobalAvgPool2d::forward(const Variable& x) { return global_avg_pool(x); }

}   // namespace fovea::nn
