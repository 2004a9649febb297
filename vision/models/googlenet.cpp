// googlenet.cpp: Szegedy et al. 2015, "Going Deeper with Convolutions" (arXiv:1409.4842), Table 1.
//
// An inception module (Fig. 2b) looks at the same pixels with filters of several sizes at once and lays the results side by side; 1x1
// convolutions in front keep the cost down. Two classifiers on the side, behind 4a and 4d, help the gradient in training (section 5).
//
// Names are torchvision's. `googlenet` takes its weights, and so has a 3x3 in the place of the 5x5; `googlenet_paper` has the 5x5. Where
// both depart: batch norm behind every convolution, which has no bias (the paper predates it, and has local response norm behind the first
// pool and conv3); the last pool looks at 2x2 pixels, in Table 1 at 3x3; the side classifiers pool to 4x4 bins, so that images of other
// sizes do, where the paper has 5x5 windows with stride 3.
#include "vision/models/googlenet.h"

#include <utility>

#include "autograd/activation.h"
#include "autograd/pooling.h"
#include "autograd/shape_ops.h"

namespace fovea::vision {

using nn::Conv2dNormActivation;

namespace {

/// torchvision's BasicConv2d: names conv and bn, epsilon 1e-3.
nn::Conv2dNormActivationOptions basic(std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride = 1) {
  return {.in = in, .out = out, .kernel = kernel, .stride = stride, .eps = 1e-3, .names = {"conv", "bn"}};
}

}   // namespace

/// Fig. 2b, from left to right: 1x1; 1x1 and 3x3; 1x1 and 5x5; maximum and 1x1.
Inception::Inception(const Options& o)
    : o_(o),
      branch1_(add<Conv2dNormActivation>("branch1", basic(o.in, o.conv1x1, 1))),
      branch2_(add<nn::Sequential>("branch2")),
      branch3_(add<nn::Sequential>("branch3")),
      branch4_(add<nn::Sequential>("branch4")) {
  branch2_.add<Conv2dNormActivation>(basic(o.in, o.reduce3x3, 1));
  branch2_.add<Conv2dNormActivation>(basic(o.reduce3x3, o.conv3x3, 3));
  branch3_.add<Conv2dNormActivation>(basic(o.in, o.reduce5x5, 1));
  branch3_.add<Conv2dNormActivation>(basic(o.reduce5x5, o.conv5x5, o.large_kernel));
  branch4_.add<nn::MaxPool2d>({.kernel = 3, .stride = 1, .padding = 1, .ceil_mode = true});
  branch4_.add<Conv2dNormActivation>(basic(o.in, o.pool_proj, 1));
}

Variable Inception::forward(const Variable& x) { return concatenate({branch1_(x), branch2_(x), branch3_(x), branch4_(x)}, -1); }

std::string Inception::describe() const { return detail::join("Inception(", o_.in, " -> ", o_.out(), ")"); }

/// The classifier on the side, section 5: mean, 1x1 convolution of 128 channels, 1024 units, 70 % dropout.
InceptionAux::InceptionAux(const Options& o)
    : conv_(add<Conv2dNormActivation>("conv", basic(o.in, 128, 1))),
      fc1_(add<nn::Linear>("fc1", {.in = 2048, .out = 1024})),
      fc2_(add<nn::Linear>("fc2", {.in = 1024, .out = o.classes})),
      dropout_(add<nn::Dropout>("dropout", {.p = o.dropout})) {}

Variable InceptionAux::forward(const Variable& x) {                      // 14x14x512 or 528
  const Variable y = flatten(conv_(adaptive_avg_pool2d(x, Size2(4))));   // 4x4x128, 2048
  return fc2_(dropout_(relu(fc1_(y))));
}

GoogLeNet::GoogLeNet(std::int64_t large_kernel, const ModelOptions& o) {
  const auto convolution = [&](const char* name, std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride = 1) {
    stages_.push_back(&add<Conv2dNormActivation>(name, basic(in, out, kernel, stride)));
  };
  const auto pool = [&](const char* name, std::int64_t kernel) {
    stages_.push_back(&add<nn::MaxPool2d>(name, {.kernel = kernel, .stride = 2, .ceil_mode = true}));
  };
  const auto inception = [&](const char* name, InceptionOptions row) {
    row.large_kernel = large_kernel;
    stages_.push_back(&add<Inception>(name, row));
  };
  // Table 1, with the shapes behind each row at 224.
  convolution("conv1", o.channels, 64, o.small_images ? 3 : 7, o.small_images ? 1 : 2);   // 112x112x64
  if (!o.small_images) pool("maxpool1", 3);                                               // 56x56x64
  convolution("conv2", 64, 64, 1);
  convolution("conv3", 64, 192, 3);                             // 56x56x192
  pool("maxpool2", 3);                                          // 28x28x192; for small pictures the first reduction
  inception("inception3a", {192, 64, 96, 128, 16, 32, 32});     // 28x28x256
  inception("inception3b", {256, 128, 128, 192, 32, 96, 64});   // 28x28x480
  pool("maxpool3", 3);                                          // 14x14x480
  inception("inception4a", {480, 192, 96, 208, 16, 48, 64});    // 14x14x512
  after4a_ = stages_.back();
  inception("inception4b", {512, 160, 112, 224, 24, 64, 64});   // 14x14x512
  inception("inception4c", {512, 128, 128, 256, 24, 64, 64});   // 14x14x512
  inception("inception4d", {512, 112, 144, 288, 32, 64, 64});   // 14x14x528
  after4d_ = stages_.back();
  inception("inception4e", {528, 256, 160, 320, 32, 128, 128});   // 14x14x832
  pool("maxpool4", 2);                                            // 7x7x832
  inception("inception5a", {832, 256, 160, 320, 32, 128, 128});   // 7x7x832
  inception("inception5b", {832, 384, 192, 384, 48, 128, 128});   // 7x7x1024
  if (o.auxiliary_heads) {
    aux1_ = &add<InceptionAux>("aux1", {.in = 512, .classes = o.classes, .dropout = o.dropout.value_or(0.7)});
    aux2_ = &add<InceptionAux>("aux2", {.in = 528, .classes = o.classes, .dropout = o.dropout.value_or(0.7)});
  }
  avgpool_ = &add<nn::GlobalAvgPool2d>("avgpool");
  dropout_ = &add<nn::Dropout>("dropout", {.p = o.dropout.value_or(large_kernel == 3 ? 0.2 : 0.4)});   // Table 1: 0.4; torchvision: 0.2
  fc_ = &add<nn::Linear>("fc", {.in = 1024, .out = o.classes});
}

Variable GoogLeNet::features(const Variable& x) {
  auxiliary_.clear();
  Variable y = x;
  for (Module* stage : stages_) {
    y = (*stage)(y);
    // "The losses of the auxiliary classifiers were weighted by 0.3": section 5.
    if (training() && aux1_ && stage == after4a_) auxiliary_.push_back({(*aux1_)(y), 0.3});
    if (training() && aux2_ && stage == after4d_) auxiliary_.push_back({(*aux2_)(y), 0.3});
  }
  return (*dropout_)((*avgpool_)(y));   // 1024
}

Variable GoogLeNet::forward(const Variable& x) { return (*fc_)(features(x)); }

std::vector<ModelEntry> googlenet_models() {
  constexpr const char* paper = "Szegedy et al. 2015, Going Deeper with Convolutions, arXiv:1409.4842";
  return {{.name = "googlenet",
           .description = "inception modules, with 3x3 in the place of 5x5",
           .paper = paper,
           .size = 224,
           .make = [](const ModelOptions& o) { return std::make_unique<GoogLeNet>(3, o); }},
          {.name = "googlenet_paper",
           .description = "inception modules, Table 1",
           .paper = paper,
           .size = 224,
           .make = [](const ModelOptions& o) { return std::make_unique<GoogLeNet>(5, o); }}};
}

}   // namespace fovea::vision
