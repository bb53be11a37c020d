#include "model/sampling.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "model/simd.hpp"

namespace t2 {
namespace {

/// A uniform number in [0, 1) out of its coordinates: no state to share
/// between rows, so a row draws the same in any batch. SplitMix64's finaliser.
double uniform(std::uint64_t seed, std::uint64_t sequence,
               std::int64_t position) {
  const auto mix = [](std::uint64_t x) {
    x += 0x9e3779b97f4a7c15;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
  };
  const auto bits =
      mix(mix(mix(seed) ^ sequence) ^ static_cast<std::uint64_t>(position));
  return static_cast<double>(bits >> 11) * 0x1.0p-53;
}

/// Largest logit and log Σ exp, sixteen at a time; NaN where one is not finite.
struct soft_maximum {
  template <class V>
  static T2_INLINE void run(const float* x, std::size_t n, float* peak,
                            double* log_sum) {
    constexpr auto lanes = static_cast<std::size_t>(simd::lanes);
    const std::size_t whole = n - n % lanes;
    float top = x[0];
    if (whole > 0) {
      V tops = simd::load<V>(x);
      for (std::size_t i = lanes; i < whole; i += lanes)
        tops = simd::maximum(tops, simd::load<V>(x + i));
      top = std::max(top, simd::largest(tops));
    }
    for (std::size_t i = whole; i < n; ++i) top = std::max(top, x[i]);
    // x - x is 0, and NaN of what is not finite: exponential() clamps those.
    V sums = simd::splat<V>(0), strange = simd::splat<V>(0);
    for (std::size_t i = 0; i < whole; i += lanes) {
      const V v = simd::load<V>(x + i);
      sums += simd::exponential(v - top);
      strange += v - v;
    }
    double sum = static_cast<double>(simd::sum(sums) + simd::sum(strange));
    for (std::size_t i = whole; i < n; ++i)
      sum += std::exp(static_cast<double>(x[i] - top)) +
             static_cast<double>(x[i] - x[i]);
    *peak = top;
    *log_sum = static_cast<double>(top) + std::log(sum);
  }
};

void penalise(std::span<float> logits, std::span<const token_id> history,
              float penalty) {
  const std::unordered_set<token_id> seen(history.begin(), history.end());
  for (const auto token : seen) {
    auto& x = logits[static_cast<std::size_t>(token)];
    x = x < 0 ? x * penalty : x / penalty;
  }
}

/// OpenAI's penalties: what the answer has costs `presence`, and each time it
/// has it `frequency`.
void discourage(std::span<float> logits, std::span<const token_id> answer,
                float presence, float frequency) {
  std::unordered_map<token_id, int> counts;
  for (const auto token : answer) ++counts[token];
  for (const auto& [token, count] : counts)
    logits[static_cast<std::size_t>(token)] -=
        presence + static_cast<float>(count) * frequency;
}

/// Whether the options change logits before a token is chosen.
bool reshapes(const sampling_options& o) {
  return o.repetition_penalty != 1.f || o.presence_penalty != 0.f ||
         o.frequency_penalty != 0.f || !o.logit_bias.empty();
}

void reshape(std::span<float> logits, std::span<const token_id> history,
             const sampling_options& o) {
  if (o.repetition_penalty != 1.f)
    penalise(logits, history, o.repetition_penalty);
  if (o.presence_penalty != 0.f || o.frequency_penalty != 0.f)
    discourage(logits,
               history.subspan(std::min(o.answer_begin, history.size())),
               o.presence_penalty, o.frequency_penalty);
  for (const auto& [token, bias] : o.logit_bias)
    if (static_cast<std::size_t>(token) < logits.size())
      logits[static_cast<std::size_t>(token)] += bias;
}

/// The `count` likeliest tokens, best first; of equals the smaller id.
std::vector<token_likelihood> likeliest(std::span<const float> logits,
                                        std::int32_t count, double normaliser) {
  std::vector<token_likelihood> best;
  const auto most = std::min(static_cast<std::size_t>(count), logits.size());
  const auto before = [](const auto& a, const auto& b) {
    return a.log_probability > b.log_probability;
  };
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const token_likelihood next{static_cast<token_id>(i), logits[i]};
    if (best.size() == most) {
      if (!before(next, best.back())) continue;
      best.pop_back();
    }
    best.insert(std::upper_bound(best.begin(), best.end(), next, before), next);
  }
  for (auto& one : best)
    one.log_probability = static_cast<float>(
        static_cast<double>(one.log_probability) - normaliser);
  return best;
}

/// (peak - x) / T of every logit and Σ e^-that, sixteen at a time.
struct measure_depths {
  template <class V>
  static T2_INLINE double run(const float* x, std::size_t n, float peak,
                              float temperature, float* depth) {
    constexpr auto lanes = static_cast<std::size_t>(simd::lanes);
    const std::size_t whole = n - n % lanes;
    V sums = simd::splat<V>(0);
    for (std::size_t i = 0; i < whole; i += lanes) {
      const V d = (peak - simd::load<V>(x + i)) / temperature;
      simd::store(depth + i, d);
      sums += simd::exponential(-d);
    }
    double sum = static_cast<double>(simd::sum(sums));
    for (std::size_t i = whole; i < n; ++i) {
      depth[i] = (peak - x[i]) / temperature;
      sum += std::exp(-static_cast<double>(depth[i]));
    }
    return sum;
  }
};

/// A token that may be drawn, with its unnormalised probability (the best one's
/// is 1).
struct candidate {
  token_id token;
  float depth;  // (peak - logit) / T
  double weight;
};

/// The logits at a temperature, best first. Most draws end among the first few,
/// so that what lies deeper is sorted only when it is asked for.
class ranking {
 public:
  ranking(std::span<const float> logits, float peak, float temperature)
      : depths_(logits.size()),
        total_(simd::run<measure_depths>(logits.data(), logits.size(), peak,
                                         temperature, depths_.data())) {}

