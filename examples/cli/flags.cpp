#include "examples/cli/flags.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "vision/text.h"

namespace fovea::cli {
namespace {

template <class T> void add(CLI::App& app, const std::string& name, T& value, const std::string& help, const FlagOptions& o) {
  CLI::Option* option = app.add_option(name, value, help);
  if (o.required) option->required();
  if (o.value_optional) option->expected(0, 1);
  if (o.last_counts) option->take_last();
  std::string type = o.type;
  if (!o.choices.empty()) {
    option->check(CLI::IsMember(o.choices));
    if (type.empty()) type = fmt::format("{}", fmt::join(o.choices, "|"));
  }
  if (o.high > o.low) {
    option->check(CLI::Range(o.low, o.high));
    if (type.empty()) type = fmt::format("{}..{}", o.low, o.high);
  }
  if (!type.empty()) option->type_name(type);
}

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
std::string usage_message(const CLI::App& app, const CLI::ParseError& e, const std::string& program) {
  const auto chosen = app.get_subcommands();
  const CLI::App& command = chosen.empty() ? app : *chosen[0];
  const std::string help = fmt::format("; see {} --help", chosen.empty() ? program : program + " " + command.get_name());
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

}   // namespace

void Command::flag(const std::string& name, bool& value, const std::string& help) { app_->add_flag(name, value, help); }
void Command::text(const std::string& name, std::string& value, const std::string& help, const FlagOptions& o) {
  add(*app_, name, value, help, o);
}
void Command::texts(const std::string& name, std::vector<std::string>& values, const std::string& help, const FlagOptions& o) {
  add(*app_, name, values, help, o);
}
void Command::number(const std::string& name, int& value, const std::string& help, const FlagOptions& o) {
  add(*app_, name, value, help, o);
}
void Command::number(const std::string& name, std::int64_t& value, const std::string& help, const FlagOptions& o) {
  add(*app_, name, value, help, o);
}
bool Command::given(const std::string& name) const { return app_->get_option(name)->count() > 0; }
void Command::action(std::function<int()> run) {
  app_->callback([run = std::move(run), chosen = chosen_] { *chosen = run; });
}

CommandLine::CommandLine() : app_(std::make_unique<CLI::App>("Fovea trains and uses image classifiers.", "fovea")) {
  app_->set_version_flag("--version", "fovea " FOVEA_VERSION);
  app_->footer("fovea COMMAND --help describes a command's flags.");
}
CommandLine::~CommandLine() = default;

Command CommandLine::command(const std::string& name, const std::string& help) { return {app_->add_subcommand(name, help), &chosen_}; }

std::function<int()> CommandLine::parse(int argc, char** argv, const std::string& program) {
  chosen_ = [this, code = argc > 1 ? 2 : 0] {   // no command
    fmt::print("{}", app_->help());
    return code;
  };
  try {
    app_->parse(argc, argv);
  } catch (const CLI::CallForHelp&) {   // which of the two helps it is stands in the chosen subcommands
    const auto chosen = app_->get_subcommands();
    return [text = chosen.empty() ? app_->help() : chosen[0]->help(app_->get_name())] { return fmt::print("{}", text), 0; };
  } catch (const CLI::Success& e) {   // --version
    return [text = std::string(e.what())] { return fmt::print("{}\n", text), 0; };
  } catch (const CLI::ParseError& e) {
    throw UsageError(usage_message(*app_, e, program));
  }
  return chosen_;
}

}   // namespace fovea::cli
