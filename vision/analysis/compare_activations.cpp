// compare_activations.cpp: the network runs once, with a hook on every module (so nothing is fused); each output is compared as it appears and only
// the first that differs is kept.
#include "vision/analysis/compare_activations.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "autograd/shape_ops.h"
#include "vision/analysis/layer_suspects.h"

namespace fovea::vision {

namespace {

Tensor permuted(const Tensor& t, const std::vector<int>& order) { return permute(Variable(t), order).value(); }

bool is_float(DType t) { return t == DType::f32 || t == DType::f64 || t == DType::bf16; }

bool finite(const Tensor& t) {
  const std::vector<double> values = t.to_vector<double>();
  return std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); });
}

/// Without axes of extent 1: global pooling leaves (N, C) here and (N, C, 1, 1) there.
Tensor squeezed(const Tensor& t) {
  std::vector<std::int64_t> dims;
  for (const std::int64_t d : t.shape().dims())
    if (d != 1) dims.push_back(d);
  return t.reshape(Shape(std::span<const std::int64_t>(dims)));
}

/// Theirs in the layout that our shape asks for, the nearest to ours of those that fit; undefined where none fits.
Tensor as_ours(const Tensor& ours, const Tensor& theirs) {
  std::vector<Tensor> candidates{squeezed(theirs)};
  if (theirs.rank() == 4) candidates.push_back(squeezed(from_layout(theirs, ImageLayout::nchw)));
  const Tensor own = squeezed(ours);
  std::erase_if(candidates, [&](const Tensor& c) { return !(c.shape() == own.shape()); });
  if (candidates.empty()) return {};
  const auto nearer = [&](const Tensor& a, const Tensor& b) { return relative_difference(own, a) < relative_difference(own, b); };
  return std::min_element(candidates.begin(), candidates.end(), nearer)->reshape(ours.shape());
}

}   // namespace

Tensor from_layout(const Tensor& t, ImageLayout layout) {
  return layout == ImageLayout::nchw && t.rank() == 4 ? permuted(t, {0, 2, 3, 1}) : t;
}

Tensor to_layout(const Tensor& t, ImageLayout layout) {
  return layout == ImageLayout::nchw && t.rank() == 4 ? permuted(t, {0, 3, 1, 2}) : t;
}

double relative_difference(const Tensor& ours, const Tensor& theirs) {
  require(ours.shape() == theirs.shape(), "relative_difference: expected equal shapes, got ", ours.shape(), " and ", theirs.shape());
  const std::vector<double> a = ours.to_vector<double>(), b = theirs.to_vector<double>();
  double worst = 0, largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!std::isfinite(a[i]) || !std::isfinite(b[i])) return std::numeric_limits<double>::infinity();
    worst = std::max(worst, std::abs(a[i] - b[i]));
    largest = std::max(largest, std::abs(b[i]));
  }
  return worst == 0 ? 0 : worst / largest;
}

std::vector<nn::Module::HookHandle> listen(nn::Module& net, const std::function<bool(const std::string& path)>& wanted,
                                           const Record& record) {
  const auto runs = std::make_shared<std::map<std::string, int>>();
  std::vector<nn::Module::HookHandle> handles;
  net.apply([&](nn::Module& module) {
    if (!wanted(module.path())) return;
    handles.push_back(module.on_forward([runs, record](const nn::Module& m, const Variable& x, const Variable& y) {
      const std::string path = m.path();
      const int run = ++(*runs)[path];
      record(run == 1 ? path : path + "#" + std::to_string(run), m, x, y);
    }));
  });
  return handles;
}

ActivationComparison compare_activations(nn::Module& net, const TensorFile& file, ImageLayout layout, double tolerance, DType dtype) {
  const Tensor* input = file.find("x");
  if (!input) throw Error("activations: expected a tensor \"x\", the network's input");
  require(input->rank() == 4 && is_float(input->dtype()), "activations: expected x to be a batch of images in floats, got ", input->shape(),
          " of ", name_of(input->dtype()));
  require(finite(*input), "activations: x has numbers that are not finite");

  const auto parameters = net.parameters();
  const DefaultDevice where(parameters.empty() ? Device::cpu : parameters[0].second->value.device());
  ActivationComparison result;
  std::set<std::string> seen{"x"};
  const nn::Module* culprit = nullptr;
  Tensor culprit_x, culprit_ours, culprit_theirs, before, last;   // before: what ran just before the culprit
  {
    const auto all = [](const std::string&) { return true; };
    const auto handles = listen(net, all, [&](const std::string& path, const nn::Module& m, const Variable& x, const Variable& y) {
      const std::string name = path.empty() ? "logits" : path;
      const Tensor* theirs = file.find(name);
      const Tensor ours = y.value();
      if (theirs && is_float(theirs->dtype())) {
        seen.insert(name);
        LayerComparison c{.layer = name, .description = m.describe(), .ours = ours.shape(), .theirs = theirs->shape()};
        const Tensor fitting = as_ours(ours, *theirs);
        c.error = fitting.defined() ? relative_difference(ours, fitting) : std::numeric_limits<double>::infinity();
        if (!fitting.defined())
          c.problem = "other shape";
        else if (std::isinf(c.error))
          c.problem = !finite(*theirs) ? "NaN or infinity in the file" : !finite(ours) ? "NaN or infinity here" : "all zeros in the file";
        if (!(c.error <= tolerance) && !result.first) {
          result.first = result.layers.size();
          culprit = &m, culprit_x = x.value(), culprit_ours = ours, before = last;
          culprit_theirs = fitting.defined() ? fitting : from_layout(*theirs, ImageLayout::nchw);
        }
        result.layers.push_back(std::move(c));
      } else if (m.children().empty()) {
        result.not_in_file.push_back(name);
      }
      last = ours;
    });
    const NoGrad no_grad;
    net(Variable(from_layout(*input, layout).to(dtype).to(default_device())));
  }
  for (const auto& [name, t] : file.tensors)
    if (!seen.count(name)) result.not_in_network.push_back(name);
  if (result.layers.empty()) throw Error("activations: none of the file's tensors has the name of a layer of the network");
  if (culprit) {
    const LayerComparison& c = result.layers[*result.first];
    if (c.problem.empty() || c.problem == "other shape")
      result.suspects = layer_suspects(*culprit, culprit_x, before, culprit_ours, culprit_theirs, tolerance);
  }
  return result;
}

}   // namespace fovea::vision
