//! Whole files with a piece cut off, bits turned, numbers overwritten, pieces repeated: a reader reads them or says what is wrong.

use super::*;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// What is done to a file at a place, which is a share of its length.
#[derive(Debug, Clone)]
enum Change {
    Cut(f64),
    Turn(f64, u8),
    /// Eight bytes, as a count or an offset.
    Number(f64, u64),
    Repeat(f64, usize),
    Insert(f64, Vec<u8>),
}

fn change() -> impl Strategy<Value = Change> {
    let place = || 0.0..1.0;
    let large = prop_oneof![Just(u64::MAX), Just(1 << 31), Just(1 << 40), 0..4_u64, any::<u64>()];
    prop_oneof![
        place().prop_map(Change::Cut),
        (place(), 1..255_u8).prop_map(|(at, bits)| Change::Turn(at, bits)),
        (place(), large).prop_map(|(at, number)| Change::Number(at, number)),
        (place(), 1..64_usize).prop_map(|(at, length)| Change::Repeat(at, length)),
        (place(), "[\\[\\]{}\",:0-9a-z\n'\\\\]{1,8}").prop_map(|(at, text)| Change::Insert(at, text.into())),
    ]
}

fn changed(file: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut bytes = file.to_vec();
    for change in changes {
        let place = |share: &f64| (share * bytes.len() as f64) as usize;
        match change {
            Change::Cut(at) => bytes.truncate(place(at)),
            Change::Turn(at, bits) => {
                let at = place(at);
                bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= bits);
            }
            Change::Number(at, number) => {
                let at = place(at);
                bytes.iter_mut().skip(at).zip(number.to_le_bytes()).for_each(|(byte, new)| *byte = new);
            }
            Change::Repeat(at, length) => {
                let at = place(at);
                let piece = bytes[at..(at + length).min(bytes.len())].to_vec();
                bytes.splice(at..at, piece);
            }
            Change::Insert(at, text) => {
                let at = place(at);
                bytes.splice(at..at, text.iter().copied());
            }
        }
    }
    bytes
}

/// A small whole file for each reader.
fn whole() -> Vec<(&'static str, Vec<u8>)> {
    let join = |parts: &[Vec<u8>]| parts.join(readers::BETWEEN);
    let adapter = |name: &str| fixture(&format!("cases/last_layers/{name}"));
    let mlx = |name: &str| fixture(&format!("mlx/adapter/{name}"));
    let file = |name: &str| loralet::export::OutputFile { name: name.into(), bytes: adapter(name) };
    let run = r#"{\"recipe\": {}, \"done\": 1, \"optimizer_updates\": 1, \"data_digest\": \"0\"}"#;
    let numbers = r#""values":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}"#;
    let template = String::from_utf8(fixture("data/chat_templates.json")).unwrap();
    let template: serde_json::Value = serde_json::from_str(&template).unwrap();
    let template = template["templates"]["smollm2"]["source"].as_str().unwrap().to_string();
    let small = hostile::gguf(
        &[hostile::entry("general.alignment", 4, &32_u32.to_le_bytes()), hostile::list("l", 5, 3, &[7; 12])],
        &[hostile::tensor("a", 4, 0), hostile::tensor("b", 4, 32)],
    );
    vec![
        ("gguf_header", [small, vec![0; 96]].concat()),
        ("gguf", fixture("weights/tokenizer-sentencepiece.gguf")),
        ("safetensors_header", hostile::many_tensors_safetensors(3)),
        ("safetensors", adapter("adapter_model.safetensors")),
        ("folder", join(&[fixture("cases/model/config.json"), b"{}".to_vec(), b"{}".to_vec(), b"{}".to_vec()])),
        ("tokenizer", fixture("cases/model/tokenizer.json")),
        ("adapter", join(&["adapter_config.json", "adapter_model.safetensors"].map(adapter))),
        ("adapter", fixture("gguf_lora/llama.gguf")),
        ("adapter", join(&["adapter_config.json", "adapters.safetensors"].map(mlx))),
        (
            "checkpoint",
            hostile::safetensors(&format!("{{\"__metadata__\":{{\"loralet\":\"{run}\"}},{numbers}}}"), 16),
        ),
        (
            "zip",
            loralet::export::zip(&["adapter_config.json", "adapter_model.safetensors"].map(file)).unwrap(),
        ),
        ("template", template.into_bytes()),
        ("data", b"d.jsonl\n{\"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}, {\"role\": \"assistant\", \"content\": \"Yes\"}]}\n".to_vec()),
        ("data", b"d.csv\nprompt;completion\n\"a\nb\";c\n\"d \"\"e\"\"\";f@example.com\n".to_vec()),
        ("data", b"d.json\n{\"prompt\": {\"0\": \"a\", \"1\": null}, \"completion\": {\"0\": \"b\", \"1\": NaN}}\n".to_vec()),
        ("recipe", br#"{"train": {"max_steps": 3}, "lora": {"rank": 4, "alpha": 8.5}, "data": {"fix": ["redact"]}}"#.to_vec()),
    ]
}

#[test]
fn a_changed_file_is_read_or_refused() {
    /// For each file; the readers of headers take microseconds, a whole tokenizer milliseconds.
    const CASES: u32 = 150;
    for (name, file) in whole() {
        let (_, read) = readers::READERS.into_iter().find(|(reader, _)| *reader == name).unwrap();
        read(&file);
        let mut runner =
            TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() });
        let changes = proptest::collection::vec(change(), 1..4);
        let outcome = runner.run(&changes, |changes| {
            let bytes = changed(&file, &changes);
            in_time(name, || read(&bytes));
            Ok(())
        });
        outcome.unwrap_or_else(|failure| panic!("{name}: {failure}"));
    }
}
