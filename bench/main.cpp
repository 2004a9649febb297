// fovea_bench gemm|conv|elementwise|norm|attention: verify, then time, beside this machine's measured peak and beside peers in the same run.
#include <cblas.h>
#include <fmt/core.h>

#include <CLI/CLI.hpp>

#include "bench/measure.h"
#include "kernels/cpu/isa.h"
#include "kernels/parallel.h"

int main(int argc, char** argv) {
  using namespace fovea;
  bench::Settings s;
  CLI::App app{"Kernels beside this machine's limit and their peers. FOVEA_ISA=baseline|avx2|avx512 chooses the instruction set."};
  app.require_subcommand(1);
  CLI::App* gemm = app.add_subcommand("gemm", "matrix products, beside Eigen and OpenBLAS");
  CLI::App* conv = app.add_subcommand("conv", "convolution and its gradients, beside im2col and OpenBLAS");
  CLI::App* elementwise =
      app.add_subcommand("elementwise", "activations, arithmetic, permutations, optimiser steps, beside a copy and PyTorch");
  CLI::App* norm = app.add_subcommand("norm", "norms, softmax, losses, pooling, beside a copy and PyTorch");
  CLI::App* attention = app.add_subcommand("attention", "attention, global and in windows, beside the peak and PyTorch");
  for (CLI::App* sub : {elementwise, norm}) sub->add_option("--only", s.only, "cases whose name contains this")->type_name("TEXT");
  for (CLI::App* sub : {elementwise, norm, attention})
    sub->add_option("--peer", s.peer, "a Python that has PyTorch (and torchvision), which runs the same cases first")->type_name("PYTHON");
  for (CLI::App* sub : {gemm, conv, elementwise, norm, attention}) {
    sub->add_option("--threads", s.threads, "threads of every contender")->check(CLI::Range(1, 1024))->capture_default_str();
    sub->add_option("--repeats", s.repeats, "interleaved repeats, of which the median counts")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
    sub->add_flag("--json", s.json, "one JSON object a line");
  }
  conv->add_option("--set", s.set, "resnet: layers of ResNets at batch 8; mnist: those of the main job at batch 128; all")
      ->check(CLI::IsMember({"resnet", "mnist", "all"}))
      ->capture_default_str();
  try {
    s.threads = kernels::threads();
    app.parse(argc, argv);
    kernels::set_threads(s.threads);
    openblas_set_num_threads(s.threads);
    const double peak = bench::measure_peak(s.threads);
    const auto machine = bench::describe_machine(s, peak);
    if (s.json)
      fmt::print("{}\n", machine.dump());
    else
      fmt::print("{}, {}, {} thread{}: measured peak {:.0f} GFLOP/s. OpenBLAS runs its {} kernels.\n", machine["cpu"].get<std::string>(),
                 kernels::isa_name(kernels::isa()), s.threads, s.threads == 1 ? "" : "s", peak / 1e9, openblas_get_corename());
    if (*gemm) bench::bench_gemm(s);
    if (*conv) bench::bench_conv(s);
    if (*elementwise) bench::bench_memory(s, "elementwise");
    if (*norm) bench::bench_memory(s, "norm");
    if (*attention) bench::bench_attention(s);
    return 0;
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  } catch (const std::exception& e) {
    fmt::print(stderr, "fovea_bench: {}\n", e.what());
    return 1;
  }
}
