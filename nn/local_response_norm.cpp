#include "nn/local_response_norm.h"

namespace fovea::nn {

LocalResponseNorm::LocalResponseNorm(const Options& o) : o_(o) { check_local_response("LocalResponseNorm", o); }

Variable LocalResponseNorm::forward(const Variable& x) { return local_response_norm(x, o_); }

std::string LocalResponseNorm::describe() const {
  return detail::join("LocalResponseNorm(size ", o_.size, ", alpha ", o_.alpha, ", beta ", o_.beta, ", k ", o_.k, ")");
}

}   // namespace fovea::nn
