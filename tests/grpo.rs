//! Rollouts, rewards and whole GRPO runs with the bundled `tiny` model.

use burn::tensor::Device;
use loralet::data::{Message, Tokenizer};
use loralet::generate::{Sampler, Sampling, generate, group::sample_group};
use loralet::models::{Llama, LlamaConfig};
use loralet::weights::checkpoint::Checkpoint;
use loralet::weights::source::{ByteSource, FileSource};
use pollster::block_on;
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

fn model() -> (Llama, Tokenizer) {
    let checkpoint = Checkpoint::open(sources()).unwrap();
    let config = LlamaConfig::from_json(&checkpoint.config).unwrap();
    let read = |name: &str, _: &[usize]| checkpoint.read_f32(name);
    let model = Llama::load(config, &read, &Device::flex()).unwrap();
    (model, Tokenizer::from_files(&checkpoint.tokenizer).unwrap())
}

#[test]
fn answers_sampled_together_are_those_sampled_alone() {
    let (model, tokenizer) = model();
    let prompt = tokenizer.encode_chat(&[Message::new("user", "Tell me about Pip.")], true).unwrap();
    let stop = tokenizer.end_of_turn_ids();
    let sampling = |seed| Sampling { temperature: 1.0, seed, ..Sampling::default() };
    let seeds = [3, 1, 4, 15, 9, 2];
    let mut samplers: Vec<Sampler> = seeds.map(|seed| Sampler::new(sampling(seed))).into();
    let together = block_on(sample_group(&model, &prompt, &stop, 40, &mut samplers)).unwrap();
    let mut lengths = Vec::new();
    for (seed, completion) in seeds.into_iter().zip(together) {
        let alone = generate(&model, &tokenizer, &prompt, &stop, 40, sampling(seed), async |_: &str| Ok(true));
        let alone = block_on(alone).unwrap();
        assert_eq!(tokenizer.decode(&completion.ids, true).unwrap(), alone.text);
        assert_eq!(completion.ids.len(), alone.tokens + completion.ended as usize);
        lengths.push(completion.ids.len());
    }
    lengths.dedup();
    assert!(lengths.len() > 3, "answers of different lengths show that each ends by itself: {lengths:?}");
}
