use super::*;

#[test]
fn masks_equal_the_reference() {
    let fixture = fixture("masks.json");
    let tokenizer = small_tokenizer(fixture["chat_template"].as_str());
    for case in fixture["cases"].as_array().unwrap() {
        let content = RowContent::Chat {
            messages: serde_json::from_value(case["messages"].clone()).unwrap(),
            prompt_messages: case["prompt_messages"].as_u64().unwrap() as usize,
            tools: Vec::new(),
        };
        let dataset = Dataset {
            file: "d.jsonl".into(),
            shape: DataShape::Messages,
            columns: vec!["messages".into()],
            rows: vec![Row { line: 1, content }.into()],
            notes: Vec::new(),
            advice: Vec::new(),
        };
        let encoded = encode_dataset(&dataset, &tokenizer, &sft(4096)).unwrap();
        let example = &encoded.examples[0];
        let ids: Vec<u64> = example.input_ids.iter().map(|&id| id.into()).collect();
        let mask: Vec<u64> = example.loss_mask.iter().map(|&trained| trained.into()).collect();
        assert_eq!(serde_json::to_value(ids).unwrap(), case["input_ids"], "{}", case["title"]);
        assert_eq!(serde_json::to_value(mask).unwrap(), case["loss_mask"], "{}", case["title"]);
    }
}

#[test]
fn the_smollm2_template_trains_answers_and_their_end() {
    let Some(tokenizer) = smollm2() else { return };
    let line = r#"{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello 12!"}, {"role": "user", "content": "Bye"}, {"role": "assistant", "content": "\n\nBye."}]}"#;
    let encoded = encode_dataset(&read("d.jsonl", line), &tokenizer, &sft(512)).unwrap();
    let (trained, all) = trained_text(&tokenizer, &encoded.examples[0]);
    assert!(all.starts_with("<|im_start|>system\nYou are a helpful AI assistant"), "{all}");
    // The answer's line breaks share a token with the header's, which is then trained too.
    assert!(trained.starts_with("Hello 12!<|im_end|>\n"), "{trained}");
    assert!(trained.ends_with("Bye.<|im_end|>\n"), "{trained}");
}

/// Every well-known template: exactly what the assistant said and the end of the turn is trained.
#[test]
fn every_template_trains_what_the_assistant_says() {
    let fixture = fixture("chat_templates.json");
    let line = r#"{"messages": [{"role": "user", "content": "Q1"}, {"role": "assistant", "content": "A1"}, {"role": "user", "content": "Q2"}, {"role": "assistant", "content": "A2"}]}"#;
    let dataset = read("d.jsonl", line);
    let expected = [
        ("smollm2", "A1<|im_end|>\nA2<|im_end|>\n"),
        // To this tokenizer these ends of a turn are words, so the end token ends the last answer.
        ("llama3", "A1<|eot_id|>A2<|eot_id|><|im_end|>"),
        ("llama3.1", "A1<|eot_id|>A2<|eot_id|><|im_end|>"),
        ("tinyllama", "A1<|im_end|>\nA2<|im_end|>\n"),
        ("mistral", "A1<|im_end|>A2<|im_end|>"),
        ("gemma", "A1<end_of_turn>\nA2<end_of_turn>\n<|im_end|>"),
        ("qwen2.5", "A1<|im_end|>\nA2<|im_end|>\n"),
    ];
    for (name, trained) in expected {
        let tokenizer = small_tokenizer(fixture["templates"][name]["source"].as_str());
        let encoded = encode_dataset(&dataset, &tokenizer, &sft(512)).unwrap();
        assert_eq!(encoded.examples.len(), 1, "{name}");
        assert_eq!(trained_text(&tokenizer, &encoded.examples[0]).0, trained, "{name}");
    }
}

#[test]
fn a_template_that_rewrites_past_turns_makes_an_example_of_each_answer() {
    let fixture = fixture("chat_templates.json");
    let tokenizer = small_tokenizer(fixture["templates"]["qwen3"]["source"].as_str());
    let line = r#"{"messages": [{"role": "user", "content": "Q1"}, {"role": "assistant", "content": "<think>\nT1\n</think>\n\nA1"}, {"role": "user", "content": "Q2"}, {"role": "assistant", "content": "<think>\nT2\n</think>\n\nA2"}]}"#;
    let encoded = encode_dataset(&read("d.jsonl", line), &tokenizer, &sft(512)).unwrap();
    let texts: Vec<_> = encoded.examples.iter().map(|e| trained_text(&tokenizer, e)).collect();
    assert_eq!(texts.len(), 2);
    assert_eq!(texts[0].0, "<think>\nT1\n</think>\n\nA1<|im_end|>\n");
    assert_eq!(texts[1].0, "<think>\nT2\n</think>\n\nA2<|im_end|>\n");
    assert!(!texts[1].1.contains("T1"));
}

#[test]
fn a_conversation_that_begins_with_the_assistant_trains_only_its_words() {
    let fixture = fixture("chat_templates.json");
    let tokenizer = small_tokenizer(fixture["templates"]["smollm2"]["source"].as_str());
    let line = r#"{"messages": [{"role": "assistant", "content": "Welcome!"}, {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}]}"#;
    let encoded = encode_dataset(&read("d.jsonl", line), &tokenizer, &sft(512)).unwrap();
    let (trained, _) = trained_text(&tokenizer, &encoded.examples[0]);
    assert_eq!(trained, "Welcome!<|im_end|>\nYes?<|im_end|>\n");
}
