#include "vision/models/models.h"

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

const std::vector<ModelEntry>& models() {
  static const std::vector<ModelEntry> table = [] {
    std::vector<ModelEntry> all;
    for (const auto& family :
         {lenet_models, alexnet_models, vgg_models, googlenet_models, resnet_models, resnet_cifar_models, mobilenet_v1_models,
          mobilenet_v2_models, mobilenet_v3_models, efficientnet_models, vit_models, swin_models, convnext_models})
      for (ModelEntry& entry : family()) all.push_back(std::move(entry));
    return all;
  }();
  return table;
}

std::unique_ptr<Classifier> build(const std::string& name, const ModelOptions& o) {
  require(o.classes >= 1 && o.channels >= 1, name, ": expected at least one class and channel, got ", o.classes, " classes, ", o.channels,
          " channels");
  require(o.stochastic_depth >= 0 && o.stochastic_depth < 1, name, ": expected a stochastic depth in [0, 1), got ", o.stochastic_depth);
  std::vector<std::string> known;
  for (const ModelEntry& m : models()) {
    if (m.name == name) return m.make(o);
    known.push_back(m.name);
  }
  throw Error("unknown model \"" + name + "\"" + did_you_mean(name, known));
}

}   // namespace fovea::vision
