//! GGUF's tokenizer as a `tokenizer.json`: the same ids as the tokenizer that it was made from.

use super::checkpoint::TokenizerFiles;
use super::gguf::{Gguf, MetadataValue};
use super::gguf_vocabulary::{TokenKind, Vocabulary};
use crate::error::{Error, Result};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

/// The tokenizer in the file's metadata, with chat template and special tokens.
///
/// # Errors
/// There is none, it is of a kind that is not supported, or its lists do not fit together.
pub fn tokenizer_files(gguf: &Gguf) -> Result<TokenizerFiles> {
    let Some(model) = gguf.text("tokenizer.ggml.model")? else {
        return Err(Error::MissingFile {
            file: format!("the tokenizer in {}", gguf.file),
            remedy: "use a GGUF file that carries its tokenizer (metadata \"tokenizer.ggml.model\")".into(),
        });
    };
    let scheme = match model {
        "gpt2" => byte_level(gguf)?,
        "llama" => sentence_piece(gguf)?,
        other => {
            return Err(unsupported(
                gguf,
                format!("the tokenizer model \"{other}\""),
                "supported are \"gpt2\" and \"llama\"",
            ));
        }
    };
    let mut vocabulary = Vocabulary::read(gguf)?;
    let special = SpecialTokens::read(gguf, &vocabulary)?;
    let added_tokens = added_tokens(&mut vocabulary, &special, model == "llama");
    let token = |id: Option<usize>| id.map(|id| vocabulary.tokens[id].clone());
    let tokenizer = TokenizerJson {
        version: "1.0",
        truncation: Value::Null,
        padding: Value::Null,
        post_processor: post_processor(&scheme, &vocabulary, &special)?,
        normalizer: scheme.normalizer,
        pre_tokenizer: scheme.pre_tokenizer,
        decoder: scheme.decoder,
        model: BpeJson {
            kind: "BPE",
            dropout: Value::Null,
            unk_token: if model == "llama" { token(special.unk) } else { None },
            continuing_subword_prefix: Value::Null,
            end_of_word_suffix: Value::Null,
            fuse_unk: model == "llama",
            byte_fallback: model == "llama",
            ignore_merges: scheme.ignore_merges,
            vocab: TokenIds(&vocabulary.tokens),
            merges: &vocabulary.merges,
        },
        added_tokens,
    };
    let tokenizer_json = serde_json::to_string(&tokenizer).map_err(|error| {
        gguf.invalid(format!("has a tokenizer that cannot be written as tokenizer.json ({error})"))
    })?;
    let chat_template = gguf.text("tokenizer.chat_template")?.map(str::to_string);
    let mut additional = json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": token(special.bos),
        "eos_token": token(special.eos),
        "unk_token": token(special.unk),
        "pad_token": token(special.pad),
        "clean_up_tokenization_spaces": false,
        "model_max_length": gguf.unsigned(&super::gguf_config::key(gguf, "context_length"))?,
    });
    let named = named_templates(gguf);
    if chat_template.is_none() && !named.is_empty() {
        additional["chat_template"] = named.into();
    }
    Ok(TokenizerFiles {
        tokenizer_json,
        chat_template,
        bos_token: token(special.bos),
        eos_token: token(special.eos),
        unk_token: token(special.unk),
        pad_token: token(special.pad),
        additional,
    })
}

/// Chat templates of which none is the default, as `tokenizer_config.json` lists them.
fn named_templates(gguf: &Gguf) -> Vec<Value> {
    let named = gguf.metadata.iter().filter_map(|(key, value)| {
        let name = key.strip_prefix("tokenizer.chat_template.")?;
        let MetadataValue::Text(template) = value else { return None };
        Some(json!({ "name": name, "template": template }))
    });
    named.collect()
}

/// How text becomes pieces before byte-pair encoding, and pieces text after it.
struct Scheme {
    normalizer: Value,
    pre_tokenizer: Value,
    decoder: Value,
    /// A piece that is a token as a whole is that token, whatever the merges say.
    ignore_merges: bool,
    byte_level: bool,
    add_bos: bool,
    add_eos: bool,
}

pub(crate) const LLAMA3_PIECES: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
pub(crate) const QWEN2_PIECES: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

