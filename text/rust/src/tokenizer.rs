//! A Hugging Face tokenizer.json: ids from text and text from ids.

use crate::failure::{fail, Code, Outcome};
use crate::guard::guarded;
use crate::limits::{
    self, Growth, Outline, MAX_EXPANDED_BYTES, MAX_VOCABULARY,
};
use crate::regex;
use crate::split::MeteredPreTokenizer;
use serde_json::Value;
use tokenizers::{
    DecoderWrapper, Model, ModelWrapper, NormalizerWrapper,
    PostProcessorWrapper, TokenizerImpl,
};

type Library = TokenizerImpl<
    ModelWrapper,
    NormalizerWrapper,
    MeteredPreTokenizer,
    PostProcessorWrapper,
    DecoderWrapper,
>;

pub struct Tokenizer {
    library: Library,
    decoder: Value,
    encoding: Growth,
    decoding: Growth,
    /// Bytes of the longest text that is looked for as it stands.
    longest: usize,
    search: u64,
    vocab_size: u32,
}

/// One tokenizer serves every thread.
const _: fn() = || {
    fn shared<T: Send + Sync>() {}
    shared::<Tokenizer>();
};

impl Tokenizer {
    pub fn load(json: &[u8]) -> Outcome<Tokenizer> {
        let corrupt = |error: String| fail(Code::Corrupt, error);
        let outline: Outline = match serde_json::from_slice(json) {
            Ok(outline) => outline,
            Err(error) => return corrupt(error.to_string()),
        };
        let checked = limits::check(&outline)?;
        let mut library: Library = match serde_json::from_slice(json) {
            Ok(library) => library,
            Err(error) => return corrupt(error.to_string()),
        };
        if let ModelWrapper::WordPiece(_) = library.get_model() {
            return fail(
                Code::Incompatible,
                "model: expected BPE, Unigram or WordLevel, found WordPiece",
            );
        }
        // What the file says of batches is the caller's to decide.
        if let Err(error) = library.with_truncation(None) {
            return corrupt(error.to_string());
        }
        library.with_padding(None);
        let vocabulary = library.get_vocab(true);
        let greatest = vocabulary.values().copied().max();
        let vocab_size = greatest.map_or(0, |id| id.saturating_add(1));
        if vocab_size == 0 || vocab_size > MAX_VOCABULARY {
            return corrupt(format!(
                "model.vocab: expected ids from 0 to {}, found {}",
                MAX_VOCABULARY - 1,
                greatest.map_or("none".into(), |id| id.to_string())
            ));
        }
        let tokenizer = Tokenizer {
            library,
            decoder: outline.decoder,
            encoding: checked.encoding,
            decoding: checked.decoding,
            longest: checked.longest,
            search: checked.search,
            vocab_size,
        };
        for id in tokenizer.encode(b"a b", true, regex::fuel_for(3))? {
            if id < 0 || id as u32 >= vocab_size {
                return corrupt(format!(
                    "post_processor: id {id} is not in the vocabulary of \
                     {vocab_size}"
                ));
            }
        }
        Ok(tokenizer)
    }

    pub fn encode(
        &self,
        text: &[u8],
        add_special_tokens: bool,
        fuel: u64,
    ) -> Outcome<Vec<i32>> {
        let text = match std::str::from_utf8(text) {
            Ok(text) => text,
            Err(error) => {
                return fail(
                    Code::InvalidArgument,
                    format!(
                        "text: expected UTF-8, found another byte at {}",
                        error.valid_up_to()
                    ),
                )
            }
        };
        if self.encoding.of(text.len()) > MAX_EXPANDED_BYTES {
            return fail(
                Code::Exhausted,
                format!(
                    "text: {} bytes could become {}, over the limit of \
                     {MAX_EXPANDED_BYTES}",
                    text.len(),
                    self.encoding.of(text.len())
                ),
            );
        }
        guarded(|| {
            regex::refuel(fuel);
            let bytes = self.encoding.of(text.len());
            if !regex::pay_for_search(self.longest, bytes) {
                return fail(
                    Code::Exhausted,
                    format!(
                        "text: {} bytes in which an added token or a replaced \
                         text of {} is looked for",
                        text.len(),
                        self.longest
                    ),
                );
            }
            if !regex::pay(self.search.saturating_mul(bytes)) {
                return fail(
                    Code::Exhausted,
                    format!(
                        "text: {} bytes in a vocabulary whose pieces begin \
                         with each other too often",
                        text.len()
                    ),
                );
            }
            let encoding =
                match self.library.encode_fast(text, add_special_tokens) {
                    Ok(encoding) => encoding,
                    Err(_) if regex::exhausted() => return fail(
                        Code::Exhausted,
                        "pre_tokenizer: the pattern reads without end on this \
                         text",
                    ),
                    Err(error) => {
                        return fail(Code::Corrupt, error.to_string())
                    }
                };
            Ok(encoding.get_ids().iter().map(|&id| id as i32).collect())
        })
    }

    pub fn decode(
        &self,
        ids: &[i32],
        skip_special_tokens: bool,
    ) -> Outcome<String> {
        let mut bytes: u64 = 0;
        let mut known = Vec::with_capacity(ids.len());
        for &id in ids {
            bytes += self
                .decoding
                .of(self.token(id)?.map_or(0, |text| text.len()));
            known.push(id as u32);
        }
        if bytes > MAX_EXPANDED_BYTES {
            return fail(
                Code::Exhausted,
                format!(
                    "ids: {} of them could become {bytes} bytes, over the \
                     limit of {MAX_EXPANDED_BYTES}",
                    ids.len()
                ),
            );
        }
        guarded(|| {
            self.library
                .decode(&known, skip_special_tokens)
                .or_else(|error| fail(Code::Internal, error.to_string()))
        })
    }

    pub fn vocab_size(&self) -> i32 {
        self.vocab_size as i32
    }

    /// -1 when there is none.
    pub fn token_to_id(&self, token: &[u8]) -> i32 {
        std::str::from_utf8(token)
            .ok()
            .and_then(|token| self.library.token_to_id(token))
            .map_or(-1, |id| id as i32)
    }

    pub fn is_special(&self, id: i32) -> bool {
        let added = self
            .library
            .get_added_vocabulary()
            .get_added_tokens_decoder();
        added.get(&(id as u32)).is_some_and(|token| token.special)
    }

    /// The token as the decoder gets it; none for a hole in the vocabulary.
    pub fn token(&self, id: i32) -> Outcome<Option<String>> {
        if id < 0 || id as u32 >= self.vocab_size {
            return fail(
                Code::InvalidArgument,
                format!(
                    "token id: expected 0 to {}, found {id}",
                    self.vocab_size - 1
                ),
            );
        }
        let added = self.library.get_added_vocabulary();
        Ok(added
            .simple_id_to_token(id as u32)
            .or_else(|| self.library.get_model().id_to_token(id as u32)))
    }

    /// As the library skips: by the token's text.
    pub fn is_skipped(&self, token: &str) -> bool {
        self.library.get_added_vocabulary().is_special_token(token)
    }

    /// The file's `decoder`, within what limits.rs lets through.
    pub fn decoder(&self) -> &Value {
        &self.decoder
    }

    pub fn decoding(&self) -> Growth {
        self.decoding
    }
}
