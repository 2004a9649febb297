// main.cpp: the `fovea` command. Exit codes: 0 fine, 2 the command line cannot be meant, 1 anything else.
#include <fmt/format.h>

#include <csignal>
#include <cstdio>

#include "examples/cli/commands.h"
#include "vision/text.h"
#include "vision/training/recipe.h"

namespace {

using namespace fovea;

/// The names a flag or command could have been: those of the chosen subcommand, or of the whole program.
std::vector<std::string> known_words(const CLI::App& app, bool flags) {
  std::vector<std::string> words;
  if (flags)
    for (const CLI::Option* o : app.get_options()) words.push_back("--" + o->get_single_name());
  else
    for (const CLI::App* c : app.get_subcommands([](const CLI::App*) { return true; })) words.push_back(c->get_name());
  return words;
}

/// One line for what CLI11 did not understand.
std::string usage_message(const CLI::App& app, const CLI::ParseError& e) {
  const auto chosen = app.get_subcommands();
  const CLI::App& command = chosen.empty() ? app : *chosen[0];
  const std::string help = fmt::format("; see {} --help", chosen.empty() ? cli::program : cli::program + " " + command.get_name());
  if (dynamic_cast<const CLI::ExtrasError*>(&e)) {
    const std::vector<std::string> extras = app.remaining(true);
    const std::string word = extras.empty() ? "" : extras[0].substr(0, extras[0].find('='));
    const bool flag = word.starts_with("-");
    if (flag) return fmt::format("unknown flag {}{}{}", word, vision::did_you_mean(word, known_words(command, true)), help);
    if (chosen.empty()) return fmt::format("unknown command {}{}{}", word, vision::did_you_mean(word, known_words(app, false)), help);
    return fmt::format("unexpected argument '{}'{}", word, help);
  }
  return e.what() + help;
}

int fail(int code, const std::string& message) {
  std::fflush(stdout);
  fmt::print(stderr, "fovea: {}\n", message);
  return code;
}

}   // namespace

int main(int argc, char** argv) {
  CLI::App app("Fovea trains and uses image classifiers.", "fovea");
  app.set_version_flag("--version", "fovea " FOVEA_VERSION);
  app.footer("fovea COMMAND --help describes a command's flags.");
  cli::Action action;
  cli::add_train(app, action);
  cli::add_eval(app, action);
  cli::add_predict(app, action);
  cli::add_import(app, action);
  cli::add_export(app, action);
  cli::add_inspect(app, action);
  std::signal(SIGXFSZ, SIG_IGN);   // a file past the user's size limit is an error of the write, not the end of the program
  if (argc > 0) cli::program = cli::quoted(argv[0]);
  try {
    app.parse(argc, argv);
    if (!action) {
      fmt::print("{}", app.help());
      return argc > 1 ? cli::kExitUsage : 0;
    }
    const int code = action();
    if (std::fflush(stdout) != 0) return fail(cli::kExitError, "standard output cannot be written");
    return code;
  } catch (const CLI::Success& e) {   // --help, --version
    return app.exit(e);
  } catch (const CLI::ParseError& e) {
    return fail(cli::kExitUsage, usage_message(app, e));
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
