//! Sentence embeddings: all-MiniLM-L6-v2 as sentence-transformers computes it, and whole contrastive runs, of MiniLM and of the
//! bundled `tiny`, which is a decoder. `cargo xtask` fetches MiniLM; without it its tests say that they were skipped.

use burn::tensor::Device;
use loralet::data::{DataFile, EncodeOptions, Tokenizer, encode_dataset, read_dataset};
use loralet::metrics::{EmbeddingMetrics, Evaluation};
use loralet::recipe::{BaseDtype, Objective, Recipe, TargetModules};
use loralet::session::{GenerateRequest, Limits, Session};
use loralet::weights::Checkpoint;
use loralet::weights::source::{ByteSource, FileSource};
use pollster::block_on;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const SAMPLE: &str = "www/public/samples/harbour-slang.jsonl";

fn path(relative: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(relative)
}

fn minilm() -> Option<PathBuf> {
    let cache = std::env::var_os("LORALET_CACHE").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/loralet")))?;
    let folder = cache.join("models/minilm");
    if folder.join("model.safetensors").is_file() {
        return Some(folder);
    }
    assert!(std::env::var("LORALET_REQUIRE_MODELS").is_err(), "{} is missing", folder.display());
    eprintln!("skipped: {} is missing", folder.display());
    None
}

fn sources(folder: &Path) -> Vec<Box<dyn ByteSource>> {
    let files =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    files.map(|file| -> Box<dyn ByteSource> { Box::new(FileSource::open(&file).unwrap()) }).collect()
}

fn session(folder: &Path) -> Session {
    let mut session = Session::new(Device::flex(), Limits::default());
    session.open_model(sources(folder), "model", BaseDtype::Auto, &|_, _| {}).unwrap();
    session
}

fn tiny() -> Session {
    session(&path("www/public/models/tiny"))
}

fn recipe(method: &str, rate: f64, max_steps: usize) -> Recipe {
    Recipe::from_json(&json!({
        "objective": "contrastive", "method": method, "lora": { "rank": 8 },
        "train": { "learning_rate": rate, "max_steps": max_steps, "batch_size": 16, "max_seq_length": 64 },
        "eval": { "eval_steps": 1000, "validation_fraction": 0.2 },
    }))
    .unwrap()
}

/// Held-out scores before and after all steps.
fn run(session: &mut Session, recipe: &Recipe) -> (Evaluation, Evaluation) {
    let plan = session.begin(recipe).unwrap();
    let base = block_on(session.evaluate()).unwrap();
    for _ in 0..plan.total_steps {
        block_on(session.step()).unwrap();
    }
    (base, block_on(session.evaluate()).unwrap())
}

fn metrics(evaluation: &Evaluation) -> EmbeddingMetrics {
    metrics!(Embedding, evaluation)
}

fn recall(evaluation: &Evaluation) -> f64 {
    metrics(evaluation).recall_at_1.unwrap()
}

#[test]
fn minilm_embeds_as_in_sentence_transformers() {
    let Some(folder) = minilm() else { return };
    let session = session(&folder);
    let fixture = path("tests/fixtures/minilm");
    let expected: Value =
        serde_json::from_slice(&std::fs::read(fixture.join("expected.json")).unwrap()).unwrap();
    let bytes = std::fs::read(fixture.join("expected.safetensors")).unwrap();
    let tensors = loralet::weights::safetensors::deserialize_f32("expected", &bytes).unwrap();
    let (_, shape, values) = &tensors[0];
    let tokenizer = Tokenizer::from_files(&Checkpoint::open(sources(&folder)).unwrap().tokenizer).unwrap();
    for (row, reference) in expected["rows"].as_array().unwrap().iter().zip(values.chunks(shape[1])) {
        let text = row["text"].as_str().unwrap();
        let ids = |name: &str| -> Vec<u32> { serde_json::from_value(row[name].clone()).unwrap() };
        let encoded = |max_seq_length| {
            let line = json!({ "anchor": text, "positive": "x" }).to_string();
            let file = DataFile { name: "row.jsonl", bytes: line.as_bytes() };
            let options =
                EncodeOptions { objective: Objective::Contrastive, max_seq_length, train_on_prompt: false };
            let encoded = encode_dataset(&read_dataset(file, None).unwrap(), &tokenizer, &options).unwrap();
            encoded.examples[0].input_ids.clone()
        };
        assert_eq!(encoded(512), ids("input_ids"), "{text}");
        assert_eq!(encoded(expected["max_length"].as_u64().unwrap() as usize), ids("cut"), "{text}");
        let found = block_on(session.logits(&ids("input_ids"), false)).unwrap();
        let apart = found.iter().zip(reference).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart < 1e-5, "{text}: {apart} apart");
    }
}