fn byte_level(gguf: &Gguf) -> Result<Scheme> {
    let bytes = |use_regex: bool| json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex });
    let pieces = |regex: &str| {
        let split = json!({ "type": "Split", "pattern": { "Regex": regex }, "behavior": "Isolated", "invert": false });
        json!({ "type": "Sequence", "pretokenizers": [split, bytes(false)] })
    };
    let single_digits = json!({ "type": "Digits", "individual_digits": true });
    let name = gguf.text("tokenizer.ggml.pre")?.unwrap_or("default");
    let (pre_tokenizer, normalizer) = match name {
        "default" | "gpt-2" | "phi-2" | "olmo" => (bytes(true), Value::Null),
        "smollm" | "starcoder" | "refact" => {
            (json!({ "type": "Sequence", "pretokenizers": [single_digits, bytes(true)] }), Value::Null)
        }
        "llama-bpe" | "llama3" | "llama-v3" => (pieces(LLAMA3_PIECES), Value::Null),
        "qwen2" => (pieces(QWEN2_PIECES), json!({ "type": "NFC" })),
        other => {
            let what = format!("the tokenizer's text splitting \"{other}\"");
            let supported = "supported are default, gpt-2, phi-2, olmo, smollm, starcoder, refact, llama-bpe and qwen2: open the model's Hugging Face folder instead";
            return Err(unsupported(gguf, what, supported));
        }
    };
    let llama3 = matches!(name, "llama-bpe" | "llama3" | "llama-v3");
    Ok(Scheme {
        normalizer,
        pre_tokenizer,
        decoder: json!({ "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true }),
        ignore_merges: llama3,
        byte_level: true,
        add_bos: gguf.bool("tokenizer.ggml.add_bos_token")?.unwrap_or(llama3),
        add_eos: gguf.bool("tokenizer.ggml.add_eos_token")?.unwrap_or(false),
    })
}

/// SentencePiece byte-pair encoding: spaces become ▁, and one is put in front of the text.
fn sentence_piece(gguf: &Gguf) -> Result<Scheme> {
    let prefix = gguf.bool("tokenizer.ggml.add_space_prefix")?.unwrap_or(true);
    let mut normalizers = vec![json!({ "type": "Replace", "pattern": { "String": " " }, "content": "▁" })];
    let mut decoders = vec![
        json!({ "type": "Replace", "pattern": { "String": "▁" }, "content": " " }),
        json!({ "type": "ByteFallback" }),
        json!({ "type": "Fuse" }),
    ];
    if prefix {
        normalizers.insert(0, json!({ "type": "Prepend", "prepend": "▁" }));
        decoders.push(json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 }));
    }
    Ok(Scheme {
        normalizer: json!({ "type": "Sequence", "normalizers": normalizers }),
        pre_tokenizer: Value::Null,
        decoder: json!({ "type": "Sequence", "decoders": decoders }),
        ignore_merges: false,
        byte_level: false,
        add_bos: gguf.bool("tokenizer.ggml.add_bos_token")?.unwrap_or(true),
        add_eos: gguf.bool("tokenizer.ggml.add_eos_token")?.unwrap_or(false),
    })
}

/// Ids, each checked to lie in the vocabulary.
struct SpecialTokens {
    bos: Option<usize>,
    eos: Option<usize>,
    unk: Option<usize>,
    pad: Option<usize>,
    eot: Option<usize>,
}

impl SpecialTokens {
    fn read(gguf: &Gguf, vocabulary: &Vocabulary) -> Result<Self> {
        let tokens = vocabulary.tokens.len();
        let id = |name: &str| {
            let key = format!("tokenizer.ggml.{name}_token_id");
            match gguf.unsigned(&key)? {
                // Some writers say "none" with the largest number.
                Some(id) if id == u32::MAX as u64 => Ok(None),
                Some(id) if id >= tokens as u64 => Err(gguf.invalid(format!(
                    "metadata \"{key}\" is {id}, but there are {tokens} tokens; use another copy of the model"
                ))),
                id => Ok(id.map(|id| id as usize)),
            }
        };
        let unknown = vocabulary.kinds.iter().position(|&kind| kind == TokenKind::Unknown);
        Ok(Self {
            bos: id("bos")?,
            eos: id("eos")?,
            unk: id("unknown")?.or(unknown),
            pad: id("padding")?,
            eot: id("eot")?,
        })
    }
}

