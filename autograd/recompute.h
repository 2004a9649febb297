// recompute.h: memory for time. A segment of the network keeps its input alone, and runs again in the backward pass.
//
// Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost", section 4: n layers cut into sqrt(n) segments keep O(sqrt(n))
// activations, the segments' inputs and what lies inside the one that is running, for one more forward pass, a third of a step.
#pragma once

#include <functional>

#include "autograd/variable.h"

namespace fovea {

/// f(x), of which nothing but x is kept; the backward pass runs f again, on the same random keys, so dropout drops the same elements,
/// and batch norms leave their running statistics alone. Gradients are the same bits as without (one sum aside: where x is also
/// used outside f, its gradient from within is summed before it is added).
///
///   y = recompute([&](const Variable& v) { return block(v); }, x);
///
/// f may use leaves (parameters) besides x, but no other Variable with a history; it must outlive the backward pass with all it
/// refers to, and do the same each time. What f does to the world, such as printing, happens twice unless it asks replaying().
Variable recompute(std::function<Variable(const Variable&)> f, const Variable& x);

/// True on this thread while a segment runs for the second time. Whoever counts or remembers forward passes looks here.
bool replaying();

}   // namespace fovea