#[test]
fn minilm_learns_what_words_mean_at_the_harbour() {
    let Some(folder) = minilm() else { return };
    let mut session = session(&folder);
    let recipe = recipe("lora", 1e-3, 20);
    session.open_data("slang.jsonl", &std::fs::read(path(SAMPLE)).unwrap(), &recipe).unwrap();
    let (base, tuned) = run(&mut session, &recipe);
    eprintln!("{base:?}\n{tuned:?}");
    assert!(recall(&tuned) > recall(&base) + 0.2, "{base:?} {tuned:?}");
    let saved = block_on(session.adapter_files()).unwrap();
    let config: Value = serde_json::from_slice(&saved[0].bytes).unwrap();
    assert_eq!(config["target_modules"][3], "attention.output.dense");
    let scored = |session: &Session, adapter| block_on(session.score(&recipe, adapter)).unwrap();
    let (before, after) = (scored(&session, false), scored(&session, true));
    assert!(recall(&after) > recall(&before), "{before:?} {after:?}");
    session.load_adapter(&saved).unwrap();
    assert_eq!(scored(&session, true), after);
}

#[test]
fn an_encoder_is_asked_for_no_text() {
    let Some(folder) = minilm() else { return };
    let mut session = session(&folder);
    let recipe = Recipe::default();
    session.open_data("chat.jsonl", b"{\"prompt\": \"a\", \"completion\": \"b\"}\n", &recipe).unwrap();
    let said = session.begin(&recipe).unwrap_err().to_string();
    assert!(said.contains("objective is \"sft\", but the model is an encoder"), "{said}");
    let request =
        GenerateRequest { prompt: Some("Hello".into()), adapter: false, ..GenerateRequest::default() };
    let said = block_on(session.generate(&request, async |_: &str| Ok(true))).unwrap_err().to_string();
    assert!(said.contains("an encoder, which writes no text"), "{said}");
    let mut recipe = recipe_of(json!({ "lora": { "target_modules": ["q_proj"] } }));
    session.open_data("pairs.jsonl", PAIRS, &recipe).unwrap();
    let said = session.begin(&recipe).unwrap_err().to_string();
    assert!(said.contains("\"q_proj\", but this model's linear layers are query, key"), "{said}");
    recipe.lora.target_modules = TargetModules::Named(vec!["query".into(), "output.dense".into()]);
    // As in PEFT, the attention's output is meant too.
    assert_eq!(session.begin(&recipe).unwrap().trainable_parameters, 6 * 16 * (2 * 768 + 384 + 1536));
}

const PAIRS: &[u8] = b"{\"anchor\": \"a\", \"positive\": \"b\"}\n{\"anchor\": \"c\", \"positive\": \"d\"}\n{\"anchor\": \"e\", \"positive\": \"f\"}\n";

fn recipe_of(mut value: Value) -> Recipe {
    value["objective"] = "contrastive".into();
    Recipe::from_json(&value).unwrap()
}

/// Two ways of saying who has what, in the words of the small model's world.
fn things() -> Vec<(String, String)> {
    let names = ["Mia", "Tom", "Pip", "Ben", "Lily"];
    let things = ["ball", "kite", "hat", "boat", "cake", "book", "drum", "cup"];
    let pairs = names.iter().flat_map(|name| things.iter().map(move |thing| (name, thing)));
    pairs
        .map(|(name, thing)| {
            (format!("{name} has a red {thing}."), format!("Look! The {thing} is for {name}."))
        })
        .collect()
}

#[test]
fn a_decoder_learns_to_find_pairs_by_every_method() {
    let row = |(anchor, positive): &(String, String)| {
        json!({ "query": anchor, "document": positive }).to_string() + "\n"
    };
    let rows: String = things().iter().map(row).collect();
    for (method, rate) in [("lora", 5e-3), ("full", 1e-3), ("last_layer", 5e-3)] {
        let recipe = recipe(method, rate, 20);
        let mut session = tiny();
        let summary = session.open_data("pairs.jsonl", rows.as_bytes(), &recipe).unwrap();
        assert_eq!(summary.report.objectives, [Objective::Contrastive]);
        let labels: Vec<_> = summary.preview.iter().take(2).map(|row| row.label.clone().unwrap()).collect();
        assert_eq!(labels, ["anchor", "positive"]);
        let (base, tuned) = run(&mut session, &recipe);
        eprintln!("{method}: {base:?}\n{tuned:?}");
        assert_eq!(metrics(&tuned).candidates, Some(8));
        assert!(recall(&tuned) > recall(&base) + 0.3, "{method}: {base:?} {tuned:?}");
        assert!(metrics(&tuned).mrr > metrics(&base).mrr && tuned.loss < base.loss);
    }
}

