//! Data files, chat templates, token ids and loss masks, against references written by
//! `tests/fixtures/data/make.py`. Run the script again when a reference changes.
//!
//! - `files`: what a user's file may look like, and what is said about bad ones.
//! - `formats`: files that are nearly what their name says.
//! - `templates`, `tokens`, `masks`: parity with transformers and tokenizers.
//! - `encoding`: truncation, windows, previews and reports.
//! - `classification`: texts with labels.
//! - `curation`: what is found in a file, and the fixes.
//! - `preference`: rows with chosen and rejected answers, or with rated ones.
//! - `prompts`: rows that the model answers itself.
//! - `turns`: marks, parts, tool calls and reasoning in conversations.
//! - `ratings`: words for liked and disliked, and the columns that hold them.
//! - `names`: columns under other names.

use loralet::data::*;
use loralet::recipe::{ColumnMapping, Objective};
use loralet::weights::checkpoint::TokenizerFiles;
use serde_json::Value;
use std::sync::Arc;

mod classification;
mod curation;
mod encoding;
mod files;
mod formats;
mod masks;
mod names;
mod preference;
mod prompts;
mod ratings;
mod templates;
mod tokens;
mod turns;

const CHATML: &str = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] \
    + '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

fn fixture(name: &str) -> Value {
    serde_json::from_str(&fixture_text(name)).unwrap()
}

fn fixture_text(name: &str) -> String {
    let path = format!("{}/tests/fixtures/data/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn small_tokenizer(chat_template: Option<&str>) -> Tokenizer {
    Tokenizer::from_files(&TokenizerFiles {
        tokenizer_json: fixture_text("bpe_tokenizer.json"),
        chat_template: chat_template.map(str::to_string),
        bos_token: Some("<|im_start|>".into()),
        eos_token: Some("<|im_end|>".into()),
        unk_token: None,
        pad_token: Some("<|endoftext|>".into()),
        additional: Value::Null,
    })
    .unwrap()
}

fn sft(max_seq_length: usize) -> EncodeOptions {
    EncodeOptions { objective: Objective::Sft, max_seq_length, train_on_prompt: false }
}

fn read(name: &str, text: &str) -> Dataset {
    read_bytes(name, text.as_bytes()).unwrap()
}

fn read_bytes(name: &str, bytes: &[u8]) -> loralet::Result<Dataset> {
    read_dataset(DataFile { name, bytes }, None)
}

/// The text of the tokens that are trained, and of all tokens.
fn trained_text(tokenizer: &Tokenizer, example: &Example) -> (String, String) {
    let trained: Vec<u32> = example
        .input_ids
        .iter()
        .zip(&example.loss_mask)
        .filter_map(|(id, trained)| trained.then_some(*id))
        .collect();
    (tokenizer.decode(&trained, false).unwrap(), tokenizer.decode(&example.input_ids, false).unwrap())
}

/// The tokenizer of the real SmolLM2, or nothing where the model has not been fetched.
fn smollm2() -> Option<Tokenizer> {
    use loralet::weights::checkpoint::Checkpoint;
    use loralet::weights::source::{ByteSource, FileSource};
    let cache = std::env::var("LORALET_CACHE")
        .unwrap_or_else(|_| format!("{}/.cache/loralet", std::env::var("HOME").unwrap_or_default()));
    let path = format!("{cache}/models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf");
    if !std::path::Path::new(&path).exists() {
        let required = std::env::var("LORALET_REQUIRE_MODELS").is_ok_and(|v| v == "1");
        assert!(!required, "{path} is missing; `cargo xtask test` fetches it");
        eprintln!("skipped: {path} is missing; `cargo xtask test` fetches it");
        return None;
    }
    let source: Box<dyn ByteSource> = Box::new(FileSource::open(&path).unwrap());
    Some(Tokenizer::from_files(&Checkpoint::open(vec![source]).unwrap().tokenizer).unwrap())
}
