//! Whole preference runs with the bundled `tiny` model on the bundled sample, which
//! `examples/tiny/make_kindness.py` wrote: kind answers are chosen, rude ones rejected.

use burn::tensor::Device;
use loralet::metrics::{Evaluation, PreferenceMetrics};
use loralet::recipe::{BaseDtype, Recipe};
use loralet::session::{Limits, Session};
use loralet::weights::source::{ByteSource, FileSource};
use pollster::block_on;
use serde_json::json;
use std::path::PathBuf;

const SAMPLE: &str = "www/public/samples/tiny-kindness.jsonl";

fn path(relative: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(relative)
}

fn session(data: &[u8], name: &str) -> Session {
    let files = [
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
        "model.safetensors",
    ];
    let source = |file: &&str| -> Box<dyn ByteSource> {
        Box::new(FileSource::open(path("www/public/models/tiny").join(file)).unwrap())
    };
    let mut session = Session::new(Device::flex(), Limits::default());
    session.open_model(files.iter().map(source).collect(), "tiny", BaseDtype::Auto, &|_, _| {}).unwrap();
    session.open_data(name, data, &Recipe::default()).unwrap();
    session
}

fn sample() -> Session {
    session(&std::fs::read(path(SAMPLE)).unwrap(), "tiny-kindness.jsonl")
}

fn recipe(objective: &str, max_steps: usize) -> Recipe {
    Recipe::from_json(&json!({
        "objective": objective,
        "train": { "learning_rate": 5e-4, "max_steps": max_steps, "batch_size": 8, "max_seq_length": 96 },
        "eval": { "eval_steps": 1000 },
    }))
    .unwrap()
}

/// Held-out scores before and after `steps` steps, and the losses.
fn run(session: &mut Session, recipe: &Recipe, steps: usize) -> (Evaluation, Evaluation, Vec<f64>) {
    session.begin(recipe).unwrap();
    let base = block_on(session.evaluate()).unwrap();
    let losses = (0..steps).map(|_| block_on(session.step()).unwrap().loss).collect();
    (base, block_on(session.evaluate()).unwrap(), losses)
}

fn preference(evaluation: &Evaluation) -> PreferenceMetrics {
    metrics!(Preference, evaluation)
}

#[test]
fn dpo_raises_the_held_out_margin_and_accuracy() {
    let mut session = sample();
    let (base, tuned, losses) = run(&mut session, &recipe("dpo", 10), 10);
    assert!((losses[0] - std::f64::consts::LN_2).abs() < 1e-6, "{losses:?}");
    let (base, tuned) = (preference(&base), preference(&tuned));
    assert_eq!((base.rewards_margin, base.rewards_accuracy), (0.0, Some(0.0)));
    assert!(tuned.rewards_margin > 1.0 && tuned.rewards_accuracy.unwrap() > 0.9, "{tuned:?}");
    assert!(tuned.logps_accuracy.unwrap() > base.logps_accuracy.unwrap() + 0.1, "{base:?} {tuned:?}");
    // The reward is beta times what the margin has grown.
    let grown = 0.1 * (tuned.logps_margin - base.logps_margin);
    assert!((tuned.rewards_margin - grown).abs() < 1e-3, "{grown} {tuned:?}");
    assert_eq!(run(&mut session, &recipe("dpo", 10), 2).2, losses[..2]);
}

#[test]
fn every_preference_objective_moves_towards_the_chosen_answers() {
    for objective in ["orpo", "kto"] {
        let (base, tuned, _) = run(&mut sample(), &recipe(objective, 8), 8);
        assert!(tuned.loss < base.loss, "{objective}: {} {}", base.loss, tuned.loss);
        let (base, tuned) = (preference(&base), preference(&tuned));
        assert!(tuned.logps_margin > base.logps_margin, "{objective}: {base:?} {tuned:?}");
        assert_eq!(tuned.rewards_accuracy.is_some(), objective == "orpo");
    }
}

#[test]
fn rated_answers_train_and_score() {
    let row = |i: usize| {
        let liked = i.is_multiple_of(2);
        let answer = if liked { "Thank you! Yes." } else { "Go away! No." };
        json!({ "prompt": format!("Is {i} a number?"), "completion": answer, "label": liked }).to_string()
            + "\n"
    };
    let rows: String = (0..24).map(row).collect();
    let mut session = session(rows.as_bytes(), "rated.jsonl");
    let recipe = recipe("kto", 6);
    run(&mut session, &recipe, 6);
    let score = |adapter| block_on(session.score(&recipe, adapter)).unwrap();
    let (base, tuned) = (score(false), score(true));
    assert!((base.loss - 0.5).abs() < 1e-6, "{}", base.loss);
    assert!(preference(&tuned).rewards_margin > preference(&base).rewards_margin + 0.5, "{tuned:?}");
}

#[test]
fn a_resumed_preference_run_is_the_run_that_never_stopped() {
    let recipe = recipe("dpo", 5);
    let losses = |session: &mut Session, steps| -> Vec<f64> {
        (0..steps).map(|_| block_on(session.step()).unwrap().loss).collect()
    };
    let mut first = sample();
    first.begin(&recipe).unwrap();
    let mut found = losses(&mut first, 2);
    let saved = block_on(first.save_checkpoint()).unwrap();
    let expected = [found.clone(), losses(&mut first, 3)].concat();
    let mut second = sample();
    second.resume(&saved).unwrap();
    found.extend(losses(&mut second, 3));
    assert_eq!(found, expected);
}

#[test]
fn data_of_another_objective_is_refused_in_a_sentence() {
    let mut session = sample();
    let error = session.begin(&recipe("sft", 1)).unwrap_err().to_string();
    let expected = "recipe: objective is \"sft\", but tiny-kindness.jsonl holds preference pairs, for which it must be dpo or orpo or kto or reward";
    assert_eq!(error, expected);
    let error = block_on(session.score(&recipe("text", 1), false)).unwrap_err();
    assert_eq!((error.kind(), error.key()), (loralet::ErrorKind::InvalidSetting, Some("objective")));
}
