use super::*;

#[test]
fn rendering_equals_transformers() {
    let fixture = fixture("chat_templates.json");
    let mut compared = 0;
    for case in fixture["cases"].as_array().unwrap() {
        let template = &fixture["templates"][case["template"].as_str().unwrap()];
        let tokens = template["tokens"].as_object().unwrap().iter();
        let tokens =
            tokens.map(|(name, token)| (name.clone(), token.as_str().unwrap().to_string())).collect();
        let template = ChatTemplate::new(template["source"].as_str().unwrap(), tokens).unwrap();
        let conversation = &fixture["conversations"][case["conversation"].as_str().unwrap()];
        let messages: Vec<Message> = serde_json::from_value(conversation.clone()).unwrap();
        let rendered = template.render(&messages, case["generation_prompt"].as_bool().unwrap());
        let name = format!("{} on {}", case["template"], case["conversation"]);
        match case["raises"].as_str() {
            None => assert_eq!(rendered.unwrap(), case["text"].as_str().unwrap(), "{name}"),
            Some(raised) => {
                let message = rendered.unwrap_err().to_string();
                assert!(message.contains(raised), "{name}: {message}");
            }
        }
        compared += 1;
    }
    assert_eq!(compared, 198);
}

#[test]
fn a_missing_system_role_is_known() {
    let fixture = fixture("chat_templates.json");
    for (name, template) in fixture["templates"].as_object().unwrap() {
        let tokens = vec![("bos_token".into(), "<s>".into()), ("eos_token".into(), "</s>".into())];
        let template = ChatTemplate::new(template["source"].as_str().unwrap(), tokens).unwrap();
        assert_eq!(template.has_system_role(), !["mistral", "gemma"].contains(&name.as_str()), "{name}");
    }
}

#[test]
fn the_system_message_joins_the_first_question() {
    let fixture = fixture("chat_templates.json");
    let mistral = fixture["templates"]["mistral"]["source"].as_str().unwrap();
    let tokenizer = small_tokenizer(Some(mistral));
    let line = r#"{"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}, {"role": "assistant", "content": "Because."}]}"#;
    let encoded = encode_dataset(&read("d.jsonl", line), &tokenizer, &sft(512)).unwrap();
    let (trained, all) = trained_text(&tokenizer, &encoded.examples[0]);
    assert_eq!(all, "<|im_start|>[INST] Be brief.\n\nWhy? [/INST]Because.<|im_end|>");
    assert_eq!(trained, "Because.<|im_end|>");
    assert!(encoded.notes.iter().any(|note| note.contains("no system role")), "{:?}", encoded.notes);
}

#[test]
fn the_end_of_a_turn_is_found() {
    let gemma = "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|endoftext|>\n' }}{% endfor %}";
    let tokenizer = small_tokenizer(Some(gemma));
    assert_eq!(tokenizer.end_of_turn_ids(), [2, 0]);
    assert_eq!(small_tokenizer(Some(CHATML)).end_of_turn_ids(), [2]);
    assert_eq!(small_tokenizer(None).end_of_turn_ids(), [2]);
}
