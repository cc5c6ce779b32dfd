//! Every reader of what a person chooses, as a function of bytes: the fuzz targets and the suite run the same ones. None may panic,
//! none may say less than a sentence. Several files are one input, with [`BETWEEN`] between them.

use burn::tensor::Device;
use loralet::data::*;
use loralet::error::{Error, Result};
use loralet::export::{OutputFile, gguf_lora, mlx, peft, unzip};
use loralet::models::Model;
use loralet::recipe::{Fix, Objective, Recipe};
use loralet::session::outline;
use loralet::train::checkpoint;
use loralet::weights::checkpoint::TokenizerFiles;
use loralet::weights::gguf::Gguf;
use loralet::weights::safetensors::{deserialize_f32, read_header};
use loralet::weights::{ByteSource, Checkpoint, MemorySource};
use serde_json::Value;
use std::path::Path;

/// Stands between the files of one input.
pub const BETWEEN: &[u8] = b"\n=====\n";

/// A name, and what reads the bytes.
pub type Reader = (&'static str, fn(&[u8]));

pub const READERS: [Reader; 12] = [
    ("gguf_header", gguf_header),
    ("gguf", gguf),
    ("safetensors_header", safetensors_header),
    ("safetensors", safetensors),
    ("folder", folder),
    ("tokenizer", tokenizer),
    ("adapter", adapter),
    ("checkpoint", checkpoint),
    ("zip", zip),
    ("template", template),
    ("data", data),
    ("recipe", recipe),
];

pub fn gguf_header(bytes: &[u8]) {
    said(Gguf::open(&Slice { name: "model.gguf", bytes }));
}

/// A whole model in one file: header, config, tokenizer, every tensor.
pub fn gguf(bytes: &[u8]) {
    whole_model(vec![Box::new(MemorySource::new("model.gguf", bytes.to_vec()))]);
}

pub fn safetensors_header(bytes: &[u8]) {
    said(read_header(&Slice { name: "model.safetensors", bytes }));
}

pub fn safetensors(bytes: &[u8]) {
    said(deserialize_f32("model.safetensors", bytes));
}

/// A Hugging Face folder: config, generation config, tokenizer config, index, then the shards that the index may name.
pub fn folder(bytes: &[u8]) {
    const NAMES: [&str; 7] = [
        "config.json",
        "generation_config.json",
        "tokenizer_config.json",
        "chat_template.json",
        "model.safetensors.index.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
    ];
    let mut files: Vec<Box<dyn ByteSource>> =
        vec![Box::new(MemorySource::new("tokenizer.json", fixture("cases/model/tokenizer.json")))];
    for (name, part) in NAMES.iter().zip(parts(bytes)) {
        if !part.is_empty() {
            files.push(Box::new(MemorySource::new(*name, part.to_vec())));
        }
    }
    whole_model(files);
}

fn whole_model(files: Vec<Box<dyn ByteSource>>) {
    let Some(opened) = said(Checkpoint::open(files)) else { return };
    if let Some((outline, unread)) = said(outline(&opened)) {
        let _ = (outline.parameters(), outline.spec.vocab_size, unread);
    }
    said(opened.digest());
    let _ = (opened.file_bytes(), opened.stored_as(), opened.eos_token_ids());
    for tensor in opened.tensors.iter().take(64) {
        said(opened.read_f32(&tensor.name));
        said(opened.read_blocks(&tensor.name));
    }
    used_tokenizer(&opened.tokenizer);
}

/// A `tokenizer.json`, and what it makes of texts.
pub fn tokenizer(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    used_tokenizer(&TokenizerFiles { tokenizer_json: text.into(), chat_template: None, ..tokenizer_files() });
}

fn used_tokenizer(files: &TokenizerFiles) {
    let Some(tokenizer) = said(Tokenizer::from_files(files)) else { return };
    for text in [
        "",
        "Hello, world! 12 300",
        " a\n\nb\t\u{e9}\u{1F600} <s></s>",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ] {
        for add_special_tokens in [false, true] {
            if let Some(ids) = said(tokenizer.encode(text, add_special_tokens)) {
                said(tokenizer.decode(&ids, false));
                said(tokenizer.decode(&ids, true));
            }
        }
        tokenizer.control_tokens_in(text);
    }
    said(tokenizer.encode_chat(&[Message::new("user", "Hello"), Message::new("assistant", "Yes.")], true));
    let _ = (tokenizer.end_of_turn_ids(), tokenizer.pad_token_id(), tokenizer.vocab_size());
}

/// `adapter_config.json`, `adapter_model.safetensors` and maybe a `config.json`, for a small llama, in PEFT's layout and in
/// mlx-lm's; or a GGUF file.
pub fn adapter(bytes: &[u8]) {
    const NAMES: [&str; 3] = ["adapter_config.json", "adapter_model.safetensors", "config.json"];
    thread_local! {
        static BASE: Model = small_llama();
    }
    if gguf_lora::is_gguf(bytes) {
        let source = MemorySource::new("adapter.gguf", bytes.to_vec());
        BASE.with(|base| said(gguf_lora::load(&source, base)));
        return;
    }
    let file = |(name, part): (&&str, &[u8])| OutputFile { name: name.to_string(), bytes: part.to_vec() };
    let files: Vec<OutputFile> = NAMES.iter().zip(parts(bytes)).map(file).collect();
    BASE.with(|base| said(peft::load(&files, base)));
    let mlx = files.into_iter().map(|OutputFile { name, bytes }| OutputFile {
        name: name.replace("adapter_model", "adapters"),
        bytes,
    });
    let mlx: Vec<OutputFile> = mlx.collect();
    if mlx::is_mlx(&mlx) {
        BASE.with(|base| said(mlx::load(&mlx, base)));
    }
}

fn small_llama() -> Model {
    let files = ["config.json", "model.safetensors", "tokenizer.json"];
    let source = |name: &&str| -> Box<dyn ByteSource> {
        Box::new(MemorySource::new(*name, fixture(&format!("cases/model/{name}"))))
    };
    let opened = Checkpoint::open(files.iter().map(source).collect()).unwrap();
    let read = |name: &str, _: &[usize]| opened.read_f32(name);
    Model::load(&opened.config, &read, &Device::flex()).unwrap()
}

/// A stored run: its header, then its tensors.
pub fn checkpoint(bytes: &[u8]) {
    if said(checkpoint::header(bytes)).is_some() {
        said(deserialize_f32("checkpoint", bytes));
    }
}

pub fn zip(bytes: &[u8]) {
    said(unzip("adapter.zip", bytes));
}

/// A chat template, then maybe messages in JSON.
pub fn template(bytes: &[u8]) {
    let mut parts = parts(bytes);
    let Ok(source) = std::str::from_utf8(parts.next().unwrap_or_default()) else { return };
    let given = parts.next().and_then(|part| serde_json::from_slice::<Vec<Message>>(part).ok());
    let messages = given.unwrap_or_else(|| {
        vec![
            Message::new("system", "Be kind."),
            Message::new("user", "Hello"),
            Message::new("assistant", "Yes."),
        ]
    });
    let tokens = ["bos_token", "eos_token"].map(|name| (name.to_string(), format!("<{name}>")));
    let Some(template) = said(ChatTemplate::new(source, tokens.into())) else { return };
    said(template.render(&template.fold_system(&messages), true));
    let tool = serde_json::json!({"type": "function", "function": {"name": "f", "parameters": {}}});
    said(template.render_with_tools(&messages, &[tool], false));
    template.reasoning_field();
}

/// The name of a data file on the first line, its bytes after it: rows, findings, fixes, tokens, report.
pub fn data(bytes: &[u8]) {
    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return };
    let Ok(name) = std::str::from_utf8(&bytes[..end]) else { return };
    let Some(dataset) = said(read_dataset(DataFile { name, bytes: &bytes[end + 1..] }, None)) else { return };
    thread_local! {
        static TOKENIZER: Tokenizer = Tokenizer::from_files(&tokenizer_files()).unwrap();
    }
    curate::findings(&dataset, &Default::default());
    let objective = dataset.shape.objectives()[0];
    let options = EncodeOptions { objective, max_seq_length: 64, train_on_prompt: false };
    let encoded = TOKENIZER.with(|tokenizer| {
        curate::control_tokens::finding(&dataset, |text| tokenizer.control_tokens_in(text));
        said(encode_dataset(&dataset, tokenizer, &options))
    });
    if let Some(encoded) = encoded {
        report(&dataset, &encoded);
    }
    let fixes = [
        Fix::Redact,
        Fix::DropDuplicates,
        Fix::DropNearDuplicates,
        Fix::DropOutliers,
        Fix::BalanceLabels,
        Fix::DropOtherLanguages,
    ];
    said(curate::apply(dataset, &fixes, Some(1)));
}

