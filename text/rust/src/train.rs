//! A byte-level BPE tokenizer learnt from texts.

use crate::failure::{fail, Code, Outcome};
use tokenizers::models::bpe::{BpeTrainer, BPE};
use tokenizers::normalizers::NormalizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::{
    AddedToken, DecoderWrapper, PostProcessorWrapper, TokenizerImpl,
};

type Trained = TokenizerImpl<
    BPE,
    NormalizerWrapper,
    PreTokenizerWrapper,
    PostProcessorWrapper,
    DecoderWrapper,
>;

/// The tokenizer.json of a vocabulary of at most `vocabulary` tokens: the
/// special ones first, the 256 bytes, then merges by falling count (ties: the
/// pair of lower ids first). Digits stay single. The order of the texts does
/// not matter.
pub fn train(
    texts: &[&str],
    vocabulary: usize,
    special_tokens: &[&str],
) -> Outcome<String> {
    let least = special_tokens.len() + 256;
    if vocabulary < least {
        return fail(
            Code::InvalidArgument,
            format!(
                "vocabulary: expected at least {least} tokens (special ones \
                 and bytes), found {vocabulary}"
            ),
        );
    }
    let specials = special_tokens
        .iter()
        .map(|&token| AddedToken::from(token, true))
        .collect();
    let mut trainer = BpeTrainer::builder()
        .vocab_size(vocabulary)
        .min_frequency(2)
        .show_progress(false)
        .special_tokens(specials)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build();
    let mut tokenizer = Trained::new(BPE::default());
    tokenizer.with_pre_tokenizer(Some(PreTokenizerWrapper::Sequence(
        Sequence::new(vec![
            PreTokenizerWrapper::Digits(Digits::new(true)),
            PreTokenizerWrapper::ByteLevel(ByteLevel::new(false, true, true)),
        ]),
    )));
    tokenizer.with_decoder(Some(DecoderWrapper::ByteLevel(ByteLevel::new(
        false, true, true,
    ))));
    if let Err(error) = tokenizer.train(&mut trainer, texts.iter()) {
        return fail(Code::Internal, error.to_string());
    }
    tokenizer
        .to_string(false)
        .or_else(|error| fail(Code::Internal, error.to_string()))
}
