// Groups: who gets which setting, how the arena sorts, and that state keeps the order in which parameters were given.
#include "optim/parameters.h"

#include "autograd/reductions.h"
#include "optim/adamw.h"
#include "optim/sgd.h"
#include "problem.h"

namespace fovea::optim {
namespace {

Parameters made_of(const std::vector<std::pair<std::string, Shape>>& list) {
  std::vector<std::pair<std::string, Variable>> named;
  for (const auto& [name, shape] : list) named.emplace_back(name, Variable(Tensor::zeros(shape), true));
  return Parameters(named);
}

// Names and ranks as torchvision has them.
Parameters transformer() {
  return made_of({{"class_token", {1, 1, 4}},
                  {"conv_proj.weight", {4, 2, 2, 3}},
                  {"conv_proj.bias", {4}},
                  {"encoder.pos_embedding", {1, 5, 4}},
                  {"encoder.layers.encoder_layer_0.ln_1.weight", {4}},
                  {"encoder.layers.encoder_layer_0.self_attention.in_proj_weight", {12, 4}},
                  {"encoder.layers.encoder_layer_1.ln_1.weight", {4}},
                  {"encoder.layers.encoder_layer_1.self_attention.in_proj_weight", {12, 4}},
                  {"encoder.layers.encoder_layer_10.ln_1.weight", {4}},
                  {"encoder.ln.weight", {4}},
                  {"heads.head.weight", {2, 4}}});
}

TEST(Parameters, NoDecayInOneLine) {
  const Parameters p = transformer().weight_decay(0, undecayed);
  for (const Parameter& q : p.list()) {
    const bool decayed = q.name == "conv_proj.weight" || q.name.ends_with("in_proj_weight") || q.name == "heads.head.weight";
    EXPECT_EQ(q.weight_decay.has_value(), !decayed) << q.name;
  }
  for (const auto& [name, shape] : std::vector<std::pair<std::string, Shape>>{
           {"features.1.0.attn.relative_position_bias_table", {169, 3}}, {"features.1.0.layer_scale", {4, 1, 1}}, {"cls_token", {1, 1, 4}}})
    EXPECT_EQ(made_of({{name, shape}}).weight_decay(0, undecayed).list()[0].weight_decay, 0) << name;
}

TEST(Parameters, LayerwiseRates) {
  const Parameters vit = transformer().layerwise_lr(0.5, {"encoder.layers.encoder_layer_#."});
  std::vector<double> scales;
  for (const Parameter& q : vit.list()) scales.push_back(q.lr_scale);
  EXPECT_EQ(scales, (std::vector<double>{1. / 16, 1. / 16, 1. / 16, 1. / 16, 1. / 8, 1. / 8, 1. / 4, 1. / 4, 1. / 2, 1, 1}));

  const Parameters swin = made_of({{"features.0.0.weight", {4, 4, 4, 3}},
                                   {"features.1.0.norm1.weight", {4}},
                                   {"features.1.1.norm1.weight", {4}},
                                   {"features.2.reduction.weight", {8, 16}},
                                   {"features.3.0.norm1.weight", {8}},
                                   {"norm.weight", {8}},
                                   {"head.weight", {2, 8}}})
                              .scale_lr(10, starts_with({"head."}))
                              .layerwise_lr(0.5, {"features.1.#.", "features.3.#."});
  scales.clear();
  for (const Parameter& q : swin.list()) scales.push_back(q.lr_scale);
  EXPECT_EQ(scales, (std::vector<double>{1. / 16, 1. / 8, 1. / 4, 1. / 2, 1. / 2, 1, 10}));

  const Parameters headless = made_of({{"block0.w", {2}}, {"block1.w", {2}}}).layerwise_lr(0.5, {"block#."});
  EXPECT_EQ(headless.list()[0].lr_scale, 0.5);
  EXPECT_EQ(headless.list()[1].lr_scale, 1);
}

TEST(Parameters, PredicatesCombine) {
  const Parameters p = transformer().weight_decay(0.3, any_of(starts_with({"heads.", "conv_"}), is_named({"in_proj_weight"})));
  int count = 0;
  for (const Parameter& q : p.list()) count += q.weight_decay.has_value();
  EXPECT_EQ(count, 5);
  EXPECT_FALSE(starts_with({"heads."})(p.list()[0]));
}

TEST(Parameters, RejectsValuesOutOfRange) {
  Parameters p = transformer();
  EXPECT_THROW(p.weight_decay(-1, undecayed), ShapeError);
  EXPECT_THROW(p.scale_lr(NAN, undecayed), ShapeError);
  EXPECT_THROW(p.layerwise_lr(0, {"encoder.layers.encoder_layer_#."}), ShapeError);
  EXPECT_THROW(p.layerwise_lr(0.5, {"blocks.#."}), ShapeError);
  EXPECT_THROW(p.layerwise_lr(0.5, {}), ShapeError);
  EXPECT_THROW(made_of({{"", {}}}).layerwise_lr(0.5, {"#"}), ShapeError);
}

TEST(Parameters, GroupsAreNeighboursInTheArena) {
  const Arena arena(transformer().weight_decay(0, undecayed));
  std::vector<std::size_t> given;
  for (const Parameter& q : arena.parameters()) given.push_back(q.index);
  EXPECT_EQ(given, (std::vector<std::size_t>{0, 2, 3, 4, 6, 8, 9, 1, 5, 7, 10}));
  for (std::size_t k = 0; k < given.size(); ++k) EXPECT_EQ(given[arena.order_given()[k]], k);
}

/// Counts the kernel calls that a step would be.
class Counting : public Optimizer {
 public:
  explicit Counting(const Parameters& p) : Optimizer(p, 1, 0) {}
  std::vector<std::size_t> lengths;

