//! Model files against what other tools read from them. The fixtures are made by
//! `tests/fixtures/weights/make.py`, with gguf, safetensors, tokenizers and sentencepiece.

use loralet::error::Error;
use loralet::weights::gguf::{Gguf, read_f32};
use loralet::weights::gguf_tokenizer::tokenizer_files;
use loralet::weights::safetensors::deserialize_f32;
use loralet::weights::{ByteSource, Checkpoint, FileSource, MemorySource, SourceFormat};
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

mod values {
    use super::*;

    #[test]
    fn every_type_expands_as_gguf_expands_it() {
        let source = FileSource::open(fixture("quants.gguf")).unwrap();
        let gguf = Gguf::open(&source).unwrap();
        let expected = deserialize_f32("quants.safetensors", &bytes("quants.safetensors")).unwrap();
        assert_eq!(expected.len(), 11);
        for (name, shape, values) in expected {
            let tensor = gguf.tensors.iter().find(|tensor| tensor.name == name).unwrap();
            assert_eq!((tensor.dtype.name(), &tensor.shape), (name.as_str(), &shape));
            assert_eq!(read_f32(&source, tensor).unwrap(), values, "{name}");
        }
    }

    #[test]
    fn one_model_in_every_form_has_the_same_values() {
        let expected = deserialize_f32("f32", &bytes("f32/model.safetensors")).unwrap();
        let forms: [(&[&str], SourceFormat, &str); 6] = [
            (&F32, SourceFormat::Safetensors, "F32 ×21"),
            (&F16, SourceFormat::Safetensors, "F16 ×21"),
            (&SHARDED, SourceFormat::Safetensors, "BF16 ×21"),
            (&["f32.gguf"], SourceFormat::Gguf, "F32 ×21"),
            (&["f16.gguf"], SourceFormat::Gguf, "F16 ×16, F32 ×5"),
            (&["bf16.gguf"], SourceFormat::Gguf, "BF16 ×16, F32 ×5"),
        ];
        for (names, format, stored_as) in forms {
            let model = open(names).unwrap();
            assert_eq!((model.format, model.stored_as().as_str()), (format, stored_as));
            assert_eq!(model.tensors.len(), expected.len());
            for (name, shape, values) in &expected {
                assert_eq!(&model.tensor(name).unwrap().shape, shape, "{name}");
                assert_eq!(&model.read_f32(name).unwrap(), values, "{name} in {names:?}");
            }
        }
    }

    #[test]
    fn a_quantised_model_is_near() {
        let exact = open(&["f32.gguf"]).unwrap();
        let quantised = open(&["q8_0.gguf"]).unwrap();
        assert_eq!(quantised.stored_as(), "Q8_0 ×16, F32 ×5");
        assert_eq!(quantised.file_bytes(), bytes("q8_0.gguf").len() as u64);
        for tensor in &exact.tensors {
            let (a, b) = (exact.read_f32(&tensor.name).unwrap(), quantised.read_f32(&tensor.name).unwrap());
            let difference = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(difference < 2e-3, "{}: {difference}", tensor.name);
        }
    }
}

mod configs {
    use super::*;

    #[test]
    fn gguf_says_what_the_folder_says() {
        let (folder, gguf) = (open(&F32).unwrap(), open(&["f32.gguf"]).unwrap());
        for (key, value) in folder.config.as_object().unwrap() {
            assert_eq!(&gguf.config[key], value, "{key}");
        }
        assert_eq!(folder.eos_token_ids(), [2, 0]);
        assert_eq!(gguf.eos_token_ids(), [2]);
        assert_eq!(folder.tokenizer.chat_template, gguf.tokenizer.chat_template);
        for tokenizer in [&folder.tokenizer, &gguf.tokenizer] {
            assert_eq!(tokenizer.bos_token.as_deref(), Some("<|im_start|>"));
            assert_eq!(tokenizer.eos_token.as_deref(), Some("<|im_end|>"));
            assert_eq!(tokenizer.unk_token.as_deref(), Some("<|endoftext|>"));
            assert_eq!(tokenizer.pad_token.as_deref(), Some("<|im_end|>"));
        }
    }

    /// A GGUF that has a head of its rotary embedding's settings but too few layers to be a model.
    fn rope(name: &str) -> Value {
        let source = FileSource::open(fixture(name)).unwrap();
        loralet::weights::gguf_config::config(&Gguf::open(&source).unwrap(), &source).unwrap()
    }

