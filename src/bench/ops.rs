//! The operations of a LoRA step, and of an answer's token, timed one by one.

use super::Workload;
use super::work::{self, Passes, Work};
use crate::error::{Error, Result};
use crate::kernels::attention::causal_attention;
use crate::kernels::blocks::{BLOCK, Blocks, Form, HostBlocks, Matrix};
use crate::kernels::lora::{lora_linears, times};
use crate::kernels::readback::{read, read_ids};
use crate::kernels::sample::{Choice, sample};
use crate::kernels::seed::seed;
use crate::kernels::{matmul::matmul, rms_norm::rms_norm, rotary::rotate, swiglu::swiglu};
use crate::models::{float_tensor, head};
use crate::train::optimizer::{AdamW, guarded};
use burn::tensor::{Device, Int, Tensor};
use serde::Serialize;
use std::cell::Cell;
use web_time::Instant;

/// How long an operation is repeated at least for one time, so that reading its end back hardly counts.
const SECONDS: f64 = 0.05;
const MOST_REPEATS: usize = 1 << 12;

/// An operation without or with its backward pass.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pass {
    Forward,
    Both,
}

/// What one turn says of an operation.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct OpTime {
    pub name: String,
    /// Its shapes, for a reader.
    pub shape: String,
    /// How often a step without checkpointing does it; 0 for what belongs to no step.
    pub a_step: usize,
    pub forward: PassTime,
    pub backward: Option<PassTime>,
}

#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export))]
pub struct PassTime {
    pub ms: f64,
    #[serde(flatten)]
    pub work: Work,
}

pub struct Ops {
    ops: Vec<Op>,
}

struct Op {
    name: String,
    shape: String,
    a_step: usize,
    passes: Passes,
    launch: Launch,
    /// The repetitions of both passes, once they are known.
    repeats: [Option<usize>; 2],
}

type Launch = Box<dyn FnMut(Pass) -> Output>;

/// A tensor that is there when the operation has begun; a queue is worked off in order, so what is read of it after the
/// operation comes when the operation is done.
enum Output {
    Numbers(Tensor<2>),
    Ids(Tensor<1, Int>),
}

