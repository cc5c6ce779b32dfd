//! The CPU's kernels.

use super::Attention;
use crate::kernels::contiguous;
use crate::kernels::gemm::{Matrix, gemm, gemm_add};
use crate::kernels::softmax::{softmax_row, softmax_row_backward};
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::TensorData;
use std::ops::Range;

/// Queries whose keys are cut at the block's end: what lies above the diagonal is mostly not computed.
pub(super) const BLOCK: usize = 64;

/// Some queries of a row, and the keys that any of them sees.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Block {
    queries: Range<usize>,
    keys: Range<usize>,
}

impl Block {
    /// How many probabilities it has.
    fn len(&self) -> usize {
        self.queries.len() * self.keys.len()
    }
}

/// The blocks of a row: of each document, from its start on, so that the row computes what its documents alone would.
fn row_blocks(first_keys: &[f32]) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for (position, &first) in first_keys.iter().enumerate() {
        let first = first as usize;
        match blocks.last_mut() {
            Some(block) if first < position && block.queries.len() < BLOCK => {
                block.queries.end = position + 1;
                block.keys.end = position + 1;
            }
            _ => blocks.push(Block { queries: position..position + 1, keys: first..position + 1 }),
        }
    }
    blocks
}

fn blocks(seq: usize) -> impl Iterator<Item = Range<usize>> {
    (0..seq).step_by(BLOCK).map(move |start| start..(start + BLOCK).min(seq))
}

impl Attention for Flex {
    /// Keeps no probabilities.
    fn causal_attention(
        qkv: FloatTensor<Self>,
        first_keys: FloatTensor<Self>,
        heads: usize,
        seq: usize,
    ) -> FloatTensor<Self> {
        forward(qkv, first_keys, heads, seq, None)
    }

    fn cached_attention(
        qkv: FloatTensor<Self>,
        keys: FloatTensor<Self>,
        values: FloatTensor<Self>,
        past: usize,
        window: Option<usize>,
    ) -> FloatTensor<Self> {
        let [qkv, keys, values] = [qkv, keys, values].map(contiguous);
        let (batch, room) = (keys.layout().shape()[0], keys.layout().shape()[2]);
        let heads = qkv.layout().shape()[1] - 2 * keys.layout().shape()[1];
        let seq = qkv.layout().shape()[0] / batch;
        let Sizes { tokens, kv_heads, group, head_dim, .. } = Sizes::of(&qkv, heads, seq);
        let mut output = vec![0.0; tokens * heads * head_dim];
        let mut probabilities = vec![0.0; BLOCK.min(seq) * (past + seq)];
        for (b, h) in (0..batch).flat_map(|b| (0..heads).map(move |h| (b, h))) {
            let first = (b * kv_heads + h / group) * room * head_dim;
            for block in blocks(seq) {
                let upto = past + block.end;
                let [key, value] =
                    [&keys, &values].map(|x| plain(&x.storage::<f32>()[first..][..upto * head_dim], upto));
                let query = rows(&qkv, b * seq, block.clone(), h);
                let seen = |i: usize| {
                    let end = past + block.start + i + 1;
                    window.map_or(0, |window| end.saturating_sub(window))..end
                };
                let context = attend(&query, &key, &value, seen, &mut probabilities[..block.len() * upto]);
                put(&context, &mut output, heads, head_dim, b * seq + block.start, h);
            }
        }
        tensor(output, vec![tokens, heads, head_dim])
    }

    /// Saves the probabilities.
    fn attention_forward(
        qkv: FloatTensor<Self>,
        first_keys: FloatTensor<Self>,
        heads: usize,
        seq: usize,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let first_keys = contiguous(first_keys);
        let rows = first_keys.storage::<f32>().chunks(seq.max(1));
        let total = heads * rows.flat_map(row_blocks).map(|block| block.len()).sum::<usize>();
        let mut saved = vec![0.0; total];
        let output = forward(qkv, first_keys, heads, seq, Some(&mut saved));
        (output, tensor(saved, vec![total]))
    }

