//! The project with which a run goes on elsewhere. Whether TRL goes on with it, `cargo xtask interop` sees.

use super::*;
use loralet::recipe::Recipe;

const ROWS: &[u8] = b"{\"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}, {\"role\": \"assistant\", \"content\": \"I am.\"}]}
{\"messages\": [{\"role\": \"user\", \"content\": \"Who?\"}, {\"role\": \"assistant\", \"content\": \"You.\"}]}
";

#[test]
fn the_rows_are_those_that_the_tab_learns() {
    let mut session = session(&files("qwen2/model"), Some(&adapter("qwen2/adapter")));
    let recipe = json!({ "train": { "learning_rate": 3e-4, "packing": true }, "eval": { "validation_fraction": 0.5 } });
    let recipe = Recipe::from_json(&recipe).unwrap();
    let said = block_on(session.graduate_files(&recipe)).unwrap_err().to_string();
    assert!(said.contains("no open data file"), "{said}");
    let report = session.open_data("rows.jsonl", ROWS, &recipe).unwrap().report;
    let package = block_on(session.graduate_files(&recipe)).unwrap();
    let text = |name: &str| {
        let file =
            package.iter().find(|file| file.name == name).unwrap_or_else(|| panic!("{name} is missing"));
        String::from_utf8(file.bytes.clone()).unwrap()
    };
    let lines = [text("data/train.jsonl"), text("data/validation.jsonl")].concat();
    let rows: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 2);
    let (mut tokens, mut trained) = (0, 0);
    for row in &rows {
        let of = |name: &str| {
            row[name].as_array().unwrap().iter().map(|id| id.as_i64().unwrap()).collect::<Vec<_>>()
        };
        let (ids, labels) = (of("input_ids"), of("labels"));
        assert!(ids.iter().zip(&labels).all(|(id, label)| label == id || *label == -100));
        tokens += ids.len();
        trained += labels.iter().filter(|label| **label != -100).count();
    }
    assert_eq!((tokens, trained), (report.tokens, report.trained_tokens));

    let config = text("config.yaml");
    for line in
        ["learning_rate: 0.0003", "model_name_or_path: \"loralet/Some Model\"", "eval_strategy: epoch"]
    {
        assert!(config.lines().any(|own| own == line), "{line}:\n{config}");
    }
    // What TRL does otherwise is said, and only that.
    let readme = text("README.md");
    assert!(
        readme.contains("`packing`") && !readme.contains("`kl_to_base`") && !readme.contains('{'),
        "{readme}"
    );
    let weights =
        adapter("qwen2/adapter").into_iter().find(|file| file.name.ends_with(".safetensors")).unwrap();
    let stored = package.iter().find(|file| file.name == "adapter/adapter_model.safetensors").unwrap();
    let tensors = |bytes: &[u8]| deserialize_f32("adapter_model.safetensors", bytes).unwrap();
    assert_eq!(tensors(&stored.bytes), tensors(&weights.bytes));
    for name in ["train.py", "pyproject.toml", "fsdp.yaml", "multi_gpu.yaml", "adapter/tokenizer.json"] {
        text(name);
    }
}

#[test]
fn a_run_that_the_project_cannot_go_on_with_is_refused() {
    let mut session = session(&files("qwen2/model"), Some(&adapter("qwen2/adapter")));
    let rows = b"{\"prompt\": \"a\", \"chosen\": \"b\", \"rejected\": \"c\"}\n";
    let recipe = Recipe::from_json(&json!({ "objective": "dpo" })).unwrap();
    session.open_data("rows.jsonl", rows, &recipe).unwrap();
    let said = block_on(session.graduate_files(&recipe)).unwrap_err().to_string();
    assert!(said.contains("objective \"dpo\" is not supported") && said.contains("\"sft\""), "{said}");
}
