//! Attention and the rotation before it: as other kernels are tested, and attention at lengths around the sizes of its blocks
//! and of the cache's rooms.

use super::kernels::{near, values};
use burn::tensor::{Device, Tensor};
use loralet::kernels::attention::{cached_attention, causal_attention, plain_attention};
use loralet::kernels::head_norm::norm_heads;
use loralet::kernels::readback::read;
use loralet::kernels::rotary::rotate;

/// Attention of one token, around 32 and of many, within documents of uneven lengths: of whole rows, with gradients, and of the
/// last tokens of rows whose keys and values lie in a cache.
pub async fn of_lengths(device: &Device, tolerance: f32) {
    const HEADS: [usize; 3] = [6, 2, 8];
    for seq in [1, 31, 32, 33, 257] {
        let [heads, kv_heads, head_dim] = HEADS;
        // Documents of 1, 2, 4, … tokens, the second row's from its second token on.
        let starts = |row: usize| move |i: usize| (1_usize << (i + 1 - row.min(i)).ilog2()) - 1 + row.min(i);
        let rows = |device: &Device| values(&[2, seq, heads + 2 * kv_heads, head_dim], 3, device);
        for window in [usize::MAX, 5] {
            let seen = |row: usize| move |i: usize| starts(row)(i).max((i + 1).saturating_sub(window));
            let first_keys: Vec<usize> = (0..2).flat_map(|row| (0..seq).map(seen(row))).collect();
            let run = async |ours: bool, device: &Device| {
                let leaf = rows(device).autodiff().require_grad();
                let qkv = leaf.clone().reshape([2 * seq, heads + 2 * kv_heads, head_dim]);
                let y = if ours {
                    let first_keys: Vec<f32> = first_keys.iter().map(|&first| first as f32).collect();
                    let first_keys = Tensor::from_floats(first_keys.as_slice(), device);
                    // Without gradients the CPU keeps nothing, so both ways are tried.
                    let plain = causal_attention(qkv.clone().inner(), first_keys.clone(), heads, seq);
                    let y = causal_attention(qkv, first_keys, heads, seq);
                    let apart = read((y.clone().inner() - plain).abs().max()).await.unwrap()[0];
                    assert_eq!(apart, 0.0, "{seq} tokens, with gradients and without");
                    y
                } else {
                    plain_attention(qkv, &first_keys, heads, seq)
                };
                let weights = values(&[1, 2 * seq, heads, head_dim], 9, device).squeeze_dim::<3>(0);
                let gradients = (y.clone() * weights).sum().backward();
                [read(y.inner()).await.unwrap(), read(leaf.grad(&gradients).unwrap()).await.unwrap()]
            };
            let (ours, plain) = (run(true, device).await, run(false, &Device::flex()).await);
            for (part, (ours, plain)) in ["output", "gradient"].into_iter().zip(ours.iter().zip(&plain)) {
                near(&format!("attention of {seq} tokens, window {window}, {part}"), ours, plain, tolerance);
            }
        }

        let cpu = rows(&Device::flex()).reshape([2 * seq, heads + 2 * kv_heads, head_dim]);
        for (past, window) in
            [0, seq / 2, seq - 1].into_iter().flat_map(|past| [(past, None), (past, Some(3))])
        {
            let first = |i: usize| window.map_or(0, |window| (i % seq + 1).saturating_sub(window));
            let first_keys: Vec<usize> = (0..2 * seq).map(first).collect();
            let whole = read(plain_attention(cpu.clone(), &first_keys, heads, seq)).await.unwrap();
            let room = seq.next_multiple_of(32) + 32;
            let all = rows(device).swap_dims(1, 2); // [2, heads, seq, head_dim]
            let cache = |first: usize| {
                let held = all.clone().narrow(1, first, kv_heads);
                // What lies behind the tokens that are held must not matter.
                let empty = Tensor::full([2, kv_heads, room - seq, head_dim], 9.0, device);
                Tensor::cat(vec![held, empty], 2)
            };
            let piece = rows(device).narrow(1, past, seq - past);
            let piece = piece.reshape([2 * (seq - past), heads + 2 * kv_heads, head_dim]);
            let ours = cached_attention(piece, cache(heads), cache(heads + kv_heads), past, window);
            let ours = read(ours).await.unwrap();
            let width = heads * head_dim;
            let expected: Vec<f32> =
                whole.chunks(seq * width).flat_map(|row| &row[past * width..]).copied().collect();
            near(
                &format!("attention of {seq} tokens from {past} on, window {window:?}"),
                &ours,
                &expected,
                tolerance,
            );
        }
    }
}

