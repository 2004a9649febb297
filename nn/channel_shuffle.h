// channel_shuffle.h: lets the groups of grouped convolutions talk to each other. One copy; the gradient is the shuffle back.
#pragma once

#include "nn/module.h"

namespace fovea::nn {

struct ChannelShuffleOptions {
  std::int64_t groups = 1;
};

/// x (.., C) -> y (.., C): channel g * (C / groups) + i of x becomes channel i * groups + g of y. Zhang et al. 2018, "ShuffleNet", Fig. 1.
class ChannelShuffle : public Module {
 public:
  using Options = ChannelShuffleOptions;
  explicit ChannelShuffle(const Options& o = {});
  Variable forward(const Variable& x) override;
  std::string describe() const override;

 private:
  std::int64_t groups_;
};

}   // namespace fovea::nn
