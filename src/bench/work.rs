//! What operations cost by their shapes alone: a roofline's two numbers.

use super::Workload;
use serde::Serialize;

/// Bytes of a number.
const FLOAT: f64 = 4.0;

/// Arithmetic, and the memory traffic of an operation that reads and writes each of its tensors once. Whole numbers, but
/// `usize` has 32 bits in wasm, too few for them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct Work {
    pub flops: f64,
    pub bytes: f64,
}

/// Forward, and backward where there is such a pass.
pub type Passes = (Work, Option<Work>);

/// Linear layers of one input, `[out, in]` each, with low-rank paths of this rank, and a residual or none. `weight_bytes` is
/// what all weights occupy.
pub fn linears(
    tokens: usize,
    input: usize,
    outs: &[usize],
    rank: usize,
    weight_bytes: usize,
    residual: bool,
) -> Passes {
    let out: usize = outs.iter().sum();
    // Each layer has an A, `[rank, in]`, and a B, `[out, rank]`.
    let lora = product_of(&[rank, outs.len() * input + out]);
    let (x, y) = (product_of(&[tokens, input]), product_of(&[tokens, out]));
    let (weights, weight_bytes) = (product_of(&[input, out]), weight_bytes as f64);
    let residual = if residual { y } else { 0.0 };
    let forward = Work {
        flops: 2.0 * tokens as f64 * (weights + lora),
        bytes: weight_bytes + FLOAT * (x + lora + y + residual),
    };
    // The gradients for x, through W and through the low-rank paths, and those for A and B.
    let backward = Work {
        flops: 2.0 * tokens as f64 * (weights + 2.0 * lora),
        bytes: weight_bytes + FLOAT * (2.0 * x + y + 2.0 * lora),
    };
    (forward, Some(backward))
}

pub fn rms_norm(tokens: usize, hidden: usize) -> Passes {
    let x = product_of(&[tokens, hidden]);
    let forward = Work { flops: 4.0 * x, bytes: FLOAT * 2.0 * x };
    (forward, Some(Work { flops: 8.0 * x, bytes: FLOAT * 3.0 * x }))
}

pub fn rotary(workload: &Workload) -> Passes {
    let Workload { heads, kv_heads, head_dim, batch, seq, .. } = *workload;
    let turned = product_of(&[batch, seq, heads + kv_heads, head_dim]);
    let all = product_of(&[batch, seq, heads + 2 * kv_heads, head_dim]);
    let work = Work { flops: 3.0 * turned, bytes: FLOAT * 2.0 * all };
    (work, Some(work))
}

/// Two products forward and five backward of each pair of a token and one that it attends to.
pub fn attention(workload: &Workload) -> Passes {
    let Workload { heads, kv_heads, head_dim, batch, seq, .. } = *workload;
    let pairs = product_of(&[batch, heads, seq, seq + 1]) / 2.0;
    let qkv = product_of(&[batch, seq, heads + 2 * kv_heads, head_dim]);
    let output = product_of(&[batch, seq, heads, head_dim]);
    let of_pair = |products: usize, others: usize| (2 * products * head_dim + others) as f64;
    let forward = Work { flops: pairs * of_pair(2, 5), bytes: FLOAT * (qkv + output) };
    let backward = Work { flops: pairs * of_pair(5, 8), bytes: FLOAT * 2.0 * (qkv + output) };
    (forward, Some(backward))
}

pub fn swiglu(tokens: usize, ffn: usize) -> Passes {
    let output = product_of(&[tokens, ffn]);
    let forward = Work { flops: 6.0 * output, bytes: FLOAT * 3.0 * output };
    (forward, Some(Work { flops: 12.0 * output, bytes: FLOAT * 5.0 * output }))
}

/// The loss of a frozen head; what its gradient takes more.
pub fn head(tokens: usize, hidden: usize, vocab: usize) -> Passes {
    let bytes = FLOAT * (product_of(&[tokens, hidden]) + product_of(&[hidden, vocab]));
    let forward = Work { flops: product_of(&[tokens, vocab, 2 * hidden + 4]), bytes };
    let backward = Work { flops: product_of(&[tokens, vocab, 2 * hidden]), bytes };
    (forward, Some(backward))
}

/// The sum of the gradient's squares, then the update of values and both moments.
pub fn adamw(values: usize) -> Passes {
    (Work { flops: product_of(&[16, values]), bytes: FLOAT * product_of(&[8, values]) }, None)
}

/// `[rows, inner]` times `[inner, columns]`.
pub fn product(rows: usize, inner: usize, columns: usize) -> Passes {
    let numbers = product_of(&[rows, inner]) + product_of(&[inner, columns]) + product_of(&[rows, columns]);
    (Work { flops: product_of(&[2, rows, inner, columns]), bytes: FLOAT * numbers }, None)
}

/// One token's product with a weight that occupies `weight_bytes`.
pub fn one_token(input: usize, out: usize, weight_bytes: usize) -> Passes {
    (
        Work {
            flops: product_of(&[2, input, out]),
            bytes: weight_bytes as f64 + FLOAT * (input + out) as f64,
        },
        None,
    )
}

/// One number read and one written for each.
pub fn copied(values: usize) -> Passes {
    (Work { flops: product_of(&[values]), bytes: FLOAT * product_of(&[2, values]) }, None)
}

/// Logits are read; how often, and what is done with them, is the device's affair.
pub fn sampled(vocab: usize) -> Passes {
    (Work { flops: product_of(&[3, vocab]), bytes: FLOAT * product_of(&[vocab]) }, None)
}

/// Nothing.
pub fn none() -> Passes {
    let nothing = Work { flops: 0.0, bytes: 0.0 };
    (nothing, Some(nothing))
}

fn product_of(lengths: &[usize]) -> f64 {
    lengths.iter().map(|&length| length as f64).product()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linear_layers_work_follows_its_shapes() {
        // 5 tokens, 6 wide, to 4 and 2, rank 3: the weights are 36 numbers, A and B 2·18 + 12 + 6.
        let (forward, backward) = linears(5, 6, &[4, 2], 3, 144, true);
        let (flops, bytes) = (2 * 5 * (36 + 54), 144 + 4 * (30 + 54 + 30 + 30));
        assert_eq!(forward, Work { flops: flops as f64, bytes: bytes as f64 });
        let (flops, bytes) = (2 * 5 * (36 + 108), 144 + 4 * (60 + 30 + 108));
        assert_eq!(backward, Some(Work { flops: flops as f64, bytes: bytes as f64 }));
    }
}
