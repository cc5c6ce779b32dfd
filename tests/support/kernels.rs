//! The kernels of a device against burn's stock operations on the CPU: outputs and all gradients.

use super::attention::{attended, normed_heads, of_lengths, turned};
use super::blocks::{blocks, expanded, picked};
use burn::tensor::{Device, Gradients, Tensor, TensorData, activation, s};
use loralet::kernels::blocks::{BLOCK, Matrix};
use loralet::kernels::readback::read;
use loralet::kernels::{
    bias::add_biases, concat::concat, lora::lora_linears, lora::times, matmul::matmul, norm::sum_of_squares,
    rms_norm::rms_norm, running_softmax::add_part, softmax::softmax, swiglu::swiglu,
};
use loralet::train::optimizer::{AdamW, guarded};

/// One case: what it computes from leaves of these shapes, by our kernels or by stock operations.
struct Case {
    name: &'static str,
    shapes: &'static [&'static [usize]],
    compute: fn(&[Tensor<4>], bool) -> Tensor<4>,
}

fn product(ours: bool, a: Tensor<4>, b: Tensor<4>) -> Tensor<4> {
    if ours { matmul(a, b) } else { a.matmul(b) }
}

fn flat(x: &Tensor<4>) -> Tensor<2> {
    let [a, b, c, d] = x.dims();
    x.clone().reshape([a * b * c, d])
}