 private:
  void update(const Slice& s) override { lengths.push_back(s.last - s.first); }
};

TEST(Parameters, AStepIsOneCallForEachGroup) {
  Counting counting(transformer().weight_decay(0, undecayed));
  for (Parameter& q : counting.arena().parameters()) mean(q.value).backward();
  counting.step();
  EXPECT_EQ(counting.lengths, (std::vector<std::size_t>{7, 4}));
}

// A file of an optimiser with groups is read by one without: state belongs to the order in which the parameters were given.
TEST(Parameters, StateKeepsTheOrderGiven) {
  Problem a(DType::f32, Device::cpu, 3), b(DType::f32, Device::cpu, 3);
  SGD plain(a.parameters, {.lr = 0.1, .momentum = 0.9});
  SGD grouped(
      Parameters(b.named()).scale_lr(2, is_named({"w", "u"})).scale_lr(0.5, is_named({"w", "u"})).weight_decay(0, is_named({"w", "u"})),
      {.lr = 0.1, .momentum = 0.9});
  for (int t = 0; t < 4; ++t) a.step(plain, 0.1, t), b.step(grouped, 0.1, t);
  const State x = plain.state(), y = grouped.state();
  ASSERT_EQ(x.size(), y.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    EXPECT_EQ(x[i].first, y[i].first);
    EXPECT_EQ(x[i].second.shape(), y[i].second.shape());
    EXPECT_EQ(x[i].second.to_vector<double>(), y[i].second.to_vector<double>()) << x[i].first;
  }
  EXPECT_NO_THROW(plain.load_state(y));
}

/// Stands for Module::Parameter.
struct Held {
  Variable value;
};

TEST(Parameters, FrozenOnesOfAModuleAreLeftOut) {
  Held a{Variable(Tensor::zeros({2}))}, b{Variable(Tensor::full({3}, 1), true)}, c{Variable(Tensor::full({4}, 1), true)};
  const std::vector<std::pair<std::string, Held*>> module{{"backbone", &a}, {"head.weight", &b}, {"head.bias", &c}};
  const Parameters parameters = Parameters(module).weight_decay(0.1, is_named({"weight"}));
  ASSERT_EQ(parameters.list().size(), 2u);
  SGD sgd(parameters, {.lr = 1, .momentum = 0.9});
  const State state = sgd.state();
  ASSERT_EQ(state.size(), 4u);
  EXPECT_EQ(state[2].first, "momentum.1");   // its place in the module, so that a checkpoint finds its name
  EXPECT_EQ(state[3].first, "momentum.2");
  EXPECT_EQ(state[3].second.shape(), (Shape{4}));
  b.value.set_requires_grad(false), c.value.set_requires_grad(false);
  EXPECT_THROW(SGD(Parameters(module), {.lr = 1}), ShapeError);   // nothing to do
}

}   // namespace
}   // namespace fovea::optim
