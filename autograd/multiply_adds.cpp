#include "autograd/multiply_adds.h"

namespace fovea {
namespace {
thread_local std::int64_t done = 0;
}   // namespace

MultiplyAdds::MultiplyAdds() : before_(done) {}
std::int64_t MultiplyAdds::count() const { return done - before_; }
void detail::count_multiply_adds(std::int64_t n) { done += n; }

}   // namespace fovea
