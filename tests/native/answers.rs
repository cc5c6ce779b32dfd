//! Prompts that are read into the cache, and answers that are stopped.

use crate::support;
use burn::tensor::Device;
use loralet::data::Tokenizer;
use loralet::generate::{Caller, PIECE, Sampler, Sampling, StopReason, generate, group::sample_group};
use loralet::models::{Decoder, Model};
use loralet::recipe::{BaseDtype, Recipe};
use loralet::session::{Limits, Session};
use loralet::weights::{ByteSource, Checkpoint, FileSource};
use pollster::block_on;
use serde_json::json;
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

#[test]
fn cached_logits_are_those_of_whole_sequences() {
    block_on(support::answers::cached_logits(&Device::flex(), 1e-4));
}

#[test]
fn a_long_prompt_is_read_without_scores() {
    block_on(support::answers::long_prompt(&Device::flex(), 1e-4));
}

#[test]
fn attention_of_all_lengths_is_the_plain_one() {
    block_on(support::attention::of_lengths(&Device::flex(), 1e-4));
}

fn public(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("www/public").join(path)
}

fn tiny() -> Vec<Box<dyn ByteSource>> {
    let files = [
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
        "model.safetensors",
    ];
    let source = |name| -> Box<dyn ByteSource> {
        Box::new(FileSource::open(public("models/tiny").join(name)).unwrap())
    };
    files.map(source).into()
}

/// The tokenizer of `tiny`, and a model that always says the token of one byte, which is no whole character.
fn half_a_character() -> (Decoder, Tokenizer, u32) {
    let checkpoint = Checkpoint::open(tiny()).unwrap();
    let tokenizer = Tokenizer::from_files(&checkpoint.tokenizer).unwrap();
    let mut config = checkpoint.config.clone();
    config["num_hidden_layers"] = 1.into();
    config["tie_word_embeddings"] = false.into();
    let half = (0..config["vocab_size"].as_u64().unwrap() as u32)
        .find(|&id| tokenizer.decode(&[id], true).unwrap() == "\u{fffd}")
        .unwrap();
    let weights = |name: &str, shape: &[usize]| {
        let width = shape[shape.len() - 1];
        let value = |i: usize| match name {
            "lm_head.weight" => (i / width == half as usize) as u8 as f32,
            _ if name.ends_with("proj.weight") => 0.0,
            _ => 1.0,
        };
        Ok((0..shape.iter().product()).map(value).collect())
    };
    let model = Model::load(&config, &weights, &Device::flex()).unwrap();
    (model.decoder().unwrap().clone(), tokenizer, half)
}

#[test]
fn an_answer_stops_within_a_token_also_while_its_prompt_is_read() {
    let (model, tokenizer, half) = half_a_character();
    let room = model.spec.max_position_embeddings;
    assert!(room > PIECE + 10, "two pieces and an answer fit into {room} positions");
    let run = |prompt: usize, calls: usize| {
        let mut asked = 0;
        let on_text = async |_: &str| {
            asked += 1;
            Ok(asked < calls)
        };
        let prompt = vec![half; prompt];
        let answer = generate(&model, &tokenizer, &prompt, &[], 9, Sampling::default(), on_text);
        let answer = block_on(answer).unwrap();
        (answer.tokens, answer.stopped, asked)
    };
    // It is asked between two pieces.
    assert_eq!(run(PIECE + 1, 1), (0, StopReason::Caller, 1));
    assert_eq!(run(PIECE + 1, 2), (1, StopReason::Caller, 2));
    assert_eq!(run(PIECE, 1), (1, StopReason::Caller, 1));
    // And after each token, though none of them makes a whole character.
    assert_eq!(run(5, 4), (4, StopReason::Caller, 4));
    assert_eq!(run(5, 99), (9, StopReason::Length, 9));
}

#[test]
fn answers_that_are_sampled_together_stop_within_a_token() {
    let (model, _, half) = half_a_character();
    let run = |prompt: usize, calls: usize| {
        let mut asked = 0;
        let go_on = async || {
            asked += 1;
            Ok(asked < calls)
        };
        let mut samplers = [1, 2].map(|stream| Sampler::on_stream(Sampling::default(), stream));
        let answers =
            block_on(sample_group(&model, &vec![half; prompt], &[], 9, &mut samplers, go_on)).unwrap();
        (answers.map(|answers| answers[0].ids.len()), asked)
    };
    assert_eq!(run(PIECE + 1, 1), (None, 1));
    assert_eq!(run(5, 3), (None, 3));
    assert_eq!(run(5, 99), (Some(9), 8));
}

/// A run that is stopped while it samples has done none of the step: it goes on with the figures of one that never stopped.
#[test]
fn a_run_that_is_stopped_while_it_samples_goes_on_as_if_it_was_not() {
    let recipe = Recipe::from_json(&json!({
        "objective": "grpo", "grpo": { "reward": "length", "num_generations": 4, "max_completion_length": 24 },
        "train": { "max_steps": 3, "max_seq_length": 96, "batch_size": 4 },
        "eval": { "eval_steps": 1, "validation_fraction": 0.05, "probe": false },
    }))
    .unwrap();
    let run = |stops: bool| {
        let mut session = Session::new(Device::flex(), Limits::default());
        session.open_model(tiny(), "tiny", BaseDtype::Auto, &|_, _| {}).unwrap();
        let rows = std::fs::read(public("samples/tiny-brief.jsonl")).unwrap();
        session.open_data("tiny-brief.jsonl", &rows, &recipe).unwrap();
        // How many tokens may still be sampled.
        let left = Rc::new(Cell::new(usize::MAX));
        let of_caller = left.clone();
        session.set_caller(Some(Caller::new(move || {
            let left = of_caller.get();
            of_caller.set(left.saturating_sub(1));
            Box::pin(async move { left > 0 })
        })));
        session.begin(&recipe).unwrap();
        let mut figures = Vec::new();
        for step in 0..3 {
            if stops && step == 1 {
                left.set(10);
                let error = block_on(session.step()).unwrap_err();
                assert_eq!((error.kind(), session.steps_done()), (loralet::ErrorKind::Stopped, 1), "{error}");
                left.set(usize::MAX);
            }
            let report = block_on(session.step()).unwrap();
            figures.push((report.loss, report.grad_norm, report.metrics, report.evaluation));
        }
        figures
    };
    assert_eq!(run(true), run(false));
}
