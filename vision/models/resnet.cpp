// resnet.cpp: residual networks and their descendants, to be read beside
//
//   He et al. 2016, "Deep Residual Learning for Image Recognition" (arXiv:1512.03385): Eq. (1) and (2), Table 1, Fig. 5
//   Zagoruyko & Komodakis 2016, "Wide Residual Networks" (arXiv:1605.07146): bottlenecks with a 3x3 twice as wide, Table 8
//   Xie et al. 2017, "Aggregated Residual Transformations for Deep Neural Networks" (ResNeXt, arXiv:1611.05431): Fig. 3c, Table 1
//   Hu et al. 2018, "Squeeze-and-Excitation Networks" (arXiv:1709.01507): Fig. 3
//   He et al. 2019, "Bag of Tricks for Image Classification with Convolutional Neural Networks" (arXiv:1812.01187): B, C and D of Fig. 2
//
// A network is a stem, stages layer1 to layer4 (conv2_x to conv5_x of Table 1), a mean over the pixels and a linear layer. A block is
// relu(F(x) + shortcut(x)). The table at the end of this file has a ResNetConfig for each variant: blocks a stage (.depths), which F
// (.bottleneck, .groups, .width_per_group, .squeeze_excitation), where the stride sits, which stem, which shortcut.
//
// Where we depart from the papers: shortcuts that change shape are always projections (option B of section 3.3); the stride of a bottleneck
// sits in its 3x3 convolution, as torchvision has it (B), but in the first 1x1 in the `_v1_original` variants; resnet8_mnist is ours, for
// 28x28 digits. Names are torchvision's (for the C stem, the D shortcut and SE those of timm), so their weights load.
#include "vision/models/resnet.h"

#include "autograd/activation.h"
#include "autograd/arithmetic.h"

