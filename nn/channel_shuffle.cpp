#include "nn/channel_shuffle.h"

#include "autograd/shape_ops.h"

namespace fovea::nn {

ChannelShuffle::ChannelShuffle(const Options& o) : groups_(o.groups) {
  require(groups_ >= 1, "ChannelShuffle: expected at least 1 group, got ", groups_);
}

Variable ChannelShuffle::forward(const Variable& x) { return channel_shuffle(x, groups_); }

std::string ChannelShuffle::describe() const { return "ChannelShuffle(" + std::to_string(groups_) + " groups)"; }

}   // namespace fovea::nn
