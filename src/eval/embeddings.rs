//! How well embeddings find what belongs together, over all rows at once.

use crate::data::batch::{Batch, BatchOptions, BatchRow, collate, epoch_batches};
use crate::data::encode::{Contrast, Example};
use crate::error::Result;
use crate::kernels::readback::read;
use crate::memory::rows_at_once;
use crate::metrics::{Counts, EmbeddingMetrics, Evaluation, Metrics};
use crate::models::{Input, Model};
use crate::objectives::Loss;
use burn::tensor::Tensor;
use std::collections::{HashMap, HashSet};

/// A text's token ids, and its embedding.
type Embedded<'a> = HashMap<&'a [u32], Vec<f32>>;

/// Mean loss over batches as in training, and the search or the ranking over all rows.
///
/// # Errors
/// A device that stops answering.
pub async fn evaluate(
    model: &Model,
    rows: &[Example],
    options: &BatchOptions,
    loss: &Loss,
) -> Result<Evaluation> {
    let order = epoch_batches(rows, options, 0, 0);
    let batches: Vec<Batch> = order.iter().map(|batch| collate(rows, batch, options)).collect();
    let whole: Counts = batches.iter().map(|batch| loss.counts(batch)).sum();
    let mut embedded: Embedded = HashMap::new();
    let mut mean = 0.0;
    for (batch, places) in batches.iter().zip(&order) {
        let embeddings = at_once(model, &batch.input()); // [batch, hidden]
        let [texts, width] = embeddings.dims();
        let part = batch.anchors as f64 / whole.texts as f64;
        let share = loss.of_embeddings(embeddings.clone(), batch) * part;
        let values = read(Tensor::cat(vec![share, embeddings.reshape([texts * width])], 0)).await?;
        mean += values[0] as f64;
        let examples: Vec<&Example> =
            places.iter().flat_map(|row| &row.examples).map(|&i| &rows[i]).collect();
        let firsts = examples.iter().map(|example| example.input_ids.as_slice());
        let vectors = values[1..].chunks(width).map(<[f32]>::to_vec);
        embedded.extend(firsts.chain(examples_others(&examples)).zip(vectors));
    }
    let scored = rows.iter().any(|row| matches!(row.contrast, Some(Contrast::Scored { .. })));
    Ok(Evaluation {
        loss: mean,
        metrics: Metrics::Embedding(match scored {
            true => ranking(rows, &embedded),
            false => search(rows, &embedded),
        }),
        probe_loss: None,
        tokens: batches.iter().map(|batch| batch.tokens).sum(),
        examples: rows.len(),
    })
}

/// The most texts embedded together.
const MOST_TEXTS: usize = 32;

/// The embedding of each text of token ids, `[hidden]`, in the order given.
///
/// # Errors
/// A device that stops answering.
pub async fn embed(model: &Model, texts: Vec<Vec<u32>>) -> Result<Vec<Vec<f32>>> {
    let longest = texts.iter().map(Vec::len).max().unwrap_or(0);
    let options =
        BatchOptions { batch_size: MOST_TEXTS, max_seq_length: longest, packing: false, pad_token_id: 0 };
    let rows: Vec<Example> = texts.into_iter().map(|ids| Example::of_text(ids, 0)).collect();
    // Texts of like length lie together: padding costs as much as text.
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|&index| rows[index].input_ids.len());
    let mut embeddings = vec![Vec::new(); rows.len()];
    for part in order.chunks(MOST_TEXTS) {
        let batch: Vec<BatchRow> = part.iter().map(|&index| BatchRow { examples: vec![index] }).collect();
        let found = at_once(model, &collate(&rows, &batch, &options).input()); // [texts, hidden]
        let [_, width] = found.dims();
        for (&index, vector) in part.iter().zip(read(found).await?.chunks(width)) {
            embeddings[index] = vector.to_vec();
        }
    }
    Ok(embeddings)
}

/// The embedding of each row, computed of as many tokens at once as any device takes: an encoder's scores grow with the square of
/// a row's tokens.
fn at_once(model: &Model, input: &Input) -> Tensor<2> {
    in_parts(model, input, rows_at_once(model, input.seq))
}

