// A network of two layers and one step of its gradient, with nothing but the installed Fovea.
#include <fovea/fovea.h>

#include <iostream>

int main() {
  using namespace fovea;
  manual_seed(0);
  nn::Linear layer({.in = 3, .out = 2});
  const Variable y = layer(Variable(Tensor::full({4, 3}, 1.0)));
  const Variable loss = cross_entropy(y, Tensor::from<std::int64_t>({0, 1, 0, 1}, {4}));
  loss.backward();
  std::cout << "loss " << loss.item() << ", parameters " << layer.parameter_count() << '\n';
}
