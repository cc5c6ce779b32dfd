//! The forgetting probe in whole runs with the bundled `tiny` model, whose own probe lies beside it.

use burn::tensor::Device;
use loralet::metrics::StepReport;
use loralet::recipe::{BaseDtype, Recipe};
use loralet::session::{Limits, Session};
use loralet::weights::source::{ByteSource, FileSource};
use pollster::block_on;
use serde_json::{Value, json};
use std::path::PathBuf;

const SAMPLE: &str = "www/public/samples/tiny-duck.jsonl";

fn path(relative: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(relative)
}

fn tiny() -> Session {
    let folder = std::fs::read_dir(path("www/public/models/tiny")).unwrap();
    let source = |entry: std::io::Result<std::fs::DirEntry>| {
        Box::new(FileSource::open(entry.unwrap().path()).unwrap())
    };
    let files = folder.map(|entry| source(entry) as Box<dyn ByteSource>).collect();
    let mut session = Session::new(Device::flex(), Limits::default());
    session.open_model(files, "tiny", BaseDtype::Auto, &|_, _| {}).unwrap();
    session
}

fn session() -> Session {
    let mut session = tiny();
    session.open_data(SAMPLE, &std::fs::read(path(SAMPLE)).unwrap(), &recipe(json!({}))).unwrap();
    session
}

fn recipe(changes: Value) -> Recipe {
    let mut value = json!({
        "train": { "max_steps": 6, "max_seq_length": 96, "learning_rate": 2e-3 },
        "lora": {}, "data": {}, "eval": { "eval_steps": 3 },
    });
    for (section, inner) in changes.as_object().unwrap() {
        for (key, entry) in inner.as_object().unwrap() {
            value[section][key] = entry.clone();
        }
    }
    Recipe::from_json(&value).unwrap()
}

fn run(session: &mut Session, recipe: &Recipe) -> Vec<StepReport> {
    let plan = session.begin(recipe).unwrap();
    (0..plan.total_steps).map(|_| block_on(session.step()).unwrap()).collect()
}

#[test]
fn the_probe_is_scored_before_training_and_at_each_evaluation() {
    let mut session = session();
    let with = recipe(json!({}));
    let base = block_on(session.score(&with, false)).unwrap().probe_loss.unwrap();
    let plan = session.begin(&with).unwrap();
    assert!(plan.probe.as_ref().unwrap().name.contains("tiny"), "{:?}", plan.probe);
    let reports = run(&mut session, &with);
    let scored: Vec<usize> = reports.iter().filter(|r| r.probe_loss.is_some()).map(|r| r.step).collect();
    assert_eq!(scored, [3, 6]);
    assert_eq!(reports[0].base_probe_loss, Some(base));
    assert_eq!(reports[1].base_probe_loss, None);
    let last = reports.last().unwrap();
    assert_eq!(last.evaluation.as_ref().unwrap().probe_loss, last.probe_loss);
    assert_eq!(block_on(session.score(&with, true)).unwrap().probe_loss, last.probe_loss);
    assert_ne!(last.probe_loss, Some(base));
}

#[test]
fn the_probe_changes_no_loss() {
    let losses = |probe: bool| -> Vec<(f64, f64)> {
        let recipe = recipe(json!({ "eval": { "probe": probe }, "lora": { "dropout": 0.1 } }));
        let reports = run(&mut session(), &recipe);
        assert_eq!(reports[5].probe_loss.is_some(), probe);
        reports.iter().map(|report| (report.loss, report.grad_norm)).collect()
    };
    assert_eq!(losses(true), losses(false));
}

#[test]
fn a_resumed_run_measures_the_same_base() {
    let mut first = session();
    let recipe = recipe(json!({}));
    let expected = run(&mut first, &recipe);
    let mut second = session();
    second.begin(&recipe).unwrap();
    (0..4).for_each(|_| drop(block_on(second.step()).unwrap()));
    let saved = block_on(second.save_checkpoint()).unwrap();
    let mut third = session();
    third.resume(&saved).unwrap();
    let fifth = block_on(third.step()).unwrap();
    let sixth = block_on(third.step()).unwrap();
    assert_eq!(fifth.base_probe_loss, expected[0].base_probe_loss);
    assert_eq!(sixth.probe_loss, expected[5].probe_loss);
}