  /// Σ of all weights.
  double total() const { return total_; }

  /// Calls `take` for one token after the other, of equals the smaller id
  /// first, until it returns false.
  template <class F>
  void best_first(F&& take) const {
    std::vector<candidate> band;
    // Below e^-40 of the best a token cannot be drawn with 53 random bits.
    for (float from = 0; from < 40; from += 4) {
      band.clear();
      for (std::size_t i = 0; i < depths_.size(); ++i)
        if (depths_[i] >= from && depths_[i] < from + 4)
          band.push_back({static_cast<token_id>(i), depths_[i],
                          std::exp(-static_cast<double>(depths_[i]))});
      std::ranges::stable_sort(band, {}, &candidate::depth);
      for (const auto& c : band)
        if (!take(c)) return;
    }
  }

 private:
  std::vector<float> depths_;
  double total_;
};

bool filters(const sampling_options& o) {
  return o.top_k > 0 || o.top_p < 1 || o.min_p > 0;
}

/// Those that survive the filters, best first.
std::vector<candidate> survivors(const ranking& ranked,
                                 const sampling_options& o) {
  std::vector<candidate> best;
  double total = 0;
  if (o.top_k > 0) {
    ranked.best_first([&](const candidate& c) {
      best.push_back(c);
      total += c.weight;
      return best.size() < static_cast<std::size_t>(o.top_k);
    });
  } else if (o.top_p < 1) {
    total = ranked.total();
  }
  std::vector<candidate> kept;
  double mass = 0;
  const auto take = [&](const candidate& c) {
    if (!kept.empty() && c.weight < static_cast<double>(o.min_p)) return false;
    kept.push_back(c);
    mass += c.weight;
    return o.top_p == 1 || mass < static_cast<double>(o.top_p) * total;
  };
  if (o.top_k == 0) {
    ranked.best_first(take);
  } else {
    for (const auto& c : best)
      if (!take(c)) break;
  }
  return kept;
}

/// `at`: a uniform number in [0, 1).
token_id draw(const ranking& ranked, const sampling_options& o, double at) {
  std::optional<token_id> best, drawn;
  double left = 0;
  const auto take = [&](const candidate& c) {
    if (!best) best = c.token;
    left -= c.weight;
    if (left < 0) drawn = c.token;
    return !drawn;
  };
  if (filters(o)) {
    const auto kept = survivors(ranked, o);
    for (const auto& c : kept) left += c.weight;
    left *= at;
    for (const auto& c : kept)
      if (!take(c)) break;
  } else {
    left = at * ranked.total();
    ranked.best_first(take);
  }
  // Rounding may leave a trifle beyond the last.
  return drawn.value_or(*best);
}

}  // namespace

