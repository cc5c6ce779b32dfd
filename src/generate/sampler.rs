use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// How the next token is chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct Sampling {
    /// 0 takes the likeliest token every time.
    pub temperature: f64,
    /// Keep only this many of the likeliest tokens.
    pub top_k: Option<usize>,
    /// Keep the likeliest tokens whose probabilities reach this sum (<https://arxiv.org/abs/1904.09751>).
    pub top_p: Option<f64>,
    #[cfg_attr(test, ts(type = "number"))]
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Sampling { temperature: 0.0, top_k: None, top_p: None, seed: 42 }
    }
}

pub struct Sampler {
    sampling: Sampling,
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
        Sampler { sampling, random }
    }

    /// The id of the next token.
    ///
    /// # Shapes
    /// - logits: `[vocab]`
    pub fn choose(&mut self, logits: &[f32]) -> u32 {
        let likeliest = || {
            let better = |best: usize, i: usize| if logits[i] > logits[best] { i } else { best };
            (0..logits.len()).reduce(better).unwrap_or(0) as u32
        };
        if self.sampling.temperature <= 0.0 {
            return likeliest();
        }
        let mut ranked: Vec<(u32, f64)> =
            logits.iter().enumerate().map(|(id, &logit)| (id as u32, logit as f64)).collect();
        // A vocabulary of 49k takes longer to sort than to sum.
        if self.sampling.top_k.is_some() || self.sampling.top_p.is_some() {
            ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            ranked.truncate(self.sampling.top_k.unwrap_or(usize::MAX).max(1));
        }
        let top = ranked.iter().fold(f64::NEG_INFINITY, |top, (_, logit)| top.max(*logit));
        for (_, weight) in &mut ranked {
            *weight = ((*weight - top) / self.sampling.temperature).exp();
        }
        let total: f64 = ranked.iter().map(|(_, weight)| weight).sum();
        if let Some(top_p) = self.sampling.top_p {
            let mut reached = 0.0;
            let kept = ranked.iter().take_while(|(_, weight)| {
                let below = reached < top_p * total;
                reached += weight;
                below
            });
            let kept = kept.count().max(1);
            ranked.truncate(kept);
        }
        let total: f64 = ranked.iter().map(|(_, weight)| weight).sum();
        let mut point = self.random.random::<f64>() * total;
        for (id, weight) in &ranked {
            point -= weight;
            if point < 0.0 {
                return *id;
            }
        }
        likeliest()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(sampling: Sampling, logits: &[f32]) -> Vec<u32> {
        let mut sampler = Sampler::new(sampling);
        (0..400).map(|_| sampler.choose(logits)).collect()
    }

    #[test]
    fn limits_keep_only_the_likeliest() {
        let logits = [1.0, 3.0, 2.0, -5.0];
        assert!(draw(Sampling::default(), &logits).iter().all(|&id| id == 1));
        let warm = Sampling { temperature: 1.0, ..Default::default() };
        assert!(draw(Sampling { top_k: Some(1), ..warm.clone() }, &logits).iter().all(|&id| id == 1));
        let two = draw(Sampling { top_k: Some(2), ..warm.clone() }, &logits);
        assert!(two.contains(&2) && two.iter().all(|&id| id == 1 || id == 2));
        // Probabilities are .66, .24, .09: two of them reach 0.8.
        let nucleus = draw(Sampling { top_p: Some(0.8), ..warm.clone() }, &logits);
        assert!(nucleus.contains(&2) && nucleus.iter().all(|&id| id == 1 || id == 2));
        assert_eq!(draw(warm.clone(), &logits), draw(warm, &logits), "same seed, same tokens");
    }

    #[test]
    fn frequencies_follow_the_probabilities() {
        let sampling = Sampling { temperature: 1.0, ..Default::default() };
        let ones = draw(sampling, &[0.0, 3f32.ln()]).iter().filter(|&&id| id == 1).count();
        assert!((240..360).contains(&ones), "{ones} of 400 where 300 are expected");
    }
}
