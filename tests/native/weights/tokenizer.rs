//! Token ids of tokenizers read from GGUF against those of the tokenizers that they were made from.

use super::*;

fn build(file: &str) -> Tokenizer {
    let source = FileSource::open(fixture(file)).unwrap();
    tokenizer_files(&Gguf::open(&source).unwrap()).unwrap().tokenizer_json.parse().unwrap()
}

fn ids(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
    tokenizer.encode(text, true).unwrap().get_ids().to_vec()
}

fn expected(file: &str) -> Map<String, Value> {
    serde_json::from_slice(&bytes(file)).unwrap()
}

fn numbers(value: &Value) -> Vec<u32> {
    serde_json::from_value(value.clone()).unwrap()
}

#[test]
fn byte_level_families_give_the_ids_of_the_original() {
    for family in ["gpt-2", "smollm", "llama-bpe", "qwen2"] {
        let tokenizer = build(&format!("tokenizer-{family}.gguf"));
        for (text, expected) in expected("tokenizer_ids.json") {
            assert_eq!(ids(&tokenizer, &text), numbers(&expected[family]), "{family}: {text:?}");
            if family != "qwen2" {
                let decoded = tokenizer.decode(&ids(&tokenizer, &text), false).unwrap();
                assert_eq!(
                    decoded.trim_start_matches("<|im_start|>"),
                    text.trim_start_matches("<|im_start|>")
                );
            }
        }
    }
}

#[test]
fn sentence_piece_gives_the_ids_of_the_original() {
    let tokenizer = build("tokenizer-sentencepiece.gguf");
    let mut compared = 0;
    for (text, expected) in expected("tokenizer_ids.json") {
        // SentencePiece takes a special token's name as plain text; a tokenizer.json does not.
        if ["<s>", "</s>", "<unk>"].iter().any(|name| text.contains(name)) {
            continue;
        }
        let ids = ids(&tokenizer, &text);
        assert_eq!(ids, numbers(&expected["sentencepiece"]), "{text:?}");
        assert_eq!(tokenizer.decode(&ids, true).unwrap(), text.replace('▁', " "));
        compared += 1;
    }
    assert!(compared > 200, "{compared}");
    assert_eq!(ids(&tokenizer, "</s>"), [1, 2]);
}

#[test]
fn templates_by_name_are_known_wherever_they_are() {
    let is_refused = |files: &loralet::weights::TokenizerFiles, names: &str| {
        assert_eq!(files.chat_template, None);
        let tokenizer = loralet::data::Tokenizer::from_files(files).unwrap();
        let said = tokenizer.encode_chat(&[loralet::data::Message::new("user", "Hi")], true).unwrap_err();
        let expected =
            format!("chat template: the model holds templates by name ({names}) and none called default");
        assert!(said.to_string().starts_with(&expected), "{said}");
    };
    // The key of the default template becomes that of another.
    let mut file = bytes("f32.gguf");
    let (key, other) = ("tokenizer.chat_template", "tokenizer.chat_template.tool_use");
    let at = file.windows(key.len()).position(|window| window == key.as_bytes()).unwrap();
    file.splice(at - 8..at + key.len(), crate::support::hostile::text(other));
    file.extend([0; 64]);
    let gguf = Gguf::open(&MemorySource::new("m.gguf", file)).unwrap();
    is_refused(&tokenizer_files(&gguf).unwrap(), "tool_use");

    let open_beside = |beside: &[(&str, &str)]| {
        let mut files: Vec<Box<dyn ByteSource>> = F32
            .iter()
            .filter(|name| !name.ends_with("tokenizer_config.json"))
            .map(|name| memory(name, bytes(name)))
            .collect();
        files.extend(beside.iter().map(|(name, text)| memory(name, text.as_bytes().to_vec())));
        Checkpoint::open(files).unwrap().tokenizer
    };
    is_refused(&open_beside(&[("rag.jinja", "{{ 'a' }}"), ("tool_use.jinja", "{{ 'b' }}")]), "rag, tool_use");
    let list = r#"{"chat_template": [{"name": "rag", "template": "{{ 'a' }}"}]}"#;
    is_refused(&open_beside(&[("chat_template.json", list)]), "rag");
    let default = open_beside(&[("chat_template.jinja", "{{ 'c' }}"), ("rag.jinja", "{{ 'a' }}")]);
    assert_eq!(default.chat_template.as_deref(), Some("{{ 'c' }}"));
    let default = list.replace("\"rag\"", "\"default\"");
    assert_eq!(open_beside(&[("chat_template.json", &default)]).chat_template.as_deref(), Some("{{ 'a' }}"));
}

#[test]
fn the_real_model_gives_the_ids_of_the_original() {
    let Some(path) = real_model() else { return };
    let model = Checkpoint::open(vec![Box::new(FileSource::open(path).unwrap())]).unwrap();
    let tokenizer: Tokenizer = model.tokenizer.tokenizer_json.parse().unwrap();
    for (text, expected) in expected("smollm2_ids.json") {
        let ids = ids(&tokenizer, &text);
        assert_eq!(ids, numbers(&expected), "{text:?}");
        assert_eq!(tokenizer.decode(&ids, false).unwrap(), text);
    }
}
