use super::*;

#[test]
fn pairs_become_turns_where_there_is_a_template() {
    let dataset = read("d.csv", "prompt,completion,system\nWhy?,Because.,Be brief.\n");
    let tokenizer = small_tokenizer(Some(CHATML));
    let encoded = encode_dataset(&dataset, &tokenizer, &sft(512)).unwrap();
    let (trained, all) = trained_text(&tokenizer, &encoded.examples[0]);
    assert_eq!(trained, "Because.<|im_end|>\n");
    assert!(all.starts_with("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWhy?<|im_end|>\n"));
}

#[test]
fn without_a_template_pairs_are_joined_and_chats_are_plain() {
    let tokenizer = small_tokenizer(None);
    let pairs =
        encode_dataset(&read("d.csv", "prompt,completion\nWhy? ,Because.\n"), &tokenizer, &sft(512)).unwrap();
    let (trained, all) = trained_text(&tokenizer, &pairs.examples[0]);
    assert_eq!((trained.trim_start(), all.as_str()), ("Because.<|im_end|>", "Why? Because.<|im_end|>"));

    let line = r#"{"instruction": "Add.", "input": "1 2", "output": "3", "system": "Count."}"#;
    let chats = encode_dataset(&read("d.jsonl", line), &tokenizer, &sft(512)).unwrap();
    let (trained, all) = trained_text(&tokenizer, &chats.examples[0]);
    assert_eq!(all, "### System:\nCount.\n\n### User:\nAdd.\n\n1 2\n\n### Assistant:\n3<|im_end|>\n\n");
    assert_eq!(trained, "3<|im_end|>\n\n");
    let prompt = tokenizer.encode_chat(&[Message::new("user", "Add.")], true).unwrap();
    assert_eq!(tokenizer.decode(&prompt, false).unwrap(), "### User:\nAdd.\n\n### Assistant:\n");
}

#[test]
fn truncation_keeps_the_beginning_and_says_so() {
    let line = |answer: usize| {
        format!("{{\"prompt\": \"Why?\", \"completion\": \"{}\"}}\n", "because ".repeat(answer))
    };
    let dataset = read("d.jsonl", &(line(1) + &line(100)));
    let tokenizer = small_tokenizer(Some(CHATML));
    let encoded = encode_dataset(&dataset, &tokenizer, &sft(64)).unwrap();
    let lengths: Vec<usize> = encoded.examples.iter().map(|e| e.input_ids.len()).collect();
    assert!(lengths[0] < 64 && lengths[1] == 64);
    assert_eq!(encoded.examples.iter().map(|e| e.truncated).collect::<Vec<_>>(), [false, true]);
    let whole = encode_dataset(&dataset, &tokenizer, &sft(4096)).unwrap();
    assert_eq!(whole.examples[1].input_ids[..64], encoded.examples[1].input_ids);
    assert_eq!(whole.examples[1].loss_mask[..64], encoded.examples[1].loss_mask);
    assert_eq!(encoded.full_lengths[1], whole.examples[1].input_ids.len());

    let report = report(&dataset, &encoded);
    assert_eq!((report.truncated.count, report.truncated.rows), (1, vec![2]));
    assert_eq!(report.length_max, whole.examples[1].input_ids.len());
}

