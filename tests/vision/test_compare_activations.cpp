// The first layer that differs is found, and why: files of activations are made by a small network of the same kind with one mistake in it.
#include "vision/analysis/compare_activations.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "autograd/arithmetic.h"
#include "autograd/linear.h"
#include "autograd/shape_ops.h"
#include "nn/activation.h"
#include "nn/batch_norm.h"
#include "nn/conv2d.h"
#include "nn/layer_norm.h"
#include "nn/linear.h"
#include "nn/pooling.h"
#include "nn/sequential.h"
#include "nn/squeeze_excitation.h"
#include "nn/state.h"
#include "nn/window_attention.h"
#include "vision/analysis/fixed_numbers.h"
#include "vision/analysis/layer_suspects.h"

namespace fovea::vision {
namespace {

/// What may be wrong.
struct Plan {
  double eps = 1e-5;
  Size2 padding = 1;
  Approximate form = Approximate::none;
  bool ceil_mode = false;
};

void fill(nn::Module& net) {
  TensorFile file = nn::state_dict(net);
  for (auto& [name, t] : file.tensors)
    if (t.dtype() == DType::f32) t = fixed_numbers(name, t.shape(), name.ends_with("var") ? 0.2 : 1, name.ends_with("var") ? 0.4 : 0.1);
  nn::load_state_dict(net, file);
}

std::unique_ptr<nn::Sequential> network(const Plan& p = {}) {
  auto net = std::make_unique<nn::Sequential>();
  net->add<nn::Conv2d>({.in = 3, .out = 6, .kernel = 3, .padding = p.padding});
  net->add<nn::BatchNorm2d>({.channels = 6, .eps = p.eps});
  net->add<nn::GELU>({.approximate = p.form});
  net->add<nn::MaxPool2d>({.kernel = 2, .ceil_mode = p.ceil_mode});
  net->add<nn::GlobalAvgPool2d>();
  net->add<nn::Linear>({.in = 6, .out = 4});
  fill(*net);
  net->eval();
  return net;
}

/// As PyTorch would write it: (N, C, H, W).
TensorFile activations(nn::Module& net, const Tensor& x) {
  TensorFile file;
  file.tensors.emplace_back("x", to_layout(x, ImageLayout::nchw));
  const auto handles = listen(
      net, [](const std::string&) { return true; },
      [&](const std::string& path, const nn::Module&, const Variable&, const Variable& y) {
        file.tensors.emplace_back(path.empty() ? "logits" : path, to_layout(y.value(), ImageLayout::nchw));
      });
  const NoGrad no_grad;
  net(Variable(x));
  return file;
}

Tensor picture() { return fixed_numbers("x", {2, 7, 9, 3}, 4); }

ActivationComparison compared_with(const Plan& mistake) {
  const auto theirs = network(mistake), ours = network();
  return compare_activations(*ours, activations(*theirs, picture()), ImageLayout::nchw);
}

Tensor* find(TensorFile& file, const std::string& name) { return const_cast<Tensor*>(file.find(name)); }

TEST(CompareActivations, EqualNetworksAreEqual) {
  const ActivationComparison c = compared_with({});
  EXPECT_FALSE(c.first);
  ASSERT_EQ(c.layers.size(), 7u);   // six layers and the logits
  EXPECT_EQ(c.layers[0].layer, "0");
  EXPECT_EQ(c.layers[0].ours, Shape({2, 7, 9, 6}));
  EXPECT_EQ(c.layers[0].theirs, Shape({2, 6, 7, 9}));
  EXPECT_EQ(c.layers[6].layer, "logits");
  for (const LayerComparison& l : c.layers) EXPECT_EQ(l.error, 0) << l.layer;
  EXPECT_TRUE(c.not_in_file.empty() && c.not_in_network.empty() && c.suspects.empty());
}

TEST(CompareActivations, TheFirstMistakeIsFoundAndExplained) {
  struct Case {
    Plan mistake;
    std::string layer, suspect;
  };
  for (const Case& k : {Case{{.eps = 1e-3}, "1", "fits with eps 0.001 (here 1e-05)"},
                        {{.padding = 0}, "0", "fits with padding 0 (here 1)"},
                        {{.form = Approximate::tanh}, "2", "fits with GELU by tanh"},
                        {{.ceil_mode = true}, "3", "fits with its size rounded up"}}) {
    const ActivationComparison c = compared_with(k.mistake);
    ASSERT_TRUE(c.first) << k.layer;
    EXPECT_EQ(c.layers[*c.first].layer, k.layer);
    EXPECT_GT(c.layers[*c.first].error, 1e-4);
    EXPECT_EQ(c.suspects, std::vector<std::string>{k.suspect});
  }
}

TEST(CompareActivations, TheModeIsASuspect) {
  const auto theirs = network(), ours = network();
  theirs->train();
  const ActivationComparison c = compare_activations(*ours, activations(*theirs, picture()), ImageLayout::nchw);
  ASSERT_TRUE(c.first);
  EXPECT_EQ(c.layers[*c.first].layer, "1");
  EXPECT_EQ(c.suspects, std::vector<std::string>{"fits with the batch's statistics: training, not evaluation"});
  EXPECT_FALSE(ours->training());
}

TEST(CompareActivations, LayoutsAreUnderstoodAndMixedUpOnesTold) {
  const auto net = network();
  TensorFile file = activations(*net, picture());
  Tensor& t = *find(file, "2");
  const Tensor right = t;
  t = from_layout(right, ImageLayout::nchw);   // this one is channels last, as some modules of torchvision
  EXPECT_FALSE(compare_activations(*net, file, ImageLayout::nchw).first);

  t = from_layout(right, ImageLayout::nchw).reshape(right.shape());   // the numbers of one, the shape of the other
  const ActivationComparison c = compare_activations(*net, file, ImageLayout::nchw);
  ASSERT_TRUE(c.first);
  EXPECT_EQ(c.layers[*c.first].layer, "2");
  EXPECT_EQ(c.suspects, std::vector<std::string>{"fits as (N, H, W, C) numbers in a tensor whose shape says (N, C, H, W)"});

  // An input that is channels last, and said to be.
  file = activations(*net, picture());
  *find(file, "x") = picture();
  EXPECT_FALSE(compare_activations(*net, file, ImageLayout::nhwc).first);
}

TEST(CompareActivations, WhatIsMissingIsListed) {
  const auto net = network();
  TensorFile file = activations(*net, picture());
  std::erase_if(file.tensors, [](const auto& entry) { return entry.first == "3"; });
  file.tensors.emplace_back("relu", Tensor::zeros({1}));
  const ActivationComparison c = compare_activations(*net, file, ImageLayout::nchw);
  EXPECT_FALSE(c.first);
  EXPECT_EQ(c.not_in_file, std::vector<std::string>{"3"});
  EXPECT_EQ(c.not_in_network, std::vector<std::string>{"relu"});
}

TEST(CompareActivations, BadFilesAreRefusedAndNaNIsADifference) {
  const auto net = network();
  const TensorFile good = activations(*net, picture());
  TensorFile file = good;
  file.tensors.erase(file.tensors.begin());
  EXPECT_THROW(compare_activations(*net, file, ImageLayout::nchw), Error);   // no x
  file.tensors = {{"x", good.tensors[0].second}, {"elsewhere", Tensor::zeros({1})}};
  EXPECT_THROW(compare_activations(*net, file, ImageLayout::nchw), Error);   // no layer of this network
  file.tensors = {{"x", Tensor::zeros({3, 7, 9})}};
  EXPECT_THROW(compare_activations(*net, file, ImageLayout::nchw), ShapeError);
  EXPECT_THROW(compare_activations(*net, good, ImageLayout::nhwc), ShapeError);   // nine channels

  file = good;
  *find(file, "1") = find(file, "1")->clone();
  find(file, "1")->data<float>()[5] = std::numeric_limits<float>::quiet_NaN();
  const ActivationComparison c = compare_activations(*net, file, ImageLayout::nchw);
  ASSERT_TRUE(c.first);
  EXPECT_EQ(c.layers[*c.first].layer, "1");
  EXPECT_EQ(c.layers[*c.first].problem, "NaN or infinity in the file");

  file = good;
  *find(file, "5") = Tensor::zeros({2, 5});
  const ActivationComparison d = compare_activations(*net, file, ImageLayout::nchw);
  ASSERT_TRUE(d.first);
  EXPECT_EQ(d.layers[*d.first].problem, "other shape");
}

/// The suspects for a layer whose output should be that of another one with the same weights.
template <class M> std::vector<std::string> suspects(M& ours, M& theirs, const Tensor& x) {
  nn::load_state_dict(theirs, nn::state_dict(ours));
  const NoGrad no_grad;
  return layer_suspects(ours, x, {}, ours(Variable(x)).value(), theirs(Variable(x)).value(), 1e-5);
}

using Lines = std::vector<std::string>;

TEST(LayerSuspects, OneForEachKindOfLayer) {
  const Tensor x = fixed_numbers("x", {1, 9, 9, 4}, 4);
  nn::LayerNorm norm({.channels = 4}), other_norm({.channels = 4, .eps = 1e-2});
  EXPECT_EQ(suspects(norm, other_norm, x), Lines{"fits with eps 0.01 (here 1e-05)"});
  nn::ReLU relu;
  nn::Hardswish hard_swish;
  EXPECT_EQ(suspects<nn::Module>(relu, hard_swish, x), Lines{"fits with Hardswish"});
  nn::Conv2d conv({.in = 4, .out = 4, .kernel = 3, .stride = 2, .padding = 1}),
      dilated({.in = 4, .out = 4, .kernel = 3, .stride = 2, .padding = 2, .dilation = 2});
  EXPECT_EQ(suspects(conv, dilated, x), Lines{"fits with padding 2 (here 1) dilation 2 (here 1)"});
  nn::AvgPool2d mean({.kernel = 3, .stride = 2, .padding = 1}),
      uncounted({.kernel = 3, .stride = 2, .padding = 1, .count_include_pad = false});
  const Lines pooled = suspects(mean, uncounted, x);
  ASSERT_FALSE(pooled.empty());
  EXPECT_EQ(pooled[0], "fits with its size rounded down, padding not counted");
  nn::ShiftedWindowAttention shifted({.channels = 4, .heads = 2, .window = 4, .shift = 2}), still({.channels = 4, .heads = 2, .window = 4});
  EXPECT_EQ(suspects(shifted, still, x), Lines{"fits without the shift"});
  EXPECT_EQ(suspects(still, shifted, x), Lines{"fits with a shift of half a window"});
}

TEST(LayerSuspects, ActivationsThatOtherLibrariesHaveWithinALayer) {
  nn::BatchNorm2d norm({.channels = 4});
  norm.eval();
  const Tensor x = fixed_numbers("x", {1, 9, 9, 4}, 20);
  const NoGrad no_grad;
  const Variable y = norm(Variable(x));
  EXPECT_EQ(layer_suspects(norm, x, {}, y.value(), relu6(y).value(), 1e-5), Lines{"fits with ReLU6 after it"});
}

TEST(LayerSuspects, MistakesThatNoOptionMakes) {
  const Tensor x = fixed_numbers("x", {1, 6, 6, 3}, 4), wide = fixed_numbers("x", {1, 9, 9, 4}, 4);
  const NoGrad no_grad;
  const auto lines = [](const nn::Module& m, const Tensor& in, const Variable& ours, const Variable& theirs) {
    return layer_suspects(m, in, {}, ours.value(), theirs.value(), 1e-5);
  };
  nn::Linear full({.in = 3, .out = 3});
  EXPECT_EQ(lines(full, x, full(Variable(x)), linear(Variable(x), full.weight(), {})), Lines{"fits without bias"});
  EXPECT_EQ(lines(full, x, full(Variable(x)), linear(Variable(x), transpose(full.weight(), 0, 1), full.bias())),
            Lines{"fits with the weight transposed"});
  nn::Conv2d conv({.in = 3, .out = 5, .kernel = 3, .stride = 2, .padding = 1});
  const Variable same = pad(Variable(x), {.axis = 1, .after = 1}, {.axis = 2, .after = 1});
  EXPECT_EQ(lines(conv, x, conv(Variable(x)), conv2d(same, conv.weight(), conv.bias(), {.stride = 2})),
            Lines{"fits with TensorFlow's \"SAME\" padding, the odd pixel behind"});
  const std::vector<Variable> rgb = chunk(Variable(x), 3, -1);
  EXPECT_EQ(lines(conv, x, conv(Variable(x)), conv(concatenate({rgb[2], rgb[1], rgb[0]}, -1))),
            Lines{"fits with the input's channels reversed (BGR, not RGB)"});
  nn::ReLU relu;
  EXPECT_EQ(lines(relu, x, relu(Variable(x)), scale(relu(Variable(x)), 0.25)), Lines{"fits with its output times 0.25"});
  EXPECT_EQ(lines(relu, x, relu(Variable(x)), transpose(relu(Variable(x)), 1, 2)), Lines{"fits with rows and columns exchanged"});
  nn::ShiftedWindowAttention shifted({.channels = 4, .heads = 2, .window = 4, .shift = 2});
  auto& qkv = dynamic_cast<nn::Linear&>(*shifted.children()[0]);
  const Variable unmasked =
      (*shifted.children()[1])(window_attention_without_mask(qkv(Variable(wide)), qkv.bias(), shifted.own_parameters()[0]->value, 2, 4, 2));
  EXPECT_EQ(lines(shifted, wide, shifted(Variable(wide)), unmasked), Lines{"fits with the shift but without its mask"});
  EXPECT_EQ(lines(shifted, wide, shifted(Variable(wide)), Variable(fixed_numbers("noise", wide.shape()))), Lines{});
}

/// Activations inside of larger layers have no name of their own: the layer's last part tells.
TEST(LayerSuspects, ActivationsInsideOfLayers) {
  nn::SqueezeExcitation ours({.channels = 4, .squeeze = 2}),
      theirs({.channels = 4, .squeeze = 2, .scale_activation = Activation::hard_sigmoid});
  fill(ours), fill(theirs);
  const ActivationComparison c = compare_activations(ours, activations(theirs, fixed_numbers("x", {1, 5, 5, 4}, 4)), ImageLayout::nchw);
  ASSERT_TRUE(c.first);
  EXPECT_EQ(c.layers[*c.first].layer, "logits");   // the layer is the whole network here
  EXPECT_EQ(c.suspects, Lines{"fits with Hardsigmoid as the gate"});
}

}   // namespace
}   // namespace fovea::vision
