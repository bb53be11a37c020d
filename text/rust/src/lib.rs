//! The text room's Rust half: Hugging Face tokenizers and chat templates
//! behind one bridge. See tokenizer.rs, train.rs and chat/.

mod chat;
mod counted;
mod failure;
mod guard;
mod limits;
mod pattern;
mod regex;
mod special;
mod split;
mod stream;
mod tokenizer;
mod train;
mod vocabulary;

use failure::Outcome;
use stream::Stream;
use tokenizer::Tokenizer;

/// A parameter must not be named like a C++ keyword: the bridge copies names.
#[cxx::bridge(namespace = "t2::text_rust")]
mod ffi {
    struct Message<'a> {
        role: &'a [u8],
        content: &'a [u8],
    }

    /// A special token that a template may print, such as bos_token.
    struct NamedToken<'a> {
        name: &'a [u8],
        content: &'a [u8],
    }

    /// A folder's template, where it has one.
    struct TemplateFiles {
        found: bool,
        source: String,
    }

    /// special.rs, pair by pair: names and spellings, names and ids, added
    /// tokens and ids.
    struct SpecialTokens {
        names: Vec<String>,
        spellings: Vec<String>,
        numbered: Vec<String>,
        numbers: Vec<i64>,
        added: Vec<String>,
        ids: Vec<i64>,
    }

    extern "Rust" {
        type Tokenizer;
        fn load_tokenizer(json: &[u8]) -> Result<Box<Tokenizer>>;
        fn encode(
            self: &Tokenizer,
            text: &[u8],
            add_special_tokens: bool,
            fuel: u64,
        ) -> Result<Vec<i32>>;
        fn encoding_fuel(bytes: usize) -> u64;
        fn decode(
            self: &Tokenizer,
            ids: &[i32],
            skip_special_tokens: bool,
        ) -> Result<String>;
        fn vocab_size(self: &Tokenizer) -> i32;
        fn token_to_id(self: &Tokenizer, token: &[u8]) -> i32;
        fn is_special(self: &Tokenizer, id: i32) -> bool;
        fn token_bytes(tokenizer: &Tokenizer, id: i32) -> Result<Vec<u8>>;

        fn train_tokenizer(
            text: &[u8],
            ends: &[usize],
            vocabulary: usize,
            special_tokens: &[&str],
        ) -> Result<String>;

        type Stream;
        fn new_stream(skip_special_tokens: bool) -> Box<Stream>;
        fn push(
            self: &mut Stream,
            tokenizer: &Tokenizer,
            id: i32,
        ) -> Result<String>;
        fn begin_after(
            self: &mut Stream,
            tokenizer: &Tokenizer,
            ids: &[i32],
            tells: bool,
        ) -> Result<String>;
        fn finish(self: &mut Stream, tokenizer: &Tokenizer) -> Result<String>;

        fn read_template(
            config: &[u8],
            jinja_file: &[u8],
            has_jinja_file: bool,
        ) -> Result<TemplateFiles>;
        fn read_special_tokens(
            config: &[u8],
            map: &[u8],
            model: &[u8],
            generation: &[u8],
        ) -> Result<SpecialTokens>;
        fn render_template(
            source: &[u8],
            messages: &[Message],
            tokens: &[NamedToken],
            add_generation_prompt: bool,
            defaults: &[u8],
            variables: &[u8],
            local_seconds: i64,
            fuel: u64,
        ) -> Result<String>;
        fn check_variables(json: &[u8]) -> Result<()>;

        fn pattern_found(pattern: &[u8], text: &[u8]) -> Result<bool>;
    }
}

fn load_tokenizer(json: &[u8]) -> Outcome<Box<Tokenizer>> {
    guard::guarded_deep(|| Tokenizer::load(json).map(Box::new))
}

/// `ends`: where each text ends within `text`.
fn train_tokenizer(
    text: &[u8],
    ends: &[usize],
    vocabulary: usize,
    special_tokens: &[&str],
) -> Outcome<String> {
    guard::guarded(|| {
        let mut texts = Vec::with_capacity(ends.len());
        let mut begin = 0;
        for (place, &end) in ends.iter().enumerate() {
            match std::str::from_utf8(&text[begin..end]) {
                Ok(one) => texts.push(one),
                Err(error) => {
                    return failure::fail(
                        failure::Code::InvalidArgument,
                        format!(
                            "text {}: expected UTF-8, found another byte at {}",
                            place + 1,
                            error.valid_up_to()
                        ),
                    )
                }
            }
            begin = end;
        }
        train::train(&texts, vocabulary, special_tokens)
    })
}

fn encoding_fuel(bytes: usize) -> u64 {
    regex::fuel_for(bytes)
}

fn token_bytes(tokenizer: &Tokenizer, id: i32) -> Outcome<Vec<u8>> {
    guard::guarded(|| stream::token_bytes(tokenizer, id))
}

fn new_stream(skip_special_tokens: bool) -> Box<Stream> {
    Box::new(Stream::new(skip_special_tokens))
}

fn read_template(
    config: &[u8],
    jinja_file: &[u8],
    has_jinja_file: bool,
) -> Outcome<ffi::TemplateFiles> {
    guard::guarded_deep(|| {
        let jinja_file = has_jinja_file.then_some(jinja_file);
        let source = chat::config::read(config, jinja_file)?;
        Ok(ffi::TemplateFiles {
            found: source.is_some(),
            source: source.unwrap_or_default(),
        })
    })
}

fn read_special_tokens(
    config: &[u8],
    map: &[u8],
    model: &[u8],
    generation: &[u8],
) -> Outcome<ffi::SpecialTokens> {
    guard::guarded_deep(|| {
        let found = special::read(config, map, model, generation)?;
        let (names, spellings) = found.spelled.into_iter().unzip();
        let (numbered, numbers) = found.numbered.into_iter().unzip();
        let (added, ids) = found.added.into_iter().unzip();
        Ok(ffi::SpecialTokens {
            names,
            spellings,
            numbered,
            numbers,
            added,
            ids,
        })
    })
}

fn pattern_found(pattern: &[u8], text: &[u8]) -> Outcome<bool> {
    guard::guarded(|| pattern::found(pattern, text))
}

fn render_template(
    source: &[u8],
    messages: &[ffi::Message],
    tokens: &[ffi::NamedToken],
    add_generation_prompt: bool,
    defaults: &[u8],
    variables: &[u8],
    local_seconds: i64,
    fuel: u64,
) -> Outcome<String> {
    guard::guarded_deep(|| {
        let messages: Vec<_> =
            messages.iter().map(|one| (one.role, one.content)).collect();
        let tokens: Vec<_> =
            tokens.iter().map(|one| (one.name, one.content)).collect();
        chat::render(&chat::Request {
            source,
            messages: &messages,
            tokens: &tokens,
            add_generation_prompt,
            defaults,
            variables,
            local_seconds,
            fuel,
        })
    })
}

fn check_variables(json: &[u8]) -> Outcome<()> {
    guard::guarded_deep(|| chat::variables::read(json).map(|_| ()))
}