const CASES: &[Case] = &[
    Case {
        name: "product of rows and columns",
        shapes: &[&[1, 1, 36, 28], &[1, 1, 20, 28]],
        compute: |leaves, ours| {
            let (x, w) = (flat(&leaves[0]), flat(&leaves[1]));
            let y = if ours { matmul(x, w.transpose()) } else { x.matmul(w.transpose()) };
            y.reshape([1, 1, 36, 20])
        },
    },
    Case {
        name: "product of many rows",
        shapes: &[&[1, 1, 300, 64], &[1, 1, 64, 256]],
        compute: |leaves, ours| product(ours, leaves[0].clone(), leaves[1].clone()),
    },
    Case {
        name: "product of turned matrices",
        shapes: &[&[1, 1, 28, 36], &[1, 1, 20, 28]],
        compute: |leaves, ours| product(ours, leaves[0].clone().transpose(), leaves[1].clone().transpose()),
    },
    Case {
        name: "product of heads that lie apart",
        shapes: &[&[2, 12, 3, 8], &[2, 12, 3, 8]],
        compute: |leaves, ours| {
            let head = |x: &Tensor<4>| x.clone().swap_dims(1, 2);
            product(ours, head(&leaves[0]), head(&leaves[1]).transpose())
        },
    },
    Case {
        name: "product of odd sizes",
        shapes: &[&[2, 3, 7, 5], &[2, 3, 5, 9]],
        compute: |leaves, ours| product(ours, leaves[0].clone(), leaves[1].clone()),
    },
    Case {
        name: "product with an odd depth",
        shapes: &[&[1, 2, 13, 8], &[1, 2, 13, 12]],
        compute: |leaves, ours| product(ours, leaves[0].clone().transpose(), leaves[1].clone()),
    },
    Case {
        name: "LoRA",
        shapes: &[&[1, 1, 140, 36], &[1, 1, 1, 704], &[1, 1, 140, 52]],
        compute: |leaves, ours| adapted(leaves, ours, &[(52, 8)]),
    },
    Case {
        name: "LoRA of many rows",
        shapes: &[&[1, 1, 300, 72], &[1, 1, 1, 8576], &[1, 1, 300, 320]],
        compute: |leaves, ours| adapted(leaves, ours, &[(192, 16), (64, 16), (64, 16)]),
    },
    Case {
        name: "LoRA beside weights in blocks",
        shapes: &[&[1, 1, 70, 64], &[1, 1, 1, 2112], &[1, 1, 70, 136]],
        compute: |leaves, ours| adapted(leaves, ours, &[(64, 8), (72, 8)]),
    },
    Case {
        name: "LoRA beside three weights in blocks",
        shapes: &[&[1, 1, 39, 96], &[1, 1, 1, 2656], &[1, 1, 39, 216]],
        compute: |leaves, ours| adapted(leaves, ours, &[(68, 8), (76, 0), (72, 8)]),
    },
    Case {
        name: "LoRA with a residual beside a weight in blocks",
        shapes: &[&[1, 1, 5, 32], &[1, 1, 1, 368], &[1, 1, 5, 60]],
        compute: |leaves, ours| adapted(leaves, ours, &[(60, 4)]),
    },
    Case {
        name: "product with weights in blocks",
        shapes: &[&[1, 1, 70, 64]],
        compute: |leaves, ours| blocks_times(leaves, ours, &[64, 68, 72, 76]),
    },
    Case {
        name: "product of one row with weights in blocks",
        shapes: &[&[1, 1, 1, 96]],
        compute: |leaves, ours| blocks_times(leaves, ours, &[64, 68, 72, 76, 5]),
    },
    Case {
        name: "LoRA on two layers of three",
        shapes: &[&[1, 1, 33, 12], &[1, 1, 1, 192], &[1, 1, 33, 36]],
        compute: |leaves, ours| adapted(leaves, ours, &[(16, 4), (12, 0), (8, 4)]),
    },
    Case {
        name: "LoRA of odd sizes",
        shapes: &[&[1, 1, 9, 7], &[1, 1, 1, 66], &[1, 1, 9, 8]],
        compute: |leaves, ours| adapted(leaves, ours, &[(5, 3), (3, 3)]),
    },
    Case { name: "SwiGLU", shapes: &[&[1, 1, 12, 48]], compute: gated },
    Case { name: "SwiGLU of odd sizes", shapes: &[&[1, 1, 5, 14]], compute: gated },
    Case { name: "softmax", shapes: &[&[2, 3, 5, 8]], compute: rows },
    Case { name: "softmax of odd rows", shapes: &[&[2, 3, 5, 7]], compute: rows },
    Case { name: "RMSNorm", shapes: &[&[1, 2, 6, 200], &[1, 1, 1, 200]], compute: normed },
    Case { name: "RMSNorm of odd rows", shapes: &[&[1, 2, 6, 13], &[1, 1, 1, 13]], compute: normed },
    Case { name: "attention", shapes: &[&[2, 21, 10, 8]], compute: |leaves, ours| attended(leaves, ours, 6) },
    Case {
        name: "attention to what lies in another order",
        shapes: &[&[2, 10, 21, 8]],
        compute: |leaves, ours| attended(&[leaves[0].clone().swap_dims(1, 2)], ours, 6),
    },
    Case {
        name: "attention of odd heads",
        shapes: &[&[1, 5, 5, 7]],
        compute: |leaves, ours| attended(leaves, ours, 3),
    },
    Case { name: "RoPE", shapes: &[&[2, 5, 5, 16]], compute: |leaves, ours| turned(leaves, ours, 16) },
    Case {
        name: "RoPE of small heads",
        shapes: &[&[2, 5, 5, 4]],
        compute: |leaves, ours| turned(leaves, ours, 4),
    },
    Case {
        name: "RoPE of a part",
        shapes: &[&[2, 5, 5, 32]],
        compute: |leaves, ours| turned(leaves, ours, 8),
    },
    Case {
        name: "RoPE of an odd part",
        shapes: &[&[2, 5, 5, 12]],
        compute: |leaves, ours| turned(leaves, ours, 6),
    },
    Case {
        name: "norm of heads",
        shapes: &[&[2, 3, 7, 12], &[1, 1, 1, 12], &[1, 1, 1, 12]],
        compute: normed_heads,
    },
    Case {
        name: "norm of odd heads",
        shapes: &[&[2, 3, 7, 6], &[1, 1, 1, 6], &[1, 1, 1, 6]],
        compute: normed_heads,
    },
    Case {
        name: "biases",
        shapes: &[&[1, 1, 9, 44], &[1, 1, 1, 20], &[1, 1, 1, 16], &[1, 1, 1, 8]],
        compute: biased,
    },
    Case { name: "a bias of an odd width", shapes: &[&[1, 1, 9, 7], &[1, 1, 1, 7]], compute: biased },
];

