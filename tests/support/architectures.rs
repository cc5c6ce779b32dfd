//! A decoder's fixture, as `tests/fixtures/decoders.py` writes it, against transformers' and PEFT's numbers.

use super::{Tensors, close, dims, ids, logits};
use burn::tensor::{Device, Tensor};
use loralet::adapters::Trainable;
use loralet::data::batch::Batch;
use loralet::export::{OutputFile, peft};
use loralet::kernels::readback::read;
use loralet::models::{Input, Model, Tape, head};
use loralet::objectives::sft;
use loralet::recipe::{BaseDtype, Method, Recipe};
use loralet::session::{GenerateRequest, Limits, Session, outline};
use loralet::weights::safetensors::deserialize_f32;
use loralet::weights::{ByteSource, Checkpoint, MemorySource};
use serde_json::{Value, json};

/// How far logits may be from transformers', and gradients.
const LOGITS: f32 = 1e-4;
const GRADIENTS: f32 = 1e-3;

/// The bytes of each file of a fixture.
pub struct Fixture {
    pub config: &'static [u8],
    pub weights: &'static [u8],
    pub tokenizer: &'static [u8],
    pub chat_template: &'static [u8],
    pub gguf: &'static [u8],
    pub adapter_config: &'static [u8],
    pub adapter: &'static [u8],
    pub expected: &'static [u8],
}

/// The fixture in `tests/fixtures/<name>`.
#[macro_export]
macro_rules! decoder_fixture {
    ($name:literal) => {{
        macro_rules! file {
            ($path:literal) => {
                include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/", $name, "/", $path))
                    .as_slice()
            };
        }
        $crate::support::architectures::Fixture {
            config: file!("model/config.json"),
            weights: file!("model/model.safetensors"),
            tokenizer: file!("model/tokenizer.json"),
            chat_template: file!("model/chat_template.jinja"),
            gguf: file!("model.gguf"),
            adapter_config: file!("adapter/adapter_config.json"),
            adapter: file!("adapter/adapter_model.safetensors"),
            expected: file!("expected.safetensors"),
        }
    }};
}

impl Fixture {
    fn folder(&self) -> [(&'static str, &'static [u8]); 4] {
        [
            ("config.json", self.config),
            ("model.safetensors", self.weights),
            ("tokenizer.json", self.tokenizer),
            ("chat_template.jinja", self.chat_template),
        ]
    }

    fn gguf(&self) -> [(&'static str, &'static [u8]); 1] {
        [("model.gguf", self.gguf)]
    }

    fn adapter_files(&self) -> [OutputFile; 2] {
        [("adapter_config.json", self.adapter_config), ("adapter_model.safetensors", self.adapter)]
            .map(|(name, bytes)| OutputFile { name: name.into(), bytes: bytes.to_vec() })
    }
}

/// Logits, answers token by token, gradients of an adapter and of all weights, from safetensors and from GGUF.
pub async fn agrees_with_transformers(fixture: &Fixture, device: &Device) {
    let expected = expected(fixture);
    for (form, checkpoint) in [("safetensors", open(&fixture.folder())), ("GGUF", open(&fixture.gguf()))] {
        let model = load(&checkpoint, device);
        let batch = batch(&expected);
        close(form, &logits(&model, &input(&batch)).await, &expected["logits"].1, LOGITS);
        token_by_token(form, &model, &batch, &expected["logits"].1).await;

        let adapter = peft::load(&fixture.adapter_files(), &model).unwrap();
        let tuned = logits(&adapter.tuned(&model), &input(&batch)).await;
        close(&format!("{form}, adapter"), &tuned, &expected["adapter.logits"].1, LOGITS);
        gradients(&format!("{form}, adapter"), "adapter", &adapter, &model, &batch, &expected).await;
        let full = Trainable::new(&model, &Recipe { method: Method::Full, ..Recipe::default() });
        gradients(&format!("{form}, all weights"), "full", &full, &model, &batch, &expected).await;
    }
}

/// Logits of whole rows and token by token with other settings of the config.
pub async fn variant_agrees(fixture: &Fixture, name: &str, settings: Value, device: &Device) {
    let expected = expected(fixture);
    let mut checkpoint = open(&fixture.folder());
    let keys = settings.as_object().unwrap().clone();
    checkpoint.config.as_object_mut().unwrap().extend(keys);
    let (model, batch) = (load(&checkpoint, device), batch(&expected));
    let wanted = &expected[&format!("{name}.logits")].1;
    close(name, &logits(&model, &input(&batch)).await, wanted, LOGITS);
    token_by_token(name, &model, &batch, wanted).await;
}

fn expected(fixture: &Fixture) -> Tensors {
    let tensors = deserialize_f32("expected", fixture.expected).unwrap();
    tensors.into_iter().map(|(name, shape, values)| (name, (shape, values))).collect()
}

