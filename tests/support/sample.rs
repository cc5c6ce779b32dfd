//! The choice of the next token on a device: against probabilities computed here, and greedily against the CPU.

use burn::tensor::{Device, Tensor, TensorData};
use loralet::kernels::readback::read_ids;
use loralet::kernels::sample::{Choice, sample};

/// # Panics
/// When a token is chosen more or less often than its probability says, or one that is not kept at all.
pub async fn sampled(device: &Device) {
    greedy(device).await;
    limited(device).await;
    own_rows(device).await;
    extremes(device).await;
}

const GREEDY: Choice = Choice { temperature: 0.0, top_k: None, top_p: None };

fn warm(temperature: f64, top_k: Option<usize>, top_p: Option<f64>) -> Choice {
    Choice { temperature, top_k, top_p }
}

/// `[rows, vocab]`
fn matrix(values: Vec<f32>, vocab: usize, device: &Device) -> Tensor<2> {
    let rows = values.len() / vocab;
    Tensor::from_data(TensorData::new(values, [rows, vocab]), device)
}

async fn ids(logits: Tensor<2>, uniforms: Vec<f64>, choice: Choice) -> Vec<u32> {
    read_ids(sample(logits, uniforms, choice)).await.unwrap()
}

/// Rows whose largest logit is there several times, in the second half all of them below zero.
async fn greedy(device: &Device) {
    for vocab in [1, 5, 257, 49_152] {
        let logit =
            |i: usize| ((i as f32 * 4.27).sin() * 10.0).round() - if i < 3 * vocab { 0.0 } else { 40.0 };
        let values: Vec<f32> = (0..6 * vocab).map(logit).collect();
        let expected: Vec<u32> = values
            .chunks(vocab)
            .map(|row| row.iter().position(|logit| row.iter().all(|other| other <= logit)).unwrap() as u32)
            .collect();
        let found = ids(matrix(values.clone(), vocab, device), vec![0.7; 6], GREEDY).await;
        assert_eq!(found, expected, "of {vocab}");
        assert_eq!(found, ids(matrix(values, vocab, &Device::flex()), vec![0.7; 6], GREEDY).await);
    }
}

/// The whole distribution for each kind of limit.
async fn limited(device: &Device) {
    let choices = [
        warm(1.0, None, None),
        warm(0.8, Some(4), None),
        warm(0.8, None, Some(0.6)),
        warm(1.3, Some(5), Some(0.7)),
        warm(1.0, Some(0), None),
        warm(1.0, None, Some(0.0)),
        warm(2.0, Some(1_000_000), Some(1.0)),
    ];
    let wave = |i: usize| (i as f32 * 4.27).sin() * 3.0;
    // A large vocabulary, of which a dozen tokens that lie far apart matter.
    let mut large: Vec<f32> = (0..49_152).map(|i| wave(i) - 20.0).collect();
    (0..12).for_each(|i| large[i * 4099 + 7] = i as f32 * 0.4 - 1.0);
    let vocabularies =
        [((0..5).map(wave).collect(), 2000), ((0..257).map(wave).collect(), 2000), (large, 32)];
    for choice in choices {
        for (logits, draws) in &vocabularies {
            frequencies(logits, choice, *draws, device).await;
        }
    }
}

/// Evenly spread numbers must choose each token as often as its probability says, wherever a device lays it.
async fn frequencies(logits: &[f32], choice: Choice, draws: usize, device: &Device) {
    let spread = (0..draws).map(|i| (i as f64 + 0.5) / draws as f64).collect();
    let mut hits = vec![0; logits.len()];
    for id in ids(matrix(logits.to_vec(), logits.len(), device), spread, choice).await {
        hits[id as usize] += 1;
    }
    let is_limited = choice.top_k.is_some_and(|k| k < 10) || choice.top_p.is_some_and(|p| p < 0.9);
    for (id, probability) in probabilities(logits, choice).into_iter().enumerate() {
        let (expected, hits) = (probability * draws as f64, hits[id]);
        let what = format!("token {id} of {}: {hits} of {draws}, not {expected}, {choice:?}", logits.len());
        if probability == 0.0 {
            assert_eq!(hits, 0, "{what}");
        } else {
            assert!(!is_limited || expected >= 2.0, "too few draws to tell whether it is kept: {what}");
            assert!((f64::from(hits) - expected).abs() < 2.0, "{what}");
        }
    }
}

