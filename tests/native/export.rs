//! What was trained in the formats of other tools: beside the files that those tools write, and read again. Whether the tools open
//! ours, `cargo xtask interop` sees.

use crate::support::{Tensors, close, logits};
use burn::tensor::Device;
use loralet::adapters::Trainable;
use loralet::error::Error;
use loralet::export::gguf_lora::{self, GgufLora};
use loralet::export::merge::merged_weights;
use loralet::export::{ExportDtype, ExportFormat, ExportRequest, OutputFile, Sink, peft};
use loralet::kernels::readback::read;
use loralet::models::{Input, Model};
use loralet::recipe::BaseDtype;
use loralet::session::{GenerateRequest, Limits, Session, outline};
use loralet::weights::gguf::{Gguf, GgufTensor, read_f32};
use loralet::weights::quantize::quantize;
use loralet::weights::safetensors::deserialize_f32;
use loralet::weights::{ByteSource, Checkpoint, MemorySource, StorageType};
use pollster::block_on;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

mod graduate;
mod round_trips;
mod strength;

fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(path)
}

fn bytes(path: &str) -> Vec<u8> {
    std::fs::read(fixture(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The files of a folder, or one file.
fn files(path: &str) -> Vec<(String, Vec<u8>)> {
    let path = fixture(path);
    let paths = match path.is_dir() {
        true => std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()).collect(),
        false => vec![path],
    };
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_string();
    paths.iter().map(|path| (name(path), std::fs::read(path).unwrap())).collect()
}

fn sources(files: &[(String, Vec<u8>)]) -> Vec<Box<dyn ByteSource>> {
    let source = |(name, bytes): &(String, Vec<u8>)| {
        Box::new(MemorySource::new(name, bytes.clone())) as Box<dyn ByteSource>
    };
    files.iter().map(source).collect()
}

fn adapter(path: &str) -> Vec<OutputFile> {
    files(path).into_iter().map(|(name, bytes)| OutputFile { name, bytes }).collect()
}

/// A model without its tokenizer.
fn model(path: &str) -> Model {
    let tensors = deserialize_f32(path, &bytes(&format!("{path}/model.safetensors"))).unwrap();
    let tensors: Tensors = tensors.into_iter().map(|(name, shape, values)| (name, (shape, values))).collect();
    let read = |name: &str, _: &[usize]| Ok(tensors[name].1.clone());
    let config: Value = serde_json::from_slice(&bytes(&format!("{path}/config.json"))).unwrap();
    Model::load(&config, &read, &Device::flex()).unwrap()
}

/// Keeps whole files.
#[derive(Default)]
struct Files(Vec<(String, Vec<u8>)>);

impl Sink for Files {
    fn begin(&mut self, name: &str) -> Result<(), Error> {
        self.0.push((name.into(), Vec::new()));
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.0.last_mut().expect("a file was begun").1.extend(bytes);
        Ok(())
    }
}

fn session(model: &[(String, Vec<u8>)], adapter: Option<&[OutputFile]>) -> Session {
    let mut session = Session::new(Device::flex(), Limits::default());
    session.open_model(sources(model), "loralet/Some Model", BaseDtype::F32, &|_, _| {}).unwrap();
    if let Some(adapter) = adapter {
        session.load_adapter(adapter).unwrap();
    }
    session
}

fn export(session: &Session, format: ExportFormat, dtype: Option<ExportDtype>) -> Vec<(String, Vec<u8>)> {
    let (mut sink, request) = (Files::default(), ExportRequest { format, dtype, strength: 1.0 });
    block_on(session.export(&request, &mut sink)).unwrap();
    // What is said of the files before holds.
    let manifest = block_on(session.export_manifest(&request)).unwrap();
    let said: Vec<_> = manifest.files.into_iter().map(|file| (file.name, file.bytes)).collect();
    let are: Vec<_> = sink.0.iter().map(|(name, bytes)| (name.clone(), bytes.len() as u64)).collect();
    assert_eq!(said, are);
    sink.0
}

fn refused(session: &Session, format: ExportFormat, dtype: Option<ExportDtype>) -> String {
    let exported =
        block_on(session.export(&ExportRequest { format, dtype, strength: 1.0 }, &mut Files::default()));
    exported.expect_err("it must be refused").to_string()
}

fn gguf_adapter(trainable: &Trainable, base: &Model, dtype: ExportDtype) -> Vec<u8> {
    let mut sink = Files::default();
    sink.begin("adapter.gguf").unwrap();
    let file = GgufLora::new(trainable, base, "base", dtype).unwrap();
    block_on(file.write(&mut sink)).unwrap();
    let bytes = sink.0.remove(0).1;
    assert_eq!(bytes.len() as u64, file.file_bytes());
    bytes
}

fn source(bytes: Vec<u8>) -> MemorySource {
    MemorySource::new("adapter.gguf", bytes)
}

/// Tensors by name, with their storage.
fn tensors(bytes: Vec<u8>) -> Vec<(GgufTensor, Vec<f32>)> {
    let source = source(bytes);
    let gguf = Gguf::open(&source).unwrap();
    let mut tensors: Vec<_> = gguf
        .tensors
        .iter()
        .map(|tensor| (GgufTensor { offset: 0, ..tensor.clone() }, read_f32(&source, tensor).unwrap()))
        .collect();
    tensors.sort_by(|a, b| a.0.name.cmp(&b.0.name));
    tensors
}

#[test]
fn a_gguf_adapter_is_that_of_llama_cpp() {
    let cases = [
        ("gguf_lora/llama.gguf", "llama/random_llama", "llama/random_lora", ExportDtype::F32),
        ("gguf_lora/qwen2.gguf", "qwen2/model", "qwen2/adapter", ExportDtype::F16),
    ];
    for (reference, base, folder, dtype) in cases {
        let base = model(base);
        let trainable = peft::load(&adapter(folder), &base).unwrap();
        let ours = gguf_adapter(&trainable, &base, dtype);
        let (theirs, ours_source) = (source(bytes(reference)), source(ours.clone()));
        let (theirs, header) = (Gguf::open(&theirs).unwrap(), Gguf::open(&ours_source).unwrap());
        for key in ["general.type", "general.architecture", "adapter.type", "adapter.lora.alpha"] {
            assert_eq!(header.get(key), theirs.get(key), "{reference}: {key}");
        }
        let (ours, theirs) = (tensors(ours), tensors(bytes(reference)));
        assert_eq!(ours.len(), theirs.len());
        for ((ours, values), (theirs, expected)) in ours.iter().zip(&theirs) {
            let of = |tensor: &GgufTensor| (tensor.name.clone(), tensor.shape.clone(), tensor.dtype);
            assert_eq!(of(ours), of(theirs));
            assert_eq!(values, expected, "{reference}: {}", ours.name);
        }
    }
}

#[test]
fn llama_cpps_gguf_adapter_is_the_peft_adapter() {
    let base = model("llama/random_llama");
    let peft = peft::load(&adapter("llama/random_lora"), &base).unwrap();
    let gguf = gguf_lora::load(&source(bytes("gguf_lora/llama.gguf")), &base).unwrap();
    assert_eq!((&gguf.parameters, &gguf.targets), (&peft.parameters, &peft.targets));
    let of = |trainable: &Trainable| block_on(read(trainable.values.clone())).unwrap();
    assert_eq!(of(&gguf), of(&peft));
    // And back to PEFT's folder, to the last bit.
    let again = peft::load(&block_on(peft::save(&gguf, "base")).unwrap(), &base).unwrap();
    assert_eq!(of(&again), of(&peft));
}

/// Scales that llama.cpp has no words for are in the file all the same.
#[test]
fn a_gguf_adapter_computes_what_the_adapter_does() {
    let base = model("llama/random_llama");
    let mut patterns = adapter("llama/random_lora");
    let config = patterns.iter_mut().find(|file| file.name == "adapter_config.json").unwrap();
    let mut json: Value = serde_json::from_slice(&config.bytes).unwrap();
    json["alpha_pattern"] = json!({ "k_proj": 3, "layers.1.mlp.up_proj": 40.5 });
    config.bytes = json.to_string().into_bytes();
    for files in [patterns, adapter("llama/random_rslora")] {
        let trainable = peft::load(&files, &base).unwrap();
        let again =
            gguf_lora::load(&source(gguf_adapter(&trainable, &base, ExportDtype::F32)), &base).unwrap();
        let weights = |trainable: &Trainable| merged_weights(&trainable.tuned(&base));
        for (before, after) in weights(&trainable).into_iter().zip(weights(&again)) {
            let (before_values, after) = (block_on(before.read()).unwrap(), block_on(after.read()).unwrap());
            close(&before.name, &after, &before_values, 1e-6);
        }
    }
}

#[test]
fn what_no_gguf_adapter_can_hold_is_refused() {
    let base = model("llama/random_llama");
    let refused = |trainable: &Trainable| {
        GgufLora::new(trainable, &base, "base", ExportDtype::F32).err().unwrap().to_string()
    };
    let dora = peft::load(&adapter("lora_variants/dora"), &base).unwrap();
    assert!(refused(&dora).contains("DoRA is not supported"), "{}", refused(&dora));
    assert!(refused(&dora).contains("merged-gguf"));

    let fails = |bytes: Vec<u8>| gguf_lora::load(&source(bytes), &base).err().unwrap().to_string();
    assert!(fails(bytes("gguf_lora/qwen2.gguf")).contains("architecture \"qwen2\""));
    assert!(fails(bytes("qwen2/model.gguf")).contains("it is no LoRA adapter"));
    let whole = bytes("gguf_lora/llama.gguf");
    for length in (0..whole.len()).step_by(701) {
        assert!(gguf_lora::load(&source(whole[..length].to_vec()), &base).is_err(), "{length} bytes");
    }
    let renamed = |from: &str, to: &str| {
        let mut bytes = whole.clone();
        let found = |bytes: &[u8]| bytes.windows(from.len()).position(|window| window == from.as_bytes());
        while let Some(at) = found(&bytes) {
            bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        }
        fails(bytes)
    };
    let missing = renamed("blk.1.ffn_up.weight.lora_b", "blk.1.ffn_up.weight.lora_x");
    assert!(missing.contains("\"blk.1.ffn_up.weight.lora_b\" is missing"), "{missing}");
    let stray = renamed("blk.1.ffn_up.weight", "blk.9.ffn_up.weight");
    assert!(stray.contains("has no place"), "{stray}");
}

#[test]
fn weights_are_quantised_as_by_ggml() {
    let file = bytes("quantize/blocks.safetensors");
    let tensors = ::safetensors::SafeTensors::deserialize(&file).unwrap();
    let values = tensors.tensor("values").unwrap();
    let values: Vec<f32> =
        values.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    for (name, dtype) in [
        ("q8_0", StorageType::Q8_0),
        ("q4_0", StorageType::Q4_0),
        ("q5_0", StorageType::Q5_0),
        ("q4_k", StorageType::Q4_K),
        ("q6_k", StorageType::Q6_K),
    ] {
        let mut ours = Vec::new();
        quantize(dtype, &values, &mut ours);
        let theirs = tensors.tensor(name).unwrap();
        let first = ours.iter().zip(theirs.data()).position(|(a, b)| a != b);
        assert_eq!((ours.len(), first), (theirs.data().len(), None), "{name}");
    }
}

/// Logits of some tokens.
fn logits_of(session: &Session, adapter: bool) -> Vec<f32> {
    let ids: Vec<u32> = (0..24).map(|i| (i * 37 + 11) % 250).collect();
    block_on(session.logits(&ids, adapter)).unwrap()
}

#[test]
fn a_merged_model_computes_what_the_adapter_does() {
    for (model, folder) in [("qwen2/model", "qwen2/adapter"), ("qwen3/model.gguf", "qwen3/adapter")] {
        let files = files(model);
        let tuned = session(&files, Some(&adapter(folder)));
        let expected = logits_of(&tuned, true);
        assert!(expected.iter().zip(logits_of(&tuned, false)).any(|(a, b)| (a - b).abs() > 0.01));
        for (format, dtype, tolerance) in [
            (ExportFormat::Merged, ExportDtype::F32, 1e-4),
            (ExportFormat::MergedGguf, ExportDtype::F32, 1e-4),
            (ExportFormat::MergedGguf, ExportDtype::F16, 1e-2),
            (ExportFormat::Merged, ExportDtype::Bf16, 0.1),
            (ExportFormat::MergedGguf, ExportDtype::Q8_0, 0.3),
        ] {
            let mut merged = export(&tuned, format, Some(dtype));
            merged.retain(|(name, _)| name != "Modelfile");
            let again = session(&merged, None);
            let what = format!("{model} as {} {}", format.name(), dtype.name());
            close(&what, &logits_of(&again, false), &expected, tolerance);
        }
    }
}

#[test]
fn dora_is_merged() {
    let base = model("llama/random_llama");
    let tuned = peft::load(&adapter("lora_variants/dora"), &base).unwrap().tuned(&base);
    let merged: Tensors = merged_weights(&tuned)
        .into_iter()
        .map(|weight| (weight.name.clone(), (weight.shape.clone(), block_on(weight.read()).unwrap())))
        .collect();
    let read = |name: &str, _: &[usize]| Ok(merged[name].1.clone());
    let config: Value = serde_json::from_slice(&bytes("llama/random_llama/config.json")).unwrap();
    let merged_model = Model::load(&config, &read, &Device::flex()).unwrap();
    let (input_ids, position_ids): (Vec<u32>, Vec<u32>) = (0..20).map(|i| ((i * 31 + 5) % 250, i)).unzip();
    let document_ids = vec![1; 20];
    let input = Input {
        input_ids: &input_ids,
        position_ids: &position_ids,
        document_ids: &document_ids,
        batch: 1,
        seq: 20,
    };
    close("DoRA", &block_on(logits(&merged_model, &input)), &block_on(logits(&tuned, &input)), 1e-4);
}

/// A folder's tokenizer, template and shape survive the way through GGUF; a GGUF file's metadata stays.
#[test]
fn a_gguf_model_keeps_tokenizer_and_template() {
    let texts = [
        "Hello, world! 12 345 fünf\n\n  tabs\tand  spaces",
        "<|im_start|>user\nWhat's it?<|im_end|>",
        "I'LL go",
    ];
    for model in ["qwen2/model", "qwen3/model", "weights/f32"] {
        let session_of_folder = session(&files(model), None);
        let mut written = export(&session_of_folder, ExportFormat::MergedGguf, Some(ExportDtype::F32));
        written.truncate(1);
        let open = |files: &[(String, Vec<u8>)]| Checkpoint::open(sources(files)).unwrap();
        let (before, after) = (open(&files(model)), open(&written));
        outline(&after).unwrap();
        assert_eq!(after.tokenizer.chat_template, before.tokenizer.chat_template, "{model}");
        let tokenizer = |checkpoint: &Checkpoint| {
            tokenizers::Tokenizer::from_bytes(checkpoint.tokenizer.tokenizer_json.as_bytes()).unwrap()
        };
        for text in texts {
            let ids = |checkpoint: &Checkpoint| {
                tokenizer(checkpoint).encode(text, true).unwrap().get_ids().to_vec()
            };
            assert_eq!(ids(&after), ids(&before), "{model}: {text}");
        }
        for key in ["rope_theta", "rms_norm_eps", "head_dim", "num_key_value_heads", "tie_word_embeddings"] {
            let of = |checkpoint: &Checkpoint| checkpoint.config[key].clone();
            if !of(&before).is_null() {
                assert_eq!(of(&after).as_f64(), of(&before).as_f64(), "{model}: {key}");
            }
        }
        for tensor in &before.tensors {
            assert_eq!(
                after.read_f32(&tensor.name).unwrap(),
                before.read_f32(&tensor.name).unwrap(),
                "{}",
                tensor.name
            );
        }
    }

    let base = files("qwen3/model.gguf");
    let written = export(&session(&base, None), ExportFormat::MergedGguf, None);
    assert_eq!(written[0].0, "Some-Model-Q8_0.gguf");
    let open = |bytes: &[u8]| Gguf::open(&source(bytes.to_vec())).unwrap();
    let (before, after) = (open(&base[0].1), open(&written[0].1));
    for (key, value) in &before.metadata {
        let is_of_storage =
            ["general.file_type", "general.quantization_version", "general.alignment"].contains(&&**key);
        assert!(is_of_storage || after.get(key) == Some(value), "{key}");
    }
    assert_eq!(after.unsigned("general.file_type").unwrap(), Some(7));
}

#[test]
fn a_model_that_llama_cpp_computes_otherwise_is_refused() {
    let mut model = files("qwen2/model");
    let config = model.iter_mut().find(|(name, _)| name == "config.json").unwrap();
    let mut json: Value = serde_json::from_slice(&config.1).unwrap();
    json["sliding_window"] = json!(8);
    json["layer_types"] = json!(["full_attention", "full_attention", "sliding_attention"]);
    config.1 = json.to_string().into_bytes();
    let said = refused(&session(&model, None), ExportFormat::MergedGguf, None);
    assert!(said.contains("sliding windows is not supported"), "{said}");

    let mut model = files("qwen2/model");
    let tokenizer = model.iter_mut().find(|(name, _)| name == "tokenizer.json").unwrap();
    let mut json: Value = serde_json::from_slice(&tokenizer.1).unwrap();
    json["pre_tokenizer"] = json!({ "type": "Whitespace" });
    tokenizer.1 = json.to_string().into_bytes();
    let said = refused(&session(&model, None), ExportFormat::MergedGguf, None);
    assert!(said.contains("convert_hf_to_gguf.py"), "{said}");

    let session = session(&files("qwen2/model"), None);
    let said = refused(&session, ExportFormat::GgufLora, None);
    assert!(said.contains("there is no adapter yet"), "{said}");
    let said = refused(&session, ExportFormat::Merged, Some(ExportDtype::Q4_0));
    assert!(said.contains("q4_0 is not supported; it has f32, f16, bf16"), "{said}");
}

#[test]
fn mlx_has_the_factors_turned() {
    let (model, adapter) = (files("qwen2/model"), adapter("qwen2/adapter"));
    let session = session(&model, Some(&adapter));
    let written = export(&session, ExportFormat::Mlx, None);
    let config: Value = serde_json::from_slice(&written[0].1).unwrap();
    assert_eq!(config["num_layers"], 3);
    assert_eq!(
        (&config["lora_parameters"]["rank"], &config["lora_parameters"]["scale"]),
        (&json!(4), &json!(2.0))
    );
    let theirs = deserialize_f32("adapters.safetensors", &written[1].1).unwrap();
    let weights = adapter.iter().find(|file| file.name == "adapter_model.safetensors").unwrap();
    let ours = deserialize_f32("adapter_model.safetensors", &weights.bytes).unwrap();
    assert_eq!(theirs.len(), ours.len());
    for (name, shape, values) in ours {
        let (rows, columns) = (shape[0], shape[1]);
        let name = name.trim_start_matches("base_model.model.");
        let name = name.replace("lora_A.weight", "lora_a").replace("lora_B.weight", "lora_b");
        let (_, turned, stored) = theirs.iter().find(|(theirs, ..)| *theirs == name).unwrap();
        assert_eq!(turned[..], [columns, rows]);
        assert!((0..rows * columns).all(|i| stored[i % columns * rows + i / columns] == values[i]));
    }
}

#[test]
fn a_modelfile_writes_the_chat_as_the_template_does() {
    let session = session(&files("qwen2/model"), Some(&adapter("qwen2/adapter")));
    let written = export(&session, ExportFormat::GgufLora, None);
    assert_eq!(written[0].0, "Some-Model-lora-f16.gguf");
    let text = String::from_utf8(written[1].1.clone()).unwrap();
    let template = "TEMPLATE \"\"\"{{ range .Messages }}{{ if eq .Role \"system\" }}<|im_start|>system\n{{ .Content }}<|im_end|>\n\
                    {{ else if eq .Role \"user\" }}<|im_start|>user\n{{ .Content }}<|im_end|>\n\
                    {{ else if eq .Role \"assistant\" }}<|im_start|>assistant\n{{ .Content }}<|im_end|>\n\
                    {{ end }}{{ end }}<|im_start|>assistant\n\"\"\"\n";
    assert!(text.starts_with("FROM ./Some-Model-F16.gguf\nADAPTER ./Some-Model-lora-f16.gguf\n"), "{text}");
    assert!(text.contains(template), "{text}");
    assert!(text.contains("PARAMETER stop \"<|im_end|>\"\n"), "{text}");

    // The adapter that was written answers as the one that was read.
    let request =
        GenerateRequest { prompt: Some("Hello".into()), max_new_tokens: 8, ..GenerateRequest::default() };
    let gguf = [OutputFile { name: written[0].0.clone(), bytes: written[0].1.clone() }];
    let again = self::session(&files("qwen2/model"), Some(&gguf));
    let answer = |session: &Session| block_on(session.generate(&request, async |_| Ok(true))).unwrap().text;
    assert_eq!(answer(&again), answer(&session));
}