/// Layers of these widths and ranks on one input; the leaves are it, their A and B, and the residual.
fn adapted(leaves: &[Tensor<4>], ours: bool, layers: &[(usize, usize)]) -> Tensor<4> {
    let (x, residual) = (flat(&leaves[0]), flat(&leaves[2]));
    let [tokens, input] = x.dims();
    let lora: Tensor<1> = leaves[1].clone().reshape([leaves[1].dims()[3]]);
    let device = leaves[0].device().inner();
    let in_blocks = input.is_multiple_of(BLOCK);
    let matrix = |&(out, _): &(usize, usize)| match in_blocks {
        true => Matrix::Blocks(blocks(out, input, &device)),
        false => Matrix::Dense(flat(&values(&[1, 1, out, input], out, &device))),
    };
    let weights: Vec<Matrix> = layers.iter().map(matrix).collect();
    let ranks: Vec<usize> = layers.iter().map(|&(_, rank)| rank).collect();
    let y = if ours && weights.len() == 1 {
        lora_linears(x, &[&weights[0]], Some(lora), Some(residual), ranks, 0.7, false)
    } else if ours {
        lora_linears(x, &weights.iter().collect::<Vec<_>>(), Some(lora), None, ranks, 0.7, false) + residual
    } else {
        let weights: Vec<Tensor<2>> = weights.iter().map(Matrix::dense).collect();
        let mut at = 0;
        let mut matrix = |rows: usize, columns: usize| {
            at += rows * columns;
            lora.clone().narrow(0, at - rows * columns, rows * columns).reshape([rows, columns])
        };
        let of_layer = |(weight, rank): (Tensor<2>, usize)| {
            let out = weight.dims()[0];
            let base = x.clone().matmul(weight.autodiff().transpose());
            if rank == 0 {
                return base;
            }
            let (a, b) = (matrix(rank, input), matrix(out, rank));
            base + x.clone().matmul(a.transpose()).matmul(b.transpose()) * 0.7
        };
        Tensor::cat(weights.into_iter().zip(ranks).map(of_layer).collect(), 1) + residual
    };
    let width = y.dims()[1];
    y.reshape([1, 1, tokens, width])
}

/// Products with weights in blocks of these numbers of rows, side by side.
fn blocks_times(leaves: &[Tensor<4>], ours: bool, outs: &[usize]) -> Tensor<4> {
    let (x, device) = (flat(&leaves[0]), leaves[0].device().inner());
    let [tokens, input] = x.dims();
    let product = |&out: &usize| {
        let weight = Matrix::Blocks(blocks(out, input, &device));
        if ours {
            times(x.clone(), &weight, false)
        } else {
            x.clone().matmul(weight.dense().autodiff().transpose())
        }
    };
    let width = outs.iter().sum();
    Tensor::cat(outs.iter().map(product).collect(), 1).reshape([1, 1, tokens, width])
}

/// A bias for some columns after the other.
fn biased(leaves: &[Tensor<4>], ours: bool) -> Tensor<4> {
    let x = flat(&leaves[0]);
    let biases: Vec<Tensor<1>> = leaves[1..].iter().map(|bias| flat(bias).squeeze_dim(0)).collect();
    let y = if ours { add_biases(x, &biases) } else { x + Tensor::cat(biases, 0).unsqueeze() };
    y.reshape(leaves[0].dims())
}

fn gated(leaves: &[Tensor<4>], ours: bool) -> Tensor<4> {
    let gate_up = flat(&leaves[0]) * 4.0;
    let [tokens, width] = gate_up.dims();
    let y = if ours {
        swiglu(gate_up)
    } else {
        activation::silu(gate_up.clone().narrow(1, 0, width / 2)) * gate_up.narrow(1, width / 2, width / 2)
    };
    y.reshape([1, 1, tokens, width / 2])
}

fn rows(leaves: &[Tensor<4>], ours: bool) -> Tensor<4> {
    let x = leaves[0].clone() * 8.0;
    if ours { softmax(x) } else { activation::softmax(x, 3) }
}

fn normed(leaves: &[Tensor<4>], ours: bool) -> Tensor<4> {
    let (x, weight) = (flat(&leaves[0]), flat(&leaves[1]));
    let y = if ours {
        rms_norm(x, weight.squeeze_dim(0), 1e-5)
    } else {
        x.clone() * (x.square().mean_dim(1) + 1e-5).sqrt().recip() * weight
    };
    y.reshape(leaves[0].dims())
}

