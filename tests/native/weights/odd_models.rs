//! Models and adapters that are used as their owner meant them, or refused in a sentence: what wrappers and merges leave in a model,
//! and what an `adapter_config.json` can say. Fixtures and figures are those of `tests/fixtures/cases`.

use super::*;
use loralet::export::OutputFile;
use loralet::recipe::Recipe;
use loralet::weights::safetensors::{NamedTensor, serialize};

mod adapters;

const NO_ADAPTER: f64 = 7.850207;

fn case(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/cases").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The tensors of the model, to be changed.
fn model_tensors() -> Vec<NamedTensor> {
    deserialize_f32("model", &case("model/model.safetensors")).unwrap()
}

/// The model with other weights, its config changed by `change`.
fn session_of(weights: Vec<u8>, base_dtype: BaseDtype, change: &[(&str, Value)]) -> Result<Session, Error> {
    let mut config: Value = serde_json::from_slice(&case("model/config.json")).unwrap();
    for (key, value) in change {
        config[*key] = value.clone();
    }
    let texts = ["chat_template.jinja", "tokenizer.json", "tokenizer_config.json"];
    let mut files: Vec<_> = texts.iter().map(|name| memory(name, case(&format!("model/{name}")))).collect();
    files.push(memory("config.json", config.to_string().into_bytes()));
    files.push(memory("model.safetensors", weights));
    let mut session = Session::new(Device::flex(), Limits::default());
    session.open_model(files, "model", base_dtype, &|_, _| {})?;
    Ok(session)
}

fn session() -> Session {
    session_of(case("model/model.safetensors"), BaseDtype::Auto, &[]).unwrap()
}

fn refusal<T>(result: Result<T, Error>) -> String {
    match result {
        Ok(_) => panic!("it was taken"),
        Err(error) => error.to_string(),
    }
}

fn says(sentence: &str, parts: &[&str]) {
    for part in parts {
        assert!(sentence.contains(part), "{sentence:?} does not say {part:?}");
    }
}

/// Mean loss over the texts.
fn loss(session: &mut Session, adapter: bool) -> f64 {
    let recipe = Recipe::from_json(&json!({ "objective": "text", "eval": { "probe": false } })).unwrap();
    session.open_data("texts.jsonl", &case("texts.jsonl"), &recipe).unwrap();
    let scored = block_on(session.score(&recipe, adapter)).unwrap();
    assert_eq!(scored.tokens, 144);
    scored.loss
}

fn close(loss: f64, expected: f64) {
    assert!((loss - expected).abs() < 1e-3, "the loss is {loss}, the reference has {expected}");
}

fn renamed(name: impl Fn(&str) -> String) -> Vec<u8> {
    let tensors = model_tensors().into_iter().map(|(stored, shape, values)| (name(&stored), shape, values));
    serialize(&tensors.collect::<Vec<_>>(), &[("format", "pt")]).unwrap()
}

#[test]
fn a_head_of_its_own_is_used_where_the_config_ties_it() {
    let other = case("tied_with_another_head.safetensors");
    let mut session = session_of(other, BaseDtype::Auto, &[]).unwrap();
    close(loss(&mut session, false), 8.057401);
    // The same head twice is one.
    let mut tensors = model_tensors();
    let (_, shape, values) = tensors.iter().find(|(name, ..)| name.ends_with("embed_tokens.weight")).unwrap();
    let head = ("lm_head.weight".to_string(), shape.clone(), values.clone());
    tensors.push(head);
    let mut session = session_of(serialize(&tensors, &[]).unwrap(), BaseDtype::Auto, &[]).unwrap();
    close(loss(&mut session, false), NO_ADAPTER);
    // A file may keep the second name of a tied tensor only.
    let second =
        renamed(|name| if name.contains("embed_tokens") { "lm_head.weight".into() } else { name.into() });
    close(loss(&mut session_of(second, BaseDtype::Auto, &[]).unwrap(), false), NO_ADAPTER);
}

#[test]
fn what_wrappers_put_before_names_is_taken_off() {
    let wrappers: [fn(&str) -> String; 7] = [
        |name| format!("_orig_mod.{name}"),
        |name| format!("module.{name}"),
        |name| format!("module._orig_mod.{name}"),
        |name| format!("base_model.model.{name}"),
        |name| format!("model.{name}"),
        |name| name.replace("layers.", "layers._checkpoint_wrapped_module."),
        |name| name.strip_prefix("model.").unwrap_or(name).to_string(),
    ];
    for wrapped in wrappers {
        let mut session = session_of(renamed(wrapped), BaseDtype::Auto, &[]).unwrap();
        close(loss(&mut session, false), NO_ADAPTER);
    }
}

#[test]
fn a_model_saved_with_its_adapter_inside_is_refused() {
    let wrapped = renamed(|name| {
        format!("base_model.model.{}", name.replace("q_proj.weight", "q_proj.base_layer.weight"))
    });
    let sentence = refusal(session_of(wrapped, BaseDtype::Auto, &[]));
    says(&sentence, &["model.safetensors", "q_proj.base_layer.weight", "adapter", "merge"]);
    assert!(!sentence.contains("download"), "{sentence}");
}

#[test]
fn tensors_without_a_place_are_not_left_out_in_silence() {
    for (name, shape) in
        [("model.layers.0.self_attn.q_proj.bias", 32), ("model.layers.1.mlp.router.weight", 32)]
    {
        let mut tensors = model_tensors();
        tensors.push((name.into(), vec![shape], vec![0.5; shape]));
        let weights = serialize(&tensors, &[]).unwrap();
        says(
            &refusal(session_of(weights, BaseDtype::Auto, &[])),
            &["model.safetensors", name, "has no place"],
        );
    }
}

#[test]
fn tensors_beside_the_model_are_said_to_be_unused() {
    let mut tensors = model_tensors();
    for name in ["v_head.summary.weight", "v_head.summary.bias"] {
        tensors.push((name.into(), vec![32], vec![0.5; 32]));
    }
    let texts = ["config.json", "chat_template.jinja", "tokenizer.json", "tokenizer_config.json"];
    let mut files: Vec<_> = texts.iter().map(|name| memory(name, case(&format!("model/{name}")))).collect();
    files.push(memory("model.safetensors", serialize(&tensors, &[]).unwrap()));
    let mut session = Session::new(Device::flex(), Limits::default());
    let report = session.open_model(files, "model", BaseDtype::Auto, &|_, _| {}).unwrap();
    says(&report.notes.join("\n"), &["v_head.summary.weight", "v_head.summary.bias", "not used"]);
    close(loss(&mut session, false), NO_ADAPTER);
}

#[test]
fn a_weight_that_is_not_finite_is_refused_by_name() {
    const NAME: &str = "model.layers.1.mlp.down_proj.weight";
    for value in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
        for dtype in [BaseDtype::F32, BaseDtype::Stored] {
            let mut tensors = model_tensors();
            let place = tensors.iter().position(|(name, ..)| name == NAME).unwrap();
            tensors[place].2[70] = value;
            let weights = serialize(&tensors, &[]).unwrap();
            says(&refusal(session_of(weights, dtype, &[])), &["model.safetensors", NAME, "not finite"]);
        }
    }
    // As stored, in 16 bits.
    let whole = case("model/model.safetensors");
    let header = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    let info: Value = serde_json::from_slice(&whole[8..header]).unwrap();
    assert_eq!(info[NAME]["dtype"], "F16");
    let at = header + info[NAME]["data_offsets"][0].as_u64().unwrap() as usize + 140;
    for dtype in [BaseDtype::F32, BaseDtype::Stored] {
        let mut damaged = whole.clone();
        damaged[at..at + 2].copy_from_slice(&0x7c00u16.to_le_bytes());
        says(&refusal(session_of(damaged, dtype, &[])), &["model.safetensors", NAME, "not finite"]);
    }
}

