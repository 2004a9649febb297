// flags.h: what a command line may say. CLI11 does the work, in flags.cpp alone: including it takes seconds in every file that does.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tensor/error.h"

namespace CLI {
class App;
}

namespace fovea::cli {

/// A command line that cannot be meant: exit code 2.
struct UsageError : Error {
  using Error::Error;
};

/// What is asked of a value that is given.
struct FlagOptions {
  std::string type = "";   // what the help calls it: FILE, FOLDER, 1..1000; choices and ranges name themselves
  bool required = false;
  std::vector<std::string> choices = {};   // one of these
  std::int64_t low = 0, high = 0;          // a number's range, where high > low
  bool value_optional = false;             // the flag may stand alone
  bool last_counts = false;                // given several times, the last one counts; otherwise that is an error
};

/// One command. Values are references to what lives at least as long as the command line; a default is what they hold before.
/// A name without dashes is a positional argument.
class Command {
 public:
  void flag(const std::string& name, bool& value, const std::string& help);
  void text(const std::string& name, std::string& value, const std::string& help, const FlagOptions& o = {});
  void texts(const std::string& name, std::vector<std::string>& values, const std::string& help, const FlagOptions& o = {});
  void number(const std::string& name, int& value, const std::string& help, const FlagOptions& o = {});
  void number(const std::string& name, std::int64_t& value, const std::string& help, const FlagOptions& o = {});
  bool given(const std::string& name) const;   // once parsed
  /// What runs when this is the command that was chosen; the exit code.
  void action(std::function<int()> run);

 private:
  friend class CommandLine;
  Command(CLI::App* app, std::function<int()>* chosen) : app_(app), chosen_(chosen) {}
  CLI::App* app_;
  std::function<int()>* chosen_;
};

class CommandLine {
 public:
  CommandLine();
  ~CommandLine();
  Command command(const std::string& name, const std::string& help);
  /// The chosen command's action. Help and version are actions too, that print and return 0. Throws UsageError, with the nearest known names.
  std::function<int()> parse(int argc, char** argv, const std::string& program);

 private:
  std::unique_ptr<CLI::App> app_;
  std::function<int()> chosen_;
};

}   // namespace fovea::cli
