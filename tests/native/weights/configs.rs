//! Configs read from GGUF against those of Hugging Face folders.

use super::*;

#[test]
fn gguf_says_what_the_folder_says() {
    let (folder, gguf) = (open(&F32).unwrap(), open(&["f32.gguf"]).unwrap());
    for (key, value) in folder.config.as_object().unwrap() {
        assert_eq!(&gguf.config[key], value, "{key}");
    }
    assert_eq!(folder.eos_token_ids(), [2, 0]);
    assert_eq!(gguf.eos_token_ids(), [2]);
    assert_eq!(folder.tokenizer.chat_template, gguf.tokenizer.chat_template);
    for tokenizer in [&folder.tokenizer, &gguf.tokenizer] {
        assert_eq!(tokenizer.bos_token.as_deref(), Some("<|im_start|>"));
        assert_eq!(tokenizer.eos_token.as_deref(), Some("<|im_end|>"));
        assert_eq!(tokenizer.unk_token.as_deref(), Some("<|endoftext|>"));
        assert_eq!(tokenizer.pad_token.as_deref(), Some("<|im_end|>"));
    }
}

/// A GGUF that has a head of its rotary embedding's settings but too few layers to be a model.
fn rope(name: &str) -> Value {
    let source = FileSource::open(fixture(name)).unwrap();
    loralet::weights::gguf_config::config(&Gguf::open(&source).unwrap(), &source).unwrap()
}

#[test]
fn rope_scaling_is_read_from_metadata_and_factors() {
    assert_eq!(rope("linear.gguf")["rope_scaling"], json!({ "rope_type": "linear", "factor": 2.5 }));
    let expected = json!({ "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192 });
    assert_eq!(rope("llama3.gguf")["rope_scaling"], expected);
    assert_eq!(rope("llama3.gguf").get("rope_freq_factors"), None);
    assert_eq!(rope("own-factors.gguf")["rope_scaling"], Value::Null);
    assert_eq!(rope("own-factors.gguf")["rope_freq_factors"], json!([1.0, 1.5, 2.0, 3.0]));
    assert_eq!(rope("f32.gguf")["rope_scaling"], Value::Null);
}

#[test]
fn rope_parameters_of_transformers_5_are_understood() {
    let mut config: Value = serde_json::from_slice(&bytes("f32/config.json")).unwrap();
    let keys = config.as_object_mut().unwrap();
    keys.shift_remove("rope_theta");
    keys.insert("rope_parameters".into(), json!({ "rope_type": "linear", "factor": 2.0, "rope_theta": 5e5 }));
    let model = open_with(&F32, "f32/config.json", config.to_string().into()).unwrap();
    assert_eq!(model.config["rope_theta"], 5e5);
    assert_eq!(model.config["rope_scaling"]["factor"], 2.0);
    assert_eq!(model.config["head_dim"], 8);
}

#[test]
fn a_head_of_its_own_is_listed_whatever_the_config_says() {
    let config = String::from_utf8(bytes("f32/config.json")).unwrap();
    let tied = config.replace("\"tie_word_embeddings\": false", "\"tie_word_embeddings\": true");
    let model = open_with(&F32, "f32/config.json", tied.into()).unwrap();
    // As in transformers 5: the file's head is not the embedding.
    assert!(model.tensor("lm_head.weight").is_ok());
    assert_eq!(model.config["tie_word_embeddings"], false);
}
