use super::*;

fn options(objective: Objective, max_seq_length: usize) -> EncodeOptions {
    EncodeOptions { objective, ..sft(max_seq_length) }
}

fn task(messages: &[(&str, &str)], answer: Option<&str>) -> Task {
    let prompt = messages.iter().map(|(role, content)| Message::new(*role, *content)).collect();
    Task { prompt, answer: answer.map(String::from), ..Task::default() }
}

#[test]
fn prompts_are_text_or_messages_with_an_answer_or_without() {
    for (line, expected) in [
        (r#"{"prompt": "a"}"#, task(&[("user", "a")], None)),
        (r#"{"prompt": "a", "answer": ""}"#, task(&[("user", "a")], None)),
        (r#"{"prompt": "a", "answer": 7, "level": "hard"}"#, task(&[("user", "a")], Some("7"))),
        (r#"{"prompt": "a", "solution": "b"}"#, task(&[("user", "a")], Some("b"))),
        (
            r#"{"prompt": "a", "ground_truth": "b", "system": "s"}"#,
            task(&[("system", "s"), ("user", "a")], Some("b")),
        ),
        (
            r#"{"prompt": [{"role": "system", "content": "s"}, {"role": "user", "content": "a"}], "answer": "b"}"#,
            task(&[("system", "s"), ("user", "a")], Some("b")),
        ),
    ] {
        let dataset = read("d.jsonl", line);
        assert_eq!(dataset.shape, DataShape::Prompts, "{line}");
        assert_eq!(dataset.rows[0].content, RowContent::Prompt(expected), "{line}");
    }
    let mapping =
        ColumnMapping { prompt: Some("question".into()), answer: Some("reply".into()), ..Default::default() };
    let file = DataFile { name: "d.csv", bytes: b"question,reply\na,b\n" };
    let mapped = read_dataset(file, Some(&mapping)).unwrap();
    assert_eq!(mapped.rows[0].content, RowContent::Prompt(task(&[("user", "a")], Some("b"))));
    let said = read_bytes("d.jsonl", br#"{"prompt": {"a": 1}}"#).unwrap_err().to_string();
    assert_eq!(said, "d.jsonl, line 1: \"prompt\" holds an object where text is expected");
}

#[test]
fn a_prompt_ends_where_the_answer_begins_and_is_not_cut() {
    let tokenizer = small_tokenizer(Some(CHATML));
    let dataset =
        read("d.jsonl", "{\"prompt\": \"Why?\"}\n{\"prompt\": \"\"}\n{\"prompt\": \"Why is it so? Why?\"}\n");
    let expected = tokenizer.encode_chat(&[Message::new("user", "Why?")], true).unwrap();
    // The objective is chosen by the shape later than the file is read.
    for objective in [Objective::Grpo, Objective::Sft] {
        let options = options(objective, expected.len() + 1);
        let encoded = encode_dataset(&dataset, &tokenizer, &options).unwrap();
        let [example] = &encoded.examples[..] else { panic!("{} examples", encoded.examples.len()) };
        assert_eq!((&example.input_ids, example.trained_tokens()), (&expected, 0));
        assert_eq!(example.task, Some(task(&[("user", "Why?")], None)));
        let reasons: Vec<&SkipReason> = encoded.skipped.iter().map(|skipped| &skipped.reason).collect();
        assert!(matches!(reasons[..], [SkipReason::Empty, SkipReason::PromptTooLong { .. }]), "{reasons:?}");
        let shown = preview(&dataset, &tokenizer, &options, 4).unwrap();
        assert!(
            shown.len() == 1 && shown[0].pieces[0].text.ends_with("<|im_start|>assistant\n"),
            "{shown:?}"
        );
    }
    let said = encode_dataset(&dataset, &tokenizer, &options(Objective::Grpo, 4)).unwrap_err().to_string();
    assert!(said.contains("2 whose prompt alone fills max_seq_length 4"), "{said}");
}

#[test]
fn written_answers_are_the_right_ones() {
    let tokenizer = small_tokenizer(Some(CHATML));
    let chat = r#"{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"}, {"role": "assistant", "content": "d"}]}"#
        .replace('\n', " ");
    for (line, expected) in [
        (r#"{"prompt": "a", "completion": "b"}"#, task(&[("user", "a")], Some("b"))),
        (r#"{"instruction": "a", "output": "b"}"#, task(&[("user", "a")], Some("b"))),
        (chat.as_str(), task(&[("user", "a"), ("assistant", "b"), ("user", "c")], Some("d"))),
    ] {
        let dataset = read("d.jsonl", line);
        dataset.check_objective(Objective::Grpo).unwrap();
        let encoded = encode_dataset(&dataset, &tokenizer, &options(Objective::Grpo, 64)).unwrap();
        assert_eq!(encoded.examples[0].task.as_ref(), Some(&expected), "{line}");
        let prompt = tokenizer.encode_chat(&expected.prompt, true).unwrap();
        assert_eq!(encoded.examples[0].input_ids, prompt, "{line}");
        // For other objectives they are what is learned.
        let encoded = encode_dataset(&dataset, &tokenizer, &options(Objective::Sft, 64)).unwrap();
        assert!(encoded.examples[0].task.is_none() && encoded.examples[0].trained_tokens() > 0);
    }
    let error = read("d.jsonl", r#"{"text": "a"}"#).check_objective(Objective::Grpo).unwrap_err();
    assert_eq!(
        (error.kind(), error.key()),
        (loralet::ErrorKind::InvalidSetting, Some("objective")),
        "{error}"
    );
    assert!(error.to_string().contains("objective is \"grpo\", but d.jsonl holds"), "{error}");
}