result<void> sampling_options::validate() const {
  const auto bad = [](std::string_view what, std::string_view expected,
                      double found) {
    return error{ec::invalid_argument, std::string{what} + ": expected " +
                                           std::string{expected} + ", found " +
                                           std::to_string(found)};
  };
  if (!(temperature >= 0 && temperature <= 100))
    return bad("temperature", "0 to 100", static_cast<double>(temperature));
  if (top_k < 0) return bad("top_k", "0 (off) or more", top_k);
  if (!(top_p >= 0 && top_p <= 1))
    return bad("top_p", "0 to 1", static_cast<double>(top_p));
  if (!(min_p >= 0 && min_p <= 1))
    return bad("min_p", "0 to 1", static_cast<double>(min_p));
  if (!(repetition_penalty > 0 && repetition_penalty <= 100))
    return bad("repetition_penalty", "more than 0, at most 100",
               static_cast<double>(repetition_penalty));
  for (const auto& [what, value] :
       {std::pair{"presence_penalty", presence_penalty},
        std::pair{"frequency_penalty", frequency_penalty}})
    if (!(value >= -2 && value <= 2))
      return bad(what, "-2 to 2", static_cast<double>(value));
  for (const auto& [token, bias] : logit_bias) {
    if (token < 0) return bad("logit_bias", "token ids from 0", token);
    if (!(bias >= -100 && bias <= 100))
      return bad("logit_bias", "-100 to 100", static_cast<double>(bias));
  }
  if (top_log_probabilities < 0 || top_log_probabilities > 20)
    return bad("top_logprobs", "0 to 20", top_log_probabilities);
  if (max_tokens < 1) return bad("max_tokens", "1 or more", max_tokens);
  if (stop.size() > 16)
    return bad("stop", "at most 16 strings", static_cast<double>(stop.size()));
  for (const auto& s : stop)
    if (s.empty() || s.size() > 256)
      return bad("stop", "strings of 1 to 256 bytes",
                 static_cast<double>(s.size()));
  return {};
}

result<sampled_token> sample_token(std::span<float> logits,
                                   std::span<const token_id> history,
                                   const sampling_options& options,
                                   std::uint64_t sequence,
                                   std::int64_t position) {
  float peak = 0;
  double normaliser = 0;
  simd::run<soft_maximum>(logits.data(), logits.size(), &peak, &normaliser);
  if (!std::isfinite(normaliser)) {
    return error{ec::internal,
                 "the model's logits: expected finite numbers, found others: "
                 "an expert or the weights are out of range"};
  }
  std::vector<token_likelihood> alternatives;
  if (options.top_log_probabilities > 0)
    alternatives = likeliest(logits, options.top_log_probabilities, normaliser);
  std::vector<float> unfiltered;
  const bool penalised = reshapes(options);
  if (penalised) {
    unfiltered.assign(logits.begin(), logits.end());
    reshape(logits, history, options);
    peak = *std::ranges::max_element(logits);
  }
  const token_id token =
      options.temperature == 0.f
          ? static_cast<token_id>(std::ranges::find(logits, peak) -
                                  logits.begin())
          : draw(ranking{logits, peak, options.temperature}, options,
                 uniform(options.seed, sequence, position));
  const auto i = static_cast<std::size_t>(token);
  const float logit = penalised ? unfiltered[i] : logits[i];
  return sampled_token{
      token, static_cast<float>(static_cast<double>(logit) - normaliser),
      std::move(alternatives)};
}

}  // namespace t2
