#include "autograd/gradcheck.h"

#include <algorithm>
#include <cmath>

#include "autograd/dot.h"

namespace fovea {

std::string gradcheck(const std::function<Variable(const std::vector<Variable>&)>& f, const std::vector<Tensor>& inputs,
                      const GradcheckOptions& o) {
  std::vector<Variable> leaves;
  for (const Tensor& t : inputs) {
    require(t.dtype() == DType::f64 && t.device() == Device::reference, "gradcheck: expected float64 on reference, got ",
            name_of(t.dtype()), " on ", name_of(t.device()));
    leaves.emplace_back(t.clone(), true);
  }
  Variable y = f(leaves);
  const Tensor direction = Tensor::randn(y.shape(), RandomKey{o.seed}, DType::f64, Device::reference);
  dot(y, direction).backward();

  double worst = 0;
  std::string report;
  for (std::size_t i = 0; i < leaves.size(); ++i) {
    const Tensor grad = leaves[i].grad();
    Tensor value = leaves[i].value();   // shares memory with the leaf
    for (std::int64_t j = 0; j < value.elements(); ++j) {
      const NoGrad no_grad;
      double& x = value.data<double>()[j];
      const double at = x;
      x = at + o.step;
      leaves[i].bump_version();
      const double above = dot(f(leaves), direction).item();
      x = at - o.step;
      leaves[i].bump_version();
      const double below = dot(f(leaves), direction).item();
      x = at;
      leaves[i].bump_version();
      const double numeric = (above - below) / (2 * o.step);
      const double analytic = grad.defined() ? grad.data<double>()[j] : 0;
      const double error = std::abs(analytic - numeric) / std::max({1., std::abs(analytic), std::abs(numeric)});
      if (!(error <= o.tolerance) && !(error <= worst)) {
        worst = error;
        report = detail::join("input ", i, ", element ", j, ": analytic ", analytic, ", numeric ", numeric);
      }
    }
  }
  return report;
}

}   // namespace fovea
