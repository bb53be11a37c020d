#include <unistd.h>

#include <iostream>
#include <iterator>
#include <optional>

#include "config/terminal.hpp"
#include "http/router.hpp"
#include "tools/line_reader.hpp"
#include "tools/mixture_text.hpp"
#include "tools/sampling_flags.hpp"
#include "tools/session.hpp"

namespace t2 {
namespace {

constexpr const char* chat_path = "/v1/chat/completions";
constexpr const char* text_path = "/v1/completions";

/// What a chunk adds to the answer.
std::string new_text(const ordered_json& chunk) {
  const auto& choices = chunk.at("choices");
  if (choices.empty()) return "";
  const auto& choice = choices.at(0);
  return choice.contains("delta") ? choice.at("delta").value("content", "")
                                  : choice.value("text", "");
}

ordered_json message(const char* role, const std::string& content) {
  return {{"role", role}, {"content", content}};
}

void explain(std::ostream& out, const ordered_json& route) {
  const auto line = [&](const char* name, const std::string& value) {
    if (!value.empty()) out << name << value << "\n";
  };
  const auto text = [&](const char* name) {
    const auto found = route.find(name);
    return found != route.end() && found->is_string()
               ? found->get<std::string>()
               : std::string();
  };
  out << "\n";
  line("strategy    ", text("strategy"));
  line("task        ", text("task"));
  if (!text("label").empty()) {
    line("label       ",
         text("label") + " (" + number_text(route.at("confidence")) + ")");
  }
  if (route.contains("probabilities"))
    for (const auto& [label, probability] : route.at("probabilities").items())
      line("            ", label + " " + number_text(probability));
  line("mixture     ", mixture_text(route.at("mixture")));
  line("reason      ", text("reason"));
  line("adaptation  ", text("adaptation"));
  line("from cache  ", route.value("cached", false) ? "yes" : "no");
}

/// Streams an answer to `out` and returns its text. Ctrl-C ends it.
result<std::string> stream_answer(session& here, const api_client& api,
                                  const char* path, ordered_json body,
                                  std::optional<ordered_json>* route) {
  body["stream"] = true;
  std::string whole;
  const auto ended = api.complete(path, body, [&](const ordered_json& chunk) {
    if (route && !*route && chunk.contains("t2")) *route = chunk.at("t2");
    const std::string text = new_text(chunk);
    whole += text;
    here.out() << text << std::flush;
  });
  if (!whole.empty() && whole.back() != '\n') here.out() << "\n" << std::flush;
  if (!ended) return ended.error();
  return whole;
}

/// Whether a task's examples are conversations: then its queries are too.
result<bool> task_converses(const api_client& api, const std::string& name) {
  const auto task = api.get("/v1/tasks/" + encode_url(name));
  if (!task) return task.error();
  const auto& examples = task->at("examples");
  return !examples.empty() && examples.at(0).contains("messages");
}

result<exit_code> ask(session& here) {
  const auto& given = here.arguments();
  std::string question = here.positional(0);
  if (question == "-") {
    question.assign(std::istreambuf_iterator<char>(std::cin), {});
  }
  const std::string task = given.get<std::string>("task");
  const std::string model = given.get<std::string>("model");
  const std::string system = given.get<std::string>("system");
  if (!task.empty() && !model.empty()) {
    return error{ec::invalid_argument,
                 "--task and --model: expected one of them, found both"};
  }
  const auto api = here.ready_api();
  if (!api) return api.error();
  bool chat = given.get<bool>("chat") || !system.empty();
  if (!task.empty() && !chat) {
    const auto converses = task_converses(**api, task);
    if (!converses) return converses.error();
    chat = *converses;
  }
  ordered_json body = sampling_form(given);
  body["model"] = !task.empty() ? task : model.empty() ? "auto" : model;
  if (chat) {
    body["messages"] = ordered_json::array();
    if (!system.empty()) body["messages"].push_back(message("system", system));
    body["messages"].push_back(message("user", question));
  } else {
    body["prompt"] = question;
  }
  const char* path = chat ? chat_path : text_path;
  if (here.json()) {
    const auto whole = (*api)->post(path, body);
    if (!whole) return whole.error();
    here.print_json(*whole);
    return exit_code::ok;
  }
  std::optional<ordered_json> route;
  const auto answer = stream_answer(here, **api, path, body, &route);
  if (!answer) return answer.error();
  if (given.get<bool>("explain") && route) explain(here.err(), *route);
  return exit_code::ok;
}

result<exit_code> chat(session& here) {
  const auto& given = here.arguments();
  const std::string system = given.get<std::string>("system");
  const std::string model = given.get<std::string>("model");
  const auto api = here.ready_api();
  if (!api) return api.error();
  ordered_json messages = ordered_json::array();
  const auto restart = [&] {
    messages.clear();
    if (!system.empty()) messages.push_back(message("system", system));
  };
  restart();
  line_reader input(STDIN_FILENO, here.signals().descriptor());
  const bool live = is_terminal(STDIN_FILENO);
  if (live) here.tell("/new starts afresh, /quit ends");
  for (;;) {
    if (live) here.out() << "> " << std::flush;
    const auto line = input.next();
    if (!line) return line.error();
    if (!*line || **line == "/quit") return exit_code::ok;
    if (**line == "/new") {
      restart();
      continue;
    }
    if (line->value().find_first_not_of(" \t") == std::string::npos) continue;
    if ((*line)->starts_with('/')) {
      here.tell("unknown command '" + **line + "': expected /new or /quit");
      continue;
    }
    messages.push_back(message("user", **line));
    ordered_json body = sampling_form(given);
    body["model"] = model.empty() ? "auto" : model;
    body["messages"] = messages;
    const auto answer = stream_answer(here, **api, chat_path, body, nullptr);
    if (!answer) {
      // Gone for good, or not on a terminal: nobody could try again.
      if (!live || answer.error().code == ec::cancelled ||
          answer.error().code == ec::not_found ||
          answer.error().code == ec::unavailable) {
        return answer.error();
      }
      here.tell(answer.error().message);
      messages.erase(messages.size() - 1);
      continue;
    }
    messages.push_back(message("assistant", *answer));
  }
}

}  // namespace

std::vector<command_entry> ask_commands() {
  const option model{
      .name = "model",
      .help = "base, a task, expert:NAME[@VERSION], or auto: t2 decides",
      .unit = "NAME"};
  const option system{
      .name = "system", .help = "a system message", .unit = "TEXT"};
  auto ask_options = sampling_flags();
  ask_options.insert(
      ask_options.begin(),
      {{.name = "task", .help = "the task it belongs to", .unit = "TASK"},
       model,
       system,
       {.name = "chat",
        .kind = option_kind::boolean,
        .value = false,
        .help = "as a message, through the model's chat template"},
       {.name = "explain",
        .kind = option_kind::boolean,
        .value = false,
        .help = "say which experts answered, and why"}});
  auto chat_options = sampling_flags();
  chat_options.insert(chat_options.begin(), {model, system});
  return {{{.name = "ask",
            .summary = "Answer one question",
            .positionals = {{.name = "TEXT",
                             .help = "the question; -: standard input"}},
            .options = std::move(ask_options)},
           ask},
          {{.name = "chat",
            .summary = "Talk, with the conversation remembered",
            .options = std::move(chat_options)},
           chat}};
}

}  // namespace t2
