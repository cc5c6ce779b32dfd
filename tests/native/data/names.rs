use super::*;

fn said(text: &str) -> String {
    read_bytes("d.jsonl", text.as_bytes()).unwrap_err().to_string()
}

fn pair(prompt: &str, completion: &str) -> RowContent {
    RowContent::Pair { system: None, prompt: prompt.into(), completion: completion.into() }
}

fn preference(line: &str) -> (String, String, String) {
    let dataset = read("d.jsonl", line);
    assert_eq!(dataset.shape, DataShape::Preference, "{line}");
    assert!(dataset.notes.is_empty(), "{line}: {:?}", dataset.notes);
    let tokenizer = small_tokenizer(Some(CHATML));
    let options = EncodeOptions { objective: Objective::Dpo, ..sft(512) };
    let encoded = encode_dataset(&dataset, &tokenizer, &options).unwrap();
    let [example] = &encoded.examples[..] else { panic!("{line}: {} examples", encoded.examples.len()) };
    let rejected = example.rejected().unwrap();
    let rejected = Example {
        input_ids: rejected.input_ids.clone(),
        loss_mask: rejected.loss_mask.clone(),
        ..example.clone()
    };
    let (chosen, all) = trained_text(&tokenizer, example);
    let prompt = all.strip_suffix(&chosen).unwrap().to_string();
    (prompt, chosen, trained_text(&tokenizer, &rejected).0)
}

#[test]
fn usual_names_of_prompts_and_answers_are_known() {
    for (prompt, answer) in [
        ("prompt", "response"),
        ("prompt", "output"),
        ("question", "answer"),
        ("Question", "Answer"),
        ("input", "output"),
        ("query", "reply"),
        ("query", "response"),
        ("instruction", "response"),
        ("INSTRUCTION", "Completion"),
        ("user", "assistant"),
        ("human", "gpt"),
        ("problem", "solution"),
        ("User Message", "Model Response"),
    ] {
        for (name, text) in [
            ("d.jsonl", format!("{{\"{prompt}\": \"a\", \"{answer}\": \"b\", \"reward\": 0.5}}")),
            ("d.csv", format!("id,{answer},{prompt}\n1,b,a\n")),
        ] {
            let dataset = read(name, &text);
            assert_eq!(dataset.shape, DataShape::PromptCompletion, "{text}");
            assert_eq!(dataset.rows[0].content, pair("a", "b"), "{text}");
            let note = format!(
                "the columns are taken for {{\"prompt\": \"{prompt}\", \"completion\": \"{answer}\"}}"
            );
            assert_eq!(dataset.notes[0], note);
            assert!(
                dataset.notes.last().unwrap().starts_with("columns that are not used: "),
                "{:?}",
                dataset.notes
            );
            dataset.check_objective(Objective::Sft).unwrap();
            dataset.check_objective(Objective::Grpo).unwrap();
        }
    }
    // What these wrote is a user and an assistant turn, as with the usual names.
    let chats = r#"{"conversation": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}], "system_prompt": "s"}"#;
    let dataset = read("d.jsonl", chats);
    assert_eq!(dataset.shape, DataShape::Messages);
    assert_eq!(dataset.notes[0], "the columns are taken for {\"messages\": \"conversation\"}");
}

#[test]
fn an_instruction_has_its_context() {
    let with = "Instruction,Context,Response\na,x,b\n";
    let RowContent::Chat { messages, .. } = &read("d.csv", with).rows[0].content else { panic!() };
    assert_eq!(messages[0], Message::new("user", "a\n\nx"));
    for text in [
        r#"{"instruction": "a", "context": "x", "output": "b"}"#,
        r#"{"prompt": "a", "input": "x", "output": "b"}"#,
    ] {
        let dataset = read("d.jsonl", text);
        let RowContent::Chat { messages, .. } = &dataset.rows[0].content else { panic!("{text}") };
        assert_eq!(messages[0], Message::new("user", "a\n\nx"), "{text}");
    }
    // A column without anything in it is none.
    let dataset = read("d.csv", "Instruction,Context,Response\na,,b\nc,,d\n");
    assert_eq!(dataset.rows[1].content, pair("c", "d"));
    assert_eq!(
        dataset.notes,
        ["the columns are taken for {\"prompt\": \"Instruction\", \"completion\": \"Response\"}"]
    );
}