#[test]
fn scored_pairs_are_put_in_order() {
    let things = things();
    // What counts is who it is about, not what: words that both sentences share mislead the base.
    let row = |i: usize| {
        let (name, thing, kind) = (i % 5, i / 5 % 8, i / 40);
        let other_name = if kind < 2 { name } else { (name + 1 + i % 3) % 5 };
        let other_thing = if kind % 2 == 0 { thing } else { (thing + 1 + i % 7) % 8 };
        let score = if name == other_name { 4.5 } else { 1.0 };
        let (sentence1, sentence2) = (&things[name * 8 + thing].0, &things[other_name * 8 + other_thing].1);
        json!({ "sentence1": sentence1, "sentence2": sentence2, "score": score }).to_string() + "\n"
    };
    let rows: String = (0..160).map(row).collect();
    let recipe = recipe("lora", 1e-3, 40);
    let mut session = tiny();
    let summary = session.open_data("scored.jsonl", rows.as_bytes(), &recipe).unwrap();
    assert_eq!(summary.preview[0].label.as_deref(), Some("score 4.5"));
    let (base, tuned) = run(&mut session, &recipe);
    eprintln!("{base:?}\n{tuned:?}");
    let spearman = |evaluation: &Evaluation| metrics(evaluation).spearman.unwrap();
    assert!(spearman(&tuned) > spearman(&base) + 0.2, "{base:?} {tuned:?}");
}

#[test]
fn a_resumed_contrastive_run_is_the_run_that_never_stopped() {
    let recipe = recipe("lora", 2e-3, 4);
    let rows: String =
        things().iter().map(|(a, p)| json!({ "anchor": a, "positive": p }).to_string() + "\n").collect();
    let begin = |rows: &str| {
        let mut session = tiny();
        session.open_data("pairs.jsonl", rows.as_bytes(), &recipe).unwrap();
        session
    };
    let losses = |session: &mut Session, steps| -> Vec<f64> {
        (0..steps).map(|_| block_on(session.step()).unwrap().loss).collect()
    };
    let mut first = begin(&rows);
    first.begin(&recipe).unwrap();
    let mut found = losses(&mut first, 2);
    let saved = block_on(first.save_checkpoint()).unwrap();
    let expected = [found.clone(), losses(&mut first, 2)].concat();
    let mut second = begin(&rows);
    second.resume(&saved).unwrap();
    found.extend(losses(&mut second, 2));
    assert_eq!(found, expected);
    // The same anchors with another positive are other data.
    let said = begin(&rows.replacen("Look!", "Oh!", 1)).resume(&saved).unwrap_err().to_string();
    assert!(said.contains("other data"), "{said}");
}

#[test]
fn settings_and_rows_that_make_no_sense_are_named() {
    let said = |value: Value| Recipe::from_json(&value).unwrap_err().to_string();
    let of = |section: &str, setting: Value| said(json!({ "objective": "contrastive", section: setting }));
    assert!(
        of("contrastive", json!({ "scale": 0 }))
            .contains("contrastive.scale is 0, but it must be a number above 0")
    );
    assert!(
        of("train", json!({ "batch_size": 1 })).contains("train.batch_size is 1, but it must be at least 2")
    );
    assert!(of("train", json!({ "packing": true })).contains("train.packing is true"));
    assert!(of("train", json!({ "kl_to_base": 0.1 })).contains("train.kl_to_base is 0.1"));
    let open = |rows: &str| {
        tiny().open_data("rows.jsonl", rows.as_bytes(), &recipe_of(json!({}))).unwrap_err().to_string()
    };
    let word = "{\"sentence1\": \"a b\", \"sentence2\": \"c\", \"score\": 1}\n{\"sentence1\": \"a\", \"sentence2\": \"b\", \"score\": \"near\"}\n";
    assert!(
        open(word).starts_with("rows.jsonl, line 2: \"score\" holds near where a number is expected"),
        "{}",
        open(word)
    );
    let mut session = tiny();
    session.open_data("pairs.jsonl", PAIRS, &Recipe::default()).unwrap();
    let said = session.begin(&Recipe::default()).unwrap_err().to_string();
    assert!(said.contains("holds pairs of texts, for which it must be contrastive"), "{said}");
}
