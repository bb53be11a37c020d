#include "adaptation/next_token_objective.hpp"

#include <algorithm>
#include <limits>

#include "adaptation/example.hpp"
#include "adaptation/prompt_form.hpp"
#include "adaptation/prompt_groups.hpp"
#include "adaptation/prompting.hpp"
#include "adaptation/random_stream.hpp"
#include "config/sha256.hpp"
#include "model/language_model.hpp"

namespace t2 {
namespace {

constexpr std::uint64_t no_epoch = std::numeric_limits<std::uint64_t>::max();
// Streams of the seed: the split, then one an epoch.
constexpr std::uint64_t split_stream = 0;

void weigh(std::vector<training_row>& rows) {
  std::size_t tokens = 0;
  for (const training_row& row : rows) tokens += row.weights.size();
  for (training_row& row : rows)
    for (float& w : row.weights) w = 1.0f / static_cast<float>(tokens);
}

// Copies of a text count as one: a token of it by its row's share.
void weigh_as_prompts(std::vector<training_row>& rows,
                      const prompt_groups& prompts) {
  double tokens = 0;
  for (std::size_t i = 0; i < rows.size(); ++i)
    tokens += static_cast<double>(rows[i].weights.size()) * prompts.share(i);
  for (std::size_t i = 0; i < rows.size(); ++i)
    for (float& w : rows[i].weights)
      w = static_cast<float>(prompts.share(i)) / static_cast<float>(tokens);
}

std::vector<example> split_text(std::string_view text) {
  std::vector<example> documents;
  std::string current;
  const auto flush = [&] {
    while (!current.empty() && current.back() == '\n') current.pop_back();
    if (!current.empty()) {
      example e;
      e.id = "text-" + std::to_string(documents.size() + 1);
      e.answer = std::move(current);
      documents.push_back(std::move(e));
    }
    current.clear();
  };
  while (!text.empty()) {
    const auto end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (line.find_first_not_of(" \t") == std::string_view::npos) {
      flush();
    } else {
      current += line;
      current += '\n';
    }
  }
  flush();
  return documents;
}

// A long text as rows of at most `max_tokens`, each after what opens the first.
void append_windows(const training_row& whole, std::size_t max_tokens,
                    std::vector<training_row>& rows) {
  const std::size_t head = whole.answer_begin;
  const std::size_t room = max_tokens > head ? max_tokens - head : 1;
  for (std::size_t at = head; at < whole.tokens.size(); at += room) {
    const std::size_t end = std::min(whole.tokens.size(), at + room);
    const auto begin = whole.tokens.begin();
    training_row row;
    row.tokens.assign(begin, begin + static_cast<std::ptrdiff_t>(head));
    row.tokens.insert(row.tokens.end(),
                      begin + static_cast<std::ptrdiff_t>(at),
                      begin + static_cast<std::ptrdiff_t>(end));
    row.answer_begin = head;
    row.weights.assign(end - at, 1.0f);
    rows.push_back(std::move(row));
  }
}

result<std::vector<example>> examples_of(const training_spec& spec,
                                         const std::string& data,
                                         const char* label) {
  if (spec.format == "jsonl") return parse_examples(data, label);
  if (spec.format == "text") return split_text(data);
  return error{ec::invalid_argument,
               "format: expected jsonl or text, found '" + spec.format + "'"};
}

// Rows, and what each asks or, of a text without a prompt, says: the windows
// of a long text are prompts of their own, and those of its copies are theirs.
struct asked_rows {
  std::vector<training_row> rows = {};
  std::vector<std::uint64_t> prompts = {};
};

/// What all rows have in common; grows with them.
struct reading {
  seen_prompts seen = {};
  bool chat_prompts = false;
};

result<asked_rows> rows_of(const language_model& model,
                           const std::vector<example>& examples,
                           const training_spec& spec, reading& read) {
  const std::int64_t max_tokens = spec.max_tokens;
  asked_rows out;
  for (const example& e : examples) {
    read.seen.add(e);
    const bool plain = e.prompt.empty() && e.messages.empty();
    const auto form =
        form_of_example(spec.form, model.chat().has_value(), e);
    if (form == prompt_form::chat && is_bare_prompt(e))
      read.chat_prompts = true;
    auto row = training_row_of(
        model, asked_as(form, e),
        plain ? std::numeric_limits<std::int64_t>::max() : max_tokens);
    if (!row) return row.error();
    const std::size_t before = out.rows.size();
    if (plain)
      append_windows(*row, static_cast<std::size_t>(max_tokens), out.rows);
    else
      out.rows.push_back(*std::move(row));
    const std::uint64_t prompt = prompt_hash(e);
    for (std::size_t i = before; i < out.rows.size(); ++i)
      out.prompts.push_back(prompt + (i - before) * 0x9e3779b97f4a7c15);
  }
  return out;
}

std::vector<training_row> take(std::vector<training_row>& rows,
                               const std::vector<bool>& which, bool value) {
  std::vector<training_row> out;
  for (std::size_t i = 0; i < rows.size(); ++i)
    if (which[i] == value) out.push_back(std::move(rows[i]));
  return out;
}

}  // namespace

next_token_objective::next_token_objective(std::vector<training_row> training,
                                           std::vector<training_row> held_out,
                                           const prompt_groups& held_prompts,
                                           std::int64_t batch,
                                           std::uint64_t seed,
                                           std::string data_hash,
                                           seen_prompts seen,
                                           bool chat_prompts)
    : training_(std::move(training)),
      validation_(std::move(held_out)),
      batch_(batch),
      seed_(seed),
      data_hash_(std::move(data_hash)),
      seen_(std::move(seen)),
      chat_prompts_(chat_prompts),
      epoch_(no_epoch) {
  weigh_as_prompts(validation_, held_prompts);
}

std::vector<training_row> next_token_objective::rows(std::int64_t step) {
  std::vector<training_row> out;
  const auto n = static_cast<std::uint64_t>(training_.size());
  for (std::int64_t i = 0; i < batch_; ++i) {
    const auto visit = static_cast<std::uint64_t>(step * batch_ + i);
    if (visit / n != epoch_) {
      epoch_ = visit / n;
      order_ = random_stream{seed_, split_stream + 1 + epoch_}.permutation(
          training_.size());
    }
    out.push_back(training_[order_[visit % n]]);
  }
  weigh(out);
  return out;
}

result<void> next_token_objective::begin_step(std::int64_t step) {
  next_ = {.rows = rows(step)};
  return {};
}

result<void> next_token_objective::begin_validation() {
  next_ = {.rows = validation_};
  return {};
}

result<std::optional<gathered_rows>> next_token_objective::gather(
    language_model&, const adapted_linears&) {
  return std::optional{std::move(next_)};
}

result<std::unique_ptr<next_token_objective>> make_next_token_objective(
    const language_model& model, const training_spec& spec) {
  const auto examples = examples_of(spec, spec.data, "data");
  if (!examples) return examples.error();
  reading read;
  auto rows = rows_of(model, *examples, spec, read);
  if (!rows) return rows.error();
  std::vector<training_row> training, validation;
  std::vector<std::uint64_t> held_prompts;
  if (!spec.validation_data.empty()) {
    const auto others =
        examples_of(spec, spec.validation_data, "validation_data");
    if (!others) return others.error();
    if (auto fine = refuse_learnt(*others, read.seen); !fine)
      return fine.error();
    auto held = rows_of(model, *others, spec, read);
    if (!held) return held.error();
    validation = std::move(held->rows);
    held_prompts = std::move(held->prompts);
    training = std::move(rows->rows);
  } else {
    const prompt_groups prompts{rows->prompts};
    const auto held =
        hold_out(prompts, spec.validation, spec.seed, split_stream);
    if (std::ranges::find(held, false) == held.end())
      return error{ec::invalid_argument,
                   "data: expected at least " +
                       std::to_string(spec.validation > 0 ? 2 : 1) +
                       " different prompts to learn from, found " +
                       std::to_string(prompts.size())};
    training = take(rows->rows, held, false);
    validation = take(rows->rows, held, true);
    for (std::size_t i = 0; i < held.size(); ++i)
      if (held[i]) held_prompts.push_back(rows->prompts[i]);
  }
  if (training.empty())
    return error{ec::invalid_argument,
                 "data: expected at least one row to learn from, found none"};
  return std::make_unique<next_token_objective>(
      std::move(training), std::move(validation), prompt_groups{held_prompts},
      spec.batch, spec.seed,
      sha256_hex(spec.format + "\n" + spec.data +
                 (spec.validation_data.empty()
                      ? std::string{}
                      : "\n\x1e" + spec.validation_data)),
      std::move(read.seen), read.chat_prompts);
}

}  // namespace t2
