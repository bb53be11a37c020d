//! The vocabularies that a model may have: BPE, Unigram and WordLevel, and what
//! SentencePiece's character map may do to a text.

use crate::failure::{fail, Code, Outcome};
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::Deserialize;
use serde_json::Value;
use std::fmt;

/// A piece's bytes: the library keeps a node of its tree for each, and drops
/// the tree by recursion.
const MAX_PIECE_BYTES: usize = 1024;
/// Of all pieces. The largest vocabulary in use (mT5's) has 2.4 MiB.
const MAX_PIECES_BYTES: usize = 8 << 20;
/// Pieces that begin at one place of a text and are looked up for nothing. The
/// longest chains in use are runs of 16 spaces.
const NESTED_FREELY: u64 = 24;
const RETRIES_PER_PIECE: u64 = 4;
const MAX_CHARSMAP_BYTES: usize = 8 << 20;

#[derive(Deserialize)]
pub struct Model {
    #[serde(rename = "type")]
    kind: Option<String>,
    dropout: Option<f64>,
    #[serde(default)]
    vocab: Pieces,
}

/// Unigram's pieces: a list with scores, where the others have a map.
#[derive(Default)]
struct Pieces(Vec<String>);

impl<'de> Deserialize<'de> for Pieces {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Pieces;

            fn expecting(&self, out: &mut fmt::Formatter) -> fmt::Result {
                out.write_str("a vocabulary: a map, or a list of pieces")
            }

            fn visit_map<A: MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Pieces, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Pieces::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(
                self,
                mut list: A,
            ) -> Result<Pieces, A::Error> {
                let mut pieces = Vec::new();
                while let Some((piece, _)) =
                    list.next_element::<(String, f64)>()?
                {
                    pieces.push(piece);
                }
                Ok(Pieces(pieces))
            }
        }
        input.deserialize_any(Either)
    }
}

/// What a search in the vocabulary costs: retries (regex.rs) for a byte of
/// text, beyond what is free.
pub fn check(model: &Model) -> Outcome<u64> {
    match model.kind.as_deref() {
        Some("BPE" | "Unigram" | "WordLevel") | None => {}
        Some(other) => {
            return fail(
                Code::Incompatible,
                format!(
                    "model.type: expected BPE, Unigram or WordLevel, found \
                     {other}"
                ),
            )
        }
    }
    if model.dropout.unwrap_or(0.0) != 0.0 {
        return fail(
            Code::Incompatible,
            "model.dropout: expected none, else ids would be random",
        );
    }
    let pieces = &model.vocab.0;
    let bytes: usize = pieces.iter().map(String::len).sum();
    if bytes > MAX_PIECES_BYTES {
        return fail(
            Code::Exhausted,
            format!(
                "model.vocab: pieces of {bytes} bytes, over the limit of \
                 {MAX_PIECES_BYTES}"
            ),
        );
    }
    if let Some(long) = pieces.iter().find(|one| one.len() > MAX_PIECE_BYTES) {
        return fail(
            Code::Exhausted,
            format!(
                "model.vocab: a piece of {} bytes, over the limit of \
                 {MAX_PIECE_BYTES}",
                long.len()
            ),
        );
    }
    Ok(nested(pieces).saturating_sub(NESTED_FREELY) * RETRIES_PER_PIECE)
}

/// The most pieces that can begin at one place of a text: the longest chain in
/// which each is the start of the next.
fn nested(pieces: &[String]) -> u64 {
    let mut sorted: Vec<&str> = pieces.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    sorted.dedup();
    let mut chain: Vec<&str> = Vec::new();
    let mut most = 0;
    for piece in sorted {
        while chain.last().is_some_and(|last| !piece.starts_with(last)) {
            chain.pop();
        }
        chain.push(piece);
        most = most.max(chain.len());
    }
    most as u64
}

/// The most bytes that SentencePiece's map makes of one: its longest text. The
/// map is the size of a tree, the tree, and texts that end in NUL.
pub fn charsmap_growth(part: &Value) -> Outcome<u64> {
    let corrupt = |what: String| {
        fail(Code::Corrupt, format!("normalizer.precompiled_charsmap: {what}"))
    };
    let Some(encoded) = part["precompiled_charsmap"].as_str() else {
        return corrupt("expected base64".into());
    };
    if encoded.len() > MAX_CHARSMAP_BYTES {
        return corrupt(format!(
            "{} bytes, over the limit of {MAX_CHARSMAP_BYTES}",
            encoded.len()
        ));
    }
    let Ok(map) = base64::decode(encoded) else {
        return corrupt("expected base64".into());
    };
    let Some((size, rest)) = map.split_first_chunk::<4>() else {
        return corrupt(format!("{} bytes, expected a tree", map.len()));
    };
    let size = u32::from_le_bytes(*size) as usize;
    if size < 4 || size > rest.len() {
        return corrupt(format!(
            "a tree of {size} bytes, found {} bytes behind its size",
            rest.len()
        ));
    }
    // As the library counts: what remains of a division by four is text.
    let texts = &rest[size / 4 * 4..];
    let longest = texts.split(|&byte| byte == 0).map(<[u8]>::len).max();
    Ok(longest.unwrap_or(0).max(1) as u64)
}

#[cfg(test)]
mod tests {
    use super::nested;

    fn of(pieces: &[&str]) -> u64 {
        nested(&pieces.iter().map(|one| one.to_string()).collect::<Vec<_>>())
    }

    #[test]
    fn the_longest_chain_of_prefixes_counts() {
        assert_eq!(of(&[]), 0);
        assert_eq!(of(&["b", "a"]), 1);
        assert_eq!(of(&["abc", "b", "a", "abd", "ab"]), 3);
        assert_eq!(of(&["a", "a", "ac", "b", "bc", "bcd", "bcde"]), 4);
    }
}
