#include "optim/statistics.h"

namespace fovea::optim {

Statistics::Statistics(std::vector<Statistic> statistics) : statistics_(std::move(statistics)) {
  for (const auto& [running, momentum] : statistics_) {
    require(running.defined() && (running.dtype() == DType::f32 || running.dtype() == DType::f64),
            "statistics: expected float32 or float64 buffers, got ", running.defined() ? name_of(running.dtype()) : "an undefined one");
    require(0 < momentum && momentum <= 1, "statistics: expected a momentum in (0, 1], got ", momentum);
    sums_.emplace_back(static_cast<std::size_t>(running.elements()), 0.0);
  }
}

void Statistics::begin_batch() {
  for (Statistic& s : statistics_) s.running.fill(0);
}

void Statistics::end_batch() {
  for (std::size_t k = 0; k < statistics_.size(); ++k) {
    const std::vector<double> now = statistics_[k].running.to_vector<double>();
    for (std::size_t i = 0; i < now.size(); ++i) sums_[k][i] += now[i] / statistics_[k].momentum;
  }
  ++batches_;
}

void Statistics::finish() {
  require(batches_ > 0, "statistics: expected at least one batch, got none");
  for (std::size_t k = 0; k < statistics_.size(); ++k) {
    Tensor& running = statistics_[k].running;
    std::vector<double> mean = sums_[k];
    for (double& value : mean) value /= static_cast<double>(batches_);
    running.copy_from(Tensor::from<double>(mean, running.shape(), Device::reference).to(running.dtype()).to(running.device()));
  }
}

}   // namespace fovea::optim
