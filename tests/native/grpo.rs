//! Rollouts, rewards and whole GRPO runs with the bundled `tiny` model.

use burn::tensor::Device;
use loralet::data::{Message, Tokenizer};
use loralet::export::{OutputFile, zip};
use loralet::generate::{Sampler, Sampling, generate, group::sample_group};
use loralet::metrics::{RolloutMetrics, StepReport};
use loralet::models::{Decoder, Model};
use loralet::recipe::{BaseDtype, Recipe};
use loralet::rewards::person::{Person, Rater};
use loralet::session::{Limits, Session};
use loralet::weights::checkpoint::Checkpoint;
use loralet::weights::source::{ByteSource, FileSource};
use pollster::block_on;
use serde_json::{Value, json};
use std::path::PathBuf;

const MODEL: [&str; 5] =
    ["config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "model.safetensors"];

fn path(relative: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(relative)
}

fn sources() -> Vec<Box<dyn ByteSource>> {
    let source = |file: &&str| -> Box<dyn ByteSource> {
        Box::new(FileSource::open(path("www/public/models/tiny").join(file)).unwrap())
    };
    MODEL.iter().map(source).collect()
}

fn model() -> (Decoder, Tokenizer) {
    let checkpoint = Checkpoint::open(sources()).unwrap();
    let read = |name: &str, _: &[usize]| checkpoint.read_f32(name);
    let model = Model::load(&checkpoint.config, &read, &Device::flex()).unwrap();
    (model.decoder().unwrap().clone(), Tokenizer::from_files(&checkpoint.tokenizer).unwrap())
}

#[test]
fn answers_sampled_together_are_those_sampled_alone() {
    let (model, tokenizer) = model();
    let prompt = tokenizer.encode_chat(&[Message::new("user", "Tell me about Pip.")], true).unwrap();
    let stop = tokenizer.end_of_turn_ids();
    let sampling = |seed| Sampling { temperature: 1.0, seed, ..Sampling::default() };
    let seeds = [3, 1, 4, 15, 9, 2];
    let mut samplers: Vec<Sampler> = seeds.map(|seed| Sampler::new(sampling(seed))).into();
    let together = sample_group(&model, &prompt, &stop, 40, &mut samplers, async || Ok(true));
    let together = block_on(together).unwrap().unwrap();
    let mut lengths = Vec::new();
    for (seed, completion) in seeds.into_iter().zip(together) {
        let alone =
            generate(&model, &tokenizer, &prompt, &stop, 40, sampling(seed), async |_: &str| Ok(true));
        let alone = block_on(alone).unwrap();
        assert_eq!(tokenizer.decode(&completion.ids, true).unwrap(), alone.text);
        assert_eq!(completion.ids.len(), alone.tokens + completion.ended as usize);
        lengths.push(completion.ids.len());
    }
    lengths.dedup();
    assert!(lengths.len() > 3, "answers of different lengths show that each ends by itself: {lengths:?}");
}

fn session(name: &str, data: &[u8], recipe: &Recipe) -> Session {
    let mut session = Session::new(Device::flex(), Limits::default());
    session.open_model(sources(), "tiny", BaseDtype::Auto, &|_, _| {}).unwrap();
    session.open_data(name, data, recipe).unwrap();
    session
}

/// The sample that `examples/tiny/make_brief.py` wrote: questions without answers.
fn sample(recipe: &Recipe) -> Session {
    session("tiny-brief.jsonl", &std::fs::read(path("www/public/samples/tiny-brief.jsonl")).unwrap(), recipe)
}

fn recipe(grpo: Value, max_steps: usize) -> Recipe {
    Recipe::from_json(&json!({
        "objective": "grpo", "grpo": grpo,
        "train": {
            "learning_rate": 1e-3, "max_steps": max_steps, "max_seq_length": 96, "lr_scheduler_type": "constant",
        },
        "eval": { "eval_steps": 1000, "validation_fraction": 0.2, "probe": false },
    }))
    .unwrap()
}

fn steps(session: &mut Session, count: usize) -> Vec<StepReport> {
    (0..count).map(|_| block_on(session.step()).unwrap()).collect()
}

fn held_out(session: &Session) -> RolloutMetrics {
    let evaluation = block_on(session.evaluate()).unwrap();
    let rollout = metrics!(Rollout, evaluation);
    assert_eq!(evaluation.loss, -rollout.reward);
    rollout
}

/// All but how long a step took.
fn figures(steps: &[StepReport]) -> Vec<(f64, f64, RolloutMetrics)> {
    steps.iter().map(|step| (step.loss, step.grad_norm, metrics!(Rollout, step))).collect()
}

#[test]
fn answers_come_near_the_length_that_is_rewarded() {
    let recipe = recipe(json!({ "reward": "length", "target_length": 12, "max_completion_length": 48 }), 24);
    let mut session = sample(&recipe);
    let plan = session.begin(&recipe).unwrap();
    let base = held_out(&session);
    let steps = steps(&mut session, 24);
    let tuned = held_out(&session);
    eprintln!("{base:?}\n{tuned:?}");
    assert!(tuned.reward > base.reward + 0.3, "{base:?} {tuned:?}");
    assert_eq!(plan.steps_per_epoch, 13);
    let first = metrics!(Rollout, steps[0]);
    // The model has not moved yet, and its answers are its own.
    assert_eq!((first.kl, first.clip_ratio), (Some(0.0), Some(0.0)));
    assert!(first.reward_std > 0.0 && first.completion_length > 4.0, "{first:?}");
    assert!(metrics!(Rollout, steps[23]).kl.unwrap() > 0.0);
    // `score` samples anew on every row of the file.
    let score = |adapter| block_on(session.score(&recipe, adapter)).unwrap();
    let (base, tuned) = (score(false), score(true));
    assert_eq!(tuned.examples, 64);
    assert!(metrics!(Rollout, tuned).reward > metrics!(Rollout, base).reward + 0.3);
}

#[test]
fn a_resumed_run_is_the_run_that_never_stopped_also_between_two_steps_on_the_same_answers() {
    let grpo = json!({
        "reward": "length", "target_length": 5, "max_completion_length": 16, "num_iterations": 3, "epsilon": 0.02,
        "num_generations": 4,
    });
    let recipe = recipe(grpo, 6);
    let mut first = sample(&recipe);
    assert_eq!(first.begin(&recipe).unwrap().steps_per_epoch, 39);
    let mut found = steps(&mut first, 2);
    let saved = block_on(first.save_checkpoint()).unwrap();
    let expected = [found.clone(), steps(&mut first, 4)].concat();
    let mut second = sample(&recipe);
    second.resume(&saved).unwrap();
    // Answers are sampled by the model that the step before left, so steps come one by one.
    let third = block_on(second.steps(4)).unwrap();
    assert_eq!(third.len(), 1);
    found.extend(third);
    found.extend(steps(&mut second, 3));
    assert_eq!(figures(&found), figures(&expected));
    let clipped: Vec<f64> = expected.iter().map(|step| metrics!(Rollout, step).clip_ratio.unwrap()).collect();
    // The first of three steps on the same answers follows them wherever they lead; later ones do not.
    assert_eq!((clipped[0], clipped[3]), (0.0, 0.0));
    assert!(clipped[2] > 0.0 && clipped[5] > 0.0, "{clipped:?}");
    let rewards: Vec<f64> = expected.iter().map(|step| metrics!(Rollout, step).reward).collect();
    assert_eq!((rewards[0], rewards[3]), (rewards[2], rewards[5]));
    assert_ne!(rewards[0], rewards[3]);
}

#[test]
fn written_answers_can_be_checked() {
    let rows = [
        ("Who is Pip?", "Pip is a cat from Fernbrook. He lives in the bakery."),
        ("What do cats eat?", "Cats eat fish."),
    ];
    let rows: String = rows
        .iter()
        .map(|(prompt, completion)| format!("{}\n", json!({ "prompt": prompt, "completion": completion })))
        .collect();
    let recipe = recipe(json!({ "num_generations": 4 }), 1);
    let asked = session("pairs.jsonl", rows.as_bytes(), &recipe);
    let found = metrics!(Rollout, block_on(asked.score(&recipe, false)).unwrap());
    assert!(found.reward > 0.0 && found.reward < 1.0, "{found:?}");

    let rows = rows.replace("completion", "answer");
    let same = session("prompts.jsonl", rows.as_bytes(), &recipe);
    assert_eq!(metrics!(Rollout, block_on(same.score(&recipe, false)).unwrap()), found);
    let missing = rows + "{\"prompt\": \"Who are you?\"}\n";
    let mut lacking = session("prompts.jsonl", missing.as_bytes(), &recipe);
    let said = lacking.begin(&recipe).unwrap_err().to_string();
    assert!(
        said.starts_with("prompts.jsonl, line 3: has no \"answer\" that the reward exact_match"),
        "{said}"
    );
    let said = lacking.begin(&Recipe::default()).unwrap_err().to_string();
    assert!(said.contains("prompts.jsonl holds prompts, for which it must be grpo"), "{said}");
}

/// Likes short answers, and leaves after so many prompts.
struct Impatient(std::cell::Cell<usize>);

impl Rater for Impatient {
    fn rate<'a>(
        &'a self,
        prompt: &'a [Message],
        answers: &'a [String],
    ) -> std::pin::Pin<Box<dyn Future<Output = loralet::Result<Vec<f64>>> + 'a>> {
        Box::pin(async move {
            assert_eq!((prompt.len(), answers.len()), (1, 4));
            let left = self.0.get().checked_sub(1);
            self.0.set(left.ok_or(loralet::Error::Training { reason: "gone".into() })?);
            let mut lengths: Vec<usize> = answers.iter().map(String::len).collect();
            lengths.sort();
            Ok(answers.iter().map(|answer| if answer.len() <= lengths[1] { 1.0 } else { 0.0 }).collect())
        })
    }
}