#[test]
fn no_token_to_train_on_is_an_error_that_says_why() {
    let tokenizer = small_tokenizer(Some(CHATML));
    let said = |text: &str, length: usize| {
        encode_dataset(&read("d.jsonl", text), &tokenizer, &sft(length)).unwrap_err().to_string()
    };
    let long = format!("{{\"prompt\": \"{}\", \"completion\": \"b\"}}", "why ".repeat(100));
    let message = said(&long, 32);
    assert!(message.starts_with("d.jsonl: leaves no token to train on; of 1 rows: 1 whose prompt alone fills max_seq_length 32 (raise it;"), "{message}");
    let message = said(r#"{"messages": [{"role": "user", "content": "a"}]}"#, 32);
    assert!(message.contains("1 without an assistant message"), "{message}");
    let message = said("{\"prompt\": \"a\", \"completion\": \" \"}", 32);
    assert!(message.contains("1 empty"), "{message}");
    let message = said(&long, 1);
    assert!(message.contains("train.max_seq_length is 1, but it must be at least 2"), "{message}");

    let fixture = fixture("chat_templates.json");
    let mistral = small_tokenizer(fixture["templates"]["mistral"]["source"].as_str());
    let two = r#"{"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}, {"role": "assistant", "content": "c"}]}"#;
    let message = encode_dataset(&read("d.jsonl", two), &mistral, &sft(32)).unwrap_err().to_string();
    assert!(message.contains("Conversation roles must alternate"), "{message}");
}

#[test]
fn a_long_text_is_learned_in_windows() {
    let text = "Anna sees a red ball. ".repeat(40);
    let tokenizer = small_tokenizer(Some(CHATML));
    let options = EncodeOptions { objective: Objective::Text, max_seq_length: 32, train_on_prompt: false };
    let encoded = encode_dataset(&read("d.txt", &text), &tokenizer, &options).unwrap();
    let whole = tokenizer.encode(text.trim_end_matches('\n'), false).unwrap();
    let mut joined = encoded.examples[0].input_ids.clone();
    for example in &encoded.examples[1..] {
        assert_eq!(example.input_ids[0], *joined.last().unwrap());
        joined.extend(&example.input_ids[1..]);
    }
    assert_eq!(joined[..whole.len()], whole);
    assert_eq!(joined[whole.len()..], [2]);
    let trained: usize = encoded.examples.iter().map(Example::trained_tokens).sum();
    assert_eq!(trained, joined.len() - 1);
    assert!(encoded.examples.iter().all(|e| !e.truncated && e.input_ids.len() <= 32));
}

#[test]
fn everything_is_trained_when_asked() {
    let dataset = read("d.csv", "prompt,completion\nWhy?,Because.\n");
    for template in [None, Some(CHATML)] {
        let tokenizer = small_tokenizer(template);
        for options in [
            EncodeOptions { train_on_prompt: true, ..sft(512) },
            EncodeOptions { objective: Objective::Text, ..sft(512) },
        ] {
            let encoded = encode_dataset(&dataset, &tokenizer, &options).unwrap();
            let example = &encoded.examples[0];
            assert_eq!(example.trained_tokens(), example.input_ids.len() - 1);
        }
    }
}

#[test]
fn the_report_counts_what_is_wrong() {
    let lines = [
        r#"{"prompt": "a", "completion": "b"}"#,
        r#"{"prompt": "a", "completion": "b"}"#,
        "",
        r#"{"prompt": "c", "completion": ""}"#,
        r#"{"prompt": "d", "completion": "e"}"#,
        &format!("{{\"prompt\": \"{}\", \"completion\": \"f\"}}", "why ".repeat(200)),
    ];
    let dataset = read("d.jsonl", &lines.join("\n"));
    let tokenizer = small_tokenizer(Some(CHATML));
    let encoded = encode_dataset(&dataset, &tokenizer, &sft(64)).unwrap();
    let report = report(&dataset, &encoded);
    assert_eq!((report.rows, report.examples), (5, 3));
    assert_eq!(report.duplicates.rows, [2]);
    assert_eq!(report.empty.rows, [4]);
    assert_eq!(report.fully_masked.rows, [6]);
    assert_eq!(report.shape_label, "prompts and completions");
    assert_eq!(report.length_histogram.iter().map(|bin| bin.count).sum::<usize>(), 3);
    assert!(report.trained_tokens < report.tokens);
}

#[test]
fn the_preview_shows_the_text_that_the_tokens_stand_for() {
    let line = r#"{"messages": [{"role": "user", "content": "Größe 👩‍👩‍👧‍👦?"}, {"role": "assistant", "content": "你好 😀"}]}"#;
    let tokenizer = small_tokenizer(Some(CHATML));
    let rows = preview(&read("d.jsonl", line), &tokenizer, &sft(512), 3).unwrap();
    let pieces: Vec<(&str, bool)> = rows[0].pieces.iter().map(|p| (p.text.as_str(), p.trained)).collect();
    assert_eq!(
        pieces,
        [
            ("<|im_start|>user\nGröße 👩‍👩‍👧‍👦?<|im_end|>\n<|im_start|>assistant\n", false),
            ("你好 😀<|im_end|>\n", true)
        ]
    );
    let text = preview(&read("d.txt", "One day."), &tokenizer, &sft(512), 3).unwrap();
    let all: String = text[0].pieces.iter().map(|p| p.text.as_str()).collect();
    assert_eq!(all, "One day.<|im_end|>");
}

#[test]
fn a_long_text_has_the_tokens_of_the_whole() {
    let paragraph = "Anna counts 12 apples, isn't it?  \"Why?\"\n\n\tnaïve café 天气。\n今天 😀<|im_end|>\r\nBen reads\nher letter ";
    let text = paragraph.repeat(10_000);
    for template in [None, Some(CHATML)] {
        let tokenizer = small_tokenizer(template);
        let whole = tokenizer.encode(text.trim_end(), false).unwrap();
        let dataset = read("d.jsonl", &serde_json::json!({ "text": text.trim_end() }).to_string());
        let encoded = encode_dataset(&dataset, &tokenizer, &sft(10_000_000)).unwrap();
        assert!(encoded.examples[0].input_ids[..whole.len()] == whole);
        // The second half of a prompt and completion is found at the right bytes.
        let row = serde_json::json!({ "prompt": text, "completion": "Because." }).to_string();
        let encoded = encode_dataset(&read("d.jsonl", &row), &tokenizer, &sft(10_000_000)).unwrap();
        let trained = trained_text(&tokenizer, &encoded.examples[0]).0;
        assert_eq!(trained.trim(), "Because.<|im_end|>");
    }
}

/// Time must not grow with the square of a row's length; a minute is far beyond what it takes.
#[test]
fn a_row_of_ten_megabytes_is_cut() {
    let tokenizer = small_tokenizer(Some(CHATML));
    let words = "the quick brown fox ".repeat(500_000);
    let letters = "a".repeat(10_000_000);
    let turns = format!(
        "{{\"messages\": [{}]}}",
        vec![r#"{"role": "user", "content": "Why do you ask?"}, {"role": "assistant", "content": "I want to know."}"#; 100_000].join(",")
    );
    let pair = |text: &str| format!("{{\"prompt\": \"Why?\", \"completion\": \"{text}\"}}\n");
    let started = std::time::Instant::now();
    for text in [pair(&words), pair(&letters), turns] {
        let dataset = read("d.jsonl", &text);
        let encoded = encode_dataset(&dataset, &tokenizer, &sft(512)).unwrap();
        assert_eq!(encoded.examples[0].input_ids.len(), 512);
        assert!(encoded.examples[0].truncated);
        assert!(encoded.full_lengths[0] > 1_000_000, "{}", encoded.full_lengths[0]);
        preview(&dataset, &tokenizer, &sft(512), 1).unwrap();
        eprintln!("{:.1} s", started.elapsed().as_secs_f32());
    }
    let encoded = encode_dataset(&read("d.txt", &words), &tokenizer, &sft(512)).unwrap();
    assert!(encoded.examples.len() > 1000);
    eprintln!("{:.1} s", started.elapsed().as_secs_f32());
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
}