    fn attention_backward(
        qkv: FloatTensor<Self>,
        first_keys: FloatTensor<Self>,
        output: FloatTensor<Self>,
        saved: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        seq: usize,
    ) -> FloatTensor<Self> {
        let heads = output.shape()[1];
        let [qkv, first_keys, saved, grad] = [qkv, first_keys, saved, grad].map(contiguous);
        let Sizes { tokens, batch, kv_heads, group, head_dim } = Sizes::of(&qkv, heads, seq);
        let all_heads = heads + 2 * kv_heads;
        let rows_blocks: Vec<_> = first_keys.storage::<f32>().chunks(seq.max(1)).map(row_blocks).collect();
        let mut rest = saved.storage::<f32>();
        let mut gradient = vec![0.0; tokens * all_heads * head_dim];
        let mut of_scores = vec![0.0; BLOCK * seq];
        let mut of_queries = vec![0.0; BLOCK * head_dim];
        for (b, kv_head) in (0..batch).flat_map(|b| (0..kv_heads).map(move |h| (b, h))) {
            let (key_head, value_head) = (heads + kv_head, heads + kv_heads + kv_head);
            let mut of_keys = vec![0.0; seq * head_dim];
            let mut of_values = of_keys.clone();
            let blocks = &rows_blocks[b];
            for (h, block) in
                (0..group).flat_map(|h| blocks.iter().map(move |block| (kv_head * group + h, block)))
            {
                let (queries, keys) = (block.queries.clone(), block.keys.clone());
                let probabilities;
                (probabilities, rest) = rest.split_at(block.len());
                let of_scores = &mut of_scores[..block.len()];
                let of_output = rows(&grad, b * seq, queries.clone(), h);
                let value = rows(&qkv, b * seq, keys.clone(), value_head);
                gemm(&of_output, &value.transposed(), of_scores);
                // Where a probability is 0 by the mask, so is the gradient of its score.
                let pairs =
                    of_scores.chunks_exact_mut(keys.len()).zip(probabilities.chunks_exact(keys.len()));
                for (grads, row) in pairs {
                    softmax_row_backward(row, grads);
                }
                let of_scores = plain(of_scores, queries.len());
                let of_queries = &mut of_queries[..queries.len() * head_dim];
                gemm(&of_scores, &rows(&qkv, b * seq, keys.clone(), key_head), of_queries);
                put(of_queries, &mut gradient, all_heads, head_dim, b * seq + queries.start, h);
                let query = rows(&qkv, b * seq, queries.clone(), h);
                let places = keys.start * head_dim..keys.end * head_dim;
                gemm_add(&of_scores.transposed(), &query, &mut of_keys[places.clone()]);
                gemm_add(
                    &plain(probabilities, queries.len()).transposed(),
                    &of_output,
                    &mut of_values[places],
                );
            }
            put(&of_keys, &mut gradient, all_heads, head_dim, b * seq, key_head);
            put(&of_values, &mut gradient, all_heads, head_dim, b * seq, value_head);
        }
        tensor(gradient, vec![tokens, all_heads, head_dim])
    }
}