#[test]
fn a_person_rewards_answers_while_the_run_waits() {
    let settings = json!({ "reward": "person", "num_generations": 4, "max_completion_length": 32 });
    let recipe = recipe(settings, 12);
    let mut asked = sample(&recipe);
    let said = asked.begin(&recipe).unwrap_err().to_string();
    assert!(said.contains("grpo.reward is \"person\", but there is nobody here to rate answers"), "{said}");
    let said = block_on(asked.score(&recipe, false)).unwrap_err().to_string();
    assert!(said.contains("a person is asked while training only"), "{said}");

    let prompts = 10 * recipe.train.batch_size;
    asked.set_person(Some(Person::new(Impatient(prompts.into()))));
    let plan = asked.begin(&recipe).unwrap();
    assert_eq!((plan.validation_examples, plan.notes.len()), (0, 1), "{:?}", plan.notes);
    let reports = steps(&mut asked, 10);
    let length = |reports: &[StepReport]| {
        let lengths = reports.iter().map(|report| metrics!(Rollout, report).completion_length);
        lengths.sum::<f64>() / reports.len() as f64
    };
    let (first, last) = (length(&reports[..3]), length(&reports[7..]));
    assert!(last < first - 2.0, "answers of {first} tokens became {last}");
    // Whoever leaves ends the step, which changes nothing.
    let before = block_on(asked.adapter_files()).unwrap();
    assert!(block_on(asked.step()).unwrap_err().to_string().contains("gone"));
    assert_eq!(asked.steps_done(), 10);
    assert_eq!(block_on(asked.adapter_files()).unwrap()[1].bytes, before[1].bytes);
}