    #[test]
    fn rope_scaling_is_read_from_metadata_and_factors() {
        assert_eq!(rope("linear.gguf")["rope_scaling"], json!({ "rope_type": "linear", "factor": 2.5 }));
        let expected = json!({ "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192 });
        assert_eq!(rope("llama3.gguf")["rope_scaling"], expected);
        assert_eq!(rope("llama3.gguf").get("rope_freq_factors"), None);
        assert_eq!(rope("own-factors.gguf")["rope_scaling"], Value::Null);
        assert_eq!(rope("own-factors.gguf")["rope_freq_factors"], json!([1.0, 1.5, 2.0, 3.0]));
        assert_eq!(rope("f32.gguf")["rope_scaling"], Value::Null);
    }

    #[test]
    fn rope_parameters_of_transformers_5_are_understood() {
        let mut config: Value = serde_json::from_slice(&bytes("f32/config.json")).unwrap();
        let keys = config.as_object_mut().unwrap();
        keys.shift_remove("rope_theta");
        keys.insert(
            "rope_parameters".into(),
            json!({ "rope_type": "linear", "factor": 2.0, "rope_theta": 5e5 }),
        );
        let model = open_with(&F32, "f32/config.json", config.to_string().into()).unwrap();
        assert_eq!(model.config["rope_theta"], 5e5);
        assert_eq!(model.config["rope_scaling"]["factor"], 2.0);
        assert_eq!(model.config["head_dim"], 8);
    }

    #[test]
    fn a_tied_head_is_not_listed() {
        let config = String::from_utf8(bytes("f32/config.json")).unwrap();
        let tied = config.replace("\"tie_word_embeddings\": false", "\"tie_word_embeddings\": true");
        let model = open_with(&F32, "f32/config.json", tied.into()).unwrap();
        assert!(model.tensor("lm_head.weight").is_err());
    }
}

mod tokenizer {
    use super::*;

    fn build(file: &str) -> Tokenizer {
        let source = FileSource::open(fixture(file)).unwrap();
        tokenizer_files(&Gguf::open(&source).unwrap()).unwrap().tokenizer_json.parse().unwrap()
    }

    fn ids(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
        tokenizer.encode(text, true).unwrap().get_ids().to_vec()
    }

    fn expected(file: &str) -> Map<String, Value> {
        serde_json::from_slice(&bytes(file)).unwrap()
    }

    fn numbers(value: &Value) -> Vec<u32> {
        serde_json::from_value(value.clone()).unwrap()
    }

    #[test]
    fn byte_level_families_give_the_ids_of_the_original() {
        for family in ["gpt-2", "smollm", "llama-bpe", "qwen2"] {
            let tokenizer = build(&format!("tokenizer-{family}.gguf"));
            for (text, expected) in expected("tokenizer_ids.json") {
                assert_eq!(ids(&tokenizer, &text), numbers(&expected[family]), "{family}: {text:?}");
                if family != "qwen2" {
                    let decoded = tokenizer.decode(&ids(&tokenizer, &text), false).unwrap();
                    assert_eq!(
                        decoded.trim_start_matches("<|im_start|>"),
                        text.trim_start_matches("<|im_start|>")
                    );
                }
            }
        }
    }

    #[test]
    fn sentence_piece_gives_the_ids_of_the_original() {
        let tokenizer = build("tokenizer-sentencepiece.gguf");
        let mut compared = 0;
        for (text, expected) in expected("tokenizer_ids.json") {
            // SentencePiece takes a special token's name as plain text; a tokenizer.json does not.
            if ["<s>", "</s>", "<unk>"].iter().any(|name| text.contains(name)) {
                continue;
            }
            let ids = ids(&tokenizer, &text);
            assert_eq!(ids, numbers(&expected["sentencepiece"]), "{text:?}");
            assert_eq!(tokenizer.decode(&ids, true).unwrap(), text.replace('▁', " "));
            compared += 1;
        }
        assert!(compared > 200, "{compared}");
        assert_eq!(ids(&tokenizer, "</s>"), [1, 2]);
    }

    #[test]
    fn the_real_model_gives_the_ids_of_the_original() {
        let Some(path) = real_model() else { return };
        let model = Checkpoint::open(vec![Box::new(FileSource::open(path).unwrap())]).unwrap();
        let tokenizer: Tokenizer = model.tokenizer.tokenizer_json.parse().unwrap();
        for (text, expected) in expected("smollm2_ids.json") {
            let ids = ids(&tokenizer, &text);
            assert_eq!(ids, numbers(&expected), "{text:?}");
            assert_eq!(tokenizer.decode(&ids, false).unwrap(), text);
        }
    }
}

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

mod bad_input {
    use super::*;

    #[test]
    fn a_truncated_file_is_an_error_at_every_length() {
        let whole = bytes("bf16.gguf");
        for length in lengths(whole.len()) {
            assert!(Checkpoint::open(vec![memory("a.gguf", whole[..length].to_vec())]).is_err(), "{length}");
        }
        let whole = bytes("f16/model.safetensors");
        for length in lengths(whole.len()) {
            assert!(open_with(&F16, "f16/model.safetensors", whole[..length].to_vec()).is_err(), "{length}");
        }
    }

    /// Every length of a header, then samples.
    fn lengths(whole: usize) -> impl Iterator<Item = usize> {
        (0..whole).filter(move |length| {
            *length < 6000 && length % 7 < 2 || length % 997 == 0 || length + 1 == whole
        })
    }

    #[test]
    fn flipped_bytes_never_panic() {
        for (names, changed) in [
            (&["q8_0.gguf"][..], "q8_0.gguf"),
            (&F16[..], "f16/model.safetensors"),
            (&F32[..], "f32/config.json"),
        ] {
            let whole = bytes(changed);
            for at in (0..whole.len().min(12_000)).step_by(3) {
                for value in [0x00, 0xFF, whole[at] ^ 0x41] {
                    let mut damaged = whole.clone();
                    damaged[at] = value;
                    if let Ok(model) = open_with(names, changed, damaged) {
                        for tensor in model.tensors.iter().take(3) {
                            model.read_f32(&tensor.name).unwrap();
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn sentences_name_what_is_wrong() {
        let gguf = bytes("f32.gguf");
        let cases = [
            (sentence(Checkpoint::open(vec![])), vec!["config.json is missing", ".gguf"]),
            (
                sentence(Checkpoint::open(vec![memory("a.gguf", b"PK\x03\x04".to_vec())])),
                vec!["a.gguf", "GGUF"],
            ),
            (
                sentence(Checkpoint::open(vec![memory("a.gguf", gguf[..200].to_vec())])),
                vec!["a.gguf: ends after 200 bytes"],
            ),
            (
                sentence(Checkpoint::open(vec![memory("a.gguf", gguf[..gguf.len() - 9000].to_vec())])),
                vec!["a.gguf: tensor \"", "past the end", "download it again"],
            ),
            (sentence(Checkpoint::open(vec![memory("a.gguf", patched(&gguf, 4, 1))])), vec!["version 1"]),
            (
                sentence(Checkpoint::open(vec![memory("a.gguf", patched(&gguf, 4, 3 << 24))])),
                vec!["big-endian"],
            ),
            (
                sentence(Checkpoint::open(vec![memory("a.gguf", patched(&gguf, 12, u32::MAX))])),
                vec!["tensors", "damaged"],
            ),
            (sentence(open(&["iq4_nl.gguf"])), vec!["IQ4_NL", "token_embd.weight", "Q4_K"]),
            (sentence(open(&["f32.gguf", "f16.gguf"])), vec!["2 GGUF files"]),
            (
                sentence(Checkpoint::open(vec![memory(
                    "a.gguf",
                    replaced(&gguf, b"\x05\0\0\0\0\0\0\0llama", b"\x05\0\0\0\0\0\0\0gemma"),
                )])),
                vec!["architecture \"gemma\""],
            ),
            (
                sentence(Checkpoint::open(vec![memory(
                    "a.gguf",
                    replaced(&gguf, b"tokenizer.ggml.model", b"tokenizer.ggml.mudel"),
                )])),
                vec!["tokenizer in a.gguf is missing"],
            ),
            (
                sentence(Checkpoint::open(vec![memory(
                    "a.gguf",
                    replaced(&gguf, b"\x06\0\0\0\0\0\0\0smollm", b"\x06\0\0\0\0\0\0\0tekken"),
                )])),
                vec!["\"tekken\"", "smollm"],
            ),
            (
                sentence(Checkpoint::open(vec![memory(
                    "a.gguf",
                    replaced(&gguf, b"blk.1.ffn_up.weight", b"blk.1.ffn_xx.weight"),
                )])),
                vec!["blk.1.ffn_xx.weight"],
            ),
            (sentence(open(&F32[..2])), vec!["tokenizer.json is missing"]),
            (sentence(open(&F32[..4])), vec!["model.safetensors is missing"]),
            (sentence(open(&F32[1..])), vec!["config.json is missing"]),
            (sentence(open(&SHARDED[1..])), vec!["model-00003-of-00003.safetensors is missing"]),
            (
                sentence(open(&[SHARDED[0], SHARDED[1], SHARDED[4], SHARDED[5]])),
                vec!["model-00002-of-00003.safetensors is missing"],
            ),
            (
                sentence(open_with(&F32, "f32/config.json", b"{\"a\": ".to_vec())),
                vec!["config.json", "JSON", "line 1"],
            ),
            (
                sentence(open_with(&F32, "f32/config.json", b"\xff\xfe".to_vec())),
                vec!["config.json", "UTF-8"],
            ),
            (
                sentence(open_with(&F32, "f32/model.safetensors", b"<html>not found</html>".to_vec())),
                vec!["model.safetensors", "safetensors file"],
            ),
            (
                sentence(open_with(
                    &F32,
                    "f32/config.json",
                    replaced(&bytes("f32/config.json"), b"\"hidden_size\": 32", b"\"hidden_size\": 64"),
                )),
                vec!["model.embed_tokens.weight", "[281, 32]", "[281, 64]"],
            ),
            (
                sentence(open_with(
                    &F32,
                    "f32/config.json",
                    replaced(
                        &bytes("f32/config.json"),
                        b"\"num_hidden_layers\": 2",
                        b"\"num_hidden_layers\": 3",
                    ),
                )),
                vec!["has 2 layers", "says 3"],
            ),
            (
                sentence(open_with(
                    &F32,
                    "f32/config.json",
                    replaced(
                        &bytes("f32/config.json"),
                        b"\"num_key_value_heads\": 2",
                        b"\"num_key_value_heads\": 4",
                    ),
                )),
                vec!["k_proj.weight", "[16, 32]"],
            ),
        ];
        for (sentence, parts) in cases {
            for part in parts {
                assert!(sentence.contains(part), "{sentence:?} does not say {part:?}");
            }
            assert!(!sentence.contains('\n'), "{sentence:?}");
        }
    }

    #[test]
    fn an_index_that_names_an_absent_tensor() {
        let index = "bf16-sharded/model.safetensors.index.json";
        let changed = replaced(&bytes(index), b"model.norm.weight", b"model.nrom.weight");
        let sentence = sentence(open_with(&SHARDED, index, changed));
        assert!(
            sentence.contains("\"model.nrom.weight\" is listed in model.safetensors.index.json"),
            "{sentence}"
        );
    }

    #[test]
    fn another_architecture_is_left_to_the_model_room() {
        let config = br#"{ "model_type": "bert", "hidden_size": 32, "vocab_size": 7 }"#;
        let model = open_with(&F32, "f32/config.json", config.to_vec()).unwrap();
        assert_eq!(model.config["model_type"], "bert");
    }

    #[test]
    fn shards_without_an_index_are_enough() {
        let model = open(&[SHARDED[0], SHARDED[1], SHARDED[2], SHARDED[4], SHARDED[5]]).unwrap();
        assert_eq!(model.tensors.len(), 21);
    }

    #[test]
    fn a_gguf_under_another_name_is_recognised() {
        let model = Checkpoint::open(vec![memory("sha256-0123", bytes("f16.gguf"))]).unwrap();
        assert_eq!(model.format, SourceFormat::Gguf);
        let missing = model.read_f32("model.layers.9.mlp.up_proj.weight").unwrap_err().to_string();
        assert!(
            missing.contains("model.layers.9.mlp.up_proj.weight") && missing.contains("sha256-0123"),
            "{missing}"
        );
    }

    /// `bytes` with the little-endian number `value` at `at`.
    fn patched(bytes: &[u8], at: usize, value: u32) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        bytes
    }

    /// `bytes` with the first `from` replaced by `to` of the same length.
    fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
        assert_eq!(from.len(), to.len());
        let at =
            bytes.windows(from.len()).position(|window| window == from).expect("the fixture has these bytes");
        let mut bytes = bytes.to_vec();
        bytes[at..at + to.len()].copy_from_slice(to);
        bytes
    }
}
