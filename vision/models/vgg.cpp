// vgg.cpp: Simonyan & Zisserman 2015, "Very Deep Convolutional Networks for Large-Scale Image Recognition" (arXiv:1409.1556), Table 1.
//
// 3x3 convolutions all the way, a 2x2 maximum pool behind each stage: two of them see 5x5 pixels, three 7x7, with fewer weights and more
// nonlinearities than one large filter (section 2.3). Names are torchvision's.
//
// Where we depart: the `_bn` variants have a batch norm behind each convolution, whose bias is kept, as in torchvision's files; the paper
// has none. Columns A-LRN and C of the table are left out. The paper draws first weights with variance 0.01 and starts deep networks from
// trained shallow ones (section 3.1); here convolutions start as in He et al. 2015, who showed with such networks that this needs no such
// help, and linear layers with variance 0.0001, both as torchvision does.
#include "vision/models/vgg.h"

#include "autograd/shape_ops.h"
#include "nn/activation.h"
#include "nn/batch_norm.h"
#include "nn/conv2d.h"
#include "nn/dropout.h"
#include "nn/init.h"

namespace fovea::vision {

VGG::VGG(const VGGConfig& config, const ModelOptions& o)
    : config_(config),
      features_(add<nn::Sequential>("features")),
      avgpool_(add<nn::AdaptiveAvgPool2d>("avgpool", {.output_size = config.pooled})),
      classifier_(add<nn::Sequential>("classifier")),
      head_([&]() -> nn::Linear& {
        const nn::NoInit below;
        const std::int64_t channels = config.stages.back().back();
        const double p = o.dropout.value_or(0.5);   // section 3.1
        classifier_.add<nn::Linear>({.in = channels * config.pooled * config.pooled, .out = config.hidden});
        classifier_.add<nn::ReLU>();
        classifier_.add<nn::Dropout>({.p = p});
        classifier_.add<nn::Linear>({.in = config.hidden, .out = config.hidden});
        classifier_.add<nn::ReLU>();
        classifier_.add<nn::Dropout>({.p = p});
        return classifier_.add<nn::Linear>({.in = config.hidden, .out = o.classes});
      }()) {
  std::int64_t in = o.channels;
  for (const auto& stage : config.stages) {
    for (const std::int64_t out : stage) {
      features_.add<nn::Conv2d>({.in = in, .out = out, .kernel = 3, .padding = 1});
      if (config.batch_norm) features_.add<nn::BatchNorm2d>({.channels = out});
      features_.add<nn::ReLU>();
      in = out;
    }
    features_.add<nn::MaxPool2d>({.kernel = 2, .stride = 2});
  }
  classifier_.apply([](nn::Module& m) {
    if (auto* linear = dynamic_cast<nn::Linear*>(&m)) {
      Variable weight = linear->weight();
      weight.assign(nn::normal(weight.shape(), 0.01, default_generator().next()));
    }
  });
}

Variable VGG::features(const Variable& x) {
  const Variable y = flatten(avgpool_(features_(x)));   // 7x7x512, 25088
  return classifier_.forward_until(y, head_);           // 4096
}

Variable VGG::forward(const Variable& x) { return head_(features(x)); }

std::vector<ModelEntry> vgg_models() {
  const std::vector<std::pair<std::string, std::vector<std::vector<std::int64_t>>>> columns = {
      // Table 1: A, B, D, E. Stages of 224x224, 112x112, 56x56, 28x28 and 14x14 pixels
      {"vgg11", {{64}, {128}, {256, 256}, {512, 512}, {512, 512}}},
      {"vgg13", {{64, 64}, {128, 128}, {256, 256}, {512, 512}, {512, 512}}},
      {"vgg16", {{64, 64}, {128, 128}, {256, 256, 256}, {512, 512, 512}, {512, 512, 512}}},
      {"vgg19", {{64, 64}, {128, 128}, {256, 256, 256, 256}, {512, 512, 512, 512}, {512, 512, 512, 512}}},
  };
  std::vector<ModelEntry> entries;
  for (const auto& column : columns)
    for (const bool batch_norm : {false, true})
      entries.push_back({.name = column.first + (batch_norm ? "_bn" : ""),
                         .description = batch_norm ? "3x3 convolutions with batch norm" : "3x3 convolutions, Table 1",
                         .paper = "Simonyan & Zisserman 2015, Very Deep Convolutional Networks, arXiv:1409.1556",
                         .size = 224,
                         .make = [column, batch_norm](const ModelOptions& o) {
                           VGGConfig c{.name = column.first + (batch_norm ? "_bn" : ""), .stages = column.second, .batch_norm = batch_norm};
                           if (o.small_images) c.pooled = 1, c.hidden = 512;   // 32 pixels end as one
                           return std::make_unique<VGG>(c, o);
                         }});
  return entries;
}

}   // namespace fovea::vision
