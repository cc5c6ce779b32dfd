//! Model files against what other tools read from them. The fixtures are made by
//! `tests/fixtures/weights/make.py`, with gguf, safetensors, tokenizers and sentencepiece.

mod bad_input;
mod configs;
mod odd_models;
mod tokenizer;
mod values;

use burn::tensor::Device;
use loralet::error::Error;
use loralet::kernels::blocks::{Blocks, Form};
use loralet::recipe::BaseDtype;
use loralet::session::{Limits, Session, outline};
use loralet::weights::gguf::{Gguf, read_f32};
use loralet::weights::gguf_tokenizer::tokenizer_files;
use loralet::weights::safetensors::deserialize_f32;
use loralet::weights::{ByteSource, Checkpoint, FileSource, MemorySource, SourceFormat};
use pollster::block_on;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use tokenizers::Tokenizer;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/weights").join(name)
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(fixture(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn memory(name: &str, bytes: Vec<u8>) -> Box<dyn ByteSource> {
    let base = Path::new(name).file_name().unwrap().to_str().unwrap();
    Box::new(MemorySource::new(base, bytes))
}

/// Several fixtures opened as one model.
fn open(names: &[&str]) -> Result<Checkpoint, Error> {
    Checkpoint::open(names.iter().map(|name| memory(name, bytes(name))).collect())
}

/// As [`open`], but with the fixture `name` replaced.
fn open_with(names: &[&str], name: &str, replacement: Vec<u8>) -> Result<Checkpoint, Error> {
    let source = |&each: &&str| memory(each, if each == name { replacement.clone() } else { bytes(each) });
    Checkpoint::open(names.iter().map(source).collect())
}

/// What keeps opened files from being a model, if anything does.
fn checked(opened: Result<Checkpoint, Error>) -> Result<Checkpoint, Error> {
    opened.and_then(|checkpoint| outline(&checkpoint).map(drop).map(|()| checkpoint))
}

/// The sentence of the error that opening must give.
fn sentence(opened: Result<Checkpoint, Error>) -> String {
    match opened {
        Ok(_) => panic!("the model was opened"),
        Err(error) => error.to_string(),
    }
}

const F32: [&str; 5] = [
    "f32/config.json",
    "f32/generation_config.json",
    "f32/tokenizer.json",
    "f32/tokenizer_config.json",
    "f32/model.safetensors",
];
const F16: [&str; 4] =
    ["f32/config.json", "f32/tokenizer.json", "f32/tokenizer_config.json", "f16/model.safetensors"];
const SHARDED: [&str; 6] = [
    "bf16-sharded/model-00003-of-00003.safetensors",
    "bf16-sharded/model-00001-of-00003.safetensors",
    "bf16-sharded/model-00002-of-00003.safetensors",
    "bf16-sharded/model.safetensors.index.json",
    "f32/config.json",
    "f32/tokenizer.json",
];

#[test]
fn the_real_model_opens() {
    let Some(path) = real_model() else { return };
    let model = Checkpoint::open(vec![Box::new(FileSource::open(path).unwrap())]).unwrap();
    assert_eq!(model.stored_as(), "Q4_1 ×210, F32 ×61, Q8_0 ×1");
    assert_eq!(model.eos_token_ids(), [2]);
    let expected = json!({ "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9,
        "num_key_value_heads": 3, "head_dim": 64, "rms_norm_eps": 1e-5, "rope_theta": 100_000.0, "rope_scaling": null,
        "vocab_size": 49152, "max_position_embeddings": 8192, "tie_word_embeddings": true, "bos_token_id": 1, "eos_token_id": 2 });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&model.config[key], value, "{key}");
    }
    let mut parameters = 0;
    for tensor in &model.tensors {
        let values = model.read_f32(&tensor.name).unwrap();
        assert!(values.iter().all(|value| value.is_finite()), "{}", tensor.name);
        parameters += values.len();
    }
    assert_eq!(parameters, 134_515_008);
}

/// SmolLM2's GGUF file in the cache of `cargo xtask`; it is too large to be committed.
fn real_model() -> Option<PathBuf> {
    let cache = std::env::var_os("LORALET_CACHE")
        .map(PathBuf::from)
        .or_else(|| Some(std::env::home_dir()?.join(".cache/loralet")));
    let path = cache?.join("models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf");
    if path.is_file() {
        return Some(path);
    }
    let required = std::env::var("LORALET_REQUIRE_MODELS").is_ok_and(|value| value == "1");
    assert!(!required, "{} is missing; `cargo xtask test` fetches it", path.display());
    eprintln!("skipped: {} is missing; `cargo xtask test` fetches it", path.display());
    None
}