/// The plain form: softmax over what is kept, 0 for the rest.
fn probabilities(logits: &[f32], choice: Choice) -> Vec<f64> {
    let mut ranked: Vec<usize> = (0..logits.len()).collect();
    ranked.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
    ranked.truncate(choice.top_k.unwrap_or(logits.len()).max(1));
    let top = f64::from(logits[ranked[0]]);
    let weight = |&id: &usize| ((f64::from(logits[id]) - top) / choice.temperature).exp();
    let goal = choice.top_p.unwrap_or(1.0) * ranked.iter().map(weight).sum::<f64>();
    let (mut probabilities, mut mass) = (vec![0.0; logits.len()], 0.0);
    for id in ranked {
        if mass == 0.0 || mass < goal {
            probabilities[id] = weight(&id);
            mass += probabilities[id];
        }
    }
    probabilities.iter().map(|weight| weight / mass).collect()
}

/// Each row by its own logits and its own number, in order or turned.
async fn own_rows(device: &Device) {
    let (rows, vocab) = (7, 301);
    let values: Vec<f32> = (0..rows * vocab).map(|i| (i as f32 * 4.27).sin()).collect();
    let logits = matrix(values, vocab, device);
    let numbers = vec![0.3; rows];
    let likeliest = ids(logits.clone(), numbers.clone(), GREEDY).await;
    assert!(likeliest.iter().any(|&id| id != likeliest[0]));
    assert_eq!(ids(logits.clone(), numbers.clone(), warm(1.0, Some(1), None)).await, likeliest);
    let turned = Tensor::cat(vec![logits.transpose(), Tensor::ones([3, rows], device) * 0.5], 0).transpose();
    assert_eq!(ids(turned, numbers, GREEDY).await, likeliest);
    let even = matrix(vec![0.0; 4 * 1000], 1000, device);
    let spread = ids(even, vec![0.9005, 0.0, 0.25051, 0.99999], warm(1.0, None, None)).await;
    assert_eq!(spread, [900, 0, 250, 999]);
}

/// Logits at the ends of what numbers there are: an id that the row has, and never a token without probability.
async fn extremes(device: &Device) {
    let (low, none) = (f32::MIN, f32::NEG_INFINITY);
    let numbers = vec![0.0, 0.25, 0.5, 0.75, 0.999_999_99, 1.0 - f64::EPSILON];
    let cases: [(&[f32], &[u32]); 6] = [
        (&[none, 1.0, none, 1.0, low, none], &[1, 3]),
        (&[low, 0.0, -1e30], &[1]),
        (&[-1e30, -1e30, -2e30, low], &[0, 1]),
        (&[f32::INFINITY, 3.0, f32::MAX], &[0]),
        (&[none, none, none], &[0, 1, 2]),
        (&[f32::NAN, f32::NAN], &[0, 1]),
    ];
    let choices = [GREEDY, warm(0.7, None, None), warm(1e-9, Some(2), None), warm(1.0, Some(2), Some(0.9))];
    for (logits, allowed) in cases {
        for choice in choices {
            let row = matrix(logits.to_vec(), logits.len(), device);
            let found = ids(row, numbers.clone(), choice).await;
            assert!(found.iter().all(|id| allowed.contains(id)), "{found:?} of {logits:?}, {choice:?}");
        }
    }
    // Where several are equal at the limit, some devices keep a few and some all.
    let equals = matrix(vec![-5.0, 2.0, 3.0, 2.0, 2.0, 1.9], 6, device);
    let found = ids(equals, numbers.clone(), warm(1.0, Some(2), None)).await;
    assert!(found.iter().all(|id| (1..5).contains(id)), "{found:?}");
    let with_one_lost = [0.0, f32::NAN, 0.0];
    let spread = ids(matrix(with_one_lost.to_vec(), 3, device), numbers, warm(1.0, None, None)).await;
    assert!(spread.iter().all(|&id| id < 3), "{spread:?}");
}
