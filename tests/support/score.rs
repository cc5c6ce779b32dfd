//! Models with a `score` head, and modules trained whole beside an adapter, against transformers, TRL
//! and PEFT. The fixture and the script that made it are in `tests/fixtures/score`.

use super::{Tensors, close, random_llama, tensors};
use burn::tensor::{Device, Tensor, TensorData};
use loralet::adapters::Trainable;
use loralet::data::{Batch, BatchOptions, BatchRow, Example, Preference, Sequence, collate};
use loralet::export::{OutputFile, peft};
use loralet::kernels::readback::read;
use loralet::metrics::{ClassificationMetrics, Counts, RewardMetrics};
use loralet::models::{Input, Model, Score, head};
use loralet::objectives::{Loss, Share};
use loralet::recipe::Recipe;
use loralet::train::optimizer::{AdamW, guarded};
use serde_json::{Value, json};

macro_rules! fixture {
    ($path:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/", $path)).as_slice()
    };
}

/// Scores, loss and gradients of a classifier, on one batch and on two that are added up.
pub async fn classify(device: &Device, loss_tolerance: f64, tolerance: f32) {
    let run = Run::new("classify", "lora", device);
    let expected = &run.expected["classify"];
    let batch = &run.batches(usize::MAX)[0];
    let scores = read(run.trainable.tuned(&run.base).decoder().unwrap().scores(&input(batch))).await.unwrap();
    close("scores", &scores, &numbers(&expected["logits"]), tolerance);
    for size in [usize::MAX, 3] {
        let (figures, gradient) = run.figures(&run.batches(size)).await;
        run.assert_close("loss", figures[0], &expected["loss"], loss_tolerance);
        run.compare_gradients("classify", &gradient, tolerance);
    }
}

/// Rewards, loss, figures and gradients of a reward model.
pub async fn reward(device: &Device, loss_tolerance: f64, tolerance: f32) {
    let run = Run::new("reward", "lora", device);
    let expected = &run.expected["reward"];
    let batch = &run.batches(usize::MAX)[0];
    let rewards =
        read(run.trainable.tuned(&run.base).decoder().unwrap().scores(&input(batch))).await.unwrap();
    close("rewards", &rewards, &numbers(&expected["rewards"]), tolerance);
    for size in [usize::MAX, 2] {
        let batches = run.batches(size);
        let whole: Counts = batches.iter().map(|batch| run.loss.counts(batch)).sum();
        let (figures, gradient) = run.figures(&batches).await;
        run.assert_close("loss", figures[0], &expected["loss"], loss_tolerance);
        run.compare_gradients("reward", &gradient, tolerance);
        let found = RewardMetrics::from_sums(&figures[1..], &whole).unwrap();
        run.assert_close("margin", found.margin, &expected["metrics"]["margin"], loss_tolerance * 10.0);
        run.assert_close("accuracy", found.accuracy, &expected["metrics"]["accuracy"], 1e-6);
        let mean = (found.chosen + found.rejected) / 2.0;
        run.assert_close("mean", mean, &expected["metrics"]["mean_reward"], loss_tolerance * 10.0);
    }
}

/// Eight steps of AdamW by each method: transformers' losses and norms, and its scores after them.
pub async fn steps(device: &Device, tolerance: f64) {
    for method in ["lora", "full", "last_layer"] {
        let mut run = Run::new("classify", method, device);
        let settings = run.expected["steps"].clone();
        let number = |key: &str| settings[key].as_f64().unwrap();
        let mut optimizer = AdamW::new(run.trainable.len(), number("weight_decay"), device);
        optimizer.max_grad_norm = number("max_grad_norm");
        for (step, expected) in settings[method]["steps"].as_array().unwrap().iter().enumerate() {
            let half: Vec<usize> = (step % 2..run.examples.len()).step_by(2).collect();
            let (figures, gradient) = run.figures(&[run.batch(&half)]).await;
            let norm = gradient.iter().map(|value| (value * value) as f64).sum::<f64>().sqrt();
            run.assert_close(&format!("{method} {step} loss"), figures[0], &expected["loss"], tolerance);
            run.assert_close(
                &format!("{method} {step} norm"),
                norm,
                &expected["grad_norm"],
                tolerance * 10.0,
            );
            let total = gradient.len();
            let gradient: Tensor<1> = Tensor::from_data(TensorData::new(gradient, [total]), device);
            let loss = Tensor::from_floats([figures[0] as f32], device);
            let guard = guarded(loss, gradient.clone(), None);
            let values = run.trainable.values.clone();
            run.trainable.values = optimizer.update(values, gradient, guard, number("learning_rate"));
        }
        let batch = &run.batches(usize::MAX)[0];
        let scores =
            read(run.trainable.tuned(&run.base).decoder().unwrap().scores(&input(batch))).await.unwrap();
        let expected = numbers(&settings[method]["logits_after"]);
        close(method, &scores, &expected, tolerance as f32 * 100.0);
    }
}

