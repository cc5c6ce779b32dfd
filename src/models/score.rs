//! The `score` head of a model that judges whole texts: a row a class, or one row for a reward.
//!
//! In a decoder it is named and computed as in transformers' `…ForSequenceClassification`: on the last token, which has
//! seen the others. In an encoder every token has, and the head is on their mean, as sentence embeddings are; transformers
//! calls that `classifier_pooling: "mean"` where an architecture has it, and BERT has not.

use super::pooling::mean;
use super::{Decoder, Input, Model, float_tensor, int_tensor};
use crate::kernels::matmul::matmul;
use burn::tensor::Tensor;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

/// What an encoder's `config.json` says of where its head is.
const POOLING: &str = "classifier_pooling";

/// How transformers' classes of decoders with such a head end.
const CLASSIFIER: &str = "ForSequenceClassification";

/// The head's checkpoint name.
pub const WEIGHT: &str = "score.weight";

/// A linear layer without bias.
#[derive(Debug, Clone)]
pub struct Score {
    /// `[num_labels, hidden]`
    pub weight: Tensor<2>,
    /// What each row stands for; a reward model has one row, whose name means nothing.
    pub labels: Vec<String>,
}

impl Score {
    /// An untrained head for a model: normal values of its `initializer_range`.
    pub fn untrained(base: &Model, labels: Vec<String>, seed: u64) -> Score {
        let shape = [labels.len(), base.hidden_size()];
        // A stream of its own: an adapter's first values come from the same seed.
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(1);
        let mut normal = || {
            // Box and Muller's transform of two uniform numbers.
            let (radius, angle) = (1.0 - random.random::<f64>(), random.random::<f64>());
            let value = (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos();
            (value * base.spec().initializer_range) as f32
        };
        let values = (0..shape[0] * shape[1]).map(|_| normal()).collect();
        Score { weight: float_tensor(values, shape, &base.device()), labels }
    }
}

impl Model {
    /// What the `score` head makes of each row: of its last token, or in an encoder of the mean of its tokens.
    ///
    /// # Shapes
    /// - output: `[batch, num_labels]`
    ///
    /// # Panics
    /// Without a `score` head.
    pub fn scores(&self, input: &Input) -> Tensor<2> {
        match self {
            Model::Decoder(decoder) => decoder.scores(input),
            Model::Encoder(encoder) => {
                let score =
                    encoder.score.as_ref().expect("only a model with a score head is asked for scores");
                matmul(mean(encoder.forward(input), input), score.weight.clone().transpose())
            }
        }
    }
}

impl Decoder {
    /// What the `score` head makes of the last token of each row.
    ///
    /// # Shapes
    /// - output: `[batch, num_labels]`
    ///
    /// # Panics
    /// Without a `score` head.
    pub fn scores(&self, input: &Input) -> Tensor<2> {
        let score = self.score.as_ref().expect("only a model with a score head is asked for scores");
        let hidden = self.forward(input); // [batch * seq, hidden]
        let last = hidden.select(0, int_tensor(&last_positions(input), &self.device())); // [batch, hidden]
        matmul(last, score.weight.clone().transpose())
    }
}

/// Where each row's last token is that is not padding, by the mask: a padding id may also be a real
/// token.
///
/// # Shapes
/// - output: `[batch]`, indices into `[batch * seq]`
fn last_positions(input: &Input) -> Vec<u32> {
    let rows = input.document_ids.chunks(input.seq).enumerate();
    rows.map(|(row, documents)| {
        let last = documents.iter().rposition(|&document| document > 0).unwrap_or(0);
        (row * input.seq + last) as u32
    })
    .collect()
}

/// The names of the head's rows in a decoder's `config.json`, if it is a sequence classifier's. transformers
/// leaves them out where they are `LABEL_0` and `LABEL_1`.
pub fn decoder_labels(config: &Value) -> Option<Vec<String>> {
    let judges = |name: &Value| name.as_str().is_some_and(|name| name.ends_with(CLASSIFIER));
    config["architectures"].as_array()?.iter().any(judges).then(|| labels(config))
}

/// The same of an encoder's.
pub fn encoder_labels(config: &Value) -> Option<Vec<String>> {
    (config[POOLING] == "mean").then(|| labels(config))
}

fn labels(config: &Value) -> Vec<String> {
    let names = config["id2label"].as_object();
    /// More than any head without names has; what a file claims beyond it, its tensor does not confirm.
    const MOST: u64 = 1 << 14;
    let claimed = config["num_labels"].as_u64().map(|count| count.min(MOST) as usize);
    let count = names.map(|names| names.len()).or(claimed);
    label_names(config, count.unwrap_or(2))
}

/// `id2label` for `count` rows, with transformers' own name where one is missing.
pub fn label_names(config: &Value, count: usize) -> Vec<String> {
    let name = |row: usize| config["id2label"][row.to_string()].as_str().map(String::from);
    (0..count).map(|row| name(row).unwrap_or_else(|| format!("LABEL_{row}"))).collect()
}

/// A model's `config.json` as that of the classifier made of it. Of a decoder transformers needs to know the padding token;
/// an encoder stays what it is, with the classes and where the head is beside.
pub fn with_labels(config: &Value, labels: &[String], pad_token_id: u32, is_encoder: bool) -> Value {
    let mut config = config.clone();
    match is_encoder {
        true => config[POOLING] = "mean".into(),
        false => config["architectures"] = vec![format!("{}{CLASSIFIER}", class(&config))].into(),
    }
    config["id2label"] = Value::Object(Default::default());
    config["label2id"] = Value::Object(Default::default());
    for (row, label) in labels.iter().enumerate() {
        config["id2label"][row.to_string()] = label.as_str().into();
        config["label2id"][label] = row.into();
    }
    if labels.len() > 1 && config[POOLING].is_null() {
        config["problem_type"] = "single_label_classification".into();
    }
    config["pad_token_id"] = pad_token_id.into();
    config
}

/// What transformers' classes of an architecture begin with: `Llama` of `LlamaForCausalLM`.
fn class(config: &Value) -> String {
    let named = config["architectures"][0].as_str().and_then(|name| name.split_once("For"));
    if let Some((class, _)) = named {
        return class.into();
    }
    let mut letters = config["model_type"].as_str().unwrap_or_default().chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_last_token_is_found_by_the_mask() {
        let input = Input {
            input_ids: &[7, 2, 2, 5, 6, 7],
            position_ids: &[0, 1, 2, 0, 1, 2],
            document_ids: &[1, 1, 0, 1, 1, 1],
            batch: 2,
            seq: 3,
        };
        assert_eq!(last_positions(&input), [1, 5]);
    }

    #[test]
    fn labels_go_to_the_config_and_back() {
        let names: Vec<String> = (0..11).map(|i| format!("class {i}")).collect();
        let base = json!({ "architectures": ["LlamaForCausalLM"], "vocab_size": 9 });
        assert_eq!(decoder_labels(&base), None);
        let config = with_labels(&base, &names, 3, false);
        assert_eq!(config["architectures"], json!(["LlamaForSequenceClassification"]));
        assert_eq!(decoder_labels(&config), Some(names.clone()));
        let unnamed = with_labels(&json!({ "model_type": "llama" }), &names, 3, false);
        assert_eq!(unnamed["architectures"], config["architectures"]);
        assert_eq!(
            (&config["label2id"]["class 10"], &config["pad_token_id"], &config["vocab_size"]),
            (&json!(10), &json!(3), &json!(9))
        );
        let plain = json!({ "architectures": ["LlamaForSequenceClassification"] });
        assert_eq!(decoder_labels(&plain).unwrap(), ["LABEL_0", "LABEL_1"]);
        let encoder = json!({ "architectures": ["BertModel"], "model_type": "bert", "pad_token_id": 0 });
        assert_eq!(encoder_labels(&encoder), None);
        let names = ["cold", "warm"].map(String::from).to_vec();
        let config = with_labels(&encoder, &names, 0, true);
        assert_eq!(config["architectures"], encoder["architectures"]);
        assert_eq!(encoder_labels(&config), Some(names));
    }
}
