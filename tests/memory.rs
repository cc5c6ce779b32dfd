//! The estimate of a run's memory beside what the run allocates at its peak, natively on the CPU, where every tensor is memory of the
//! process: each objective, with activations kept and computed again. And what the readers of headers take for files made to take much.

use burn::tensor::Device;
use loralet::memory::MemoryEstimate;
use loralet::recipe::{BaseDtype, Recipe};
use loralet::session::{Limits, Session};
use loralet::weights::safetensors::{NamedTensor, serialize};
use loralet::weights::{ByteSource, MemorySource};
use pollster::block_on;
use serde_json::{Value, json};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

#[path = "support/hostile.rs"]
#[allow(dead_code, reason = "each test program uses its own part")]
mod hostile;
#[path = "support/readers.rs"]
#[allow(dead_code, reason = "each test program uses its own part")]
mod readers;

/// Counts what is allocated now, and the most so far.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is handed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        PEAK.fetch_max(NOW.fetch_add(layout.size(), Relaxed) + layout.size(), Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const HIDDEN: usize = 96;
const INNER: usize = 256;
const LAYERS: usize = 4;

fn files(is_encoder: bool) -> Vec<Box<dyn ByteSource>> {
    let path =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/data/bpe_tokenizer.json");
    let tokenizer = std::fs::read_to_string(path).unwrap();
    let vocab =
        serde_json::from_str::<Value>(&tokenizer).unwrap()["model"]["vocab"].as_object().unwrap().len() + 8;
    let config = match is_encoder {
        true => json!({
            "model_type": "bert", "hidden_size": HIDDEN, "intermediate_size": INNER, "num_hidden_layers": LAYERS,
            "num_attention_heads": 4, "vocab_size": vocab, "max_position_embeddings": 512, "type_vocab_size": 2,
        }),
        false => json!({
            "model_type": "llama", "hidden_size": HIDDEN, "intermediate_size": INNER, "num_hidden_layers": LAYERS,
            "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": vocab, "rms_norm_eps": 1e-5,
            "max_position_embeddings": 512, "tie_word_embeddings": true, "hidden_act": "silu",
        }),
    };
    let mut state = 1_u32;
    let mut tensor = |name: String, shape: &[usize]| -> NamedTensor {
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 8) as f32 / (1 << 23) as f32 - 1.0) * 0.1
        };
        let values = (0..shape.iter().product()).map(|_| next()).collect();
        (name, shape.to_vec(), values)
    };
    let mut tensors = Vec::new();
    let mut add = |name: &str, shape: &[usize]| tensors.push(tensor(name.into(), shape));
    if is_encoder {
        for (name, rows) in [("word", vocab), ("position", 512), ("token_type", 2)] {
            add(&format!("embeddings.{name}_embeddings.weight"), &[rows, HIDDEN]);
        }
        let mut norms = vec!["embeddings.LayerNorm".to_string()];
        for layer in 0..LAYERS {
            let at = |part: &str| format!("encoder.layer.{layer}.{part}");
            for (part, out, input) in [
                ("attention.self.query", HIDDEN, HIDDEN),
                ("attention.self.key", HIDDEN, HIDDEN),
                ("attention.self.value", HIDDEN, HIDDEN),
                ("attention.output.dense", HIDDEN, HIDDEN),
                ("intermediate.dense", INNER, HIDDEN),
                ("output.dense", HIDDEN, INNER),
            ] {
                add(&at(&format!("{part}.weight")), &[out, input]);
                add(&at(&format!("{part}.bias")), &[out]);
            }
            norms.extend([at("attention.output.LayerNorm"), at("output.LayerNorm")]);
        }
        for norm in norms {
            add(&format!("{norm}.weight"), &[HIDDEN]);
            add(&format!("{norm}.bias"), &[HIDDEN]);
        }
    } else {
        add("model.embed_tokens.weight", &[vocab, HIDDEN]);
        add("model.norm.weight", &[HIDDEN]);
        for layer in 0..LAYERS {
            for (part, shape) in [
                ("self_attn.q_proj", vec![HIDDEN, HIDDEN]),
                ("self_attn.k_proj", vec![HIDDEN / 2, HIDDEN]),
                ("self_attn.v_proj", vec![HIDDEN / 2, HIDDEN]),
                ("self_attn.o_proj", vec![HIDDEN, HIDDEN]),
                ("mlp.gate_proj", vec![INNER, HIDDEN]),
                ("mlp.up_proj", vec![INNER, HIDDEN]),
                ("mlp.down_proj", vec![HIDDEN, INNER]),
                ("input_layernorm", vec![HIDDEN]),
                ("post_attention_layernorm", vec![HIDDEN]),
            ] {
                add(&format!("model.layers.{layer}.{part}.weight"), &shape);
            }
        }
    }
    let weights = serialize(&tensors, &[]).unwrap();
    let file = |name: &str, bytes: Vec<u8>| Box::new(MemorySource::new(name, bytes)) as Box<dyn ByteSource>;
    vec![
        file("config.json", config.to_string().into_bytes()),
        file("tokenizer.json", tokenizer.into_bytes()),
        file("model.safetensors", weights),
    ]
}