impl Ops {
    /// The operations at the workload's sizes; then what every backward pass here begins with, and two that show what the device
    /// can do at most.
    ///
    /// # Errors
    /// Sizes that make no model.
    pub fn new(workload: &Workload, device: &Device) -> Result<Ops> {
        workload.check()?;
        let Workload { hidden, layers, heads, kv_heads, head_dim, ffn, vocab, batch, seq, .. } = *workload;
        let (tokens, rank) = (batch * seq, workload.lora.r);
        let (q, kv, all_heads) = (heads * head_dim, kv_heads * head_dim, heads + 2 * kv_heads);
        let random = |rows: usize, columns: usize| random([rows, columns], device);
        let weight = |form: Option<Form>, out: usize, input: usize| stored(form, out, input, device);
        let mut ops = Vec::new();
        let mut add = |name: &str, shape: String, a_step: usize, passes: Passes, launch: Launch| {
            ops.push(Op { name: name.into(), shape, a_step, passes, launch, repeats: [None; 2] });
        };

        let norm = random(1, hidden).squeeze_dim::<1>(0);
        let eps = workload.eps;
        add(
            "RMSNorm",
            format!("{tokens} × {hidden}"),
            2 * layers + 1,
            work::rms_norm(tokens, hidden),
            differentiated(vec![random(tokens, hidden)], move |leaves| {
                rms_norm(leaves[0].clone(), norm.clone(), eps)
            }),
        );

        let mut linears = |name: &str, input: usize, outs: &[usize], form, residual: bool, a_step| {
            let weights: Vec<Matrix> = outs.iter().map(|&out| weight(form, out, input)).collect();
            let out: usize = outs.iter().sum();
            let bytes = weights.iter().map(Matrix::bytes).sum::<u64>() as usize;
            let shape = format!("{tokens} × {input} · {input} × {out}");
            let passes = work::linears(tokens, input, outs, rank, bytes, residual);
            add(name, shape, a_step, passes, adapted(tokens, weights, rank, residual, device));
        };
        linears("q, k, v", hidden, &[q, kv, kv], None, false, layers);
        linears("o", q, &[hidden], None, true, layers);
        linears("gate, up", hidden, &[ffn, ffn], None, false, layers);
        for (name, form) in
            [("gate, up in f16", Form::F16), ("gate, up in q8", Form::Q8), ("gate, up in q4", Form::Q4)]
        {
            if hidden.is_multiple_of(BLOCK) {
                linears(name, hidden, &[ffn, ffn], Some(form), false, 0);
            }
        }
        linears("down", ffn, &[hidden], None, true, layers);

        let (cos, sin) = (random(tokens, head_dim / 2), random(tokens, head_dim / 2));
        add(
            "RoPE",
            format!("{tokens} × {all_heads} × {head_dim}"),
            layers,
            work::rotary(workload),
            differentiated(vec![random(tokens, all_heads * head_dim)], move |leaves| {
                let qkv = leaves[0].clone().reshape([tokens, all_heads, head_dim]);
                let turned = rotate(qkv, cos.clone(), sin.clone(), heads, kv_heads, 0.125);
                turned.reshape([tokens, all_heads * head_dim])
            }),
        );
        let first_keys = float_tensor(vec![0.0; tokens], [tokens], device);
        add(
            "attention",
            format!("{batch} × {seq} × {all_heads} × {head_dim}"),
            layers,
            work::attention(workload),
            differentiated(vec![random(tokens, all_heads * head_dim)], move |leaves| {
                let qkv = leaves[0].clone().reshape([tokens, all_heads, head_dim]);
                causal_attention(qkv, first_keys.clone(), heads, seq).reshape([tokens, q])
            }),
        );
        add(
            "SwiGLU",
            format!("{tokens} × {ffn}"),
            layers,
            work::swiglu(tokens, ffn),
            differentiated(vec![random(tokens, 2 * ffn)], |leaves| swiglu(leaves[0].clone())),
        );

        let output = weight(None, vocab, hidden);
        let projection = output.clone();
        let targets: Vec<u32> = (0..tokens).map(|i| (i * 31 % vocab) as u32).collect();
        add(
            "head and loss",
            format!("{tokens} × {hidden} · {hidden} × {vocab}"),
            1,
            work::head(tokens, hidden, vocab),
            differentiated(vec![random(tokens, hidden)], move |leaves| {
                head::token_losses(leaves[0].clone(), &projection, &targets).unsqueeze_dim(1)
            }),
        );
        let of_layer = rank * ((hidden + q + 2 * kv + 2 * hidden) + (q + hidden) + 3 * (hidden + ffn));
        let trained = layers * of_layer;
        add("AdamW", format!("{trained}"), 1, work::adamw(trained), updates(trained, device));

        for (name, form) in [
            ("head, one token", None),
            ("head in f16, one token", Some(Form::F16)),
            ("head in q8, one token", Some(Form::Q8)),
            ("head in q4, one token", Some(Form::Q4)),
        ] {
            if form.is_some() && !hidden.is_multiple_of(BLOCK) {
                continue;
            }
            let weight = form.map_or_else(|| output.clone(), |form| weight(Some(form), vocab, hidden));
            let passes = work::one_token(hidden, vocab, weight.bytes() as usize);
            let x = random(1, hidden);
            let launch = move |_| Output::Numbers(times(x.clone(), &weight, false));
            add(name, format!("1 × {hidden} · {hidden} × {vocab}"), 0, passes, Box::new(launch));
        }
        let logits = random(1, vocab);
        let choice = Choice { temperature: 0.7, top_k: None, top_p: Some(0.9) };
        let launch = move |_| Output::Ids(sample(logits.clone(), vec![0.5], choice));
        add("next token", format!("1 × {vocab}"), 0, work::sampled(vocab), Box::new(launch));

        let start = differentiated(vec![random(1, 1)], |leaves| leaves[0].clone());
        add("start of a backward pass", "1".into(), 0, work::none(), start);
        let (a, b) = (random(512, 512), random(512, 512));
        let launch = move |_| Output::Numbers(matmul(a.clone(), b.clone()));
        add("product", "512 × 512 · 512 × 512".into(), 0, work::product(512, 512, 512), Box::new(launch));
        let x = random(2048, 2048);
        let launch = move |_| Output::Numbers(x.clone() * 1.5);
        add("scaling", "2048 × 2048".into(), 0, work::copied(2048 * 2048), Box::new(launch));
        Ok(Ops { ops })
    }