/// Three query heads, one of keys and one of values, of which so many channels turn.
pub fn turned(leaves: &[Tensor<4>], ours: bool, rotary_dim: usize) -> Tensor<4> {
    let [batch, seq, heads, head_dim] = leaves[0].dims();
    let (tokens, half) = (batch * seq, rotary_dim / 2);
    let qkv = leaves[0].clone().reshape([tokens, heads, head_dim]);
    let device = leaves[0].device().inner();
    let angles = |seed| values(&[1, 1, tokens, half], seed, &device).reshape([tokens, half]);
    let (cos, sin): (Tensor<2>, Tensor<2>) = (angles(7), angles(8));
    let y = if ours {
        rotate(qkv, cos, sin, 3, 1, 0.7)
    } else {
        let (cos, sin) = (cos.unsqueeze_dim::<3>(1), sin.unsqueeze_dim::<3>(1));
        let x = qkv.clone().narrow(1, 0, 4);
        let (first, second) = (x.clone().narrow(2, 0, half), x.clone().narrow(2, half, half));
        let turned_first = first.clone() * cos.clone() - second.clone() * sin.clone();
        let mut parts = vec![turned_first, second * cos + first * sin];
        if rotary_dim < head_dim {
            parts.push(x.narrow(2, rotary_dim, head_dim - rotary_dim));
        }
        let x = Tensor::cat(parts, 2);
        Tensor::cat(vec![x.clone().narrow(1, 0, 3) * 0.7, x.narrow(1, 3, 1), qkv.narrow(1, 4, 1)], 1)
    };
    y.reshape([batch, seq, heads, head_dim])
}

/// Three query heads, two of keys and two of values; the other leaves are the weights.
pub fn normed_heads(leaves: &[Tensor<4>], ours: bool) -> Tensor<4> {
    let [batch, seq, heads, head_dim] = leaves[0].dims();
    let qkv = leaves[0].clone().reshape([batch * seq, heads, head_dim]);
    let [q, k]: [Tensor<1>; 2] = [1, 2].map(|i| leaves[i].clone().reshape([head_dim]));
    let y = if ours {
        norm_heads(qkv, q, k, 3, 1e-5)
    } else {
        let normed = |first, count, weight: Tensor<1>| {
            let x = qkv.clone().narrow(1, first, count);
            x.clone() * (x.square().mean_dim(2) + 1e-5).sqrt().recip() * weight.unsqueeze()
        };
        Tensor::cat(vec![normed(0, 3, q), normed(3, 2, k), qkv.clone().narrow(1, 5, 2)], 1)
    };
    y.reshape([batch, seq, heads, head_dim])
}

/// Rows of two documents, in which the second starts at the third token.
pub fn attended(leaves: &[Tensor<4>], ours: bool, heads: usize) -> Tensor<4> {
    let [batch, seq, all_heads, head_dim] = leaves[0].dims();
    let qkv = leaves[0].clone().reshape([batch * seq, all_heads, head_dim]) * 1.7;
    let first_keys: Vec<usize> = (0..batch * seq).map(|i| if i % seq < 2 { 0 } else { 2 }).collect();
    let y = if ours {
        let values: Vec<f32> = first_keys.iter().map(|&first| first as f32).collect();
        let first_keys = Tensor::from_floats(values.as_slice(), &qkv.device().inner());
        causal_attention(qkv, first_keys, heads, seq)
    } else {
        plain_attention(qkv, &first_keys, heads, seq)
    };
    y.reshape([batch, seq, heads, head_dim])
}
