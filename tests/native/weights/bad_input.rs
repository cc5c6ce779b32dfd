//! Truncated, damaged, incomplete and unsupported files: one clear sentence, never a panic.

use super::*;
use loralet::ErrorKind;
use loralet::recipe::Recipe;

#[test]
fn a_truncated_file_is_an_error_at_every_length() {
    let whole = bytes("bf16.gguf");
    for length in lengths(whole.len()) {
        let refused = Checkpoint::open(vec![memory("a.gguf", whole[..length].to_vec())]).err();
        names(refused, "a.gguf", length);
    }
    let whole = bytes("f16/model.safetensors");
    for length in lengths(whole.len()) {
        let refused = open_with(&F16, "f16/model.safetensors", whole[..length].to_vec()).err();
        names(refused, "model.safetensors", length);
    }
}

/// A file that was cut is named, as one that is damaged.
fn names(refused: Option<loralet::Error>, file: &str, length: usize) {
    let error = refused.unwrap_or_else(|| panic!("{length} bytes were taken"));
    let kinds = [
        ErrorKind::InvalidModelFile,
        ErrorKind::InvalidTensor,
        ErrorKind::MissingFile,
        ErrorKind::Unreadable,
    ];
    let named = error.to_string().contains(file);
    assert!(kinds.contains(&error.kind()) && named, "{length}: {error:?}");
}

/// Every length of a header, then samples.
fn lengths(whole: usize) -> impl Iterator<Item = usize> {
    (0..whole)
        .filter(move |length| *length < 6000 && length % 7 < 2 || length % 997 == 0 || length + 1 == whole)
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
                        // Values, or a sentence that one of them is not finite.
                        let _ = model.read_f32(&tensor.name);
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
        (sentence(Checkpoint::open(vec![memory("a.gguf", b"PK\x03\x04".to_vec())])), vec!["a.gguf", "GGUF"]),
        (
            sentence(Checkpoint::open(vec![memory("a.gguf", gguf[..200].to_vec())])),
            vec!["a.gguf: ends after 200 bytes"],
        ),
        (
            sentence(Checkpoint::open(vec![memory("a.gguf", gguf[..gguf.len() - 9000].to_vec())])),
            vec!["a.gguf: tensor \"", "past the end", "download it again"],
        ),
        (sentence(Checkpoint::open(vec![memory("a.gguf", patched(&gguf, 4, 1))])), vec!["version 1"]),
        (sentence(Checkpoint::open(vec![memory("a.gguf", patched(&gguf, 4, 3 << 24))])), vec!["big-endian"]),
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
        (sentence(open_with(&F32, "f32/config.json", b"\xff\xfe".to_vec())), vec!["config.json", "UTF-8"]),
        (
            sentence(open_with(&F32, "f32/model.safetensors", b"<html>not found</html>".to_vec())),
            vec!["model.safetensors", "safetensors file"],
        ),
        (
            sentence(checked(open_with(
                &F32,
                "f32/config.json",
                replaced(&bytes("f32/config.json"), b"\"hidden_size\": 32", b"\"hidden_size\": 64"),
            ))),
            vec!["model.embed_tokens.weight", "[281, 32]", "[281, 64]"],
        ),
        (
            sentence(checked(open_with(
                &F32,
                "f32/config.json",
                replaced(&bytes("f32/config.json"), b"\"num_hidden_layers\": 2", b"\"num_hidden_layers\": 3"),
            ))),
            vec!["has 2 layers", "says 3"],
        ),
        (
            sentence(checked(open_with(
                &F32,
                "f32/config.json",
                replaced(
                    &bytes("f32/config.json"),
                    b"\"num_key_value_heads\": 2",
                    b"\"num_key_value_heads\": 4",
                ),
            ))),
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

#[test]
fn a_gguf_with_more_tokens_than_embeddings_is_refused_where_such_a_token_is_used() {
    let mut gguf = bytes("f32.gguf");
    let mut rows = 0;
    for name in [&b"\x11\0\0\0\0\0\0\0token_embd.weight"[..], b"\x0d\0\0\0\0\0\0\0output.weight"] {
        // After the name are the number of dimensions, the columns and the rows.
        let at = gguf.windows(name.len()).position(|window| window == name).unwrap() + name.len() + 12;
        rows = u32::from_le_bytes(gguf[at..at + 4].try_into().unwrap());
        gguf = patched(&gguf, at, rows - 1);
    }
    let mut session = Session::new(Device::flex(), Limits::default());
    session.open_model(vec![memory("a.gguf", gguf)], "model", BaseDtype::F32, &|_, _| {}).unwrap();
    let tokens: Value = serde_json::from_slice(&bytes("f32/tokenizer.json")).unwrap();
    let last = tokens["added_tokens"].as_array().unwrap().last().unwrap();
    assert_eq!(last["id"], rows - 1);
    let recipe = Recipe::from_json(&json!({ "objective": "text" })).unwrap();
    let row = json!({ "text": last["content"] }).to_string() + "\n";
    let refusal = session.open_data("rows.jsonl", row.as_bytes(), &recipe).unwrap_err().to_string();
    assert!(refusal.contains(&format!("number {}", rows - 1)), "{refusal}");
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
