//! Losses, figures and gradients of the preference objectives against TRL's. The fixture and the
//! script that made it are in `tests/fixtures/preference`.

use super::{Tensors, random_llama, tensors};
use burn::tensor::{Device, Tensor, TensorData};
use loralet::adapters::Trainable;
use loralet::data::{Batch, BatchOptions, BatchRow, Example, Preference, Sequence, collate};
use loralet::kernels::readback::read;
use loralet::metrics::{Counts, PreferenceMetrics};
use loralet::objectives::{Loss, Share};
use loralet::recipe::Recipe;
use serde_json::{Value, json};

macro_rules! fixture {
    ($path:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/", $path)).as_slice()
    };
}

/// Every case of the fixture, on one batch and on two that are added up.
pub async fn losses(device: &Device, loss_tolerance: f64, gradient_tolerance: f32) {
    let fixture: Value = serde_json::from_slice(fixture!("preference/losses.json")).unwrap();
    let stored = tensors(fixture!("preference/gradients.safetensors"));
    for case in fixture["cases"].as_array().unwrap() {
        let with_gradients = case["adapter"] == "random";
        let run = Run::new(&fixture, case, &stored, device);
        let (figures, gradient) = run.figures(usize::MAX).await;
        assert_close(case, "loss", figures[0], loss_tolerance);
        let metrics = PreferenceMetrics::from_sums(&figures[1..], &run.whole()).unwrap();
        for (name, value) in [
            ("rewards/chosen", Some(metrics.rewards_chosen)),
            ("rewards/rejected", Some(metrics.rewards_rejected)),
            ("rewards/margins", Some(metrics.rewards_margin)),
            ("rewards/accuracies", metrics.rewards_accuracy),
            ("logps/chosen", Some(metrics.logps_chosen)),
            ("logps/rejected", Some(metrics.logps_rejected)),
        ] {
            // A reward is a small difference of large sums.
            let Some(value) = value else { continue };
            let expected = case["metrics"][name].as_f64().unwrap();
            let allowed = loss_tolerance * if name.starts_with("logps") { expected.abs() } else { 10.0 };
            assert!(
                (value - expected).abs() <= allowed,
                "{}: {name} is {value}, not {expected}",
                case["name"]
            );
        }
        if with_gradients {
            run.compare_gradients(case, &gradient, &stored, gradient_tolerance);
        }
        if case["objective"] != "kto" {
            // KTO's shift belongs to a micro-batch; the others do not depend on how a batch is cut.
            let (cut, cut_gradient) = run.figures(2).await;
            assert_close(case, "loss", cut[0], loss_tolerance);
            if with_gradients {
                run.compare_gradients(case, &cut_gradient, &stored, gradient_tolerance);
            }
        }
    }
}

/// Before the first step policy and reference agree, whatever the data.
pub async fn first_dpo_loss(device: &Device) {
    let fixture: Value = serde_json::from_slice(fixture!("preference/losses.json")).unwrap();
    let stored = tensors(fixture!("preference/gradients.safetensors"));
    let case = json!({ "name": "first", "objective": "dpo", "beta": 0.3, "adapter": "zero" });
    let run = Run::new(&fixture, &case, &stored, device);
    let (figures, gradient) = run.figures(usize::MAX).await;
    assert!((figures[0] - std::f64::consts::LN_2).abs() < 1e-7, "{}", figures[0]);
    let metrics = PreferenceMetrics::from_sums(&figures[1..], &run.whole()).unwrap();
    assert_eq!((metrics.rewards_margin, metrics.rewards_accuracy), (0.0, Some(0.0)));
    assert!(metrics.logps_margin != 0.0 && gradient.iter().any(|&value| value != 0.0));
}

struct Run {
    loss: Loss,
    base: loralet::models::Model,
    trainable: Trainable,
    examples: Vec<Example>,
}

impl Run {
    fn new(fixture: &Value, case: &Value, stored: &Tensors, device: &Device) -> Run {
        let preference: serde_json::Map<String, Value> =
            ["beta", "loss_type", "desirable_weight", "undesirable_weight"]
                .into_iter()
                .filter_map(|key| Some((key.to_string(), case.get(key)?.clone())))
                .collect();
        let recipe = Recipe::from_json(&json!({
            "objective": case["objective"], "preference": preference,
            "lora": { "rank": fixture["rank"], "alpha": fixture["alpha"] },
        }))
        .unwrap();
        let base = random_llama(fixture!("llama/random_llama/config.json"), false, device);
        let mut trainable = Trainable::new(&base, &recipe);
        let zero = case["adapter"] == "zero";
        let values: Vec<f32> = trainable
            .parameters
            .iter()
            .flat_map(|p| {
                let values = stored[&format!("adapter.base_model.model.{}", p.name)].1.clone();
                if zero && p.name.contains("lora_B") { vec![0.0; values.len()] } else { values }
            })
            .collect();
        trainable.values = Tensor::from_data(TensorData::new(values, [trainable.len()]), device);
        let examples = if case["objective"] == "kto" { rated(fixture) } else { pairs(fixture) };
        Run { loss: Loss::new(&recipe, &base), base, trainable, examples }
    }

