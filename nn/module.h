// module.h: a layer, or a network of layers: parameters, buffers and children with names.
//
//   class BasicBlock : public Module {
//     Conv2d& conv1_ = add<Conv2d>("conv1", {.in = 64, .out = 64, .kernel = 3, .padding = 1, .bias = false});
//     BatchNorm2d& bn1_ = add<BatchNorm2d>("bn1", {.channels = 64});
//     Variable forward(const Variable& x) override { return conv_norm_act(x, conv1_, bn1_, {.activation = relu}); }
//   };
//
// The parent owns its children and the members are references, so a module's list of members is its list of names.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "autograd/variable.h"

namespace fovea::nn {

class Module;
/// Called after a module has run, with its input and output.
using Hook = std::function<void(const Module& m, const Variable& x, const Variable& y)>;

/// How a parameter's memory relates to PyTorch's layout of the same parameter, which is the layout on disk.
enum class DiskLayout {
  same,
  filters,   // memory (K, R, S, C), disk OIHW = (K, C, R, S)
};

class Module {
 public:
  struct Parameter {
    std::string name;
    Variable value;
    DiskLayout layout = DiskLayout::same;
  };
  struct Buffer {
    std::string name;
    Tensor value;
  };

  Module() = default;
  virtual ~Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  /// Runs forward, then the hooks. An exception from within gets the module's path in front: "layer3.0.conv2: expected ...".
  Variable operator()(const Variable& x);
  virtual Variable forward(const Variable& x) = 0;
  /// Calls f. An Error from within is thrown again with this module's path in front, unless a module further in has put its own.
  Variable locate_errors(const std::function<Variable()>& f) const;

  void train(bool on = true);   // this and all below
  void eval() { train(false); }
  bool training() const { return training_; }
  /// Moves parameters and buffers to float32 or float64 (float64 lives on Reference only) and a device. Makes new parameters:
  /// do it before an optimiser gets hold of them. What a module counts (integer buffers) stays in the host's memory with Device::cuda.
  void to(DType dtype, Device device);

  /// "layer3.0.conv2" from the root; "" for the root.
  std::string path() const;
  const std::string& name() const { return name_; }
  virtual std::string describe() const;   // one line for people, as in "Conv2d(3 -> 64, kernel 7, stride 2)"
  /// This module and all below, a line each: name, describe(), number of parameters.
  std::string tree();

  /// f(m) for this module and all below, parents first, in order of registration.
  void apply(const std::function<void(Module&)>& f);
  /// Freezes (false) all parameters from here down, or thaws them: frozen ones receive no gradient, so optimisers pass them by. Batch
  /// norms that are in training go on using the batch's statistics and updating the running ones; eval() is what freezes those.
  void set_requires_grad(bool on);
  /// The parameter of that dotted name, "layer1.0.bn2.weight". Throws Error if there is none.
  Variable& parameter(const std::string& name);
  /// Dotted names, in order of registration: own parameters before the children's.
  std::vector<std::pair<std::string, Parameter*>> parameters();
  std::vector<std::pair<std::string, Buffer*>> buffers();
  const std::vector<std::unique_ptr<Parameter>>& own_parameters() const { return parameters_; }
  const std::vector<std::unique_ptr<Buffer>>& own_buffers() const { return buffers_; }
  const std::vector<std::unique_ptr<Module>>& children() const { return children_; }
  std::int64_t parameter_count();

  /// Removed again when the returned handle is destroyed.
  class HookHandle {
   public:
    HookHandle() = default;
    explicit HookHandle(std::shared_ptr<Hook> hook) : hook_(std::move(hook)) {}

   private:
    std::shared_ptr<Hook> hook_;
  };
  [[nodiscard]] HookHandle on_forward(Hook hook);
  /// Somebody wants to see this module's output, so it must not be fused away.
  bool has_hooks() const;

 protected:
  /// Makes a child; name is unique among its siblings. M's options are M::Options.
  template <class M> M& add(std::string name, const typename M::Options& options = {}) {
    return static_cast<M&>(add_child(std::move(name), std::make_unique<M>(options)));
  }
  Module& add_child(std::string name, std::unique_ptr<Module> child);
  Variable& add_parameter(std::string name, Tensor value, DiskLayout layout = DiskLayout::same);
  Tensor& add_buffer(std::string name, Tensor value);

 private:
  void require_new_name(const std::string& name) const;

  std::string name_;
  Module* parent_ = nullptr;
  bool training_ = true;
  // unique_ptr: references handed out stay valid while the lists grow
  std::vector<std::unique_ptr<Parameter>> parameters_;
  std::vector<std::unique_ptr<Buffer>> buffers_;
  std::vector<std::unique_ptr<Module>> children_;
  std::vector<std::weak_ptr<Hook>> hooks_;
};

}   // namespace fovea::nn
