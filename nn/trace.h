// trace.h: what each module of a network did in a forward pass: the shape it gave, its multiply-adds, and what it made that is still there.
//
//   const DefaultDevice meta(Device::meta);   // nothing is computed, nothing is allocated
//   Network net;
//   const Trace trace;
//   const Variable y = net(Tensor::empty({1, 224, 224, 3}));   // y holds the graph, and with it what backward would need
//   trace.line(net.conv1()).multiply_adds;   trace.kept(net.conv1());
#pragma once

#include <map>
#include <optional>
#include <string>

#include "nn/module.h"

namespace fovea::nn {

/// Watches the forward passes of this thread while it lives; one at a time. Unlike hooks it changes nothing: fused layers stay fused. What a
/// fused convolution does stands under its convolution; its norm runs without giving a value of its own.
class Trace {
 public:
  struct Line {
    int runs = 0;
    std::optional<Shape> output;      // of the latest run that gave one
    std::int64_t multiply_adds = 0;   // of all runs; its children's not included
  };

  Trace();
  ~Trace();
  Trace(const Trace&) = delete;
  Trace& operator=(const Trace&) = delete;

  /// Of a module that has not run: runs = 0.
  Line line(const Module& m) const;
  /// Bytes of the tensors on Device::meta that m itself, not its children, made since this was, and that are still held by somebody. After a
  /// training pass whose output lives, that is what its backward pass would use.
  std::size_t kept(const Module& m) const;

  /// A module runs. For module.cpp.
  class Scope {
   public:
    explicit Scope(const Module& m);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
    void gave(const Variable& y);

   private:
    struct Watch;
    std::unique_ptr<Watch> watch_;   // null when nobody traces
  };

 private:
  mutable std::map<const Module*, Line> lines_;   // written while modules run, also of a const Trace
  std::map<std::string, std::size_t> before_;     // bytes on meta, by owner
};

}   // namespace fovea::nn
