use crate::error::{Error, Result};
use crate::kernels::readback::read_ids;
use crate::kernels::sample::{Choice, sample};
use burn::tensor::Tensor;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Deserializer, Serialize};

/// How the next token is chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct Sampling {
    /// 0 takes the likeliest token every time.
    #[serde(deserialize_with = "number_or_nan")]
    pub temperature: f64,
    /// Keep only this many of the likeliest tokens; 0 keeps all.
    pub top_k: Option<usize>,
    /// Keep the likeliest tokens whose probabilities reach this sum (<https://arxiv.org/abs/1904.09751>); 0 keeps the likeliest.
    pub top_p: Option<f64>,
    #[cfg_attr(test, ts(type = "number"))]
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Sampling { temperature: 0.0, top_k: None, top_p: None, seed: 42 }
    }
}

impl Sampling {
    /// # Errors
    /// A setting out of its range.
    pub fn check(&self) -> Result<()> {
        let refused = |key: &str, value: f64, expected: &str| {
            let (key, value, expected) = (key.into(), value.to_string(), expected.into());
            Err(Error::InvalidSetting { key, value, expected })
        };
        if !self.temperature.is_finite() || self.temperature < 0.0 {
            let expected = "it must be a number: 0, which always takes the likeliest token, or more";
            return refused("temperature", self.temperature, expected);
        }
        match self.top_p {
            Some(top_p) if !(0.0..=1.0).contains(&top_p) => refused(
                "top_p",
                top_p,
                "it must be a probability, from 0 to 1; leave it out to keep every token",
            ),
            _ => Ok(()),
        }
    }
}

/// JSON has no word for what is not a number, and writes null.
fn number_or_nan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// One answer's choices and its random numbers.
pub struct Sampler {
    choice: Choice,
    random: ChaCha8Rng,
}

impl Sampler {
    pub fn new(sampling: Sampling) -> Self {
        Sampler::on_stream(sampling, 0)
    }

    /// One of many samplers with the same seed, each with random numbers of its own.
    pub fn on_stream(sampling: Sampling, stream: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(sampling.seed);
        random.set_stream(stream);
        /// 32-bit floats cannot divide by less without overflow.
        const LEAST: f64 = 1e-6;
        let Sampling { temperature, top_k, top_p, .. } = sampling;
        let greedy = temperature < LEAST || top_p == Some(0.0);
        let temperature = if greedy { 0.0 } else { temperature };
        let top_k = top_k.filter(|&top_k| top_k > 0);
        Sampler { choice: Choice { temperature, top_k, top_p }, random }
    }

    /// The next random number; a greedy choice needs none.
    fn draw(&mut self) -> f64 {
        if self.choice.is_greedy() { 0.0 } else { self.random.random() }
    }
}

/// The id of the next token of each answer. The logits stay on the device, four bytes an answer are read. The same seeds
/// give the same ids on the same device.
///
/// # Shapes
/// - logits: `[answers, vocab]`, or `[1, vocab]` where all answers have the same
/// - output: one id for each sampler
///
/// # Errors
/// A device that stops answering.
///
/// # Panics
/// When there are none, or they differ in more than their random numbers.
pub async fn next_tokens<'a>(
    logits: Tensor<2>,
    samplers: impl IntoIterator<Item = &'a mut Sampler>,
) -> Result<Vec<u32>> {
    let (choices, uniforms): (Vec<Choice>, Vec<f64>) =
        samplers.into_iter().map(|sampler| (sampler.choice, sampler.draw())).unzip();
    assert!(choices.iter().all(|choice| *choice == choices[0]), "answers of one batch are sampled alike");
    read_ids(sample(logits, uniforms, choices[0])).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use pollster::block_on;

    fn draw(sampling: Sampling, stream: u64, logits: &[f32]) -> Vec<u32> {
        let logits = Tensor::<1>::from_floats(logits, &Device::flex()).unsqueeze_dim::<2>(0);
        let mut sampler = Sampler::on_stream(sampling, stream);
        (0..400).map(|_| block_on(next_tokens(logits.clone(), [&mut sampler])).unwrap()[0]).collect()
    }

    #[test]
    fn same_seeds_and_streams_give_the_same_tokens() {
        let logits = [1.0, 3.0, 2.0, -5.0];
        let warm = Sampling { temperature: 1.0, ..Default::default() };
        let first = draw(warm.clone(), 0, &logits);
        assert_eq!(first, draw(warm.clone(), 0, &logits));
        assert_ne!(first, draw(warm.clone(), 1, &logits));
        assert_ne!(first, draw(Sampling { seed: 43, ..warm }, 0, &logits));
        assert!(draw(Sampling::default(), 0, &logits).iter().all(|&id| id == 1));
    }

    #[test]
    fn frequencies_follow_the_probabilities() {
        let sampling = Sampling { temperature: 1.0, ..Default::default() };
        let ones = draw(sampling, 0, &[0.0, 3f32.ln()]).iter().filter(|&&id| id == 1).count();
        assert!((240..360).contains(&ones), "{ones} of 400 where 300 are expected");
    }

    #[test]
    fn edges_are_off_or_greedy_and_what_is_out_of_range_is_refused_by_name() {
        let logits = [1.0, 3.0, 2.0, -5.0];
        let warm = Sampling { temperature: 1.0, ..Default::default() };
        let off = Sampling { top_k: Some(0), ..warm.clone() };
        assert_eq!(draw(off.clone(), 0, &logits), draw(warm.clone(), 0, &logits));
        assert!(draw(off, 0, &logits).iter().any(|&id| id != 1));
        for greedy in [
            Sampling { top_p: Some(0.0), ..warm.clone() },
            Sampling { temperature: 1e-300, ..warm.clone() },
            Sampling { top_k: Some(1), ..warm.clone() },
        ] {
            greedy.check().unwrap();
            assert!(draw(greedy, 0, &logits).iter().all(|&id| id == 1));
        }
        let refused = |text: &str| {
            let sampling: Sampling = serde_json::from_str(text).unwrap();
            sampling.check().unwrap_err().to_string()
        };
        assert!(refused(r#"{ "temperature": null }"#).contains("temperature is NaN"));
        assert!(refused(r#"{ "temperature": -1 }"#).contains("temperature is -1"));
        assert!(refused(r#"{ "top_p": 1.5 }"#).contains("top_p is 1.5"));
        assert!(refused(r#"{ "top_p": -0.1 }"#).contains("top_p is -0.1"));
        for number in [f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
            let of_temperature = Sampling { temperature: number, ..Sampling::default() };
            let of_top_p = Sampling { top_p: Some(number), ..Sampling::default() };
            for (sampling, key) in [(of_temperature, "temperature"), (of_top_p, "top_p")] {
                let error = sampling.check().unwrap_err();
                assert!(
                    matches!(&error, Error::InvalidSetting { key: named, .. } if named == key),
                    "{error}"
                );
            }
        }
        serde_json::from_str::<Sampling>(r#"{ "top_p": 1, "top_k": 0 }"#).unwrap().check().unwrap();
    }

    #[test]
    fn answers_to_one_prompt_share_its_logits() {
        let logits = Tensor::<2>::from_floats([[0.0, 0.0, 0.0, 0.0]], &Device::flex());
        let sampling = Sampling { temperature: 1.0, ..Default::default() };
        let mut samplers: Vec<Sampler> =
            (0..40).map(|stream| Sampler::on_stream(sampling.clone(), stream)).collect();
        let mut ids = block_on(next_tokens(logits, &mut samplers)).unwrap();
        assert_eq!(ids.len(), 40);
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids, [0, 1, 2, 3]);
    }
}