#[test]
fn a_reward_model_rewards_answers() {
    let reward = Recipe::from_json(&json!({
        "objective": "reward", "lora": { "rank": 8 }, "eval": { "eval_steps": 1000, "probe": false },
        "train": { "learning_rate": 2e-3, "max_steps": 12, "batch_size": 16, "max_seq_length": 96 },
    }))
    .unwrap();
    let kindness = std::fs::read(path("www/public/samples/tiny-kindness.jsonl")).unwrap();
    let mut judge = session("tiny-kindness.jsonl", &kindness, &reward);
    judge.begin(&reward).unwrap();
    steps(&mut judge, 12);
    let files = block_on(judge.adapter_files()).unwrap();

    let recipe =
        recipe(json!({ "reward": "reward_model", "num_generations": 4, "max_completion_length": 24 }), 2);
    let mut asked = sample(&recipe);
    let said = asked.begin(&recipe).unwrap_err().to_string();
    assert!(said.contains("grpo.reward is \"reward_model\", but no reward model is open"), "{said}");
    asked.open_reward_model(&files).unwrap();
    asked.begin(&recipe).unwrap();
    let from_folder = held_out(&asked);
    let zipped = OutputFile { name: "reward.zip".into(), bytes: zip(&files).unwrap() };
    asked.open_reward_model(&[zipped]).unwrap();
    asked.begin(&recipe).unwrap();
    assert_eq!(held_out(&asked), from_folder);
    assert!(from_folder.reward.is_finite() && from_folder.reward_std > 0.0, "{from_folder:?}");
    let steps = steps(&mut asked, 2);
    assert!(steps.iter().all(|step| step.grad_norm > 0.0));

    // What writes text judges none, and leaves the reward model that is open.
    let said = asked.open_reward_model(&block_on(asked.adapter_files()).unwrap()).unwrap_err().to_string();
    assert!(said.contains("it is not a reward model"), "{said}");
    let broken = OutputFile { name: "reward.zip".into(), bytes: b"PK no zip".to_vec() };
    assert!(asked.open_reward_model(&[broken]).unwrap_err().to_string().contains("cannot be unpacked"));
    asked.begin(&recipe).unwrap();
    asked.close_reward_model();
    let error = asked.begin(&recipe).expect_err("no reward model is open");
    assert_eq!(
        (error.kind(), error.key()),
        (loralet::ErrorKind::InvalidSetting, Some("grpo.reward")),
        "{error}"
    );
}