/// Nine vectors, more than are copied at once, of whole fours and not.
async fn concatenated(device: &Device) {
    for step in [4, 3] {
        let vector = |i: usize, device: &Device| {
            values(&[1, 1, 1, step * (i + 1)], i, device).reshape([step * (i + 1)])
        };
        let ours = concat((0..9).map(|i| vector(i, device)).collect());
        let stock = Tensor::<1>::cat((0..9).map(|i| vector(i, &Device::flex())).collect(), 0);
        assert_eq!(read(ours).await.unwrap(), read(stock).await.unwrap());
    }
}

/// The softmax of three parts against that of their numbers together.
async fn added_up(device: &Device) {
    for widths in [[36, 4, 120], [9, 12, 7]] {
        let part = |seed: usize, device: &Device| values(&[1, 1, 5, widths[seed]], seed, device) * 9.0;
        let (mut running, mut last) = (None, None);
        for i in 0..3 {
            let (exponentials, now) = add_part(flat(&part(i, device)), running.as_ref());
            (running, last) = (Some(now), Some(exponentials));
        }
        let running = running.unwrap();
        let (tops, sums) = (read(running.top).await.unwrap(), read(running.sum).await.unwrap());
        let last = read(last.unwrap()).await.unwrap();
        let whole: Vec<Vec<f32>> = {
            let parts = (0..3).map(|i| flat(&part(i, &Device::flex()))).collect();
            let all = read(Tensor::cat(parts, 1)).await.unwrap();
            all.chunks(widths.iter().sum()).map(<[f32]>::to_vec).collect()
        };
        for (row, logits) in whole.iter().enumerate() {
            let top = logits.iter().copied().fold(f32::MIN, f32::max);
            let sum: f32 = logits.iter().map(|logit| (logit - top).exp()).sum();
            assert_eq!(tops[row], top);
            assert!((sums[row] / sum - 1.0).abs() < 1e-5);
            for (i, logit) in logits[widths[0] + widths[1]..].iter().enumerate() {
                let power = last[row * widths[2] + i];
                assert!((power - (logit - top).exp()).abs() < 1e-5, "{power} for {logit} below {top}");
            }
        }
    }
}

/// Products of factors that were rounded to 16 bits, where the device has such arithmetic, are near the others, and elsewhere
/// they are the others.
async fn in_sixteen_bits(device: &Device) {
    let (x, lora) = (flat(&values(&[1, 1, 70, 64], 1, device)), values(&[1, 1, 1, 1056], 2, device));
    for weight in
        [Matrix::Dense(flat(&values(&[1, 1, 68, 64], 3, device))), Matrix::Blocks(blocks(68, 64, device))]
    {
        let run = async |fp16: bool| {
            let lora = Some(lora.clone().reshape([1056]));
            read(lora_linears(x.clone(), &[&weight], lora, None, vec![8], 0.7, fp16)).await.unwrap()
        };
        let (halves, floats) = (run(true).await, run(false).await);
        let apart = halves.iter().zip(&floats).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart < 0.05, "{apart}");
    }
}

/// Sums of squares of more values than there are units, and of no whole fours.
async fn squares(device: &Device) {
    for length in [9, 12, 70_000] {
        let x = values(&[1, 1, 1, length], 1, device).reshape([length]);
        let expected: f32 = read(x.clone()).await.unwrap().iter().map(|x| x * x).sum();
        let sum = read(sum_of_squares(x)).await.unwrap()[0];
        assert!((sum / expected - 1.0).abs() < 1e-4, "{sum}, not {expected}");
    }
}

