use super::*;

fn compare(column: &str, tokenizer: &Tokenizer) {
    let cases = fixture("tokens.json");
    let mut wrong = Vec::new();
    for case in cases.as_array().unwrap() {
        let text = match &case["text"] {
            Value::String(text) => text.clone(),
            long => long[1].as_str().unwrap().repeat(long[0].as_u64().unwrap() as usize),
        };
        let ids = tokenizer.encode(&text, false).unwrap();
        let matches = match &case[column] {
            Value::Array(expected) => {
                ids.iter().map(|&id| u64::from(id)).eq(expected.iter().map(|id| id.as_u64().unwrap()))
            }
            digest => digest["count"] == ids.len() && digest["fnv1a"] == fnv1a(&ids),
        };
        let decoded = tokenizer.decode(&ids, false).unwrap();
        // SmolLM2's vocabulary lacks some bytes, which then leave no token.
        let comes_back = decoded == text || text.contains('\x1c');
        if !matches || !comes_back {
            wrong.push(text.chars().take(60).collect::<String>());
        }
    }
    assert!(wrong.is_empty(), "{} of {}: {wrong:?}", wrong.len(), cases.as_array().unwrap().len());
    assert!(cases.as_array().unwrap().len() >= 300);
}

fn fnv1a(ids: &[u32]) -> String {
    let bytes = ids.iter().flat_map(|id| id.to_le_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |state, byte| {
        (state ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    format!("{hash:016x}")
}

#[test]
fn the_small_tokenizer_equals_the_reference() {
    compare("bpe", &small_tokenizer(None));
}

#[test]
fn smollm2_equals_the_reference() {
    if let Some(tokenizer) = smollm2() {
        compare("smollm2", &tokenizer);
        assert_eq!(tokenizer.end_of_turn_ids(), [2]);
        assert_eq!(tokenizer.vocab_size(), 49_152);
    }
}

/// sentencepiece's own maps pass the check of what the `tokenizers` crate believes of them.
#[test]
fn a_character_map_of_sentencepiece_equals_the_reference() {
    let fixture = fixture("character_map.json");
    let tokenizer = Tokenizer::from_files(&TokenizerFiles {
        tokenizer_json: fixture["tokenizer"].to_string(),
        chat_template: None,
        bos_token: None,
        eos_token: None,
        unk_token: Some("<unk>".into()),
        pad_token: None,
        additional: Value::Null,
    })
    .unwrap();
    let cases = fixture["cases"].as_array().unwrap();
    assert!(cases.len() > 5);
    for case in cases {
        let ids = tokenizer.encode(case["text"].as_str().unwrap(), false).unwrap();
        assert_eq!(serde_json::json!(ids), case["ids"], "{}", case["text"]);
    }
}