    fn batches(&self, batch_size: usize) -> Vec<Batch> {
        let options = BatchOptions { batch_size, max_seq_length: 64, packing: false, pad_token_id: 2 };
        let rows: Vec<BatchRow> =
            (0..self.examples.len()).map(|index| BatchRow { examples: vec![index] }).collect();
        let rows = rows.chunks(batch_size.min(rows.len()));
        rows.map(|rows| collate(&self.examples, rows, &options)).collect()
    }

    fn whole(&self) -> Counts {
        self.batches(usize::MAX).iter().map(|batch| self.loss.counts(batch)).sum()
    }

    /// Loss and sums over all rows, `batch_size` of them at a time, and the gradient.
    async fn figures(&self, batch_size: usize) -> (Vec<f64>, Vec<f32>) {
        let batches = self.batches(batch_size);
        let whole = batches.iter().map(|batch| self.loss.counts(batch)).sum();
        let leaves = self.trainable.leaves(true);
        let model = self.trainable.attach(&self.base, &leaves, None);
        let (mut figures, mut total) = (Vec::new(), vec![0.0; self.trainable.len()]);
        for batch in &batches {
            let Share { loss, figures: sums } = self.loss.share(&model, batch, &whole).unwrap();
            let mut gradients = loss.backward();
            let gradient = read(self.trainable.flat_gradient(&leaves, &mut gradients)).await.unwrap();
            total.iter_mut().zip(gradient).for_each(|(sum, value)| *sum += value);
            let share = read(Tensor::cat(vec![loss.inner(), sums.unwrap()], 0)).await.unwrap();
            figures.resize(share.len(), 0.0);
            figures.iter_mut().zip(share).for_each(|(sum, value)| *sum += value as f64);
        }
        (figures, total)
    }

    /// The fixture holds every fourth row of each gradient.
    fn compare_gradients(&self, case: &Value, gradient: &[f32], stored: &Tensors, tolerance: f32) {
        for parameter in &self.trainable.parameters {
            let name = format!("{}.base_model.model.{}", case["name"].as_str().unwrap(), parameter.name);
            let (_, expected) = &stored[&name];
            let values = &gradient[parameter.offset..parameter.offset + parameter.len()];
            let found = values.chunks(parameter.shape[1]).step_by(4).flatten();
            let largest = expected.iter().fold(0.0, |most: f32, value| most.max(value.abs()));
            assert!(largest > 0.0, "{name}: the reference is all zero");
            let apart = found.zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(apart <= tolerance * largest, "{name}: {apart} apart, where the largest is {largest}");
        }
    }
}

fn assert_close(case: &Value, key: &str, value: f64, tolerance: f64) {
    let expected = case[key].as_f64().unwrap();
    let apart = (value - expected).abs() / expected.abs();
    assert!(apart <= tolerance, "{} {}: {key} is {value}, TRL has {expected}", case["name"], case["adapter"]);
}

fn pairs(fixture: &Value) -> Vec<Example> {
    let rows = fixture["pairs"].as_array().unwrap().iter();
    rows.map(|row| {
        let rejected = sequence(&row["prompt"], &row["rejected"]);
        example(sequence(&row["prompt"], &row["chosen"]), Preference::Over(rejected))
    })
    .collect()
}

fn rated(fixture: &Value) -> Vec<Example> {
    let rows = fixture["rated"].as_array().unwrap().iter();
    rows.map(|row| {
        let label = Preference::Label(row["label"].as_bool().unwrap());
        example(sequence(&row["prompt"], &row["completion"]), label)
    })
    .collect()
}

fn example(answer: Sequence, preference: Preference) -> Example {
    let Sequence { input_ids, loss_mask } = answer;
    Example {
        input_ids,
        loss_mask,
        row: 0,
        truncated: false,
        preference: Some(preference),
        class: None,
        contrast: None,
        task: None,
    }
}

fn sequence(prompt: &Value, answer: &Value) -> Sequence {
    let ids = |value: &Value| -> Vec<u32> { serde_json::from_value(value.clone()).unwrap() };
    let (prompt, answer) = (ids(prompt), ids(answer));
    let loss_mask = [vec![false; prompt.len()], vec![true; answer.len()]].concat();
    Sequence { input_ids: [prompt, answer].concat(), loss_mask }
}
