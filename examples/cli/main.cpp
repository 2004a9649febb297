// main.cpp: the `fovea` command. Exit codes: 0 fine, 2 the command line cannot be meant, 1 anything else.
#include <fmt/format.h>

#include <csignal>
#include <cstdio>

#include "examples/cli/commands.h"
#include "vision/training/recipe.h"

namespace {

using namespace fovea;

int fail(int code, const std::string& message) {
  std::fflush(stdout);
  fmt::print(stderr, "fovea: {}\n", message);
  return code;
}

}   // namespace

int main(int argc, char** argv) {
  std::signal(SIGXFSZ, SIG_IGN);   // a file past the user's size limit is an error of the write, not the end of the program
  if (argc > 0) cli::program = cli::quoted(argv[0]);
  try {
    cli::CommandLine line;
    cli::add_train(line);
    cli::add_eval(line);
    cli::add_predict(line);
    cli::add_models(line);
    cli::add_summary(line);
    cli::add_import(line);
    cli::add_export(line);
    cli::add_inspect(line);
    cli::add_run(line);
    cli::add_compare(line);
    const int code = line.parse(argc, argv, cli::program)();
    if (std::fflush(stdout) != 0) return fail(cli::kExitError, "standard output cannot be written");
    return code;
  } catch (const cli::UsageError& e) {
    return fail(cli::kExitUsage, e.what());
  } catch (const vision::RecipeError& e) {
    return fail(cli::kExitUsage, e.what());
  } catch (const std::bad_alloc&) {
    return fail(cli::kExitError, "out of memory");
  } catch (const std::exception& e) {
    return fail(cli::kExitError, e.what());
  }
}
