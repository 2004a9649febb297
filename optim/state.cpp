#include "optim/state.h"

namespace fovea::optim {

void require_fit(const char* what, const State& from, const State& expected) {
  require(from.size() == expected.size(), what, ": expected ", expected.size(), " entries, got ", from.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const auto& [name, own] = expected[i];
    const auto& [from_name, tensor] = from[i];
    require(from_name == name, what, ": expected ", name, ", got ", from_name);
    require(tensor.shape() == own.shape() && tensor.dtype() == own.dtype(), what, ": expected ", name, " of shape ", own.shape(), " and ",
            name_of(own.dtype()), ", got ", tensor.shape(), " and ", name_of(tensor.dtype()));
  }
}

}   // namespace fovea::optim