/// A run of a few steps, and an answer with what it learned, with the model's own tokenizer and chat template.
pub async fn trains_and_answers(fixture: &Fixture, device: &Device) {
    let recipe = json!({
        "train": { "max_steps": 3, "learning_rate": 1e-2, "max_seq_length": 64 },
        "eval": { "validation_fraction": 0.0, "probe": false },
    });
    let recipe = Recipe::from_json(&recipe).unwrap();
    let rows = "{\"prompt\": \"Who is Pip?\", \"completion\": \"A cat.\"}\n".repeat(4);
    for files in [&fixture.folder()[..], &fixture.gguf()] {
        let mut session = Session::new(device.clone(), Limits::default());
        session.open_model(sources(files), "model", BaseDtype::Auto, &|_, _| {}).unwrap();
        session.open_data("rows.jsonl", rows.as_bytes(), &recipe).unwrap();
        session.begin(&recipe).unwrap();
        let mut losses = Vec::new();
        for _ in 0..3 {
            losses.push(session.step().await.unwrap().loss);
        }
        assert!(losses[2] < losses[0], "{losses:?}");
        let request = GenerateRequest {
            prompt: Some("Who is Pip?".into()),
            max_new_tokens: 4,
            ..GenerateRequest::default()
        };
        let answer = session.generate(&request, async |_: &str| Ok(true)).await.unwrap();
        assert!(answer.tokens > 0 && answer.prompt_tokens > 5, "{answer:?}");
    }
}

fn sources(files: &[(&str, &[u8])]) -> Vec<Box<dyn ByteSource>> {
    let source = |(name, bytes): &(&str, &[u8])| -> Box<dyn ByteSource> {
        Box::new(MemorySource::new(*name, bytes.to_vec()))
    };
    files.iter().map(source).collect()
}

fn open(files: &[(&str, &[u8])]) -> Checkpoint {
    Checkpoint::open(sources(files)).unwrap()
}

fn load(checkpoint: &Checkpoint, device: &Device) -> Model {
    let (outline, unread) = outline(checkpoint).unwrap();
    assert!(unread.is_empty(), "{unread:?}");
    let read = |name: &str, _: &[usize]| checkpoint.read_f32(name);
    let model = Model::load(&checkpoint.config, &read, device).unwrap();
    assert_eq!(model.parameters(), outline.parameters());
    model
}

/// Every token predicts the next.
fn batch(expected: &Tensors) -> Batch {
    let [batch, seq] = dims(expected, "input_ids");
    let input_ids = ids(expected, "input_ids");
    let predicts = |i: &usize| i % seq + 1 < seq;
    Batch {
        targets: (0..batch * seq).map(|i| if predicts(&i) { input_ids[i + 1] } else { 0 }).collect(),
        targets_mask: (0..batch * seq).map(|i| predicts(&i)).collect(),
        position_ids: (0..batch).flat_map(|_| 0..seq as u32).collect(),
        document_ids: vec![1; batch * seq],
        supervised_tokens: batch * (seq - 1),
        tokens: batch * seq,
        input_ids,
        batch,
        seq,
        ..Batch::default()
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

/// A prompt, a piece of several tokens, and then one after the other.
async fn token_by_token(form: &str, model: &Model, batch: &Batch, expected: &[f32]) {
    let (decoder, seq, vocab) = (model.decoder().unwrap(), batch.seq, model.vocab_size());
    let mut caches = decoder.new_caches(0);
    let mut at = 0;
    for length in [11, 9].into_iter().chain(std::iter::repeat_n(1, seq - 20)) {
        let hidden = decoder.forward_cached(&batch.input_ids[at..at + length], 1, &mut caches);
        let found = read(head::logits(hidden, decoder.head())).await.unwrap();
        let what = format!("{form}, tokens {at} to {}", at + length);
        close(&what, &found, &expected[at * vocab..(at + length) * vocab], LOGITS);
        at += length;
    }
}

/// Gradients of the mean loss, as they are and with blocks computed again.
async fn gradients(
    what: &str,
    kind: &str,
    trainable: &Trainable,
    base: &Model,
    batch: &Batch,
    expected: &Tensors,
) {
    let leaves = trainable.leaves(true);
    let model = trainable.attach(base, &leaves, None);
    let mean = |model: &Model| sft::loss(model.decoder().unwrap(), batch) / batch.supervised_tokens as f64;
    let mut plain = mean(&model).backward();
    let plain = read(trainable.flat_gradient(&leaves, &mut plain)).await.unwrap();
    let tape = Tape::new(4);
    let zeros = Tensor::zeros([trainable.len()], &base.device());
    let again = mean(&model.checkpointed(&tape)).backward();
    let again = tape
        .backward(again, zeros, |sum, mut gradients| trainable.add_gradients(&leaves, &mut gradients, sum));
    close(&format!("{what}, checkpointed"), &read(again).await.unwrap(), &plain, 1e-5);
    for parameter in &trainable.parameters {
        let ours = &plain[parameter.offset..parameter.offset + parameter.len()];
        let name = format!("{kind}.{}", parameter.name);
        let (shape, theirs) = &expected[&name];
        assert_eq!(shape, &parameter.shape, "{name}");
        assert!(theirs.iter().any(|value| value.abs() > 1e-5), "{name} has a gradient");
        close(&format!("{what}, {name}"), ours, theirs, GRADIENTS);
    }
}
