//! Models that judge, on other bases than the bundled `tiny`: an encoder (MiniLM, which `cargo xtask` fetches; without it its
//! tests say that they were skipped) and a model from a GGUF file.

use burn::tensor::Device;
use loralet::data::Message;
use loralet::export::OutputFile;
use loralet::generate::Answer;
use loralet::metrics::Evaluation;
use loralet::recipe::{BaseDtype, Recipe};
use loralet::session::{GenerateRequest, Limits, Session};
use loralet::weights::source::{ByteSource, FileSource, MemorySource};
use pollster::block_on;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const MOODS: &str = "www/public/samples/tiny-moods.jsonl";
const KINDNESS: &str = "www/public/samples/tiny-kindness.jsonl";
const SAD: &str = "One day, Mia was on the bridge. Mia lost her red kite and could not find it.";

fn path(relative: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(relative)
}

fn open(files: Vec<Box<dyn ByteSource>>) -> Session {
    let mut session = Session::new(Device::flex(), Limits::default());
    session.open_model(files, "model", BaseDtype::Auto, &|_, _| {}).unwrap();
    session
}

fn source(file: &Path) -> Box<dyn ByteSource> {
    Box::new(FileSource::open(file).unwrap())
}

fn minilm() -> Option<Session> {
    let cache = std::env::var_os("LORALET_CACHE").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/loralet")))?;
    let folder = cache.join("models/minilm");
    if !folder.join("model.safetensors").is_file() {
        assert!(std::env::var("LORALET_REQUIRE_MODELS").is_err(), "{} is missing", folder.display());
        eprintln!("skipped: {} is missing", folder.display());
        return None;
    }
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    Some(open(files.filter(|path| path.is_file()).map(|path| source(&path)).collect()))
}

/// A random Llama of 32 channels.
fn gguf() -> Session {
    open(vec![source(&path("tests/fixtures/weights/f32.gguf"))])
}

/// The saved files as a model folder, opened.
fn saved_model(files: &[OutputFile]) -> Session {
    let source = |file: &OutputFile| -> Box<dyn ByteSource> {
        Box::new(MemorySource::new(file.name.clone(), file.bytes.clone()))
    };
    open(files.iter().map(source).collect())
}

fn recipe(objective: &str, method: &str, rate: f64, max_steps: usize) -> Recipe {
    Recipe::from_json(&json!({
        "objective": objective, "method": method, "lora": { "rank": 8 },
        "train": { "learning_rate": rate, "max_steps": max_steps, "batch_size": 16, "max_seq_length": 96 },
        "eval": { "eval_steps": 1000, "validation_fraction": 0.25 },
    }))
    .unwrap()
}

/// Held-out scores before and after all steps.
fn run(session: &mut Session, sample: &str, recipe: &Recipe) -> (Evaluation, Evaluation) {
    run_on(session, &std::fs::read(path(sample)).unwrap(), recipe)
}

fn run_on(session: &mut Session, rows: &[u8], recipe: &Recipe) -> (Evaluation, Evaluation) {
    session.open_data("rows.jsonl", rows, recipe).unwrap();
    let plan = session.begin(recipe).unwrap();
    let base = block_on(session.evaluate()).unwrap();
    for _ in 0..plan.total_steps {
        block_on(session.step()).unwrap();
    }
    (base, block_on(session.evaluate()).unwrap())
}

fn ask(session: &Session, adapter: bool) -> Answer {
    let request = GenerateRequest { prompt: Some(SAD.into()), adapter, ..GenerateRequest::default() };
    block_on(session.generate(&request, async |_: &str| Ok(true))).unwrap()
}

fn files(session: &Session) -> Vec<OutputFile> {
    block_on(session.adapter_files()).unwrap()
}

fn json_of(files: &[OutputFile], name: &str) -> Value {
    let file = files.iter().find(|file| file.name == name).unwrap_or_else(|| panic!("{name} is missing"));
    serde_json::from_slice(&file.bytes).unwrap()
}

fn text_of(files: &[OutputFile], name: &str) -> String {
    let file = files.iter().find(|file| file.name == name).unwrap_or_else(|| panic!("{name} is missing"));
    String::from_utf8(file.bytes.clone()).unwrap()
}

