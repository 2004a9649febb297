#include "optim/average.h"

#include <algorithm>
#include <cmath>

#include "kernels/moving_average.h"

namespace fovea::optim {
namespace {

bool is_float(const Tensor& t) { return t.dtype() == DType::f32 || t.dtype() == DType::f64; }

void blend(Tensor& average, const Tensor& w, double weight) {
  on_arena("average", average,
           [&]<class T>(auto be) { kernels::moving_average(be, average.data<T>(), w.data<T>(), weight, average.elements()); });
}

}   // namespace

WeightAverage::WeightAverage(Arena& arena, Buffers mode, std::vector<Tensor> buffers)
    : arena_(arena), mode_(mode), buffers_(std::move(buffers)) {
  const MemoryTag tag("average");
  average_ = arena_.values().clone();
  for (const Tensor& buffer : buffers_) {
    require(buffer.defined(), "average: expected buffers, got an undefined one");
    averaged_buffers_.push_back(buffer.clone());
  }
}

void WeightAverage::require_unswapped(const char* what) const {
  require(!swapped_, "average: ", what, ": expected the network to have its own weights, got it with the averaged ones");
}

void WeightAverage::update() {
  require_unswapped("update");
  const double weight = this->weight(updates_);
  const auto take = [&](Tensor& average, const Tensor& now, bool blended) {
    if (blended && weight != 1)
      blend(average, now, weight);
    else
      average.copy_from(now);
  };
  take(average_, arena_.values(), true);
  for (std::size_t i = 0; i < buffers_.size(); ++i)
    take(averaged_buffers_[i], buffers_[i], mode_ == Buffers::average && is_float(buffers_[i]));
  ++updates_;
}

void WeightAverage::swap() {
  on_arena("average", average_,
           [&]<class T>(auto be) { kernels::exchange(be, arena_.values().data<T>(), average_.data<T>(), average_.elements()); });
  for (Parameter& p : arena_.parameters()) p.value.bump_version();
  for (std::size_t i = 0; i < buffers_.size(); ++i) {
    const Tensor kept = buffers_[i].clone();   // a few numbers for each channel
    buffers_[i].copy_from(averaged_buffers_[i]);
    averaged_buffers_[i].copy_from(kept);
  }
  swapped_ = !swapped_;
}

State WeightAverage::state() const {
  require_unswapped("state");
  State state{{"updates", Tensor::from<std::int64_t>({updates_}, {})}};
  for (const std::size_t i : arena_.order_given())
    state.emplace_back("average." + std::to_string(arena_.parameters()[i].index), arena_.part(average_, i).clone_on_host());
  for (std::size_t i = 0; i < buffers_.size(); ++i) state.emplace_back("buffer." + std::to_string(i), averaged_buffers_[i].clone_on_host());
  return state;
}

void WeightAverage::load_state(const State& from) {
  require_fit("average state", from, state());
  const auto updates = from[0].second.data<std::int64_t>()[0];
  require(updates >= 0, "average state: expected a count of updates of at least 0, got ", updates);
  updates_ = updates;
  std::size_t at = 1;
  for (const std::size_t i : arena_.order_given()) arena_.part(average_, i).copy_from(from[at++].second);
  for (Tensor& buffer : averaged_buffers_) buffer.copy_from(from[at++].second);
}

EMA::EMA(Arena& arena, const EMAOptions& o, std::vector<Tensor> buffers) : WeightAverage(arena, o.buffers, std::move(buffers)), o_(o) {
  require(0 <= o.decay && o.decay <= 1, "ema: expected a decay in [0, 1], got ", o.decay);
}

double EMA::weight(std::int64_t updates) const {
  const auto t = static_cast<double>(updates);
  return 1 - (o_.warmup ? std::min(o_.decay, (1 + t) / (10 + t)) : o_.decay);
}

}   // namespace fovea::optim