thread_local! {
    /// Which weights move.
    static METHOD: std::cell::Cell<&'static str> = const { std::cell::Cell::new("lora") };
}

/// Rows of an objective, all of about the same length.
fn rows(objective: &str) -> Vec<u8> {
    let text = |i: usize, words: usize| {
        (0..words).map(|word| format!("w{} ", (i * 31 + word * 7) % 97)).collect::<String>()
    };
    let row = |i: usize| match objective {
        "text" => json!({ "text": text(i, 60) }),
        "sft" => json!({ "prompt": text(i, 40), "completion": text(i + 1, 20) }),
        "dpo" | "orpo" | "reward" => {
            json!({ "prompt": text(i, 40), "chosen": text(i + 1, 20), "rejected": text(i + 2, 20) })
        }
        "kto" => {
            json!({ "prompt": text(i, 40), "completion": text(i + 1, 20), "label": i.is_multiple_of(2) })
        }
        "grpo" => json!({ "prompt": text(i, 20), "answer": "w1" }),
        "classify" => {
            json!({ "text": text(i, 60), "label": if i.is_multiple_of(2) { "even" } else { "odd" } })
        }
        "contrastive" => {
            json!({ "anchor": text(i, 60), "positive": text(i + 1, 60), "negative": text(i + 2, 60) })
        }
        _ => unreachable!(),
    };
    (0..24).map(|i| row(i).to_string() + "\n").collect::<String>().into_bytes()
}

/// The estimate, and the most that two steps allocated.
fn run(objective: &str, is_encoder: bool, checkpointing: &str, changes: Value) -> (MemoryEstimate, u64) {
    let mut recipe = json!({
        "objective": objective,
        "method": METHOD.get(),
        "lora": { "rank": 4 },
        "train": { "max_steps": 2, "batch_size": 8, "gradient_checkpointing": checkpointing, "max_seq_length": 512 },
        "grpo": { "max_completion_length": 40, "num_generations": 8, "reward": "length" },
        "eval": { "validation_fraction": 0.0, "probe": false },
    });
    for (section, inner) in changes.as_object().unwrap() {
        for (key, value) in inner.as_object().unwrap() {
            recipe[section][key] = value.clone();
        }
    }
    let recipe = Recipe::from_json(&recipe).unwrap();
    // A session keeps its files open; what they take of memory here they take of a disk elsewhere.
    let files = files(is_encoder);
    let before = NOW.load(Relaxed);
    let mut session = Session::new(Device::flex(), Limits::default());
    session.open_model(files, "model", BaseDtype::F32, &|_, _| {}).unwrap();
    session.open_data("rows.jsonl", &rows(objective), &recipe).unwrap();
    let plan = session.begin(&recipe).unwrap();
    PEAK.store(NOW.load(Relaxed), Relaxed);
    for _ in 0..2 {
        block_on(session.step()).unwrap();
    }
    (plan.memory, (PEAK.load(Relaxed) - before) as u64)
}

/// One test, since all tests of a program share its memory.
#[test]
fn memory_is_what_is_said() {
    headers_take_four_times_their_bytes();
    estimates_are_near_what_a_run_takes();
}