    /// Times every operation once, each repeated for 50 ms or more; the first turn also lets the device compile its kernels. The
    /// backward pass is the difference of two times, and may come out below 0 where it is shorter than their noise.
    ///
    /// # Errors
    /// A device that stops answering.
    pub async fn turn(&mut self) -> Result<Vec<OpTime>> {
        let mut times = Vec::with_capacity(self.ops.len());
        for op in &mut self.ops {
            let (forward, backward) = op.passes;
            let ms = op.milliseconds(Pass::Forward).await?;
            let backward = match backward {
                Some(work) => Some(PassTime { ms: op.milliseconds(Pass::Both).await? - ms, work }),
                None => None,
            };
            times.push(OpTime {
                name: op.name.clone(),
                shape: op.shape.clone(),
                a_step: op.a_step,
                forward: PassTime { ms, work: forward },
                backward,
            });
        }
        Ok(times)
    }

    /// Seconds that an operation takes so many times in a row.
    ///
    /// # Errors
    /// No such operation; a device that stops answering.
    pub async fn run(&mut self, index: usize, pass: Pass, times: usize) -> Result<f64> {
        let count = self.ops.len();
        let op = self.ops.get_mut(index).ok_or_else(|| Error::InvalidRecipe {
            reason: format!("there is no operation {index}, only 0 to {}", count - 1),
        })?;
        op.seconds(pass, times).await
    }
}

impl Op {
    async fn milliseconds(&mut self, pass: Pass) -> Result<f64> {
        let slot = pass as usize;
        let Some(repeats) = self.repeats[slot] else {
            // The first time compiles.
            self.seconds(pass, 1).await?;
            let mut repeats = 1;
            let mut seconds = self.seconds(pass, repeats).await?;
            while seconds < SECONDS && repeats < MOST_REPEATS {
                repeats *= 2;
                seconds = self.seconds(pass, repeats).await?;
            }
            self.repeats[slot] = Some(repeats);
            return Ok(seconds * 1000.0 / repeats as f64);
        };
        Ok(self.seconds(pass, repeats).await? * 1000.0 / repeats as f64)
    }

    async fn seconds(&mut self, pass: Pass, times: usize) -> Result<f64> {
        let started = Instant::now();
        for _ in 1..times {
            (self.launch)(pass);
        }
        // What reads the number back queues behind all of them.
        match (self.launch)(pass) {
            Output::Numbers(numbers) => drop(read(numbers.slice([0..1, 0..1])).await?),
            Output::Ids(ids) => drop(read_ids(ids).await?),
        }
        Ok(started.elapsed().as_secs_f64())
    }
}

/// An operation on these leaves, and the gradients for all of them from a gradient of the output that is there.
fn differentiated(leaves: Vec<Tensor<2>>, compute: impl Fn(&[Tensor<2>]) -> Tensor<2> + 'static) -> Launch {
    let mut gradient = None;
    Box::new(move |pass| {
        if pass == Pass::Forward {
            return Output::Numbers(compute(&leaves));
        }
        let tracked: Vec<Tensor<2>> =
            leaves.iter().map(|leaf| leaf.clone().autodiff().require_grad()).collect();
        let output = compute(&tracked);
        let gradient = gradient.get_or_insert_with(|| random(output.dims(), &leaves[0].device()));
        let gradients = seed(output, gradient.clone()).backward();
        Output::Numbers(tracked[0].grad(&gradients).expect("every leaf takes part"))
    })
}

/// Linear layers of one input, with low-rank paths.
fn adapted(tokens: usize, weights: Vec<Matrix>, rank: usize, residual: bool, device: &Device) -> Launch {
    let input = weights[0].dims()[1];
    let outs: Vec<usize> = weights.iter().map(|weight| weight.dims()[0]).collect();
    let out: usize = outs.iter().sum();
    let lora = rank * (outs.len() * input + out);
    let mut leaves = vec![random([tokens, input], device), random([1, lora], device)];
    if residual {
        leaves.push(random([tokens, out], device));
    }
    differentiated(leaves, move |leaves| {
        let weights: Vec<&Matrix> = weights.iter().collect();
        let ranks = vec![rank; weights.len()];
        let (lora, residual) = (leaves[1].clone().reshape([lora]), leaves.get(2).cloned());
        lora_linears(leaves[0].clone(), &weights, Some(lora), residual, ranks, 2.0, false)
    })
}