/// Updates against the CPU's, of a gradient that is clipped and one that is not, with half the learning rate for half the
/// values, while another holder keeps these; of whole fours and not.
async fn updates(device: &Device) {
    for length in [1200, 1203] {
        for max_grad_norm in [0.0, 3.0, 1e3] {
            let ours = updated(device, length, max_grad_norm, &[]).await;
            let expected = updated(&Device::flex(), length, max_grad_norm, &[]).await;
            for (i, (a, b)) in ours.iter().zip(&expected).enumerate() {
                assert!((a - b).abs() < 1e-5, "value {i} is {a}, not {b}");
            }
        }
        // Nothing changes from a broken step on, though the gradient after it is sound.
        let untouched = updated(device, length, 1.0, &[f32::NAN]).await;
        for broken in [&[f32::INFINITY, 1.0][..], &[f32::NEG_INFINITY], &[f32::NAN, 0.5, 1.0]] {
            let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&updated(device, length, 1.0, broken).await), bits(&untouched));
        }
        let [before, values] = [0, 1].map(|part| &untouched[part * length..][..length]);
        assert_eq!(before, values);
        assert!(untouched[2 * length..].iter().all(|moment| *moment == 0.0));
    }
}

/// The values before two updates and after them, and both moments. `broken` is what one value of each gradient is instead.
async fn updated(device: &Device, length: usize, max_grad_norm: f64, broken: &[f32]) -> Vec<f32> {
    let vector = |seed| values(&[1, 1, 1, length], seed, device).reshape([length]);
    let (mut values, gradient) = (vector(1), vector(2));
    let before = values.clone();
    let halves = (0..length).map(|i| if i % 2 == 0 { 0.5 } else { 1.0 }).collect::<Vec<f32>>();
    let mut optimizer = AdamW {
        rates: Some(Tensor::from_floats(halves.as_slice(), device)),
        max_grad_norm,
        ..AdamW::new(length, 0.1, device)
    };
    let mut guard = None;
    for step in 0..broken.len().max(2) {
        let mut gradient = gradient.clone();
        if let Some(&value) = broken.get(step) {
            gradient = gradient.slice_assign(s![7..8], Tensor::from_floats([value], device));
        }
        let figures = guarded(Tensor::from_floats([1.0, 5.0], device), gradient.clone(), guard.as_ref());
        values = optimizer.update(values, gradient, figures.clone(), 1e-2);
        guard = Some(figures);
    }
    let parts = vec![before, values, optimizer.first_moment, optimizer.second_moment];
    read(Tensor::cat(parts, 0)).await.unwrap()
}

/// # Panics
/// When an output or a gradient differs by more than `tolerance`, of its size where that is above 1.
pub async fn kernels(device: &Device, tolerance: f32) {
    concatenated(device).await;
    expanded(device).await;
    picked(device).await;
    added_up(device).await;
    in_sixteen_bits(device).await;
    squares(device).await;
    updates(device).await;
    of_lengths(device, tolerance).await;
    for case in CASES {
        let ours = run(case, device, true).await;
        let stock = run(case, &Device::flex(), false).await;
        for (part, (ours, stock)) in ours.iter().zip(&stock).enumerate() {
            near(&format!("{}, part {part}", case.name), ours, stock, tolerance);
        }
    }
}

pub fn near(what: &str, ours: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(ours.len(), expected.len(), "{what}");
    for (i, (a, b)) in ours.iter().zip(expected).enumerate() {
        assert!((a - b).abs() <= tolerance * b.abs().max(1.0), "{what}: value {i} is {a}, not {b}");
    }
}

/// The output, then the gradient of each leaf.
async fn run(case: &Case, device: &Device, ours: bool) -> Vec<Vec<f32>> {
    let leaf = |(i, shape): (usize, &&[usize])| values(shape, i, device).autodiff().require_grad();
    let leaves: Vec<Tensor<4>> = case.shapes.iter().enumerate().map(leaf).collect();
    let y = (case.compute)(&leaves, ours);
    let weights = values(&y.dims(), 9, device);
    let gradients: Gradients = (y.clone() * weights).sum().backward();
    let mut parts = vec![read(y.inner()).await.unwrap()];
    for leaf in &leaves {
        parts.push(read(leaf.grad(&gradients).unwrap()).await.unwrap());
    }
    parts
}

pub fn values(shape: &[usize], seed: usize, device: &Device) -> Tensor<4> {
    let count = shape.iter().product();
    let values: Vec<f32> = (0..count).map(|i: usize| ((i * 7 + seed * 3) as f32 * 0.61).sin()).collect();
    Tensor::from_data(TensorData::new(values, shape.to_vec()), device)
}
