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