/// Updates of so many values, with the gradient's norm that their clipping goes by.
fn updates(count: usize, device: &Device) -> Launch {
    let mut optimizer = AdamW { max_grad_norm: 1.0, ..AdamW::new(count, 0.0, device) };
    let gradient = random([1, count], device).squeeze_dim::<1>(0);
    let values = Cell::new(Some(gradient.clone() * 1.5));
    let loss = float_tensor(vec![1.0], [1], device);
    Box::new(move |_| {
        let guard = guarded(loss.clone(), gradient.clone(), None);
        let figures = guard.clone().unsqueeze_dim(0);
        // Nobody else holds the values, so that they are updated in place.
        let before = values.take().expect("put back below");
        let after = optimizer.update(before, gradient.clone(), guard, 1e-4);
        values.set(Some(after));
        Output::Numbers(figures)
    })
}

/// The same numbers every time, from -0.5 to below 0.5.
fn random(shape: [usize; 2], device: &Device) -> Tensor<2> {
    let mut numbers = Numbers(1);
    let values = (0..shape[0] * shape[1]).map(|_| numbers.word() as f32 / u32::MAX as f32 - 0.5).collect();
    float_tensor(values, shape, device)
}

/// A weight as numbers, or as a file has it.
fn stored(form: Option<Form>, out: usize, input: usize, device: &Device) -> Matrix {
    let Some(form) = form else { return Matrix::Dense(random([out, input], device)) };
    let mut numbers = Numbers(2);
    let mut words = Vec::with_capacity(out * input / BLOCK * form.words());
    for _ in 0..out * input / BLOCK {
        let head = [0.01f32, -0.1].map(|number| number.to_bits() as i32);
        words.extend(head.iter().take(form.head_words()));
        words.extend((0..form.number_words()).map(|_| match form {
            // Halves of ordinary size.
            Form::F16 | Form::Bf16 => 0x34cd_34cd,
            Form::Q8 | Form::Q4 => numbers.word() as i32,
        }));
    }
    Matrix::Blocks(Blocks::new(HostBlocks { form, words }, [out, input], device))
}

/// Knuth's linear congruential generator; for speed any numbers will do.
struct Numbers(u64);

impl Numbers {
    fn word(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 32) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{AdamWSettings, Lora};

    #[test]
    fn every_operation_runs_and_is_timed() {
        let workload = Workload {
            hidden: 64,
            layers: 2,
            heads: 4,
            kv_heads: 2,
            head_dim: 16,
            ffn: 96,
            vocab: 128,
            rope_theta: 1e4,
            eps: 1e-5,
            batch: 2,
            seq: 8,
            lora: Lora { r: 4, alpha: 8.0 },
            adamw: AdamWSettings { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0 },
        };
        let mut ops = Ops::new(&workload, &Device::flex()).unwrap();
        let times = pollster::block_on(ops.turn()).unwrap();
        assert!(times.iter().all(|op| op.forward.ms > 0.0), "{times:?}");
        let linears = times.iter().filter(|op| op.name.starts_with("gate, up")).count();
        assert_eq!(linears, 4, "as numbers, in 16, 8 and 4 bits");
        // Seven linears with a rank of 4: q, k and v, o, gate and up, down.
        let trained = 2 * 4 * ((3 * 64 + 128) + (64 + 64) + (2 * 64 + 192) + (96 + 64));
        let adamw = times.iter().find(|op| op.name == "AdamW").unwrap();
        assert_eq!(adamw.shape, trained.to_string());
        let both = pollster::block_on(ops.run(1, Pass::Both, 2)).unwrap();
        assert!(both > 0.0);
        assert!(pollster::block_on(ops.run(99, Pass::Both, 2)).is_err());
        let refused = |change: fn(&mut Workload)| {
            let mut odd = workload.clone();
            change(&mut odd);
            Ops::new(&odd, &Device::flex()).err().expect("it makes no model").to_string()
        };
        assert_eq!(refused(|odd| odd.vocab = 0), "recipe: workload: a size or the rank is 0");
        assert_eq!(refused(|odd| odd.kv_heads = 3), "recipe: workload: heads is no multiple of kv_heads");
        assert_eq!(refused(|odd| odd.head_dim = 3), "recipe: workload: head_dim is odd");
    }
}
