#include "nn/conv2d.h"

#include "nn/init.h"

namespace fovea::nn {
namespace {

const Conv2dOptions& checked(const Conv2dOptions& o) {
  require(o.in >= 1 && o.out >= 1, "Conv2d: expected at least one channel in and out, got in ", o.in, ", out ", o.out);
  require(o.kernel.h >= 1 && o.kernel.w >= 1, "Conv2d: expected a kernel of at least 1, got ", o.kernel.h, " x ", o.kernel.w);
  require(o.stride.h >= 1 && o.stride.w >= 1, "Conv2d: expected a stride of at least 1, got ", o.stride.h, " x ", o.stride.w);
  require(o.dilation.h >= 1 && o.dilation.w >= 1, "Conv2d: expected a dilation of at least 1, got ", o.dilation.h, " x ", o.dilation.w);
  require(o.padding.h >= 0 && o.padding.w >= 0, "Conv2d: expected no negative padding, got ", o.padding.h, " x ", o.padding.w);
  require(o.groups >= 1 && o.in % o.groups == 0 && o.out % o.groups == 0, "Conv2d: expected groups that divide in ", o.in, " and out ",
          o.out, ", got ", o.groups);
  return o;
}

std::string str(Size2 s) { return s.h == s.w ? std::to_string(s.h) : detail::join(s.h, " x ", s.w); }

}   // namespace

Conv2d::Conv2d(const Options& o)
    : o_(checked(o)),
      weight_(add_parameter("weight",
                            he_normal({o.out, o.kernel.h, o.kernel.w, o.in / o.groups}, Fan::out, kReluGain, default_generator().next()),
                            DiskLayout::filters)) {
  if (o.bias) bias_ = &add_parameter("bias", Tensor::zeros({o.out}));
}

void Conv2d::check_input(const Variable& x) const {
  require(x.rank() == 4, "expected x of shape (N, H, W, ", o_.in, "), got ", x.shape());
  require(x.dim(3) == o_.in, "expected x with ", o_.in, " channels, got ", x.shape());
}

Variable Conv2d::forward(const Variable& x) {
  check_input(x);
  return conv2d(x, weight_, bias_ ? *bias_ : Variable(), config());
}

std::string Conv2d::describe() const {
  std::string s = detail::join("Conv2d(", o_.in, " -> ", o_.out, ", kernel ", str(o_.kernel));
  if (o_.stride != Size2(1)) s += ", stride " + str(o_.stride);
  if (o_.padding != Size2(0)) s += ", padding " + str(o_.padding);
  if (o_.dilation != Size2(1)) s += ", dilation " + str(o_.dilation);
  if (o_.groups != 1) s += detail::join(", groups ", o_.groups);
  return s + (o_.bias ? ")" : ", no bias)");
}

}   // namespace fovea::nn