/// The tokens that are found in a text before anything else.
fn added_tokens(
    vocabulary: &mut Vocabulary,
    special: &SpecialTokens,
    sentence_piece: bool,
) -> Vec<AddedToken> {
    let Vocabulary { tokens, kinds, .. } = vocabulary;
    let named = [special.bos, special.eos, special.eot];
    let mut added = Vec::new();
    for (id, (token, kind)) in tokens.iter_mut().zip(kinds).enumerate() {
        let is_special = matches!(kind, TokenKind::Control | TokenKind::Unknown) || named.contains(&Some(id));
        let user_defined = *kind == TokenKind::UserDefined;
        if !(is_special || user_defined) || token.is_empty() {
            continue;
        }
        if user_defined && sentence_piece {
            // Added tokens are looked for in the text as the user wrote it.
            *token = token.replace('▁', " ");
        }
        added.push(AddedToken {
            id,
            content: token.clone(),
            single_word: false,
            lstrip: false,
            rstrip: false,
            normalized: false,
            special: is_special,
        });
    }
    added
}

/// Puts the beginning-of-text and end-of-text tokens around a text where the model wants them.
fn post_processor(scheme: &Scheme, vocabulary: &Vocabulary, special: &SpecialTokens) -> Result<Value> {
    let bos = special.bos.filter(|_| scheme.add_bos);
    let eos = special.eos.filter(|_| scheme.add_eos);
    let offsets =
        json!({ "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false, "use_regex": true });
    if bos.is_none() && eos.is_none() {
        return Ok(if scheme.byte_level { offsets } else { Value::Null });
    }
    let special_token = |id: usize, type_id: usize| json!({ "SpecialToken": { "id": vocabulary.tokens[id], "type_id": type_id } });
    let around = |sequence: &str, type_id: usize| {
        let text = json!({ "Sequence": { "id": sequence, "type_id": type_id } });
        let before = bos.map(|id| special_token(id, type_id));
        let after = eos.map(|id| special_token(id, type_id));
        before.into_iter().chain([text]).chain(after).collect::<Vec<_>>()
    };
    let mut special_tokens = json!({});
    for id in [bos, eos].into_iter().flatten() {
        let token = &vocabulary.tokens[id];
        special_tokens[token] = json!({ "id": token, "ids": [id], "tokens": [token] });
    }
    let pair = [around("A", 0), around("B", 1)].concat();
    let template = json!({
        "type": "TemplateProcessing",
        "single": around("A", 0),
        "pair": pair,
        "special_tokens": special_tokens,
    });
    Ok(match scheme.byte_level {
        true => json!({ "type": "Sequence", "processors": [offsets, template] }),
        false => template,
    })
}

fn unsupported(gguf: &Gguf, what: String, supported: &str) -> Error {
    Error::Unsupported { file: gguf.file.clone(), what, supported: supported.into() }
}

#[derive(Serialize)]
struct TokenizerJson<'a> {
    version: &'static str,
    truncation: Value,
    padding: Value,
    added_tokens: Vec<AddedToken>,
    normalizer: Value,
    pre_tokenizer: Value,
    post_processor: Value,
    decoder: Value,
    model: BpeJson<'a>,
}

#[derive(Serialize)]
struct AddedToken {
    id: usize,
    content: String,
    single_word: bool,
    lstrip: bool,
    rstrip: bool,
    normalized: bool,
    special: bool,
}

#[derive(Serialize)]
struct BpeJson<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    dropout: Value,
    unk_token: Option<String>,
    continuing_subword_prefix: Value,
    end_of_word_suffix: Value,
    fuse_unk: bool,
    byte_fallback: bool,
    ignore_merges: bool,
    vocab: TokenIds<'a>,
    merges: &'a [(String, String)],
}

/// Tokens by id, written as a map from token to id.
struct TokenIds<'a>(&'a [String]);

impl Serialize for TokenIds<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().enumerate().map(|(id, token)| (token, id)))
    }
}