pub fn recipe(bytes: &[u8]) {
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else { return };
    if let Some(recipe) = said(Recipe::from_json(&value)) {
        assert!(Objective::Text.writes_text() && recipe.lora.rank > 0);
    }
}

fn tokenizer_files() -> TokenizerFiles {
    let text = |path: &str| String::from_utf8(fixture(path)).unwrap();
    TokenizerFiles {
        tokenizer_json: text("cases/model/tokenizer.json"),
        chat_template: Some(text("cases/model/chat_template.jinja")),
        bos_token: Some("<|im_start|>".into()),
        eos_token: Some("<|im_end|>".into()),
        unk_token: None,
        pad_token: Some("<|endoftext|>".into()),
        additional: Value::Null,
    }
}

fn fixture(path: &str) -> Vec<u8> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    // The fuzz targets are a package within this one.
    let root = if package.ends_with("fuzz") { package.parent().unwrap() } else { package };
    let path = root.join("tests/fixtures").join(path);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn parts(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(bytes);
    std::iter::from_fn(move || {
        let whole = rest?;
        let at = whole.windows(BETWEEN.len()).position(|window| window == BETWEEN);
        rest = at.map(|at| &whole[at + BETWEEN.len()..]);
        Some(&whole[..at.unwrap_or(whole.len())])
    })
}

/// An error is a sentence: it has a subject, it is not as long as the file, and it names a cause.
fn said<T>(result: Result<T, Error>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            let sentence = error.to_string();
            assert!(sentence.contains(": ") || sentence.contains(" is missing; "), "{sentence}");
            assert!(sentence.len() < 20_000, "{} bytes are no sentence", sentence.len());
            None
        }
    }
}

/// Bytes that lie in memory already, so that a reader's own memory is all that is counted.
struct Slice<'a> {
    name: &'a str,
    bytes: &'a [u8],
}

impl ByteSource for Slice<'_> {
    fn name(&self) -> &str {
        self.name
    }

    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let part = usize::try_from(offset).ok().and_then(|start| self.bytes.get(start..)?.get(..buf.len()));
        match part {
            Some(part) => buf.copy_from_slice(part),
            None => {
                return Err(Error::InvalidModelFile {
                    file: self.name.into(),
                    reason: "ends too early; download it again".into(),
                });
            }
        }
        Ok(())
    }
}
