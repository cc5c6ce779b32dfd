//! What a `tokenizer.json` must keep to before the `tokenizers` crate takes it: what the crate believes of a file, and stops the
//! program for where it is not so.

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use std::collections::HashSet;
use std::fmt;

/// BERT has 100. A word takes time that grows with its length squared.
const LONGEST_WORD: u64 = 1000;

/// # Errors
/// Half a sentence on what is wrong. What is not JSON, or has a part missing, is left to the crate to say.
pub(super) fn check(tokenizer_json: &str) -> Result<(), String> {
    let File { normalizer, pre_tokenizer, post_processor, model } =
        serde_json::from_str(tokenizer_json).map_err(|error| format!("it is damaged ({error})"))?;
    // The crate takes a part without a type for whatever its fields fit.
    each_part(&normalizer, &mut |part| match part.get("precompiled_charsmap") {
        None if part["type"] != "Precompiled" => Ok(()),
        map => check_character_map(map.and_then(Value::as_str).unwrap_or_default()),
    })?;
    each_part(&pre_tokenizer, &mut |part| match part["length"].as_u64() {
        Some(0) => Err("its pre_tokenizer makes pieces of length 0".into()),
        _ => Ok(()),
    })?;
    each_part(&post_processor, &mut check_template)?;
    model.check()
}

/// What is put around a text, and around two: pieces that are a sequence or a special token of the template's own list.
fn check_template(part: &Value) -> Result<(), String> {
    let tokens = &part["special_tokens"];
    for (name, token) in tokens.as_object().into_iter().flatten() {
        let length = |key: &str| token[key].as_array().map(Vec::len);
        if length("ids") != length("tokens") {
            return Err(format!(
                "its post_processor's special token \"{name}\" has other numbers of ids and tokens"
            ));
        }
    }
    for template in ["single", "pair"] {
        for piece in part[template].as_array().into_iter().flatten() {
            let id = &piece["SpecialToken"]["id"];
            if let Some(id) = id.as_str().filter(|id| tokens.get(id).is_none()) {
                return Err(format!(
                    "its post_processor puts the special token \"{id}\" around texts, which its special_tokens lack"
                ));
            }
            if template == "single" && piece["Sequence"]["id"] == "B" {
                return Err("its post_processor puts a second text around a single one".into());
            }
        }
    }
    Ok(())
}

/// A normalizer, pre-tokenizer or post-processor, and those that it is a sequence of.
fn each_part(part: &Value, check: &mut impl FnMut(&Value) -> Result<(), String>) -> Result<(), String> {
    check(part)?;
    let parts = match part {
        Value::Object(fields) => {
            fields.values().filter(|value| value.is_array() || value.is_object()).collect()
        }
        Value::Array(parts) => parts.iter().collect(),
        _ => Vec::new(),
    };
    parts.into_iter().try_for_each(|part| each_part(part, check))
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
    #[serde(default)]
    post_processor: Value,
    #[serde(default)]
    model: Model,
}

#[derive(Deserialize, Default)]
struct Model {
    #[serde(default)]
    vocab: Vocabulary,
    merges: Option<Vec<Merge>>,
    continuing_subword_prefix: Option<String>,
    max_input_chars_per_word: Option<u64>,
}

impl Model {
    fn check(&self) -> Result<(), String> {
        if let Some(length) = self.max_input_chars_per_word.filter(|length| *length > LONGEST_WORD) {
            return Err(format!(
                "its model has max_input_chars_per_word {length}, and at most {LONGEST_WORD} are possible"
            ));
        }
        if self.vocab.is_list && self.vocab.tokens.contains("") {
            return Err("its model has a token without characters".into());
        }
        let prefix = self.continuing_subword_prefix.as_deref().unwrap_or_default();
        let mut merged = String::new();
        for Merge(left, right) in self.merges.iter().flatten() {
            merged.clear();
            merged.push_str(left);
            merged.push_str(right.strip_prefix(prefix).ok_or_else(|| {
                format!("its merge of \"{left}\" with \"{right}\" lacks the prefix \"{prefix}\" of words' later parts")
            })?);
            if let Some(token) =
                [left, right, &merged].into_iter().find(|token| !self.vocab.tokens.contains(*token))
            {
                return Err(format!(
                    "its merge of \"{left}\" with \"{right}\" has the token \"{token}\", which is not in its vocabulary"
                ));
            }
        }
        Ok(())
    }
}