/// A classifier's adapter that PEFT wrote gives PEFT's scores, and is written again under the same
/// names; classes without a `config.json` have transformers' names.
pub async fn peft_classifier(device: &Device, tolerance: f32) {
    let run = Run::new("classify", "lora", device);
    let base = random_llama(fixture!("llama/random_llama/config.json"), false, device);
    let theirs = folder(
        fixture!("score/adapter_classify/adapter_config.json"),
        fixture!("score/adapter_classify/adapter_model.safetensors"),
    );
    let adapter = peft::load(&theirs, &base).unwrap();
    assert_eq!(adapter.labels.as_ref().unwrap(), &["LABEL_0", "LABEL_1", "LABEL_2"]);
    let batch = &run.batches(usize::MAX)[0];
    let scores = read(adapter.tuned(&base).decoder().unwrap().scores(&input(batch))).await.unwrap();
    close("scores", &scores, &run.stored["adapter_classify.logits"].1, tolerance);

    let mut ours = peft::save(&run.trainable, "random_llama").await.unwrap();
    let config: Value = serde_json::from_slice(&ours[0].bytes).unwrap();
    assert_eq!((&config["task_type"], &config["modules_to_save"]), (&json!("SEQ_CLS"), &json!(["score"])));
    let (mut names, mut expected) = (names(&ours[1]), names(&theirs[1]));
    names.sort();
    expected.sort();
    assert_eq!(names, expected);
    let classes = json!({ "id2label": { "0": "cat", "1": "dog", "2": "owl" } });
    ours.push(OutputFile { name: "config.json".into(), bytes: classes.to_string().into_bytes() });
    let again = peft::load(&ours, &base).unwrap();
    assert_eq!(again.labels.as_ref().unwrap(), &["cat", "dog", "owl"]);
    assert_eq!(read(again.values).await.unwrap(), read(run.trainable.values.clone()).await.unwrap());
}

/// Embeddings and output projections that PEFT trained whole beside a LoRA.
pub async fn peft_modules_to_save(device: &Device, tolerance: f32) {
    let expected: Value = serde_json::from_slice(fixture!("score/expected.json")).unwrap();
    let stored = tensors(fixture!("score/tensors.safetensors"));
    let ids: Vec<u32> = serde_json::from_value(expected["texts"][0]["ids"].clone()).unwrap();
    let positions: Vec<u32> = (0..ids.len() as u32).collect();
    let documents = vec![1; ids.len()];
    let input = Input {
        input_ids: &ids,
        position_ids: &positions,
        document_ids: &documents,
        batch: 1,
        seq: ids.len(),
    };
    let folders = [
        (
            "adapter_embed_tokens_tied",
            fixture!("score/adapter_embed_tokens_tied/adapter_config.json"),
            fixture!("score/adapter_embed_tokens_tied/adapter_model.safetensors"),
        ),
        (
            "adapter_embed_tokens_untied",
            fixture!("score/adapter_embed_tokens_untied/adapter_config.json"),
            fixture!("score/adapter_embed_tokens_untied/adapter_model.safetensors"),
        ),
        (
            "adapter_lm_head_tied",
            fixture!("score/adapter_lm_head_tied/adapter_config.json"),
            fixture!("score/adapter_lm_head_tied/adapter_model.safetensors"),
        ),
        (
            "adapter_lm_head_untied",
            fixture!("score/adapter_lm_head_untied/adapter_config.json"),
            fixture!("score/adapter_lm_head_untied/adapter_model.safetensors"),
        ),
    ];
    for (name, config, weights) in folders {
        let tied = name.ends_with("_tied");
        let base = random_llama(fixture!("llama/random_llama/config.json"), tied, device);
        let theirs = folder(config, weights);
        let adapter = peft::load(&theirs, &base).unwrap();
        let tuned = adapter.tuned(&base);
        let logits =
            read(head::logits(tuned.forward(&input), tuned.decoder().unwrap().head())).await.unwrap();
        let every_eighth: Vec<f32> = logits.iter().step_by(8).copied().collect();
        close(name, &every_eighth, &stored[&format!("{name}.logits")].1, tolerance);
        let saved = peft::save(&adapter, "random_llama").await.unwrap();
        let config: Value = serde_json::from_slice(&saved[0].bytes).unwrap();
        let module = if name.contains("lm_head") { "lm_head" } else { "embed_tokens" };
        assert_eq!(config["modules_to_save"], json!([module]));
        let (mut names, mut expected) = (names(&saved[1]), names(&theirs[1]));
        names.sort();
        expected.sort();
        assert_eq!(names, expected, "{name}");
    }
}