/// # Shapes
/// - output: `[batch, hidden]`
fn in_parts(model: &Model, input: &Input, rows: usize) -> Tensor<2> {
    if input.batch <= rows {
        return model.embeddings(input);
    }
    let tokens = rows * input.seq;
    let parts = input
        .input_ids
        .chunks(tokens)
        .zip(input.position_ids.chunks(tokens))
        .zip(input.document_ids.chunks(tokens));
    let embeddings = parts.map(|((input_ids, position_ids), document_ids)| {
        let batch = input_ids.len() / input.seq;
        model.embeddings(&Input { input_ids, position_ids, document_ids, batch, seq: input.seq })
    });
    Tensor::cat(embeddings.collect(), 0)
}

/// In the order in which a batch holds them.
fn examples_others<'a>(examples: &[&'a Example]) -> Vec<&'a [u32]> {
    let positives = examples.iter().filter_map(|example| Some(example.contrast.as_ref()?.other()));
    let negatives = examples.iter().filter_map(|example| example.contrast.as_ref()?.negative());
    positives.chain(negatives).collect()
}

/// Each anchor looks for its positive among all positives and negatives; equal texts count once.
fn search(rows: &[Example], embedded: &Embedded) -> EmbeddingMetrics {
    let all: Vec<&Example> = rows.iter().collect();
    let mut seen = HashSet::new();
    let candidates: Vec<&[u32]> = examples_others(&all).into_iter().filter(|ids| seen.insert(*ids)).collect();
    let mut belong: HashMap<&[u32], HashSet<&[u32]>> = HashMap::new();
    for row in rows {
        let positive = row.contrast.as_ref().map(Contrast::other);
        belong.entry(&row.input_ids).or_default().extend(positive);
    }
    let ranks: Vec<usize> = rows
        .iter()
        .map(|row| {
            let anchor = &embedded[row.input_ids.as_slice()];
            let cosine = |ids: &[u32]| dot(anchor, &embedded[ids]);
            let wanted = &belong[row.input_ids.as_slice()];
            let best = wanted.iter().map(|ids| cosine(ids)).fold(f64::MIN, f64::max);
            // A wrong text that is just as near counts as nearer.
            1 + candidates.iter().filter(|ids| !wanted.contains(*ids) && cosine(ids) >= best).count()
        })
        .collect();
    let share = |k: usize| ranks.iter().filter(|&&rank| rank <= k).count() as f64 / ranks.len().max(1) as f64;
    let reciprocal: f64 = ranks.iter().map(|&rank| 1.0 / rank as f64).sum();
    EmbeddingMetrics {
        recall_at_1: Some(share(1)),
        recall_at_5: Some(share(5)),
        mrr: Some(reciprocal / ranks.len().max(1) as f64),
        spearman: None,
        candidates: Some(candidates.len()),
    }
}

/// The order of the pairs by cosine against their order by score.
fn ranking(rows: &[Example], embedded: &Embedded) -> EmbeddingMetrics {
    let (mut cosines, mut scores) = (Vec::new(), Vec::new());
    for row in rows {
        if let Some(Contrast::Scored { other, score }) = &row.contrast {
            cosines.push(dot(&embedded[row.input_ids.as_slice()], &embedded[other.as_slice()]));
            scores.push(*score as f64);
        }
    }
    EmbeddingMetrics {
        recall_at_1: None,
        recall_at_5: None,
        mrr: None,
        spearman: spearman(&cosines, &scores),
        candidates: None,
    }
}

/// Spearman's rank correlation; `None` where all values of one side are equal. Equal values share the mean of their
/// ranks, as in scipy.
fn spearman(a: &[f64], b: &[f64]) -> Option<f64> {
    let (a, b) = (ranks(a), ranks(b));
    let centre = (a.len() as f64 + 1.0) / 2.0;
    let sum = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| (x - centre) * (y - centre)).sum::<f64>();
    let spread = (sum(&a, &a) * sum(&b, &b)).sqrt();
    (spread > 0.0).then(|| sum(&a, &b) / spread)
}

fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut below = 0;
    for equal in order.chunk_by(|&a, &b| values[a] == values[b]) {
        equal.iter().for_each(|&place| ranks[place] = below as f64 + (equal.len() as f64 + 1.0) / 2.0);
        below += equal.len();
    }
    ranks
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| *a as f64 * *b as f64).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::close;
    use burn::tensor::Device;

    #[test]
    fn rank_correlation_is_scipys() {
        // scipy.stats.spearmanr([1, 2, 2, 5, 3], [0.1, 0.4, 0.3, 0.2, 0.9])
        let found = spearman(&[1.0, 2.0, 2.0, 5.0, 3.0], &[0.1, 0.4, 0.3, 0.2, 0.9]).unwrap();
        assert!((found - 0.359_092_423_229_804).abs() < 1e-9, "{found}");
        assert_eq!(spearman(&[1.0, 1.0], &[1.0, 2.0]), None);
    }

    /// As wide as MiniLM, with one layer and few words.
    fn minilm() -> Model {
        let config = serde_json::json!({
            "model_type": "bert", "hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 1, "num_attention_heads": 12,
            "vocab_size": 16, "max_position_embeddings": 512, "type_vocab_size": 2,
        });
        let weights = |name: &str, shape: &[usize]| {
            let value = |i: usize| ((i * 7 + name.len()) as f32 * 0.61).sin() * 0.1;
            Ok((0..shape.iter().product()).map(value).collect())
        };
        Model::load(&config, &weights, &Device::flex()).unwrap()
    }

    #[test]
    fn scores_of_long_texts_stay_below_a_binding_and_embeddings_are_the_same_in_parts() {
        let model = minilm();
        for seq in [16, 128, 296, 512] {
            let rows = rows_at_once(&model, seq);
            let scores = |rows: usize| rows * 12 * seq * seq * 4;
            assert!(rows > 1 && scores(rows) <= 128 << 20, "{rows} rows of {seq} tokens");
        }
        // Batches of 32 texts are cut from 296 tokens on.
        assert!(rows_at_once(&model, 288) >= MOST_TEXTS && rows_at_once(&model, 297) < MOST_TEXTS);

        let (batch, seq) = (5, 8);
        let of = |value: &dyn Fn(usize, usize) -> u32| -> Vec<u32> {
            (0..batch * seq).map(|i| value(i / seq, i % seq)).collect()
        };
        let input = Input {
            input_ids: &of(&|row, i| ((row * 5 + i * 3) % 16) as u32),
            position_ids: &of(&|_, i| i as u32),
            document_ids: &of(&|row, i| (i < 3 + row) as u32),
            batch,
            seq,
        };
        let whole = model.embeddings(&input);
        for rows in [1, 2, 4, 5] {
            close(in_parts(&model, &input, rows), whole.clone(), 1e-6);
        }
    }

    #[test]
    fn a_search_counts_what_is_nearer() {
        let vectors =
            [(vec![1], [1.0, 0.0]), (vec![2], [0.6, 0.8]), (vec![3], [0.8, 0.6]), (vec![4], [0.0, 1.0])];
        let embedded: Embedded =
            vectors.iter().map(|(ids, vector)| (ids.as_slice(), vector.to_vec())).collect();
        let row = |anchor: u32, positive: u32, negative: Option<u32>| Example {
            contrast: Some(Contrast::Pair {
                positive: vec![positive],
                negative: negative.map(|id| vec![id]),
            }),
            ..Example::of_text(vec![anchor], 0)
        };
        // The first anchor's positive is behind the second's; the second's own comes first.
        let found = search(&[row(1, 2, None), row(4, 2, Some(3))], &embedded);
        assert_eq!((found.recall_at_1, found.recall_at_5), (Some(0.5), Some(1.0)));
        assert_eq!((found.mrr, found.candidates), (Some(0.75), Some(2)));
        // Another row's positive for the same anchor is no mistake.
        let found = search(&[row(1, 2, None), row(1, 3, None)], &embedded);
        assert_eq!(found.recall_at_1, Some(1.0));
    }
}