/// The tokens, from a map to ids or a list with scores.
#[derive(Default)]
struct Vocabulary {
    tokens: HashSet<String>,
    is_list: bool,
}

impl<'de> Deserialize<'de> for Vocabulary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Tokens;
        impl<'de> Visitor<'de> for Tokens {
            type Value = Vocabulary;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a vocabulary")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vocabulary, A::Error> {
                let mut tokens = HashSet::new();
                while let Some((token, _)) = map.next_entry::<String, IgnoredAny>()? {
                    tokens.insert(token);
                }
                Ok(Vocabulary { tokens, is_list: false })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vocabulary, A::Error> {
                let mut tokens = HashSet::new();
                while let Some((token, _)) = list.next_element::<(String, IgnoredAny)>()? {
                    tokens.insert(token);
                }
                Ok(Vocabulary { tokens, is_list: true })
            }
        }
        deserializer.deserialize_any(Tokens)
    }
}

/// Two tokens, in a list or, as older files have it, in a text with a space between them.
struct Merge(String, String);

impl<'de> Deserialize<'de> for Merge {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pair;
        impl<'de> Visitor<'de> for Pair {
            type Value = Merge;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("two tokens")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Merge, E> {
                let (left, right) = text.split_once(' ').ok_or_else(|| E::custom("a merge of one token"))?;
                Ok(Merge(left.into(), right.into()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Merge, A::Error> {
                match (list.next_element()?, list.next_element()?, list.next_element::<IgnoredAny>()?) {
                    (Some(left), Some(right), None) => Ok(Merge(left, right)),
                    _ => Err(A::Error::custom("a merge of other than two tokens")),
                }
            }
        }
        deserializer.deserialize_any(Pair)
    }
}

/// SentencePiece's map of characters: a trie in an array, whose units say where the next one is, and the texts that its leaves point
/// at (<https://github.com/google/sentencepiece/blob/master/third_party/darts_clone/darts.h>).
fn check_character_map(base64_text: &str) -> Result<(), String> {
    let damaged = |what: &str| Err(format!("its normalizer's precompiled_charsmap is damaged: {what}"));
    let Ok(bytes) = base64::decode(base64_text) else { return damaged("it is not base64") };
    let Some((length, rest)) = bytes.split_first_chunk::<4>() else { return damaged("it is cut short") };
    let Some((trie, texts)) = rest.split_at_checked(u32::from_le_bytes(*length) as usize / 4 * 4) else {
        return damaged("it is cut short");
    };
    let Ok(texts) = std::str::from_utf8(texts) else { return damaged("its texts are not UTF-8") };
    let units: Vec<u32> = trie.as_chunks::<4>().0.iter().map(|unit| u32::from_le_bytes(*unit)).collect();
    // The next unit is found by a byte's value in a block of 256.
    if units.is_empty() || !units.len().is_multiple_of(256) {
        return damaged("its trie is not made of whole blocks");
    }
    for (place, &unit) in units.iter().enumerate() {
        let is_value = unit >> 31 == 1;
        if is_value && place > 0 {
            continue;
        }
        let offset = (unit as usize >> 10) << ((unit & (1 << 9)) >> 6);
        let Some(&next) = units.get(place ^ offset) else { return damaged("its trie leads out of itself") };
        let has_leaf = unit >> 8 & 1 == 1;
        let text = (next & ((1 << 31) - 1)) as usize;
        if has_leaf && !texts.is_char_boundary(text) {
            return damaged("its trie points at no text");
        }
    }
    Ok(())
}
