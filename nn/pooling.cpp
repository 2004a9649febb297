#include "nn/pooling.h"

namespace fovea::nn {
namespace {

std::string str(Size2 s) { return s.h == s.w ? std::to_string(s.h) : detail::join(s.h, " x ", s.w); }

/// What windows have in common.
template <class Options> std::string windows(const Options& o) {
  return "kernel " + str(o.kernel) + ", stride " + str(fovea::detail::pool_stride(o.kernel, o.stride)) +
         (o.padding == Size2(0) ? "" : ", padding " + str(o.padding)) + (o.ceil_mode ? ", ceil_mode" : "");
}

}   // namespace

Variable MaxPool2d::forward(const Variable& x) { return max_pool2d(x, o_); }
std::string MaxPool2d::describe() const { return "MaxPool2d(" + windows(o_) + ")"; }

Variable AvgPool2d::forward(const Variable& x) { return avg_pool2d(x, o_); }
std::string AvgPool2d::describe() const {
  return "AvgPool2d(" + windows(o_) + (o_.count_include_pad ? "" : ", without padding") +
         (o_.divisor_override ? detail::join(", divisor ", o_.divisor_override) : "") + ")";
}

Variable AdaptiveMaxPool2d::forward(const Variable& x) { return adaptive_max_pool2d(x, o_.output_size); }
std::string AdaptiveMaxPool2d::describe() const { return "AdaptiveMaxPool2d(" + str(o_.output_size) + ")"; }

Variable AdaptiveAvgPool2d::forward(const Variable& x) { return adaptive_avg_pool2d(x, o_.output_size); }
std::string AdaptiveAvgPool2d::describe() const { return "AdaptiveAvgPool2d(" + str(o_.output_size) + ")"; }

Variable GlobalAvgPool2d::forward(const Variable& x) { return global_avg_pool(x); }

}   // namespace fovea::nn
