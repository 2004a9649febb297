#include "vision/analysis/network_cost.h"

#include <algorithm>
#include <map>

#include "autograd/multiply_adds.h"
#include "nn/trace.h"
#include "vision/training/trainer.h"

namespace fovea::vision {

namespace {

Variable images(std::int64_t batch, std::int64_t size, std::int64_t channels) {
  return Variable(Tensor::empty({batch, size, size, channels}, DType::f32, Device::meta));
}

ModelOptions at_size(ModelOptions o, std::int64_t size) {
  o.image_size = size;
  return o;
}

/// This module's line and those of all below; what `kept` says of a module is its own.
template <class Kept> LayerCost& add_lines(nn::Module& m, int depth, const nn::Trace& trace, const Kept& kept, std::vector<LayerCost>& to) {
  const nn::Trace::Line line = trace.line(m);
  const std::size_t at = to.size();
  to.push_back({.path = m.path(),
                .depth = depth,
                .ran = line.output      ? LayerCost::Ran::itself
                       : line.runs == 0 ? LayerCost::Ran::no
                                        : LayerCost::Ran::fused,
                .output = line.output.value_or(Shape()),
                .parameters = 0,
                .multiply_adds = line.multiply_adds,
                .kept = kept(m)});
  for (const auto& p : m.own_parameters()) to[at].parameters += p->value.shape().elements();
  for (const auto& child : m.children()) {
    const LayerCost below = add_lines(*child, depth + 1, trace, kept, to);
    to[at].parameters += below.parameters, to[at].multiply_adds += below.multiply_adds, to[at].kept += below.kept;
  }
  return to[at];
}

}   // namespace

NetworkCost network_cost(const std::string& model, const ModelOptions& o, std::int64_t size, std::int64_t batch) {
  require(size >= 1 && batch >= 1, model, ": expected a size and a batch of at least 1, got ", size, " and ", batch);
  const DefaultDevice meta(Device::meta);
  const auto net = build(model, at_size(o, size));
  NetworkCost cost{};

  // What training keeps, from a pass whose output, and with it the graph, lives until it has been counted.
  std::map<const nn::Module*, std::size_t> kept;
  try {
    const nn::Trace trace;
    const Variable logits = (*net)(images(batch, size, o.channels));
    const auto side = net->take_auxiliary();
    net->apply([&](nn::Module& m) { kept[&m] = trace.kept(m); });
  } catch (const ShapeError& e) {
    cost.cannot_train = e.what();
  }

  net->eval();
  const NoGrad no_grad;
  const std::size_t before = memory_statistics(Device::meta).in_use;
  reset_peak_memory(Device::meta);
  const Variable x = images(batch, size, o.channels);
  cost.input = memory_statistics(Device::meta).in_use - before;
  const nn::Trace trace;
  (*net)(x);
  cost.inference_peak = memory_statistics(Device::meta).peak - before;
  add_lines(
      *net, 0, trace, [&](const nn::Module& m) { return kept[&m]; }, cost.layers);
  return cost;
}

std::int64_t size_that_works(const std::string& model, const ModelOptions& o, std::int64_t size) {
  const DefaultDevice meta(Device::meta);
  const NoGrad no_grad;
  for (; size <= 4096; ++size) try {
      const auto net = build(model, at_size(o, size));
      net->eval();
      (*net)(images(1, size, o.channels));
      return size;
    } catch (const ShapeError&) {
      continue;
    }
  return 0;
}

ModelSize model_size(const ModelEntry& entry) {
  const DefaultDevice meta(Device::meta);
  const NoGrad no_grad;
  const auto net = entry.make({.classes = entry.classes, .channels = entry.channels});
  net->eval();
  const MultiplyAdds work;
  (*net)(images(1, entry.size, entry.channels));
  return {.parameters = net->parameter_count(), .multiply_adds = work.count()};
}

std::vector<OptimizerCost> optimizer_costs(const std::string& model, const ModelOptions& o) {
  const DefaultDevice meta(Device::meta);
  const auto field =
      std::find_if(recipe_fields().begin(), recipe_fields().end(), [](const RecipeField& f) { return f.key == std::string("optimizer"); });
  std::vector<OptimizerCost> costs;
  for (const std::string& name : field->choices) {
    const auto net = build(model, o);
    const auto held = [&] {
      const auto of = [](const char* tag) { return memory_in_use(tag, Device::meta); };
      return OptimizerCost{.optimizer = name, .parameters = of("parameters"), .gradients = of("gradients"), .state = of("optimiser")};
    };
    const OptimizerCost before = held();
    Recipe recipe;
    recipe.optimizer = name;
    const auto optimizer = make_optimizer(recipe, *net);
    OptimizerCost cost = held();
    cost.parameters -= before.parameters, cost.gradients -= before.gradients, cost.state -= before.state;
    costs.push_back(cost);
  }
  return costs;
}

}   // namespace fovea::vision
