//! Whole runs of models that judge texts, with the bundled `tiny` model on the bundled samples: moods
//! for a classifier (`examples/tiny/make_moods.py`), kind and rude answers for a reward model.

use burn::tensor::Device;
use loralet::data::Message;
use loralet::export::{OutputFile, peft};
use loralet::generate::Answer;
use loralet::metrics::Evaluation;
use loralet::recipe::{BaseDtype, Recipe};
use loralet::rewards::judge::rewards;
use loralet::session::{GenerateRequest, Limits, Session};
use loralet::train::Plan;
use loralet::weights::source::{ByteSource, FileSource, MemorySource};
use pollster::block_on;
use serde_json::{Value, json};
use std::path::PathBuf;

const MOODS: &str = "www/public/samples/tiny-moods.jsonl";
const KINDNESS: &str = "www/public/samples/tiny-kindness.jsonl";
const MODEL: [&str; 5] =
    ["config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "model.safetensors"];
const SAD: &str = "One day, Mia was on the bridge. Mia lost her red kite and could not find it.";

fn path(relative: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(relative)
}

fn tiny() -> Session {
    let source = |file: &&str| -> Box<dyn ByteSource> {
        Box::new(FileSource::open(path("www/public/models/tiny").join(file)).unwrap())
    };
    let mut session = Session::new(Device::flex(), Limits::default());
    session.open_model(MODEL.iter().map(source).collect(), "tiny", BaseDtype::Auto, &|_, _| {}).unwrap();
    session
}

fn sample(file: &str, recipe: &Recipe) -> Session {
    let mut session = tiny();
    session.open_data(file, &std::fs::read(path(file)).unwrap(), recipe).unwrap();
    session
}

fn recipe(objective: &str, method: &str, max_steps: usize) -> Recipe {
    let rate = if method == "last_layer" { 0.02 } else { 2e-3 };
    Recipe::from_json(&json!({
        "objective": objective, "method": method, "lora": { "rank": 8 },
        "train": { "learning_rate": rate, "max_steps": max_steps, "batch_size": 16, "max_seq_length": 96 },
        "eval": { "eval_steps": 1000, "validation_fraction": 0.25 },
    }))
    .unwrap()
}

/// The plan, and held-out scores before and after all steps.
fn run(session: &mut Session, recipe: &Recipe) -> (Plan, Evaluation, Evaluation) {
    let plan = session.begin(recipe).unwrap();
    let base = block_on(session.evaluate()).unwrap();
    for _ in 0..plan.total_steps {
        block_on(session.step()).unwrap();
    }
    (plan, base, block_on(session.evaluate()).unwrap())
}

fn ask(session: &Session, text: &str, adapter: bool) -> Answer {
    let request = GenerateRequest { prompt: Some(text.into()), adapter, ..GenerateRequest::default() };
    block_on(session.generate(&request, async |_: &str| Ok(true))).unwrap()
}

fn files(session: &Session) -> Vec<OutputFile> {
    block_on(session.adapter_files()).unwrap()
}

#[test]
fn a_classifier_beats_the_majority_class_on_held_out_rows() {
    for (method, steps, margin) in [("lora", 40, 0.4), ("last_layer", 60, 0.2)] {
        let recipe = recipe("classify", method, steps);
        let mut session = sample(MOODS, &recipe);
        let (plan, base, tuned) = run(&mut session, &recipe);
        let (base, found) = (metrics!(Classification, base), metrics!(Classification, tuned));
        eprintln!("{method}: {base:?}\n{found:?}");
        assert_eq!(found.labels, ["afraid", "happy", "hungry", "sad"]);
        assert!(found.accuracy > found.majority_share + margin, "{method}: {found:?}");
        assert!(found.accuracy > base.accuracy + margin, "{method}: {base:?} {found:?}");
        let scored: usize = found.confusion.iter().flatten().sum();
        assert_eq!((scored, tuned.examples), (plan.validation_examples, plan.validation_examples));
        if method == "last_layer" {
            assert_eq!(plan.trainable_parameters, 4 * 128);
        }
        let answer = ask(&session, SAD, true);
        assert!((answer.labels.iter().map(|l| l.probability).sum::<f64>() - 1.0).abs() < 1e-9);
        if method == "lora" {
            assert_eq!(answer.text, "sad", "{:?}", answer.labels);
        }
        // The base judges with the head it began with, which knows nothing.
        assert!(ask(&session, SAD, false).labels.iter().all(|l| l.probability < 0.8));
    }
}

#[test]
fn a_saved_classifier_adapter_judges_as_the_run_did() {
    let recipe = recipe("classify", "lora", 6);
    let mut session = sample(MOODS, &recipe);
    run(&mut session, &recipe);
    let saved = files(&session);
    let config: Value = json_of(&saved, "config.json");
    assert_eq!(config["id2label"]["3"], "sad");
    assert_eq!(json_of(&saved, "adapter_config.json")["task_type"], "SEQ_CLS");
    let trained = block_on(session.score(&recipe, true)).unwrap();

    let mut other = tiny();
    other.load_adapter(&saved).unwrap();
    assert_eq!(ask(&other, SAD, true).labels, ask(&session, SAD, true).labels);
    // Rows of some of the classes are scored by the adapter's own numbers.
    let rows = std::fs::read_to_string(path(MOODS)).unwrap();
    let two: String = rows.lines().filter(|l| !l.contains("happy")).map(|l| format!("{l}\n")).collect();
    other.open_data("two.jsonl", two.as_bytes(), &recipe).unwrap();
    let part = metrics!(Classification, block_on(other.score(&recipe, true)).unwrap());
    assert_eq!(part.labels.len(), 4);
    assert_eq!(part.confusion[1], [0, 0, 0, 0]);
    assert_eq!(part.confusion[3], metrics!(Classification, trained).confusion[3]);
    let base = metrics!(Classification, block_on(other.score(&recipe, false)).unwrap());
    assert_eq!(base.labels, part.labels);

    let said = |line: &str| {
        other_data(line, &recipe, &saved).map(|_| String::new()).unwrap_or_else(|error| error.to_string())
    };
    let unknown =
        said("{\"text\": \"a b\", \"label\": \"sad\"}\n{\"text\": \"c d\", \"label\": \"cross\"}\n");
    assert!(
        unknown
            .starts_with("d.jsonl, line 2: has the label \"cross\", which is not one of the model's classes"),
        "{unknown}"
    );
}

fn other_data(rows: &str, recipe: &Recipe, adapter: &[OutputFile]) -> loralet::Result<Evaluation> {
    let mut session = tiny();
    session.load_adapter(adapter).unwrap();
    session.open_data("d.jsonl", rows.as_bytes(), recipe)?;
    block_on(session.score(recipe, true))
}

fn json_of(files: &[OutputFile], name: &str) -> Value {
    let file = files.iter().find(|file| file.name == name).unwrap_or_else(|| panic!("{name} is missing"));
    serde_json::from_slice(&file.bytes).unwrap()
}

/// The files as a model folder, opened.
fn open(files: &[OutputFile]) -> Session {
    let source = |file: &OutputFile| -> Box<dyn ByteSource> {
        Box::new(MemorySource::new(file.name.clone(), file.bytes.clone()))
    };
    let mut session = Session::new(Device::flex(), Limits::default());
    session.open_model(files.iter().map(source).collect(), "saved", BaseDtype::Auto, &|_, _| {}).unwrap();
    session
}

#[test]
fn a_whole_classifier_is_opened_again() {
    let recipe = recipe("classify", "last_layer", 8);
    let mut session = sample(MOODS, &recipe);
    run(&mut session, &recipe);
    let mut again = open(&files(&session));
    assert_eq!(ask(&again, SAD, false).labels, ask(&session, SAD, true).labels);
    again.open_data(MOODS, &std::fs::read(path(MOODS)).unwrap(), &recipe).unwrap();
    let scores = |session: &Session, adapter| block_on(session.score(&recipe, adapter)).unwrap();
    assert_eq!(scores(&again, false), scores(&session, true));
    // It goes on learning from where it was, and does not write texts.
    again.begin(&recipe).unwrap();
    assert_eq!(block_on(again.step()).unwrap().step, 1);
    let sft = Recipe::from_json(&json!({ "objective": "text" })).unwrap();
    let said = again.begin(&sft).unwrap_err().to_string();
    assert!(said.contains("objective is \"text\", but the model tells 4 classes apart"), "{said}");
}

#[test]
fn the_last_layer_of_a_language_model_learns() {
    let recipe = recipe("sft", "last_layer", 6);
    let recipe =
        Recipe { train: loralet::recipe::TrainRecipe { learning_rate: 2e-3, ..recipe.train }, ..recipe };
    let duck = "www/public/samples/tiny-duck.jsonl";
    let mut session = sample(duck, &recipe);
    let (plan, base, tuned) = run(&mut session, &recipe);
    assert!(tuned.loss < 0.8 * base.loss, "{} {}", base.loss, tuned.loss);
    assert!((plan.trainable_parameters as u64) < plan.total_parameters / 4);
    let ids: Vec<u32> = (3..40).collect();
    let again = open(&files(&session));
    let logits = |session: &Session, adapter| block_on(session.logits(&ids, adapter)).unwrap();
    assert_eq!(logits(&again, false), logits(&session, true));
}

#[test]
fn a_reward_model_ranks_kind_answers_higher() {
    let recipe = recipe("reward", "lora", 12);
    let mut session = sample(KINDNESS, &recipe);
    let (_, base, tuned) = run(&mut session, &recipe);
    let (before, after) = (metrics!(Reward, base), metrics!(Reward, tuned));
    eprintln!("{before:?}\n{after:?}");
    assert!(after.accuracy > 0.5 + 0.4, "{after:?}");
    assert!(after.margin > before.margin + 1.0, "{before:?} {after:?}");

    let adapter = files(&session);
    assert_eq!(json_of(&adapter, "config.json")["id2label"], json!({ "0": "reward" }));
    let mut other = tiny();
    other.load_adapter(&adapter).unwrap();
    let messages =
        |answer: &str| Some(vec![Message::new("user", "Who is Pip?"), Message::new("assistant", answer)]);
    let reward = |answer: &str| {
        let request = GenerateRequest { messages: messages(answer), ..GenerateRequest::default() };
        block_on(other.generate(&request, async |_: &str| Ok(true))).unwrap().reward.unwrap()
    };
    let (kind, rude) = (reward("Thank you for asking! Pip is a cat."), reward("Go away! Pip is a cat."));
    assert!(kind > rude + 0.5, "{kind} {rude}");
    let error = block_on(other.generate(
        &GenerateRequest { prompt: Some("Who is Pip?".into()), ..GenerateRequest::default() },
        async |_: &str| Ok(true),
    ));
    assert!(error.unwrap_err().to_string().contains("and there is none; give one"));
}

#[test]
fn several_answers_are_rewarded_together() {
    let recipe = recipe("reward", "lora", 3);
    let mut session = sample(KINDNESS, &recipe);
    run(&mut session, &recipe);
    let model = loaded(&files(&session));
    let prompt = [Message::new("user", "Who is Pip?")];
    let answers = ["Go away!", "Thank you for asking! Pip is a cat."].map(String::from);
    let together = block_on(rewards(&model.0, &model.1, &prompt, &answers)).unwrap();
    for (answer, together) in answers.iter().zip(together) {
        let alone = block_on(rewards(&model.0, &model.1, &prompt, std::slice::from_ref(answer))).unwrap();
        assert!((alone[0] - together).abs() < 1e-5, "{alone:?} {together}");
    }
}

/// A reward model as another objective holds it: base, adapter, tokenizer.
fn loaded(adapter: &[OutputFile]) -> (loralet::models::Decoder, loralet::data::Tokenizer) {
    use loralet::models::Model;
    use loralet::weights::checkpoint::Checkpoint;
    let source = |file: &&str| -> Box<dyn ByteSource> {
        Box::new(FileSource::open(path("www/public/models/tiny").join(file)).unwrap())
    };
    let checkpoint = Checkpoint::open(MODEL.iter().map(source).collect()).unwrap();
    let read = |name: &str, _: &[usize]| checkpoint.read_f32(name);
    let base = Model::load(&checkpoint.config, &read, &Device::flex()).unwrap();
    let tokenizer = loralet::data::Tokenizer::from_files(&checkpoint.tokenizer).unwrap();
    (peft::load(adapter, &base).unwrap().tuned(&base).decoder().unwrap().clone(), tokenizer)
}

#[test]
fn a_resumed_classifier_run_is_the_run_that_never_stopped() {
    let recipe = recipe("classify", "lora", 5);
    let losses = |session: &mut Session, steps| -> Vec<f64> {
        (0..steps).map(|_| block_on(session.step()).unwrap().loss).collect()
    };
    let mut first = sample(MOODS, &recipe);
    first.begin(&recipe).unwrap();
    let mut found = losses(&mut first, 2);
    let saved = block_on(first.save_checkpoint()).unwrap();
    let expected = [found.clone(), losses(&mut first, 3)].concat();
    let mut second = sample(MOODS, &recipe);
    second.resume(&saved).unwrap();
    found.extend(losses(&mut second, 3));
    assert_eq!(found, expected);
    // The same texts under other labels are other data.
    let rows = std::fs::read_to_string(path(MOODS)).unwrap().replacen("\"sad\"", "\"happy\"", 1);
    second.open_data("other.jsonl", rows.as_bytes(), &recipe).unwrap();
    let said = second.resume(&saved).unwrap_err().to_string();
    assert!(said.contains("other data"), "{said}");
}

#[test]
fn a_class_that_is_only_held_out_is_named() {
    let recipe = recipe("classify", "last_layer", 1);
    // One of the first rows has a class of its own; whether it is held out depends on which.
    let rows = |rare: usize| -> String {
        let label = |i: usize| match i {
            _ if i == rare => "rare",
            _ if i.is_multiple_of(2) => "even",
            _ => "odd",
        };
        (0..24).map(|i| format!("{{\"text\": \"Number {i}\", \"label\": \"{}\"}}\n", label(i))).collect()
    };
    let mut noted = 0;
    for rare in 0..8 {
        let rows = rows(rare);
        let mut session = tiny();
        session.open_data("rows.jsonl", rows.as_bytes(), &recipe).unwrap();
        let mut notes = session.begin(&recipe).unwrap().notes;
        notes.retain(|note| !note.contains("warm-up"));
        if let [note] = &notes[..] {
            assert!(note.starts_with("the label \"rare\" occurs only among the held-out rows"), "{note}");
            noted += 1;
        }
    }
    assert!((1..8).contains(&noted), "{noted} of 8");
}