/// Accuracy and macro-F1 are scikit-learn's, also with a class that does not occur.
pub fn metrics() {
    let expected: Value = serde_json::from_slice(fixture!("score/expected.json")).unwrap();
    let expected = &expected["metrics"];
    let counts: Vec<f64> = numbers(&expected["confusion"]).into_iter().map(f64::from).collect();
    let labels = ["a", "b", "c", "d"].map(String::from);
    let found = ClassificationMetrics::from_counts(&counts, &labels);
    assert!((found.accuracy - expected["accuracy"].as_f64().unwrap()).abs() < 1e-12, "{found:?}");
    assert!((found.macro_f1 - expected["macro_f1"].as_f64().unwrap()).abs() < 1e-12, "{found:?}");
    assert_eq!(found.majority_share, 0.5);
    assert_eq!(json!(found.confusion), expected["confusion"]);
}

struct Run {
    expected: Value,
    stored: Tensors,
    loss: Loss,
    base: Model,
    trainable: Trainable,
    examples: Vec<Example>,
}

impl Run {
    fn new(objective: &str, method: &str, device: &Device) -> Run {
        let expected: Value = serde_json::from_slice(fixture!("score/expected.json")).unwrap();
        let stored = tensors(fixture!("score/tensors.safetensors"));
        let recipe = Recipe::from_json(&json!({
            "objective": objective, "method": method,
            "lora": { "rank": expected["rank"], "alpha": expected["alpha"] },
        }))
        .unwrap();
        let is_classifier = objective == "classify";
        let (labels, weight) = match is_classifier {
            true => (
                serde_json::from_value(expected["labels"].clone()).unwrap(),
                "adapter.base_model.model.score.weight",
            ),
            false => (vec!["reward".to_string()], "reward.score.weight"),
        };
        let (shape, values) = &stored[weight];
        let weight: Tensor<2> =
            Tensor::from_data(TensorData::new(values.clone(), [shape[0], shape[1]]), device);
        let base = random_llama(fixture!("llama/random_llama/config.json"), false, device);
        let base = Model::from(base.decoder().unwrap().with_score(Score { weight, labels }));
        let mut trainable = Trainable::new(&base, &recipe);
        if method == "lora" {
            let values: Vec<f32> = trainable
                .parameters
                .iter()
                .flat_map(|p| match p.name == "score.weight" {
                    true => values.clone(),
                    false => stored[&format!("adapter.base_model.model.{}", p.name)].1.clone(),
                })
                .collect();
            trainable.values = Tensor::from_data(TensorData::new(values, [trainable.len()]), device);
        }
        let examples = if is_classifier { texts(&expected) } else { pairs(&expected) };
        Run { loss: Loss::new(&recipe, &base), expected, stored, base, trainable, examples }
    }

    fn batch(&self, examples: &[usize]) -> Batch {
        let options = BatchOptions { batch_size: 8, max_seq_length: 64, packing: false, pad_token_id: 2 };
        let rows: Vec<BatchRow> = examples.iter().map(|&index| BatchRow { examples: vec![index] }).collect();
        collate(&self.examples, &rows, &options)
    }

    fn batches(&self, size: usize) -> Vec<Batch> {
        let all: Vec<usize> = (0..self.examples.len()).collect();
        all.chunks(size.min(all.len())).map(|rows| self.batch(rows)).collect()
    }

