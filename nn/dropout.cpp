#include "nn/dropout.h"

namespace fovea::nn {

namespace {
double checked(const char* layer, double p) {
  require(p >= 0 && p <= 1, layer, ": expected a probability p in [0, 1], got ", p);
  return p;
}
}   // namespace

Dropout::Dropout(const Options& o) : o_{.p = checked("Dropout", o.p)} {}
Variable Dropout::forward(const Variable& x) { return training() && o_.p > 0 ? dropout(x, o_.p) : x; }
std::string Dropout::describe() const { return detail::join("Dropout(", o_.p, ")"); }

StochasticDepth::StochasticDepth(const Options& o) : o_{.p = checked("StochasticDepth", o.p), .mode = o.mode} {}
Variable StochasticDepth::forward(const Variable& x) { return training() && o_.p > 0 ? stochastic_depth(x, o_.p, o_.mode) : x; }
std::string StochasticDepth::describe() const {
  return detail::join("StochasticDepth(", o_.p, ", ", o_.mode == DropMode::row ? "row" : "batch", ")");
}

}   // namespace fovea::nn
