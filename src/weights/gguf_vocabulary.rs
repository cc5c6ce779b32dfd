//! The vocabulary in GGUF metadata: tokens, their kinds, and the merges of byte-pair encoding.

use super::gguf::{Gguf, MetadataValue};
use crate::error::Result;
use std::collections::HashMap;

pub(super) struct Vocabulary {
    /// By id.
    pub tokens: Vec<String>,
    /// By id.
    pub kinds: Vec<TokenKind>,
    /// Pairs of tokens, the first to be merged first.
    pub merges: Vec<(String, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    Normal,
    Unknown,
    Control,
    UserDefined,
    Unused,
    Byte,
}

impl Vocabulary {
    /// # Errors
    /// Missing or inconsistent lists.
    pub fn read(gguf: &Gguf) -> Result<Vocabulary> {
        let tokens = texts(gguf, "tokenizer.ggml.tokens")?;
        let Some(tokens) = tokens.filter(|tokens| !tokens.is_empty()) else {
            return Err(gguf.invalid("has a tokenizer without tokens; use another copy of the model".into()));
        };
        let kinds = kinds(gguf, tokens.len())?;
        let merges = match texts(gguf, "tokenizer.ggml.merges")? {
            Some(merges) => stored_merges(gguf, &tokens, &merges)?,
            None => match scores(gguf, tokens.len())? {
                Some(scores) => {
                    merges_from_scores(&tokens, &kinds, &scores).map_err(|reason| gguf.invalid(reason))?
                }
                None => {
                    return Err(gguf.invalid(
                        "has a tokenizer with neither merges nor scores; use another copy of the model"
                            .into(),
                    ));
                }
            },
        };
        Ok(Vocabulary { tokens, kinds, merges })
    }
}

fn texts(gguf: &Gguf, key: &str) -> Result<Option<Vec<String>>> {
    let Some(list) = gguf.list(key)? else { return Ok(None) };
    let texts = list.texts().ok_or_else(|| gguf.wrong_type(key, "a list of texts"))?;
    Ok(Some(texts.map(|text| text.into_owned()).collect()))
}

fn kinds(gguf: &Gguf, tokens: usize) -> Result<Vec<TokenKind>> {
    const KEY: &str = "tokenizer.ggml.token_type";
    let Some(list) = gguf.list(KEY)? else { return Ok(vec![TokenKind::Normal; tokens]) };
    check_length(gguf, KEY, list.len(), tokens)?;
    let kind = |value: MetadataValue| match value.as_unsigned() {
        Some(2) => TokenKind::Unknown,
        Some(3) => TokenKind::Control,
        Some(4) => TokenKind::UserDefined,
        Some(5) => TokenKind::Unused,
        Some(6) => TokenKind::Byte,
        _ => TokenKind::Normal,
    };
    let values = list.scalars().ok_or_else(|| gguf.wrong_type(KEY, "a list of whole numbers"))?;
    Ok(values.map(kind).collect())
}

fn scores(gguf: &Gguf, tokens: usize) -> Result<Option<Vec<f64>>> {
    const KEY: &str = "tokenizer.ggml.scores";
    let Some(list) = gguf.list(KEY)? else { return Ok(None) };
    check_length(gguf, KEY, list.len(), tokens)?;
    let scores: Option<Vec<f64>> =
        list.scalars().and_then(|values| values.map(|value| value.as_number()).collect());
    scores.map(Some).ok_or_else(|| gguf.wrong_type(KEY, "a list of numbers"))
}

fn check_length(gguf: &Gguf, key: &str, length: usize, tokens: usize) -> Result<()> {
    if length == tokens {
        return Ok(());
    }
    Err(gguf.invalid(format!(
        "metadata \"{key}\" has {length} entries for {tokens} tokens; the file is damaged, download it again"
    )))
}

/// Merges as written: the two tokens with a space between them.
fn stored_merges(gguf: &Gguf, tokens: &[String], merges: &[String]) -> Result<Vec<(String, String)>> {
    let known: std::collections::HashSet<&str> = tokens.iter().map(String::as_str).collect();
    let mut joined = String::new();
    let mut split = |merge: &str| {
        let space = merge.char_indices().skip(1).find(|&(_, character)| character == ' ')?.0;
        let (left, right) = (&merge[..space], &merge[space + 1..]);
        joined.clear();
        joined.push_str(left);
        joined.push_str(right);
        let complete = known.contains(left) && known.contains(right) && known.contains(joined.as_str());
        complete.then(|| (left.to_string(), right.to_string()))
    };
    merges
        .iter()
        .map(|merge| {
            split(merge).ok_or_else(|| {
                gguf.invalid(format!("has the tokenizer merge \"{merge}\", whose tokens are not in its vocabulary; use another copy of the model"))
            })
        })
        .collect()
}

/// The merges that a SentencePiece vocabulary implies: every way to put a token together from two
/// others, best score first. Ties are broken as Hugging Face's conversion breaks them: longer left
/// part, then longer right part, then lower ids first.
///
/// # Errors
/// A token so long, or so many merges, that no model can have them: both cost time that grows with a token's length squared.
fn merges_from_scores(
    tokens: &[String],
    kinds: &[TokenKind],
    scores: &[f64],
) -> Result<Vec<(String, String)>, String> {
    const LONGEST_TOKEN: usize = 512;
    const MOST_BYTES: usize = 64 << 20;
    let normal = || tokens.iter().enumerate().filter(|&(id, _)| kinds[id] == TokenKind::Normal);
    if let Some((id, token)) = normal().find(|(_, token)| token.len() > LONGEST_TOKEN) {
        return Err(format!(
            "has a tokenizer whose token {id} is {} bytes long, and at most {LONGEST_TOKEN} are possible; use another copy of the model",
            token.len()
        ));
    }
    let ids: HashMap<&str, usize> = normal().map(|(id, token)| (token.as_str(), id)).collect();
    let mut merges = Vec::new();
    let mut bytes = 0;
    for (id, token) in normal() {
        let mut ways: Vec<(usize, usize)> = token
            .char_indices()
            .skip(1)
            .filter_map(|(at, _)| Some((*ids.get(&token[..at])?, *ids.get(&token[at..])?)))
            .collect();
        ways.sort_unstable();
        bytes += ways.len() * token.len();
        if bytes > MOST_BYTES {
            return Err(
                "has a tokenizer whose tokens are put together from others in more ways than any has; use another copy of the model"
                    .into(),
            );
        }
        merges.extend(ways.into_iter().map(|(left, right)| (scores[id], left, right)));
    }
    let lengths: Vec<usize> = tokens.iter().map(|token| token.chars().count()).collect();
    merges.sort_by(|a, b| {
        let by_score = b.0.total_cmp(&a.0);
        by_score.then_with(|| lengths[b.1].cmp(&lengths[a.1])).then_with(|| lengths[b.2].cmp(&lengths[a.2]))
    });
    Ok(merges.into_iter().map(|(_, left, right)| (tokens[left].clone(), tokens[right].clone())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merges_follow_the_scores() {
        let tokens: Vec<String> = ["<s>", "a", "b", "ab", "abab", "ba"].map(String::from).into();
        let mut kinds = vec![TokenKind::Normal; 6];
        kinds[0] = TokenKind::Control;
        let merges = merges_from_scores(&tokens, &kinds, &[0.0, -4.0, -5.0, -1.0, -2.0, -0.5]).unwrap();
        let pair = |left: &str, right: &str| (left.to_string(), right.to_string());
        assert_eq!(merges, [pair("b", "a"), pair("a", "b"), pair("ab", "ab")]);
    }
}
