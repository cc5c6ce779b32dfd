//! A `tokenizer.json` as GGUF's metadata: the way back of `weights/gguf_tokenizer.rs`. GGUF names how a text is split instead of
//! holding the expression, so that only tokenizers whose way has a name can be written.

use crate::data::Tokenizer;
use crate::error::{Error, Result};
use crate::weights::checkpoint::TokenizerFiles;
use crate::weights::gguf_tokenizer::{LLAMA3_PIECES, QWEN2_PIECES};
use crate::weights::gguf_writer::GgufWriter;
use serde_json::Value;

const NORMAL: i32 = 1;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;
const UNUSED: i32 = 5;

/// Writes tokens, merges, special tokens and the chat template for a model with `rows` embeddings; `end_ids` end an answer.
///
/// # Errors
/// A tokenizer that is no byte-level BPE, that splits text in a way without a name, or that has more tokens than the model.
pub(super) fn write(
    header: &mut GgufWriter,
    files: &TokenizerFiles,
    tokenizer: &Tokenizer,
    end_ids: &[u32],
    rows: usize,
) -> Result<()> {
    let json: Value = serde_json::from_str(&files.tokenizer_json)
        .map_err(|error| Error::Tokenizer { reason: format!("tokenizer.json is not JSON ({error})") })?;
    let splitting = splitting(&json)?;
    let (tokens, kinds) = tokens(&json, rows)?;
    header.text("tokenizer.ggml.model", "gpt2");
    header.text("tokenizer.ggml.pre", splitting);
    header.texts("tokenizer.ggml.tokens", tokens.iter().map(String::as_str));
    header.integers("tokenizer.ggml.token_type", kinds.into_iter());
    let merges = merges(&json)?;
    header.texts("tokenizer.ggml.merges", merges.iter().map(String::as_str));

    let bos = tokenizer.bos_token_id();
    let (prefix, suffix) = tokenizer.ends()?;
    // An end token that the template does not use still ends a text.
    let eos = tokenizer.eos_token_id().or(end_ids.first().copied());
    let eot = end_ids.iter().copied().find(|&id| Some(id) != eos);
    let pad = files.pad_token.as_deref().and_then(|token| tokenizer.token_to_id(token));
    let ids = [("bos", prefix.or(bos)), ("eos", eos), ("eot", eot), ("padding", pad)];
    for (name, id) in ids {
        if let Some(id) = id.filter(|&id| (id as usize) < rows) {
            header.number(&format!("tokenizer.ggml.{name}_token_id"), id);
        }
    }
    if !suffix.is_empty() && suffix != eos.into_iter().collect::<Vec<_>>() {
        return Err(unsupported("a tokenizer that ends every text with other tokens than its end token"));
    }
    header.flag("tokenizer.ggml.add_bos_token", prefix.is_some());
    header.flag("tokenizer.ggml.add_eos_token", !suffix.is_empty());
    if let Some(template) = &files.chat_template {
        header.text("tokenizer.chat_template", template);
    }
    Ok(())
}

/// llama.cpp's name for how the tokenizer splits a text.
fn splitting(json: &Value) -> Result<&'static str> {
    let model = &json["model"];
    let is_bpe = model["type"].as_str().is_none_or(|kind| kind == "BPE") && model["merges"].is_array();
    if !is_bpe || model["byte_fallback"] == true {
        return Err(unsupported(
            "a tokenizer other than byte-level BPE (SentencePiece's scores and WordPiece are not in tokenizer.json as GGUF needs them)",
        ));
    }
    let steps: Vec<&Value> = match &json["pre_tokenizer"] {
        sequence if sequence["type"] == "Sequence" => {
            sequence["pretokenizers"].as_array().into_iter().flatten().collect()
        }
        single => vec![single],
    };
    let kinds: Vec<Option<&str>> = steps.iter().map(|step| step["type"].as_str()).collect();
    let regex = |place: usize| {
        let split = steps[place];
        let plain = split["behavior"] == "Isolated" && split["invert"] != true;
        split["pattern"]["Regex"].as_str().filter(|_| plain)
    };
    let bytes = steps.last().filter(|step| step["type"] == "ByteLevel" && step["add_prefix_space"] != true);
    let by_regex = bytes.map(|step| step["use_regex"] != false);
    let normalizer = json["normalizer"]["type"].as_str();
    match (&kinds[..], by_regex, normalizer) {
        ([Some("ByteLevel")], Some(true), None) => Ok("gpt-2"),
        ([Some("Digits"), Some("ByteLevel")], Some(true), None) if steps[0]["individual_digits"] == true => {
            Ok("smollm")
        }
        ([Some("Split"), Some("ByteLevel")], Some(false), None) if regex(0) == Some(LLAMA3_PIECES) => {
            Ok("llama-bpe")
        }
        // llama.cpp composes no characters, so that NFC, which some files have, is left to the text.
        ([Some("Split"), Some("ByteLevel")], Some(false), None | Some("NFC"))
            if regex(0) == Some(QWEN2_PIECES) =>
        {
            Ok("qwen2")
        }
        _ => Err(unsupported("a tokenizer that splits text in a way that GGUF has no name for here")),
    }
}

/// Tokens and their kinds by id; ids that no token has are filled up.
fn tokens(json: &Value, rows: usize) -> Result<(Vec<String>, Vec<i32>)> {
    let mut tokens: Vec<Option<(String, i32)>> = vec![None; rows];
    let mut place = |id: Option<u64>, token: &str, kind: i32| match id
        .and_then(|id| tokens.get_mut(id as usize))
    {
        Some(place) => {
            *place = Some((token.to_string(), kind));
            Ok(())
        }
        None => Err(Error::Tokenizer {
            reason: format!(
                "the token \"{token}\" has no embedding: the model has {rows}; take the tokenizer that came with the model"
            ),
        }),
    };
    for (token, id) in json["model"]["vocab"].as_object().into_iter().flatten() {
        place(id.as_u64(), token, NORMAL)?;
    }
    for token in json["added_tokens"].as_array().into_iter().flatten() {
        let kind = if token["special"] == true { CONTROL } else { USER_DEFINED };
        place(token["id"].as_u64(), token["content"].as_str().unwrap_or_default(), kind)?;
    }
    let filled =
        |(id, token): (usize, Option<(String, i32)>)| token.unwrap_or_else(|| (format!("[PAD{id}]"), UNUSED));
    Ok(tokens.into_iter().enumerate().map(filled).unzip())
}

/// Each merge as the two tokens with a space between them.
fn merges(json: &Value) -> Result<Vec<String>> {
    let merge = |merge: &Value| match merge {
        Value::String(merge) => Some(merge.clone()),
        Value::Array(pair) => match &pair[..] {
            [Value::String(left), Value::String(right)] if !left.contains(' ') && !right.contains(' ') => {
                Some(format!("{left} {right}"))
            }
            _ => None,
        },
        _ => None,
    };
    let merges = json["model"]["merges"].as_array().into_iter().flatten();
    merges
        .map(|value| merge(value).ok_or_else(|| unsupported("a merge of tokens with spaces in them")))
        .collect()
}

fn unsupported(what: &str) -> Error {
    Error::Unsupported {
        file: "tokenizer.json".into(),
        what: what.into(),
        supported: "write the merged model as safetensors (merged) and convert that with llama.cpp's convert_hf_to_gguf.py, or open \
                    the model as GGUF, whose tokenizer is kept"
            .into(),
    }
}
