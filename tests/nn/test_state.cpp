// State dictionaries: PyTorch's names, order, layout and dtypes, and what loading reports.
#include "nn/state.h"

#include <gtest/gtest.h>

#include "nn/batch_norm.h"
#include "nn/conv2d.h"
#include "nn/linear.h"
#include "nn/sequential.h"

namespace fovea::nn {
namespace {

using Names = std::vector<std::string>;

std::unique_ptr<Sequential> small_net() {
  auto net = std::make_unique<Sequential>();
  net->add<Conv2d>({.in = 2, .out = 3, .kernel = {2, 3}});
  net->add<BatchNorm2d>({.channels = 3});
  net->add<Linear>({.in = 3, .out = 4});
  return net;
}

Tensor& entry(TensorFile& file, const std::string& name) {
  for (auto& [n, t] : file.tensors)
    if (n == name) return t;
  throw Error("no entry " + name);
}

TEST(StateDict, HasPyTorchsNamesShapesAndDtypes) {
  const auto net = small_net();
  Names lines;
  for (const auto& [name, t] : state_dict(*net).tensors) lines.push_back(name + " " + t.shape().str() + " " + name_of(t.dtype()));
  // torch.nn.Sequential(Conv2d(2, 3, (2, 3)), BatchNorm2d(3), Linear(3, 4)).state_dict()
  EXPECT_EQ(lines, (Names{"0.weight (3, 2, 2, 3) float32", "0.bias (3) float32", "1.weight (3) float32", "1.bias (3) float32",
                          "1.running_mean (3) float32", "1.running_var (3) float32", "1.num_batches_tracked () int64",
                          "2.weight (4, 3) float32", "2.bias (4) float32"}));
}

TEST(StateDict, FiltersLieAsOutInHeightWidth) {
  Conv2d conv({.in = 2, .out = 3, .kernel = {2, 3}});
  const Tensor memory = conv.weight().value();   // (K, R, S, C)
  const TensorFile file = state_dict(conv);
  const Tensor& disk = *file.find("weight");   // (K, C, R, S)
  ASSERT_EQ(disk.shape(), (Shape{3, 2, 2, 3}));
  for (std::int64_t k = 0; k < 3; ++k)
    for (std::int64_t c = 0; c < 2; ++c)
      for (std::int64_t r = 0; r < 2; ++r)
        for (std::int64_t s = 0; s < 3; ++s)
          EXPECT_EQ(disk.data<float>()[((k * 2 + c) * 2 + r) * 3 + s], memory.data<float>()[((k * 2 + r) * 3 + s) * 2 + c]);
}

TEST(StateDict, ALoadedFilterLooksWhereItDidInPyTorch) {
  Conv2d conv({.in = 2, .out = 1, .kernel = {2, 3}, .bias = false});
  Tensor w = Tensor::zeros({1, 2, 2, 3});
  w.data<float>()[(1 * 2 + 0) * 3 + 2] = 1;   // w[0, 1, 0, 2] = 1: y[p, q] = x[p, q + 2] of channel 1
  EXPECT_TRUE(load_state_dict(conv, {.tensors = {{"weight", w}}, .metadata = {}}).complete());
  const Tensor x = Tensor::randn({1, 3, 4, 2}, RandomKey{.seed = 2});
  const Tensor y = conv(Variable(x)).value();
  for (std::int64_t p = 0; p < 2; ++p)
    for (std::int64_t q = 0; q < 2; ++q) EXPECT_EQ(y.data<float>()[p * 2 + q], x.data<float>()[(p * 4 + q + 2) * 2 + 1]);
}

TEST(StateDict, RoundTripIsExactAndCopies) {
  const auto a = small_net(), b = small_net();
  (*a->children()[1])(Variable(Tensor::randn({2, 2, 2, 3}, {})));   // moves the running statistics
  const TensorFile file = state_dict(*a);
  const auto version = b->parameters()[0].second->value.version();
  const LoadReport report = load_state_dict(*b, file);
  EXPECT_TRUE(report.complete());
  EXPECT_EQ(report.matched.size(), 9u);
  EXPECT_GT(b->parameters()[0].second->value.version(), version);   // so that derived forms are made anew
  const TensorFile again = state_dict(*b);
  for (const auto& [name, t] : file.tensors) EXPECT_EQ(again.find(name)->to_vector<double>(), t.to_vector<double>()) << name;
  EXPECT_EQ(again.find("1.num_batches_tracked")->item(), 1);
  // The file holds copies.
  for (auto& [name, p] : a->parameters()) p->value.assign(Tensor::zeros(p->value.shape()));
  EXPECT_NE(file.find("2.weight")->to_vector<double>(), std::vector<double>(12, 0.));
}

TEST(StateDict, ReportsWhatDoesNotFitAndLeavesItAlone) {
  const auto net = small_net();
  const TensorFile before = state_dict(*net);
  TensorFile file = state_dict(*net);
  for (auto& [name, t] : file.tensors) t.fill(3);
  std::erase_if(file.tensors, [](const auto& e) { return e.first == "1.running_var"; });
  file.tensors.emplace_back("head.weight", Tensor::zeros({2}));
  entry(file, "0.weight") = Tensor::zeros({3, 2, 3, 3});
  entry(file, "2.bias") = Tensor::zeros({4}, DType::i64);
  const LoadReport r = load_state_dict(*net, file);
  EXPECT_FALSE(r.complete());
  EXPECT_EQ(r.missing, (Names{"1.running_var"}));
  EXPECT_EQ(r.unexpected, (Names{"head.weight"}));
  EXPECT_EQ(r.wrong_shape, (Names{"0.weight: expected (3, 2, 2, 3), got (3, 2, 3, 3)", "2.bias: expected (4) of float32, got int64"}));
  EXPECT_EQ(r.matched.size(), 6u);
  EXPECT_EQ(r.str(),
            "6 matched, 1 missing, 1 unexpected, 2 of wrong shape\n"
            "  missing: 1.running_var\n"
            "  unexpected: head.weight\n"
            "  wrong shape: 0.weight: expected (3, 2, 2, 3), got (3, 2, 3, 3)\n"
            "  wrong shape: 2.bias: expected (4) of float32, got int64\n");
  const TensorFile after = state_dict(*net);
  for (const char* name : {"0.weight", "1.running_var", "2.bias"})
    EXPECT_EQ(after.find(name)->to_vector<double>(), before.find(name)->to_vector<double>()) << name;
  EXPECT_EQ(after.find("0.bias")->to_vector<double>(), std::vector<double>(3, 3.));
}

TEST(StateDict, ConvertsFloatingDtypes) {
  Linear layer({.in = 2, .out = 1, .bias = false});
  for (const DType dtype : {DType::f64, DType::bf16}) {
    layer.parameters()[0].second->value.assign(Tensor::zeros({1, 2}));
    EXPECT_TRUE(load_state_dict(layer, {.tensors = {{"weight", Tensor::full({1, 2}, 1.5, dtype)}}, .metadata = {}}).complete());
    EXPECT_EQ(layer.weight().value().to_vector<float>(), (std::vector<float>{1.5, 1.5}));
    EXPECT_EQ(layer.weight().dtype(), DType::f32);
  }
  layer.to(DType::f64, Device::reference);
  EXPECT_TRUE(load_state_dict(layer, {.tensors = {{"weight", Tensor::full({1, 2}, 2.5)}}, .metadata = {}}).complete());
  EXPECT_EQ(layer.weight().value().to_vector<double>(), (std::vector<double>{2.5, 2.5}));
}

TEST(StateDict, ReportIsShortForAFileOfAnotherModel) {
  LoadReport r;
  for (int i = 0; i < 100; ++i) r.missing.push_back("layer" + std::to_string(i));
  EXPECT_EQ(r.str().find("layer8\n"), std::string::npos);
  EXPECT_NE(r.str().find("missing: and 92 more\n"), std::string::npos);
}

}   // namespace
}   // namespace fovea::nn
