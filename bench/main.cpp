// fovea_bench GROUP: kernels and whole networks beside this machine's limits and beside their peers in the same run.
#include <cblas.h>
#include <fmt/core.h>

#include <CLI/CLI.hpp>

#include "bench/measure.h"
#include "kernels/cpu/isa.h"
#include "kernels/parallel.h"
#include "tensor/error.h"

namespace {

using namespace fovea;

void print_machine(const bench::Settings& s) {
  const nlohmann::json machine = bench::describe_machine(s);
  if (s.json) {
    fmt::print("{}\n", machine.dump());
    return;
  }
  const std::string name = machine["name"].get<std::string>();
  const double peak = machine["peak_gflops"].get<double>();
  if (s.device == Device::cuda)
    fmt::print("{}, {}{}\n", name, s.precision,
               peak > 0 ? fmt::format(": cuBLAS reaches {:.1f} TFLOP/s", peak / 1e3) : ", without cuBLAS: no peak is known");
  else
    fmt::print("{}, {}, {}, {} thread{}: measured peak {:.0f} GFLOP/s. OpenBLAS runs its {} kernels.\n", name,
               kernels::isa_name(kernels::isa()), s.precision, s.threads, s.threads == 1 ? "" : "s", peak, openblas_get_corename());
}

}   // namespace

int main(int argc, char** argv) {
  bench::Settings s;
  CLI::App app{
      "Kernels and networks beside this machine's limits and their peers. FOVEA_ISA=baseline|avx2|avx512 chooses the instruction set."};
  app.require_subcommand(1);
  CLI::App* gemm = app.add_subcommand("gemm", "matrix products, beside Eigen and OpenBLAS, or cuBLAS, and PyTorch");
  CLI::App* conv = app.add_subcommand("conv", "convolution and its gradients, beside im2col and OpenBLAS, and PyTorch");
  CLI::App* elementwise =
      app.add_subcommand("elementwise", "activations, arithmetic, permutations, optimiser steps, beside a copy and PyTorch");
  CLI::App* norm = app.add_subcommand("norm", "norms, softmax, losses, pooling, beside a copy and PyTorch");
  CLI::App* attention = app.add_subcommand("attention", "attention, global and in windows, beside the peak and PyTorch");
  CLI::App* models = app.add_subcommand("models", "inference and training of whole networks, beside the peak and PyTorch");
  std::string device = "cpu";
  for (CLI::App* sub : {gemm, conv, elementwise, norm, attention, models}) {
    sub->add_option("--device", device, "cpu, or cuda: a GPU")->check(CLI::IsMember({"cpu", "cuda"}))->capture_default_str();
    sub->add_option("--precision", s.precision, "float32, bf16, or with cuda tf32: products of float32 on tensor cores")
        ->check(CLI::IsMember({"float32", "bf16", "tf32"}))
        ->capture_default_str();
    sub->add_option("--threads", s.threads, "threads of every contender")->check(CLI::Range(1, 1024))->capture_default_str();
    sub->add_option("--repeats", s.repeats, "interleaved repeats, of which the median counts")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
    sub->add_option("--only", s.only, "cases whose name contains this")->type_name("TEXT");
    sub->add_option("--peer", s.peer, "a Python that has PyTorch, torchvision and timm, which runs the same cases first")
        ->type_name("PYTHON");
    sub->add_flag("--json", s.json, "one JSON object a line");
    sub->add_flag("--once", s.once, "run every case once, small, and time nothing");
  }
  conv->add_option("--set", s.set, "resnet: layers of ResNets; grouped: of ResNeXt, MobileNet and ConvNeXt; mnist: of the main job; all")
      ->check(CLI::IsMember({"resnet", "grouped", "mnist", "all"}))
      ->capture_default_str();
  models->add_option("NAME", s.models, "networks [one or two of each family]");
  models->add_option("--batch", s.batch, "images of a batch [16, on a GPU 128]")->check(CLI::Range(1, 1 << 16))->type_name("N");
  models->add_option("--image-size", s.image_size, "pixels of a side [what the network is made for]")
      ->check(CLI::Range(1, 4096))
      ->type_name("N");
  try {
    s.threads = kernels::threads();
    app.parse(argc, argv);
    s.device = device_named(device);
    if (s.precision == "tf32" && s.device != Device::cuda)
      throw CLI::ValidationError("--precision", "expected --device cuda with tf32, which are tensor cores, got cpu");
    kernels::set_threads(s.threads);
    openblas_set_num_threads(s.threads);
    if (s.device == Device::cuda) {
      if (cuda_device().facts().emulated && !s.once)
        throw Error("device cuda: " + cuda_device().facts().name + " is for tests and its speed means nothing: expected --once");
      allow_tf32(s.precision == "tf32");
    }
    if (!s.once) print_machine(s);
    if (*gemm) bench::bench_gemm(s);
    if (*conv) bench::bench_conv(s);
    if (*elementwise) bench::bench_memory(s, "elementwise");
    if (*norm) bench::bench_memory(s, "norm");
    if (*attention) bench::bench_attention(s);
    if (*models) bench::bench_models(s);
    return 0;
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  } catch (const std::exception& e) {
    fmt::print(stderr, "fovea_bench: {}\n", e.what());
    return 1;
  }
}
