#include <unistd.h>

#include <iostream>
#include <iterator>
#include <optional>

#include "config/terminal.hpp"
#include "tools/asked_form.hpp"
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
  line("form        ", text("form"));
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

struct streamed_answer {
  std::string text;
  std::string finish_reason;
  std::optional<ordered_json> route;
};

/// Streams an answer to `out`. Ctrl-C ends it.
result<streamed_answer> stream_answer(session& here, const api_client& api,
                                      const char* path, ordered_json body) {
  body["stream"] = true;
  streamed_answer whole;
  const auto ended = api.complete(path, body, [&](const ordered_json& chunk) {
    if (!whole.route && chunk.contains("t2")) whole.route = chunk.at("t2");
    const std::string text = new_text(chunk);
    whole.text += text;
    here.out() << text << std::flush;
    for (const auto& choice : chunk.at("choices"))
      if (choice.at("finish_reason").is_string())
        whole.finish_reason = choice.at("finish_reason");
  });
  if (!whole.text.empty() && whole.text.back() != '\n')
    here.out() << "\n" << std::flush;
  if (!ended) return ended.error();
  return whole;
}

bool is_blank(const std::string& text) {
  return text.find_first_not_of(" \t\r\n") == text.npos;
}

/// Why nothing is to be seen, and what may help.
std::string empty_answer(const streamed_answer& answer, bool chat,
                         bool has_template) {
  std::string line = "the answer is empty";
  if (answer.finish_reason == "stop")
    line += ": the model ended it at once, or a stop text came first";
  if (answer.finish_reason == "length")
    line += ": it had no more than blanks in its tokens; --max-tokens gives "
            "it more";
  if (chat) return line + "; --raw asks without the chat template";
  if (has_template) return line + "; without --raw it is asked as a message";
  return line + "; the model has no chat template: it goes on with the text "
                "that it is given";
}

/// The form of the question. Says so where it is not that of the task.
result<prompt_form> form_of_question(session& here, asked_form& forms,
                                     const std::string& target) {
  const auto form = forms.of(target);
  if (!form) return form.error();
  const auto recorded = forms.recorded(target);
  if (!recorded) return recorded.error();
  if (!recorded->empty() && *recorded != to_string(*form))
    here.tell("asked " + std::string(to_string(*form)) + ", though task " +
              target + " is " + *recorded);
  return form;
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
  auto chosen = chosen_form(given);
  if (!chosen) return chosen.error();
  if (!system.empty() && *chosen == "raw") {
    return error{ec::invalid_argument,
                 "--system and --raw: expected one of them, found both"};
  }
  if (!system.empty()) *chosen = "chat";
  const auto api = here.ready_api();
  if (!api) return api.error();
  const std::string target = !task.empty()    ? task
                             : model.empty() ? "auto"
                                             : model;
  auto forms = asked_form::make(**api, *chosen);
  if (!forms) return forms.error();
  const auto form = form_of_question(here, *forms, target);
  if (!form) return form.error();
  const bool chat = *form == prompt_form::chat;
  ordered_json body = sampling_form(given);
  body["model"] = target;
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
    for (const auto& choice : whole->at("choices")) {
      const std::string text = chat ? choice.at("message").value("content", "")
                                    : choice.value("text", "");
      if (!is_blank(text)) continue;
      const streamed_answer blank{
          .text = text,
          .finish_reason = choice.at("finish_reason").is_string()
                               ? choice["finish_reason"].get<std::string>()
                               : std::string(),
          .route = {}};
      here.tell(empty_answer(blank, chat, forms->has_template()));
    }
    return exit_code::ok;
  }
  const auto answer = stream_answer(here, **api, path, body);
  if (!answer) return answer.error();
  if (is_blank(answer->text))
    here.tell(empty_answer(*answer, chat, forms->has_template()));
  if (given.get<bool>("explain") && answer->route)
    explain(here.err(), *answer->route);
  return exit_code::ok;
}

/// What was said so far: messages, or, of a model without a chat template, one text
/// that both go on with.
class conversation {
 public:
  conversation(std::string system, bool has_template)
      : system_(std::move(system)), has_template_(has_template) {
    restart();
  }

  void restart() {
    said_ = has_template_ ? ordered_json::array() : ordered_json("");
    if (!system_.empty()) say("system", system_);
    last_ = said_;
  }
  void ask(const std::string& line) {
    last_ = said_;
    say("user", line);
  }
  void answered(const std::string& text) { say("assistant", text); }
  /// As if the last question had not been asked.
  void take_back() { said_ = last_; }

  const char* path() const { return has_template_ ? chat_path : text_path; }
  const char* field() const { return has_template_ ? "messages" : "prompt"; }
  const ordered_json& said() const { return said_; }

 private:
  void say(const char* role, const std::string& words) {
    if (has_template_) {
      said_.push_back(message(role, words));
      return;
    }
    auto& text = said_.get_ref<std::string&>();
    if (text.empty() || std::string_view(role) == "assistant") text += words;
    else text += "\n" + words;
  }

  std::string system_;
  bool has_template_;
  ordered_json said_, last_;
};

result<exit_code> chat(session& here) {
  const auto& given = here.arguments();
  const std::string model = given.get<std::string>("model");
  const auto api = here.ready_api();
  if (!api) return api.error();
  const auto forms = asked_form::make(**api, "");
  if (!forms) return forms.error();
  if (!forms->has_template())
    here.tell("the model has no chat template: it goes on with your text");
  conversation talk(given.get<std::string>("system"), forms->has_template());
  line_reader input(STDIN_FILENO, here.signals().descriptor());
  const bool live = is_terminal(STDIN_FILENO);
  if (live) here.tell("/new starts afresh, /quit ends");
  for (;;) {
    if (live) here.out() << "> " << std::flush;
    const auto line = input.next();
    if (!line) return line.error();
    if (!*line || **line == "/quit") return exit_code::ok;
    if (**line == "/new") {
      talk.restart();
      continue;
    }
    if (line->value().find_first_not_of(" \t") == std::string::npos) continue;
    if ((*line)->starts_with('/')) {
      here.tell("unknown command '" + **line + "': expected /new or /quit");
      continue;
    }
    talk.ask(**line);
    ordered_json body = sampling_form(given);
    body["model"] = model.empty() ? "auto" : model;
    body[talk.field()] = talk.said();
    const auto answer = stream_answer(here, **api, talk.path(), body);
    if (!answer) {
      // Gone for good, or not on a terminal: nobody could try again.
      if (!live || answer.error().code == ec::cancelled ||
          answer.error().code == ec::not_found ||
          answer.error().code == ec::unavailable) {
        return answer.error();
      }
      here.tell(answer.error().message);
      talk.take_back();
      continue;
    }
    if (is_blank(answer->text)) here.tell("the answer is empty");
    talk.answered(answer->text);
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
       {.name = "explain",
        .kind = option_kind::boolean,
        .value = false,
        .help = "say which experts answered, and why"}});
  const auto forms = form_flags();
  ask_options.insert(ask_options.begin() + 3, forms.begin(), forms.end());
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