    /// Loss and sums over the batches, and the gradient.
    async fn figures(&self, batches: &[Batch]) -> (Vec<f64>, Vec<f32>) {
        let whole = batches.iter().map(|batch| self.loss.counts(batch)).sum();
        let leaves = self.trainable.leaves(true);
        let model = self.trainable.attach(&self.base, &leaves, None);
        let (mut sums, mut total) = (Vec::new(), vec![0.0; self.trainable.len()]);
        for batch in batches {
            let Share { loss, figures } = self.loss.share(&model, batch, &whole).unwrap();
            let mut gradients = loss.backward();
            let gradient = read(self.trainable.flat_gradient(&leaves, &mut gradients)).await.unwrap();
            total.iter_mut().zip(gradient).for_each(|(sum, value)| *sum += value);
            let share = read(Tensor::cat(vec![loss.inner(), figures.unwrap()], 0)).await.unwrap();
            sums.resize(share.len(), 0.0);
            sums.iter_mut().zip(share).for_each(|(sum, value)| *sum += value as f64);
        }
        (sums, total)
    }

    fn compare_gradients(&self, case: &str, gradient: &[f32], tolerance: f32) {
        for parameter in &self.trainable.parameters {
            let name = format!("{case}.base_model.model.{}", parameter.name);
            let (_, expected) = &self.stored[&name];
            let values = &gradient[parameter.offset..parameter.offset + parameter.len()];
            let kept = if parameter.name == "score.weight" { 1 } else { 4 };
            let found = values.chunks(parameter.shape[1]).step_by(kept).flatten();
            let largest = expected.iter().fold(0.0, |most: f32, value| most.max(value.abs()));
            assert!(largest > 0.0, "{name}: the reference is all zero");
            let apart = found.zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(apart <= tolerance * largest, "{name}: {apart} apart, where the largest is {largest}");
        }
    }

    fn assert_close(&self, what: &str, value: f64, expected: &Value, tolerance: f64) {
        let expected = expected.as_f64().unwrap();
        // A loss is a difference of numbers near 1, which single precision has to about 1e-7.
        let allowed = (tolerance * expected.abs()).max(1e-7);
        assert!((value - expected).abs() <= allowed, "{what} is {value}, the reference has {expected}");
    }
}

fn texts(expected: &Value) -> Vec<Example> {
    let rows = expected["texts"].as_array().unwrap().iter();
    rows.map(|row| {
        let input_ids: Vec<u32> = serde_json::from_value(row["ids"].clone()).unwrap();
        let class = row["class"].as_u64().map(|class| class as u32);
        Example { class, ..example(input_ids, None) }
    })
    .collect()
}

fn pairs(expected: &Value) -> Vec<Example> {
    let ids = |value: &Value| -> Vec<u32> { serde_json::from_value(value.clone()).unwrap() };
    let rows = expected["pairs"].as_array().unwrap().iter();
    rows.map(|row| {
        let answer = |name: &str| [ids(&row["prompt"]), ids(&row[name])].concat();
        let rejected = answer("rejected");
        let rejected = Sequence { loss_mask: vec![false; rejected.len()], input_ids: rejected };
        example(answer("chosen"), Some(Preference::Over(rejected)))
    })
    .collect()
}

fn example(input_ids: Vec<u32>, preference: Option<Preference>) -> Example {
    let loss_mask = vec![false; input_ids.len()];
    Example {
        input_ids,
        loss_mask,
        row: 0,
        truncated: false,
        preference,
        class: None,
        contrast: None,
        task: None,
    }
}

fn input(batch: &Batch) -> Input<'_> {
    Input {
        input_ids: &batch.input_ids,
        position_ids: &batch.position_ids,
        document_ids: &batch.document_ids,
        batch: batch.batch,
        seq: batch.seq,
    }
}

fn numbers(value: &Value) -> Vec<f32> {
    match value {
        Value::Array(list) => list.iter().flat_map(numbers).collect(),
        other => vec![other.as_f64().unwrap() as f32],
    }
}

fn folder(config: &[u8], weights: &[u8]) -> Vec<OutputFile> {
    let files = [("adapter_config.json", config), ("adapter_model.safetensors", weights)];
    files.map(|(name, bytes)| OutputFile { name: name.into(), bytes: bytes.to_vec() }).to_vec()
}

fn names(weights: &OutputFile) -> Vec<String> {
    tensors(&weights.bytes).into_keys().collect()
}