#[test]
fn an_encoder_tells_moods_apart_and_is_saved_as_an_adapter_with_a_head() {
    let Some(mut session) = minilm() else { return };
    let recipe = recipe("classify", "lora", 2e-3, 20);
    let (base, tuned) = run(&mut session, MOODS, &recipe);
    let (base, found) = (metrics!(Classification, base), metrics!(Classification, tuned));
    eprintln!("{base:?}\n{found:?}");
    assert!(found.accuracy > found.majority_share + 0.4, "{found:?}");
    assert!(found.accuracy > base.accuracy + 0.4, "{base:?} {found:?}");
    assert_eq!(ask(&session, true).text, "sad");
    // What `eval --held-out` scores is what the run held out.
    assert_eq!(block_on(session.score_held_out(&recipe, true)).unwrap().metrics, tuned.metrics);

    let saved = files(&session);
    assert_eq!(json_of(&saved, "adapter_config.json")["task_type"], "FEATURE_EXTRACTION");
    assert_eq!(json_of(&saved, "config.json")["id2label"]["3"], "sad");
    let card = text_of(&saved, "README.md");
    assert!(card.contains("score.safetensors") && card.contains("PeftModel"), "{card}");
    let mut other = minilm().unwrap();
    other.load_adapter(&saved).unwrap();
    assert_eq!(ask(&other, true).labels, ask(&session, true).labels);
    // Texts are still found by their embeddings.
    other.open_data(MOODS, &std::fs::read(path(MOODS)).unwrap(), &recipe).unwrap();
    assert_eq!(block_on(other.search("Somebody is crying.", true)).unwrap().len(), 5);
    let reward = Recipe::from_json(&json!({ "objective": "reward" })).unwrap();
    let said = other.begin(&reward).unwrap_err().to_string();
    assert!(said.contains("for it the objective must be classify or contrastive"), "{said}");
}

#[test]
fn an_encoder_with_its_head_alone_trained_is_opened_again() {
    let Some(mut session) = minilm() else { return };
    let recipe = recipe("classify", "last_layer", 0.05, 12);
    let (base, tuned) = run(&mut session, MOODS, &recipe);
    let accuracy = |evaluation: &Evaluation| metrics!(Classification, evaluation).accuracy;
    assert!(accuracy(&tuned) > accuracy(&base) + 0.15, "{base:?} {tuned:?}");
    let saved = files(&session);
    let config = json_of(&saved, "config.json");
    assert_eq!((&config["classifier_pooling"], &config["model_type"]), (&json!("mean"), &json!("bert")));
    let again = saved_model(&saved);
    assert_eq!(ask(&again, false).labels, ask(&session, true).labels);
}

#[test]
fn a_model_from_a_gguf_file_learns_to_classify_and_to_reward() {
    // A random model's last token says little of those before it, so that it must differ itself.
    let row = |i: usize| {
        let (word, label) = if i.is_multiple_of(2) { ("cold", "winter") } else { ("hot", "summer") };
        json!({ "text": format!("On day {i} it was {word}"), "label": label }).to_string() + "\n"
    };
    let rows: String = (0..64).map(row).collect();
    for method in ["lora", "last_layer", "full"] {
        let rate = if method == "full" { 2e-3 } else { 2e-2 };
        let mut session = gguf();
        let recipe = recipe("classify", method, rate, 30);
        let (base, tuned) = run_on(&mut session, rows.as_bytes(), &recipe);
        eprintln!("{method}: {base:?}\n{tuned:?}");
        let accuracy = |evaluation: &Evaluation| metrics!(Classification, evaluation).accuracy;
        assert!(accuracy(&base) <= 0.6 && accuracy(&tuned) > 0.9, "{method}: {base:?} {tuned:?}");
        let saved = files(&session);
        assert_eq!(
            json_of(&saved, "config.json")["architectures"],
            json!(["LlamaForSequenceClassification"])
        );
        let labels = ask(&session, true).labels;
        if method == "lora" {
            assert_eq!(json_of(&saved, "adapter_config.json")["task_type"], "SEQ_CLS");
            let mut other = gguf();
            other.load_adapter(&saved).unwrap();
            assert_eq!(ask(&other, true).labels, labels);
        } else {
            assert_eq!(ask(&saved_model(&saved), false).labels, labels);
        }
    }
    let mut session = gguf();
    let recipe = recipe("reward", "lora", 2e-2, 20);
    let (base, tuned) = run(&mut session, KINDNESS, &recipe);
    let accuracy = |evaluation: &Evaluation| metrics!(Reward, evaluation).accuracy;
    eprintln!("reward: {base:?}\n{tuned:?}");
    assert!(accuracy(&tuned) > accuracy(&base).max(0.5) + 0.2, "{base:?} {tuned:?}");
    let messages = vec![Message::new("user", "Who is Pip?"), Message::new("assistant", "Go away!")];
    let request = GenerateRequest { messages: Some(messages), ..GenerateRequest::default() };
    let reward =
        |session: &Session| block_on(session.generate(&request, async |_: &str| Ok(true))).unwrap().reward;
    let mut other = gguf();
    other.load_adapter(&files(&session)).unwrap();
    assert!(reward(&session).is_some());
    assert_eq!(reward(&other), reward(&session));
}