/// The output; the probabilities go into `saved`, block by block of each head, or nowhere.
fn forward(
    qkv: FloatTensor<Flex>,
    first_keys: FloatTensor<Flex>,
    heads: usize,
    seq: usize,
    mut saved: Option<&mut [f32]>,
) -> FloatTensor<Flex> {
    let [qkv, first_keys] = [qkv, first_keys].map(contiguous);
    let Sizes { tokens, kv_heads, group, head_dim, .. } = Sizes::of(&qkv, heads, seq);
    let first_keys = first_keys.storage::<f32>();
    let mut output = vec![0.0; tokens * heads * head_dim];
    let mut of_block = if saved.is_none() { vec![0.0; BLOCK.min(seq) * seq] } else { Vec::new() };
    for (b, first_keys) in first_keys.chunks(seq.max(1)).enumerate() {
        let blocks = row_blocks(first_keys);
        for (h, block) in (0..heads).flat_map(|h| blocks.iter().map(move |block| (h, block))) {
            let (queries, keys) = (block.queries.clone(), block.keys.clone());
            let probabilities = match &mut saved {
                Some(rest) => rest.split_off_mut(..block.len()).expect("there is room for every block"),
                None => &mut of_block[..block.len()],
            };
            let heads_read = [heads + h / group, heads + kv_heads + h / group];
            let [key, value] = heads_read.map(|head| rows(&qkv, b * seq, keys.clone(), head));
            let query = rows(&qkv, b * seq, queries.clone(), h);
            let seen = |i: usize| {
                let position = queries.start + i;
                first_keys[position] as usize - keys.start..position + 1 - keys.start
            };
            let context = attend(&query, &key, &value, seen, probabilities);
            put(&context, &mut output, heads, head_dim, b * seq + queries.start, h);
        }
    }
    tensor(output, vec![tokens, heads, head_dim])
}

/// What one head's block of queries reads of the values, `[queries, head_dim]`, and its probabilities, `[queries, keys]`; row `i`
/// sees the keys `seen(i)`.
fn attend(
    query: &Matrix,
    key: &Matrix,
    value: &Matrix,
    seen: impl Fn(usize) -> Range<usize>,
    probabilities: &mut [f32],
) -> Vec<f32> {
    gemm(query, &key.transposed(), probabilities);
    for (i, row) in probabilities.chunks_exact_mut(key.rows).enumerate() {
        softmax(row, seen(i));
    }
    let mut context = vec![0.0; query.rows * value.columns];
    gemm(&plain(probabilities, query.rows), value, &mut context);
    context
}

struct Sizes {
    tokens: usize,
    batch: usize,
    kv_heads: usize,
    /// Query heads to a key/value head.
    group: usize,
    head_dim: usize,
}

impl Sizes {
    fn of(qkv: &FloatTensor<Flex>, heads: usize, seq: usize) -> Sizes {
        let shape = qkv.layout().shape();
        let kv_heads = (shape[1] - heads) / 2;
        let (batch, group) = (shape[0] / seq.max(1), heads / kv_heads);
        Sizes { tokens: shape[0], batch, kv_heads, group, head_dim: shape[2] }
    }
}

/// One head of the tokens `first + positions` of `[tokens, heads, head_dim]`.
fn rows(x: &FloatTensor<Flex>, first: usize, positions: Range<usize>, head: usize) -> Matrix<'_> {
    let shape = x.layout().shape();
    let (heads, head_dim) = (shape[1], shape[2]);
    Matrix {
        data: x.storage(),
        offset: ((first + positions.start) * heads + head) * head_dim,
        rows: positions.len(),
        columns: head_dim,
        row_stride: heads * head_dim,
        column_stride: 1,
    }
}

/// Values that lie row by row.
fn plain(data: &[f32], rows: usize) -> Matrix<'_> {
    let columns = data.len() / rows;
    Matrix { data, offset: 0, rows, columns, row_stride: columns, column_stride: 1 }
}

/// Writes the rows of one head, from the token `first` on, into `[tokens, heads, head_dim]`.
fn put(values: &[f32], whole: &mut [f32], heads: usize, head_dim: usize, first: usize, head: usize) {
    for (i, row) in values.chunks_exact(head_dim).enumerate() {
        whole[((first + i) * heads + head) * head_dim..][..head_dim].copy_from_slice(row);
    }
}

/// Softmax over `seen`, 0 elsewhere.
fn softmax(row: &mut [f32], seen: Range<usize>) {
    row[..seen.start].fill(0.0);
    row[seen.end..].fill(0.0);
    softmax_row(&mut row[seen]);
}

fn tensor(values: Vec<f32>, shape: Vec<usize>) -> FloatTensor<Flex> {
    Flex::float_from_data(TensorData::new(values, shape), &Default::default())
}