#[test]
fn a_scale_of_blocks_that_is_not_finite_is_refused() {
    let whole = bytes("q8_0.gguf");
    let gguf = Gguf::open(&MemorySource::new("q8_0.gguf", whole.clone())).unwrap();
    let tensor = gguf.tensors.iter().find(|tensor| tensor.name == "blk.1.ffn_up.weight").unwrap();
    assert_eq!(tensor.dtype.name(), "Q8_0");
    let mut damaged = whole;
    let at = tensor.offset as usize + 34 * 3;
    damaged[at..at + 2].copy_from_slice(&0x7c00u16.to_le_bytes());
    for dtype in [BaseDtype::F32, BaseDtype::Stored] {
        let mut session = Session::new(Device::flex(), Limits::default());
        let opened =
            session.open_model(vec![memory("q8_0.gguf", damaged.clone())], "model", dtype, &|_, _| {});
        says(&refusal(opened), &["q8_0.gguf", "up_proj.weight", "not finite"]);
    }
}

#[test]
fn a_token_beyond_the_embeddings_is_refused_where_it_is_used() {
    let mut tokenizer: Value = serde_json::from_slice(&case("model/tokenizer.json")).unwrap();
    let mut added = tokenizer["added_tokens"][0].clone();
    added["id"] = json!(5000);
    added["content"] = json!("<pad>");
    tokenizer["added_tokens"].as_array_mut().unwrap().push(added);
    let mut settings: Value = serde_json::from_slice(&case("model/tokenizer_config.json")).unwrap();
    settings["pad_token"] = json!("<pad>");
    let files = vec![
        memory("config.json", case("model/config.json")),
        memory("model.safetensors", case("model/model.safetensors")),
        memory("tokenizer.json", tokenizer.to_string().into_bytes()),
        memory("tokenizer_config.json", settings.to_string().into_bytes()),
    ];
    let mut session = Session::new(Device::flex(), Limits::default());
    session.open_model(files, "model", BaseDtype::Auto, &|_, _| {}).unwrap();
    // Padding is with a token that the model has.
    close(loss(&mut session, false), NO_ADAPTER);
    let recipe = Recipe::from_json(&json!({ "objective": "text" })).unwrap();
    let rows = b"{\"text\": \"A cat <pad> sleeps.\"}\n{\"text\": \"A dog.\"}\n";
    let sentence = refusal(session.open_data("rows.jsonl", rows, &recipe));
    says(&sentence, &["\"<pad>\"", "1024"]);
}
