#include "vision/models/models.h"

#include <algorithm>
#include <cctype>

#include "vision/models/alexnet.h"
#include "vision/models/convnext.h"
#include "vision/models/efficientnet.h"
#include "vision/models/googlenet.h"
#include "vision/models/lenet.h"
#include "vision/models/mobilenet_v1.h"
#include "vision/models/mobilenet_v2.h"
#include "vision/models/mobilenet_v3.h"
#include "vision/models/resnet.h"
#include "vision/models/resnet_cifar.h"
#include "vision/models/swin.h"
#include "vision/models/vgg.h"
#include "vision/models/vit.h"
#include "vision/text.h"

namespace fovea::vision {

int ModelEntry::year() const {
  for (std::size_t i = 0; i + 4 <= paper.size(); ++i)   // the first number of four digits
    if (std::all_of(paper.begin() + static_cast<std::ptrdiff_t>(i), paper.begin() + static_cast<std::ptrdiff_t>(i) + 4,
                    [](unsigned char c) { return std::isdigit(c); }))
      return std::stoi(paper.substr(i, 4));
  return 0;
}

void ModelEntry::check(const ModelOptions& o) const {
  require(o.classes >= 1 && o.channels >= 1, name, ": expected at least one class and channel, got ", o.classes, " classes, ", o.channels,
          " channels");
  require(o.stochastic_depth >= 0 && o.stochastic_depth < 1, name, ": expected a stochastic depth in [0, 1), got ", o.stochastic_depth);
  require(!o.dropout || (*o.dropout >= 0 && *o.dropout < 1), name, ": expected a dropout in [0, 1), got ", o.dropout.value_or(0));
  require(accepts.dropout || o.dropout.value_or(0) == 0, name, ": expected no dropout: there is none in ", family);
  require(accepts.stochastic_depth || o.stochastic_depth == 0, name, ": expected no stochastic depth: there is none in ", family);
  require(accepts.auxiliary_heads || !o.auxiliary_heads, name, ": expected no auxiliary heads: there are none in ", family);
  require(accepts.recompute || !o.recompute, name, ": expected no recompute: ", family, " is not deep enough to have it");
}

const std::vector<ModelEntry>& models() {
  static const std::vector<ModelEntry> table = [] {
    struct Family {
      const char* name;
      std::vector<ModelEntry> (*entries)();
      AcceptedOptions accepts = {};
    };
    std::vector<ModelEntry> all;
    for (const auto& family : {Family{"LeNet", lenet_models},
                               {"AlexNet", alexnet_models, {.dropout = true}},
                               {"VGG", vgg_models, {.dropout = true}},
                               {"GoogLeNet", googlenet_models, {.dropout = true, .auxiliary_heads = true}},
                               {"ResNet", resnet_models, {.stochastic_depth = true, .recompute = true}},
                               {"ResNet for CIFAR", resnet_cifar_models, {.stochastic_depth = true, .recompute = true}},
                               {"Plain network for CIFAR", plain_cifar_models, {.recompute = true}},
                               {"MobileNet V1", mobilenet_v1_models},
                               {"MobileNet V2", mobilenet_v2_models, {.dropout = true}},
                               {"MobileNet V3", mobilenet_v3_models, {.dropout = true}},
                               {"EfficientNet", efficientnet_models, {.dropout = true, .stochastic_depth = true, .recompute = true}},
                               {"Vision Transformer", vit_models, {.dropout = true, .stochastic_depth = true, .recompute = true}},
                               {"Swin Transformer", swin_models, {.stochastic_depth = true, .recompute = true}},
                               {"ConvNeXt", convnext_models, {.stochastic_depth = true, .recompute = true}}})
      for (ModelEntry& entry : family.entries()) {
        entry.family = family.name;
        entry.accepts = family.accepts;
        entry.published = published_accuracy(entry.name);
        all.push_back(std::move(entry));
      }
    return all;
  }();
  return table;
}

const ModelEntry& model(const std::string& name) {
  std::vector<std::string> known;
  for (const ModelEntry& m : models()) {
    if (m.name == name) return m;
    known.push_back(m.name);
  }
  throw Error("unknown model \"" + name + "\"" + did_you_mean(name, known));
}

std::unique_ptr<Classifier> build(const std::string& name, const ModelOptions& o) {
  const ModelEntry& entry = model(name);
  entry.check(o);
  return entry.make(o);
}

}   // namespace fovea::vision