/// Files of which each byte makes as much as it can.
fn headers_take_four_times_their_bytes() {
    let many = 60_000;
    let texts = hostile::list("t", 8, 1 << 20, &[0; 8 << 20]);
    let bytes = hostile::list("b", 0, 1 << 22, &[7; 1 << 22]);
    let lists =
        hostile::list("l", 9, 100_000, &[4_u32.to_le_bytes().to_vec(), vec![0; 8]].concat().repeat(100_000));
    let entries: Vec<Vec<u8>> = (0..many).map(|i| hostile::entry(&format!("{i:x}"), 7, &[1])).collect();
    let invalid = hostile::entry("i", 8, &[&(1_u64 << 22).to_le_bytes()[..], &[0xFF; 1 << 22]].concat());
    let files = [
        ("texts", hostile::gguf(&[texts], &[])),
        ("numbers", hostile::gguf(&[bytes], &[])),
        ("lists", hostile::gguf(&[lists], &[])),
        ("entries", hostile::gguf(&entries, &[])),
        ("no UTF-8", hostile::gguf(&[invalid], &[])),
        ("tensors", hostile::many_tensors_gguf(200_000, |i| format!("{i:x}"))),
    ];
    for (name, file) in files {
        within_four_times(name, &file, 2 << 20, readers::gguf_header);
    }
    let tensor = |i: usize| format!("\"{i:x}\":{{\"dtype\":\"I8\",\"shape\":[],\"data_offsets\":[0,0]}}");
    let none = |i: usize| {
        format!("\"{i:x}\":{{\"dtype\":\"I8\",\"shape\":[0,0,0,0,0,0,0,0],\"data_offsets\":[0,0]}}")
    };
    let header = |tensor: &dyn Fn(usize) -> String| {
        let tensors: Vec<String> = (0..100_000).map(tensor).collect();
        hostile::safetensors(&format!("{{{}}}", tensors.join(",")), 0)
    };
    let named = format!(
        "{{\"{}\":{{\"dtype\":\"I8\",\"shape\":[0],\"data_offsets\":[0,0]}}}}",
        "\\n".repeat(1 << 20)
    );
    for (name, file) in [
        ("tensors of no dimension", header(&tensor)),
        ("tensors of many dimensions", header(&none)),
        ("tensors", hostile::many_tensors_safetensors(100_000)),
        ("a long name", hostile::safetensors(&named, 0)),
    ] {
        within_four_times(name, &file, 64 << 10, readers::safetensors_header);
    }
}

fn within_four_times(name: &str, file: &[u8], beside: usize, read: fn(&[u8])) {
    let before = NOW.load(Relaxed);
    PEAK.store(before, Relaxed);
    read(file);
    let taken = PEAK.load(Relaxed) - before;
    println!("{name}: {:.2} times {} bytes", taken as f64 / file.len() as f64, file.len());
    assert!(taken <= 4 * file.len() + beside, "{name}: {taken} bytes for a file of {}", file.len());
}

fn estimates_are_near_what_a_run_takes() {
    // What a native run holds beside its tensors, which the estimate of a browser's has as its own.
    run("text", false, "off", json!({}));
    let mut wrong = Vec::new();
    let mut compare = |name: &str, (estimate, peak): (MemoryEstimate, u64)| {
        // The estimate has a browser's program in it, and copies of a product's factors that only the browser's kernels make.
        let estimated = (estimate.total - (6 << 20)) as f64;
        let ratio = estimated / peak as f64;
        println!(
            "{name}: estimated {:.1} MB, at its peak {:.1} MB, {ratio:.2}",
            estimated / 1e6,
            peak as f64 / 1e6
        );
        if !(0.8..=1.25).contains(&ratio) {
            wrong.push(format!("{name} {ratio:.2}"));
        }
    };
    for objective in ["text", "sft", "dpo", "orpo", "kto", "grpo", "reward", "classify"] {
        for checkpointing in ["off", "on"] {
            compare(
                &format!("{objective}, checkpointing {checkpointing}"),
                run(objective, false, checkpointing, json!({})),
            );
        }
    }
    for objective in ["contrastive", "classify"] {
        compare(&format!("{objective}, encoder"), run(objective, true, "auto", json!({})));
    }
    let short = json!({ "train": { "max_seq_length": 64, "batch_size": 16 } });
    compare("classify, encoder, short texts", run("classify", true, "auto", short));
    for method in ["full", "last_layer"] {
        METHOD.set(method);
        compare(&format!("sft, {method}"), run("sft", false, "off", json!({})));
    }
    METHOD.set("lora");
    let dora = json!({ "lora": { "use_dora": true } });
    compare("sft, DoRA", run("sft", false, "off", dora));
    let dropout = json!({ "lora": { "dropout": 0.1 } });
    compare("sft, dropout", run("sft", false, "off", dropout));
    compare("contrastive, decoder", run("contrastive", false, "off", json!({})));
    let kl = json!({ "train": { "kl_to_base": 0.1 } });
    compare("sft, kl_to_base", run("sft", false, "off", kl));
    let accumulated = json!({ "train": { "gradient_accumulation_steps": 3 }, "lora": { "rank": 64 } });
    compare("sft, accumulated", run("sft", false, "off", accumulated));
    let long = json!({ "grpo": { "max_completion_length": 60, "num_generations": 24 }, "train": { "batch_size": 2 } });
    compare("grpo, long answers", run("grpo", false, "on", long));
    assert!(wrong.is_empty(), "further apart than they may be: {}", wrong.join(", "));
}