#[test]
fn a_file_of_the_users_takes_the_place_of_the_built_in_probe() {
    let mut session = session();
    let recipe = recipe(json!({ "train": { "max_steps": 1 } }));
    let built_in = run(&mut session, &recipe)[0].base_probe_loss.unwrap();
    let own =
        session.open_probe("mine.txt", b"Mia lives in the red house.\n\n\nTom lives in the mill.\n").unwrap();
    assert_eq!((own.name.as_str(), own.examples), ("mine.txt", 2));
    let mine = run(&mut session, &recipe)[0].base_probe_loss.unwrap();
    assert!((mine - built_in).abs() > 1e-3, "{mine} {built_in}");
    // A mistake leaves the one before in place.
    let pairs = b"{\"prompt\": \"a\", \"chosen\": \"b\", \"rejected\": \"c\"}\n";
    let error = session.open_probe("pairs.jsonl", pairs).unwrap_err().to_string();
    assert!(error.contains("pairs.jsonl") && error.contains("questions with one answer"), "{error}");
    let error = session.open_probe("empty.txt", b"").unwrap_err();
    assert_eq!((error.kind(), error.key()), (loralet::ErrorKind::InvalidData, Some("empty.txt")), "{error}");
    assert_eq!(run(&mut session, &recipe)[0].base_probe_loss, Some(mine));
    session.close_probe();
    assert_eq!(run(&mut session, &recipe)[0].base_probe_loss, Some(built_in));
}

#[test]
fn general_rows_are_mixed_into_the_training_rows_alone() {
    let mut session = session();
    let without = session.begin(&recipe(json!({}))).unwrap();
    let plan = session.begin(&recipe(json!({ "data": { "general_fraction": 0.25 } }))).unwrap();
    assert_eq!(plan.validation_examples, without.validation_examples);
    let mixed = plan.train_examples - without.train_examples;
    assert_eq!(mixed, without.train_examples / 3);
    assert!(plan.notes.iter().any(|note| note.starts_with(&format!("{mixed} of the"))), "{:?}", plan.notes);
    // More than there are: each is repeated.
    let plan = session.begin(&recipe(json!({ "data": { "general_fraction": 0.9 } }))).unwrap();
    assert_eq!(plan.train_examples, without.train_examples * 10);
}

/// The probe's rise, and the held-out loss.
fn outcome(changes: Value) -> (f64, f64) {
    let mut value =
        json!({ "train": { "max_steps": 60, "lr_scheduler_type": "constant" }, "lora": { "rank": 16 } });
    for (section, inner) in changes.as_object().unwrap() {
        for (key, entry) in inner.as_object().unwrap() {
            value[section][key] = entry.clone();
        }
    }
    let reports = run(&mut session(), &recipe(value));
    let last = reports.last().unwrap();
    let found = (
        last.probe_loss.unwrap() - reports[0].base_probe_loss.unwrap(),
        last.evaluation.as_ref().unwrap().loss,
    );
    eprintln!("{changes}: probe {:+.3}, validation {:.3}", found.0, found.1);
    found
}

#[test]
fn each_mitigation_lowers_the_rise_of_a_harsh_run() {
    let harsh = json!({ "train": { "learning_rate": 4e-3 } });
    let (rise, _) = outcome(harsh.clone());
    assert!(rise > 0.05, "{rise}");
    for (name, changes) in [
        ("rate", json!({ "train": { "learning_rate": 2e-3 } })),
        ("kl", json!({ "train": { "learning_rate": 4e-3, "kl_to_base": 1.0 } })),
        ("mixed", json!({ "train": { "learning_rate": 4e-3 }, "data": { "general_fraction": 0.3 } })),
    ] {
        let (gentler, _) = outcome(changes);
        assert!(gentler < 0.7 * rise, "{name}: {gentler} against {rise}");
    }
}

#[test]
fn a_penalty_is_reported_beside_the_loss() {
    let reports = run(&mut session(), &recipe(json!({ "train": { "kl_to_base": 0.5 } })));
    let without = run(&mut session(), &recipe(json!({})));
    // Tuned and base are the same before the first step, whose loss the penalty does not change.
    assert_eq!(metrics!(Tokens, reports[0]).kl_to_base, Some(0.0));
    assert!((reports[0].loss - without[0].loss).abs() < 1e-6);
    assert!(
        metrics!(Tokens, reports[5]).kl_to_base.unwrap() > 0.0
            && metrics!(Tokens, without[5]).kl_to_base.is_none()
    );
}

#[test]
fn settings_against_forgetting_are_checked() {
    let error = |changes: Value| Recipe::from_json(&changes).unwrap_err().to_string();
    assert!(error(json!({ "data": { "general_fraction": 1.0 } })).contains("data.general_fraction is 1"));
    assert!(error(json!({ "train": { "kl_to_base": -1 } })).contains("train.kl_to_base is -1"));
    let text = error(json!({ "objective": "dpo", "train": { "kl_to_base": 0.1 } }));
    assert!(text.contains("0 for the objective dpo"), "{text}");
}