namespace fovea::vision {

using kernels::Activation::relu;
using nn::BatchNorm2d, nn::Conv2d, nn::conv_norm_act;

namespace {

/// "downsample.0", "downsample.1"; with pooling in front "0" is the pool, as in timm.
std::string entry(bool pooled, int i) { return std::to_string(pooled ? i + 1 : i); }

std::string stride_text(std::int64_t stride) { return stride == 1 ? "" : detail::join(", stride ", stride); }

}   // namespace

/// W_s of Eq. (2): 1x1 with batch norm; ResNet-D takes the mean of 2x2 pixels first (He et al. 2019, Fig. 2c).
Projection::Projection(const Options& o)
    : pool_(o.pooled && o.stride > 1 ? &add<nn::AvgPool2d>("0", {.kernel = o.stride, .ceil_mode = true, .count_include_pad = false})
                                     : nullptr),
      conv_(add<Conv2d>(entry(o.pooled, 0), {.in = o.in, .out = o.out, .kernel = 1, .stride = pool_ ? 1 : o.stride, .bias = false})),
      bn_(add<BatchNorm2d>(entry(o.pooled, 1), {.channels = o.out})) {}

Variable Projection::forward(const Variable& x) { return conv_norm_act(pool_ ? (*pool_)(x) : x, conv_, bn_); }

void ResidualBlock::add_rest() {
  if (o_.config.squeeze_excitation) se_ = &add<nn::SqueezeExcitation>("se", {.channels = out_, .squeeze = out_ / 16});
  if (o_.stride != 1 || o_.in != out_)
    downsample_ = &add<Projection>("downsample", {.in = o_.in, .out = out_, .stride = o_.stride, .pooled = o_.config.pooled_shortcut});
  if (o_.drop_path > 0) drop_path_ = &add<nn::StochasticDepth>("drop_path", {.p = o_.drop_path});
}

/// relu(F(x) + x) or relu(F(x) + W_s x): the sum is the paper's y, Eq. (1) or Eq. (2), the ReLU its second nonlinearity, sigma(y) in the
/// text after Eq. (1). The argument y is what the last convolution of F is given. SE stands at the end of F (Hu et al. 2018, Fig. 3), then
/// stochastic depth (Huang et al. 2016, Eq. (2)).
Variable ResidualBlock::join(const Variable& x, const Variable& y, Conv2d& conv, BatchNorm2d& bn) {
  const Variable shortcut = downsample_ ? (*downsample_)(x) : x;   // (N, H/s, W/s, out)
  if (!se_ && !drop_path_) return conv_norm_act(y, conv, bn, {.activation = relu, .residual = &shortcut});
  Variable branch = conv_norm_act(y, conv, bn);
  if (se_) branch = (*se_)(branch);
  if (drop_path_) branch = (*drop_path_)(branch);
  return fovea::relu(branch + shortcut);
}

/// F of Fig. 5 left: two 3x3.
BasicBlock::BasicBlock(const Options& o)
    : ResidualBlock(o, o.width),
      conv1_(add<Conv2d>("conv1", {.in = o.in, .out = o.width, .kernel = 3, .stride = o.stride, .padding = 1, .bias = false})),
      bn1_(add<BatchNorm2d>("bn1", {.channels = o.width})),
      conv2_(add<Conv2d>("conv2", {.in = o.width, .out = o.width, .kernel = 3, .padding = 1, .bias = false})),
      bn2_(add<BatchNorm2d>("bn2", {.channels = o.width})) {
  add_rest();
}

Variable BasicBlock::forward(const Variable& x) {                            // (N, H, W, in)
  const Variable y = conv_norm_act(x, conv1_, bn1_, {.activation = relu});   // (N, H/s, W/s, width)
  return join(x, y, conv2_, bn2_);                                           // (N, H/s, W/s, width)
}

std::string BasicBlock::describe() const { return detail::join("BasicBlock(", o_.in, " -> ", out_, stride_text(o_.stride), ")"); }

/// F of Fig. 5 right: 1x1 down, 3x3 (in groups: Xie et al. 2017, Fig. 3c), 1x1 up to four times the width.
Bottleneck::Bottleneck(const Options& o)
    : ResidualBlock(o, 4 * o.width),
      inner_(o.width * o.config.width_per_group / 64 * o.config.groups),
      conv1_(
          add<Conv2d>("conv1", {.in = o.in, .out = inner_, .kernel = 1, .stride = o.config.stride_in_1x1 ? o.stride : 1, .bias = false})),
      bn1_(add<BatchNorm2d>("bn1", {.channels = inner_})),
      conv2_(add<Conv2d>("conv2", {.in = inner_,
                                   .out = inner_,
                                   .kernel = 3,
                                   .stride = o.config.stride_in_1x1 ? 1 : o.stride,
                                   .padding = 1,
                                   .groups = o.config.groups,
                                   .bias = false})),
      bn2_(add<BatchNorm2d>("bn2", {.channels = inner_})),
      conv3_(add<Conv2d>("conv3", {.in = inner_, .out = out_, .kernel = 1, .bias = false})),
      bn3_(add<BatchNorm2d>("bn3", {.channels = out_})) {
  add_rest();
}

Variable Bottleneck::forward(const Variable& x) {                      // (N, H, W, in)
  Variable y = conv_norm_act(x, conv1_, bn1_, {.activation = relu});   // (N, H, W, inner)
  y = conv_norm_act(y, conv2_, bn2_, {.activation = relu});            // (N, H/s, W/s, inner)
  return join(x, y, conv3_, bn3_);                                     // (N, H/s, W/s, 4 width)
}

std::string Bottleneck::describe() const {
  return detail::join("Bottleneck(", o_.in, " -> ", inner_, " -> ", out_, stride_text(o_.stride),
                      o_.config.groups == 1 ? "" : detail::join(", groups ", o_.config.groups), ")");
}

/// Three 3x3 for the 7x7: ResNet-C (He et al. 2019, Fig. 2b). The norm of the third is the network's bn1.
DeepStem::DeepStem(const Options& o)
    : conv1_(add<Conv2d>("0", {.in = o.in, .out = o.out / 2, .kernel = 3, .stride = 2, .padding = 1, .bias = false})),
      bn1_(add<BatchNorm2d>("1", {.channels = o.out / 2})),
      conv2_(add<Conv2d>("3", {.in = o.out / 2, .out = o.out / 2, .kernel = 3, .padding = 1, .bias = false})),
      bn2_(add<BatchNorm2d>("4", {.channels = o.out / 2})),
      conv3_(add<Conv2d>("6", {.in = o.out / 2, .out = o.out, .kernel = 3, .padding = 1, .bias = false})) {}

Variable DeepStem::front(const Variable& x) {
  return conv_norm_act(conv_norm_act(x, conv1_, bn1_, {.activation = relu}), conv2_, bn2_, {.activation = relu});
}

ResNet::ResNet(const ResNetConfig& config, const ModelOptions& o)
    : config_(config),
      conv1_(config.deep_stem ? nullptr
                              : &add<Conv2d>("conv1", {.in = o.channels,
                                                       .out = config.width,
                                                       .kernel = config.stem_kernel,
                                                       .stride = config.stem_stride,
                                                       .padding = config.stem_kernel / 2,
                                                       .bias = false})),
      deep_stem_(config.deep_stem ? &add<DeepStem>("conv1", {.in = o.channels, .out = config.width}) : nullptr),
      bn1_(add<BatchNorm2d>("bn1", {.channels = config.width})) {
  if (config.stem_pool) maxpool_ = &add<nn::MaxPool2d>("maxpool", {.kernel = 3, .stride = 2, .padding = 1});
  std::int64_t blocks = 0;
  for (const std::int64_t depth : config.depths) blocks += depth;

  const std::int64_t expansion = config.bottleneck ? 4 : 1;
  std::int64_t in = config.width, width = config.width, block = 0;
  for (const std::int64_t depth : config.depths) {
    if (depth == 0) break;
    auto& layer = add<nn::Sequential>("layer" + std::to_string(layers_.size() + 1));
    layer.set_recompute(o.recompute);
    for (std::int64_t i = 0; i < depth; ++i, ++block) {
      const ResNetBlockOptions options{
          .in = in,
          .width = width,
          .stride = i == 0 && !layers_.empty() ? 2 : 1,   // the first stage has the stem's resolution
          // Huang et al. 2016, Eq. (4): a line up to the given probability at the last block, from 0 at the first (theirs: at the stem).
          .drop_path = blocks > 1 ? o.stochastic_depth * static_cast<double>(block) / static_cast<double>(blocks - 1) : 0,
          .config = config};
      if (config.bottleneck)
        layer.add<Bottleneck>(options);
      else
        layer.add<BasicBlock>(options);
      in = width * expansion;
    }
    layers_.push_back(&layer);
    width *= 2;
  }
  avgpool_ = &add<nn::GlobalAvgPool2d>("avgpool");
  fc_ = &add<nn::Linear>("fc", {.in = in, .out = o.classes});
}

// Shapes for resnet18 at 224 (resnet8_mnist at 28): Table 1; bottlenecks have four times the channels behind each stage.
Variable ResNet::features(const Variable& x) {
  Variable y = deep_stem_ ? conv_norm_act(deep_stem_->front(x), deep_stem_->last(), bn1_, {.activation = relu})
                          : conv_norm_act(x, *conv1_, bn1_, {.activation = relu});   // 112x112x64 (14x14x16)
  if (maxpool_) y = (*maxpool_)(y);                                                  // 56x56x64
  for (nn::Sequential* layer : layers_) y = (*layer)(y);   // 56x56x64, 28x28x128, 14x14x256, 7x7x512 (14x14x16, 7x7x32, 4x4x64)
  return (*avgpool_)(y);                                   // 512 (64)
}

Variable ResNet::forward(const Variable& x) { return (*fc_)(features(x)); }

namespace {

constexpr const char* kResNet = "He et al. 2016, Deep Residual Learning for Image Recognition, arXiv:1512.03385";
constexpr const char* kWide = "Zagoruyko & Komodakis 2016, Wide Residual Networks, arXiv:1605.07146";
constexpr const char* kResNeXt = "Xie et al. 2017, Aggregated Residual Transformations for Deep Neural Networks, arXiv:1611.05431";
constexpr const char* kTricks =
    "He et al. 2019, Bag of Tricks for Image Classification with Convolutional Neural Networks, arXiv:1812.01187";
constexpr const char* kSe = "Hu et al. 2018, Squeeze-and-Excitation Networks, arXiv:1709.01507";

using Depths = std::array<std::int64_t, 4>;
constexpr Depths k18{2, 2, 2, 2}, k50{3, 4, 6, 3}, k101{3, 4, 23, 3}, k152{3, 8, 36, 3};   // Table 1; 34 has 50's

struct Row {
  const char* paper;
  std::string description;
  ResNetConfig config;
};

std::vector<Row> rows() {
  std::vector<Row> table{
      {kResNet, "basic blocks, Table 1", {.name = "resnet18", .depths = k18}},
      {kResNet, "basic blocks, Table 1", {.name = "resnet34", .depths = k50}},
      {kResNet, "bottlenecks, Table 1, stride in the 3x3 (B)", {.name = "resnet50", .depths = k50, .bottleneck = true}},
      {kResNet, "bottlenecks, Table 1, stride in the 3x3 (B)", {.name = "resnet101", .depths = k101, .bottleneck = true}},
      {kResNet, "bottlenecks, Table 1, stride in the 3x3 (B)", {.name = "resnet152", .depths = k152, .bottleneck = true}},
      {kWide, "bottlenecks twice as wide", {.name = "wide_resnet50_2", .depths = k50, .bottleneck = true, .width_per_group = 128}},
      {kWide, "bottlenecks twice as wide", {.name = "wide_resnet101_2", .depths = k101, .bottleneck = true, .width_per_group = 128}},
  };
  struct Cardinality {
    const char* name;
    Depths depths;
    std::int64_t groups, width;
    bool se;
  };
  for (const auto& [name, depths, groups, width, se] : {Cardinality{"resnext50_32x4d", k50, 32, 4, false},
                                                        {"resnext101_32x4d", k101, 32, 4, false},
                                                        {"resnext101_32x8d", k101, 32, 8, false},
                                                        {"resnext101_64x4d", k101, 64, 4, false},
                                                        {"resnext152_32x4d", k152, 32, 4, false},
                                                        {"se_resnext50_32x4d", k50, 32, 4, true}})
    table.push_back(
        {se ? kSe : kResNeXt,
         detail::join("bottlenecks of ", groups, " groups of ", width, " channels", se ? ", with SE" : ""),
         {.name = name, .depths = depths, .bottleneck = true, .groups = groups, .width_per_group = width, .squeeze_excitation = se}});
  struct Depth {
    const char* number;
    Depths depths;
    bool bottleneck;
  };
  constexpr Depth kDepths[] = {{"18", k18, false}, {"34", k50, false}, {"50", k50, true}, {"101", k101, true}, {"152", k152, true}};
  for (const auto& [number, depths, bottleneck] : kDepths) {
    const std::string name = std::string("resnet") + number;
    if (bottleneck) {
      table.push_back({kResNet,
                       "as in the paper: stride in the first 1x1",
                       {.name = name + "_v1_original", .depths = depths, .bottleneck = true, .stride_in_1x1 = true}});
      table.push_back({kTricks, "deep stem", {.name = name + "_c", .depths = depths, .bottleneck = true, .deep_stem = true}});
    }
    table.push_back({kTricks,
                     "deep stem, averaged shortcuts",
                     {.name = name + "_d", .depths = depths, .bottleneck = bottleneck, .deep_stem = true, .pooled_shortcut = true}});
    table.push_back({kSe, "with SE", {.name = "se_" + name, .depths = depths, .bottleneck = bottleneck, .squeeze_excitation = true}});
  }
  return table;
}

/// The stem for pictures of 28 to 64 pixels: 3x3, stride 1, no pooling.
ResNetConfig for_small_images(ResNetConfig c) {
  c.deep_stem = false;
  c.stem_kernel = 3, c.stem_stride = 1, c.stem_pool = false;
  return c;
}

}   // namespace

std::vector<ModelEntry> resnet_models() {
  std::vector<ModelEntry> entries;
  entries.push_back(
      {.name = "resnet8_mnist",
       .description = "for digits: a stem of stride 2, one basic block of 16, 32 and 64 channels each",
       .paper = kResNet,
       .size = 28,
       .make =
           [](const ModelOptions& o) {
             const ResNetConfig c{.name = "resnet8_mnist", .depths = {1, 1, 1, 0}, .width = 16, .stem_kernel = 3, .stem_pool = false};
             return std::make_unique<ResNet>(c, o);
           },
       .channels = 1,
       .classes = 10});
  for (const Row& row : rows())
    entries.push_back({.name = row.config.name,
                       .description = row.description,
                       .paper = row.paper,
                       .size = 224,
                       .make = [c = row.config](const ModelOptions& o) {
                         return std::make_unique<ResNet>(o.small_images ? for_small_images(c) : c, o);
                       }});
  return entries;
}

}   // namespace fovea::vision