#[test]
fn shapes_that_are_known_keep_their_names() {
    for (line, shape) in [
        (r#"{"prompt": "a", "answer": "b"}"#, DataShape::Prompts),
        (r#"{"prompt": "a", "solution": "b"}"#, DataShape::Prompts),
        (r#"{"query": "a", "passage": "b"}"#, DataShape::TextPairs),
        (r#"{"query": "a", "document": "b"}"#, DataShape::TextPairs),
        (r#"{"instruction": "a", "input": "x", "output": "b"}"#, DataShape::Alpaca),
        (r#"{"text": "a", "label": "b"}"#, DataShape::Classification),
        (r#"{"text": "a", "title": "b"}"#, DataShape::Text),
        (r#"{"messages": [{"role": "user", "content": "a"}], "prompt": "a"}"#, DataShape::Messages),
        (r#"{"question": "a", "chosen": "b", "rejected": "c"}"#, DataShape::Preference),
    ] {
        assert_eq!(read("d.jsonl", line).shape, shape, "{line}");
    }
}

#[test]
fn an_answer_that_is_not_used_is_said_with_its_mapping() {
    let notes = |line: &str| read("d.jsonl", line).notes;
    let note = "the column \"response\" looks like an answer and is not used; to learn it, set data.mapping to \
                {\"prompt\": \"messages\", \"completion\": \"response\"}";
    let chat = r#"{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "response": "c"}"#;
    assert_eq!(notes(chat), ["columns that are not used: response", note]);
    assert!(
        notes(r#"{"text": "a", "target": "b"}"#)[1]
            .ends_with("{\"prompt\": \"text\", \"completion\": \"target\"}")
    );
    assert!(
        notes(r#"{"question": "a", "answer": "b", "solution": "c"}"#)[2]
            .starts_with("the column \"solution\" looks")
    );
    // Prompts are for GRPO; whoever wants to learn their answers is told how.
    let said = read("d.jsonl", r#"{"prompt": "a", "answer": "b"}"#)
        .check_objective(Objective::Sft)
        .unwrap_err()
        .to_string();
    assert!(
        said.ends_with("must be grpo; to learn the column \"answer\", set data.mapping to {\"prompt\": \"prompt\", \"completion\": \"answer\"}"),
        "{said}"
    );
}

#[test]
fn several_columns_that_could_be_the_answer_are_refused() {
    assert_eq!(
        said(r#"{"question": "a", "response": "b", "answer": "c"}"#),
        "d.jsonl: has the columns question, response, answer, of which response and answer could each be the answer; say which is \
         what in data.mapping, such as {\"prompt\": \"question\", \"completion\": \"response\"}"
    );
    assert!(
        said(r#"{"instruction": "a", "question": "b", "answer": "c"}"#)
            .contains("instruction and question could each be the prompt")
    );
    assert!(
        said(r#"{"headline": "a", "reply": "b"}"#)
            .ends_with("such as {\"prompt\": \"headline\", \"completion\": \"reply\"}")
    );
    assert!(said(r#"{"a": "x"}"#).ends_with("such as {\"text\": \"a\"}"));
}

#[test]
fn preferences_are_read_in_the_layouts_of_other_trainers() {
    let expected = (
        "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n".to_string(),
        "b<|im_end|>\n".to_string(),
        "c<|im_end|>\n".to_string(),
    );
    let turn = |content: &str| format!(r#"{{"role": "assistant", "content": "{content}"}}"#);
    let (b, c) = (turn("b"), turn("c"));
    let user = r#"{"role": "user", "content": "a"}"#;
    for line in [
        // LLaMA-Factory's two.
        r#"{"conversations": [{"from": "human", "value": "a"}], "chosen": {"from": "gpt", "value": "b"}, "rejected": {"from": "gpt", "value": "c"}}"#.to_string(),
        r#"{"instruction": "a", "input": "", "chosen": "b", "rejected": "c"}"#.to_string(),
        // OpenAI's.
        format!(r#"{{"input": {{"messages": [{user}], "tools": [], "parallel_tool_calls": true}}, "preferred_output": [{b}], "non_preferred_output": [{c}]}}"#),
        format!(r#"{{"messages": [{user}], "chosen": {b}, "rejected": {c}}}"#),
        format!(r#"{{"messages": [{user}], "chosen": "b", "rejected": "c"}}"#),
        format!(r#"{{"prompt": "a", "chosen_messages": [{b}], "rejected_messages": [{c}]}}"#),
        format!(r#"{{"chosen_messages": [{user}, {b}], "rejected_messages": [{user}, {c}]}}"#),
        // The prompt stands in both answers once more.
        format!(r#"{{"prompt": [{user}], "chosen": [{user}, {b}], "rejected": [{user}, {c}]}}"#),
        r#"{"question": "a", "chosen": "b", "rejected": "c"}"#.to_string(),
        r#"{"question": "a", "chosen_response": "b", "rejected_response": "c"}"#.to_string(),
        format!(r#"{{"query": "a", "chosen": {b}, "rejected": {c}}}"#),
    ] {
        assert_eq!(preference(&line), expected, "{line}");
    }
    let cell = |json: &str| format!("\"{}\"", json.replace('"', "\"\""));
    let table =
        format!("conversations,chosen,rejected\n{},{},{}\n", cell(&format!("[{user}]")), cell(&b), cell(&c));
    let dataset = read("d.csv", &table);
    assert_eq!(
        dataset.rows[0].content,
        read("d.jsonl", &format!(r#"{{"prompt": [{user}], "chosen": [{b}], "rejected": [{c}]}}"#)).rows[0]
            .content
    );
    let context = r#"{"instruction": "a", "input": "x", "chosen": "b", "rejected": "c"}"#;
    assert_eq!(preference(context).0, "<|im_start|>user\na\n\nx<|im_end|>\n<|im_start|>assistant\n");
}

#[test]
fn a_side_without_an_answer_is_named() {
    let tokenizer = small_tokenizer(Some(CHATML));
    let options = EncodeOptions { objective: Objective::Dpo, ..sft(512) };
    let row = |chosen: &str, rejected: &str| {
        format!(
            "{{\"prompt\": [{{\"role\": \"user\", \"content\": \"a\"}}], \"chosen\": [{{\"role\": \"{chosen}\", \"content\": \"b\"}}], \
             \"rejected\": [{{\"role\": \"{rejected}\", \"content\": \"c\"}}]}}\n"
        )
    };
    let (right, wrong) = (row("assistant", "assistant"), row("assistant", "user"));
    let error =
        encode_dataset(&read("d.jsonl", &wrong.repeat(8)), &tokenizer, &options).unwrap_err().to_string();
    assert_eq!(
        error,
        "d.jsonl: leaves no token to train on; of 8 rows: 8 whose \"rejected\" has no message of the assistant (lines 1, 2, 3, 4, 5, \
         6, 7, 8); give its answer the role assistant"
    );
    let dataset = read("d.jsonl", &(right.repeat(4) + &wrong + &row("user", "assistant")));
    let encoded = encode_dataset(&dataset, &tokenizer, &options).unwrap();
    assert_eq!(encoded.examples.len(), 4);
    for note in [
        "1 row is left out because the assistant says nothing in \"rejected\" (line 5)",
        "1 row is left out because the assistant says nothing in \"chosen\" (line 6)",
    ] {
        assert!(encoded.notes.iter().any(|said| said == note), "{:?}", encoded.notes);
    }
    assert_eq!(report(&dataset, &encoded).fully_masked.rows, [5, 6]);
}

#[test]
fn every_row_that_a_template_refuses_is_named() {
    let template = "{% if messages[0].role == 'system' %}{{ raise_exception('No system role!') }}{% endif %}{% for m in messages %}\
                    {% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles must alternate!') }}{% endif %}\
                    {{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}\
                    {% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";
    let row = |roles: &[&str]| {
        let turns = roles.iter().map(|role| format!("{{\"role\": \"{role}\", \"content\": \"{role}\"}}"));
        format!("{{\"messages\": [{}]}}\n", turns.collect::<Vec<_>>().join(", "))
    };
    let text = [
        row(&["user", "assistant"]),
        row(&["user", "assistant", "user", "user"]),
        row(&["user", "user", "assistant"]),
        row(&["assistant", "user", "assistant"]),
        row(&["system", "user", "assistant"]),
        row(&["system"]),
    ]
    .concat();
    let encoded =
        encode_dataset(&read("d.jsonl", &text), &small_tokenizer(Some(template)), &sft(512)).unwrap();
    assert_eq!(encoded.examples.iter().map(|example| example.row).collect::<Vec<_>>(), [0, 1, 4]);
    let note = encoded.notes.iter().find(|note| note.contains("Roles must alternate!")).unwrap();
    assert!(
        note.starts_with("2 rows are left out because the chat template") && note.ends_with("(lines 3, 4)"),
        "{note}"
    );
    assert!(
        encoded
            .notes
            .iter()
            .any(|note| note == "1 row is left out because the assistant says nothing (line 6)")
    );
}
