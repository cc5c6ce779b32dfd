//! The attention kernels at lengths around the sizes of their blocks and of the cache's rooms.

use super::kernels::{near, values};
use burn::tensor::{Device, Tensor};
use loralet::kernels::attention::{cached_attention, causal_attention, plain_attention};
use loralet::kernels::readback::read;

/// Attention of one token, around 32 and of many, within documents of uneven lengths: of whole rows, with gradients, and of the
/// last tokens of rows whose keys and values lie in a cache.
pub async fn of_lengths(device: &Device, tolerance: f32) {
    const HEADS: [usize; 3] = [6, 2, 8];
    for seq in [1, 31, 32, 33, 257] {
        let [heads, kv_heads, head_dim] = HEADS;
        // Documents of 1, 2, 4, … tokens, the second row's from its second token on.
        let starts = |row: usize| move |i: usize| (1_usize << (i + 1 - row.min(i)).ilog2()) - 1 + row.min(i);
        let first_keys: Vec<usize> = (0..2).flat_map(|row| (0..seq).map(starts(row))).collect();
        let rows = |device: &Device| values(&[2, seq, heads + 2 * kv_heads, head_dim], 3, device);
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
            near(&format!("attention of {seq} tokens, {part}"), ours, plain, tolerance);
        }

        let cpu = rows(&Device::flex()).reshape([2 * seq, heads + 2 * kv_heads, head_dim]);
        let whole = read(plain_attention(cpu, &vec![0; 2 * seq], heads, seq)).await.unwrap();
        for past in [0, seq / 2, seq - 1] {
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
            let ours = cached_attention(piece, cache(heads), cache(heads + kv_heads), past);
            let ours = read(ours).await.unwrap();
            let width = heads * head_dim;
            let expected: Vec<f32> =
                whole.chunks(seq * width).flat_map(|row| &row[past * width..]).copied().collect();
            near(&format!("attention of {seq} tokens from {past} on"), &ours, &expected, tolerance);
        }
    }
}
