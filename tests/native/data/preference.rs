use super::*;

fn content(line: &str) -> RowContent {
    read("d.jsonl", line).rows.remove(0).content.clone()
}

fn pair(prompt: &str, completion: &str) -> RowContent {
    RowContent::Pair { system: None, prompt: prompt.into(), completion: completion.into() }
}

fn chat(messages: &[(&str, &str)], prompt_messages: usize) -> RowContent {
    let messages = messages.iter().map(|(role, content)| Message::new(*role, *content)).collect();
    RowContent::Chat { messages, prompt_messages, tools: Vec::new() }
}

fn preference(chosen: RowContent, rejected: RowContent) -> RowContent {
    RowContent::Preference { chosen: Box::new(chosen), rejected: Box::new(rejected) }
}

fn options(objective: Objective) -> EncodeOptions {
    EncodeOptions { objective, ..sft(512) }
}

#[test]
fn pairs_are_text_messages_or_whole_conversations() {
    let of_messages = preference(
        chat(&[("user", "a"), ("assistant", "b")], 1),
        chat(&[("user", "a"), ("assistant", "c")], 1),
    );
    let answer = |content: &str| format!(r#"[{{"role": "assistant", "content": "{content}"}}]"#);
    let whole = |content: &str| {
        format!(r#"[{{"role": "user", "content": "a"}}, {{"role": "assistant", "content": "{content}"}}]"#)
    };
    let (b, c, whole_b, whole_c) = (answer("b"), answer("c"), whole("b"), whole("c"));
    let user = r#"[{"role": "user", "content": "a"}]"#;
    for line in [
        format!(r#"{{"prompt": {user}, "chosen": {b}, "rejected": {c}}}"#),
        format!(r#"{{"prompt": {user}, "chosen": "b", "rejected": "c"}}"#),
        format!(r#"{{"prompt": "a", "chosen": {b}, "rejected": {c}}}"#),
        format!(
            r#"{{"input": {{"messages": {user}, "tools": []}}, "preferred_output": {b}, "non_preferred_output": {c}}}"#
        ),
        // The prompt is what both conversations begin with, whether it is repeated or not.
        format!(r#"{{"chosen": {whole_b}, "rejected": {whole_c}}}"#),
        format!(r#"{{"prompt": "a", "chosen": {whole_b}, "rejected": {whole_c}, "messages": {whole_b}}}"#),
    ] {
        let dataset = read("d.jsonl", &line);
        assert_eq!(dataset.shape, DataShape::Preference, "{line}");
        assert_eq!(dataset.rows[0].content, of_messages, "{line}");
    }
    let text = preference(pair("a", "b"), pair("a", "c"));
    assert_eq!(content(r#"{"prompt": "a", "chosen": "b", "rejected": "c"}"#), text);
    assert_eq!(read("d.json", r#"[{"prompt": "a", "chosen": "b", "rejected": "c"}]"#).rows[0].content, text);
    assert_eq!(read("d.csv", "prompt,chosen,rejected,score\na,b,c,4\n").rows[0].content, text);
    let cell = |list: &str| format!("\"{}\"", list.replace('"', "\"\""));
    let table = format!("chosen,rejected\n{},{}\n", cell(&whole_b), cell(&whole_c));
    assert_eq!(read("d.csv", &table).rows[0].content, of_messages);

    let mapping: ColumnMapping =
        serde_json::from_str(r#"{"prompt": "q", "chosen": "good", "rejected": "bad"}"#).unwrap();
    let file = DataFile { name: "d.csv", bytes: b"q,good,bad\na,b,c\n" };
    assert_eq!(read_dataset(file, Some(&mapping)).unwrap().rows[0].content, text);
}

#[test]
fn a_label_is_true_or_false() {
    let rated = |label| RowContent::Unpaired { answer: Box::new(pair("a", "b")), label };
    let dataset = read("d.csv", "prompt,completion,label\na,b,True\na,b,false\n");
    assert_eq!(dataset.shape, DataShape::UnpairedPreference);
    let found: Vec<&RowContent> = dataset.rows.iter().map(|row| &row.content).collect();
    assert_eq!(found, [&rated(true), &rated(false)]);
    assert_eq!(content(r#"{"prompt": "a", "completion": "b", "label": true}"#), rated(true));

    // A label of another kind is a column that is not used, unless the user names it.
    let table = "prompt,completion,label\na,b,sports\n";
    assert_eq!(read("d.csv", table).shape, DataShape::PromptCompletion);
    let mapping: ColumnMapping =
        serde_json::from_str(r#"{"prompt": "prompt", "completion": "completion", "label": "label"}"#)
            .unwrap();
    let file = DataFile { name: "d.csv", bytes: table.as_bytes() };
    let said = read_dataset(file, Some(&mapping)).unwrap_err().to_string();
    let expected =
        "d.csv, line 2: \"label\" holds \"sports\" where true or false is expected (or 1 or 0, yes or no";
    assert!(said.starts_with(expected), "{said}");
}

#[test]
fn a_pair_without_a_prompt_is_explained() {
    let said = |line: &str| read_bytes("d.jsonl", line.as_bytes()).unwrap_err().to_string();
    let message = said(r#"{"chosen": "b", "rejected": "c"}"#);
    assert!(message.starts_with("d.jsonl, line 1: has no prompt, and \"chosen\""), "{message}");
    let message = said(
        r#"{"chosen": [{"role": "user", "content": "a"}], "rejected": [{"role": "user", "content": "b"}]}"#,
    );
    assert!(message.contains("begin with different messages; add a prompt column"), "{message}");
}

#[test]
fn only_the_answers_count() {
    let dataset = read(
        "d.jsonl",
        r#"{"prompt": "Why?", "chosen": "Because.", "rejected": "No.", "system": "Be brief."}"#,
    );
    for (template, end) in [(Some(CHATML), "<|im_end|>\n"), (None, "<|im_end|>")] {
        let tokenizer = small_tokenizer(template);
        let asked = EncodeOptions { train_on_prompt: true, ..options(Objective::Dpo) };
        let encoded = encode_dataset(&dataset, &tokenizer, &asked).unwrap();
        let [chosen] = &encoded.examples[..] else { panic!("{} examples", encoded.examples.len()) };
        let rejected = chosen.rejected().unwrap();
        let rejected = Example {
            input_ids: rejected.input_ids.clone(),
            loss_mask: rejected.loss_mask.clone(),
            preference: None,
            ..chosen.clone()
        };
        let (chosen_text, chosen_all) = trained_text(&tokenizer, chosen);
        let (rejected_text, rejected_all) = trained_text(&tokenizer, &rejected);
        assert_eq!(chosen_text.trim_start(), format!("Because.{end}"));
        assert_eq!(rejected_text.trim_start(), format!("No.{end}"));
        assert_eq!(chosen_all.replace("Because.", ""), rejected_all.replace("No.", ""));
        assert!(chosen_all.contains("Be brief."));
    }
}

#[test]
fn pairs_are_rated_answers_to_kto() {
    let dataset = read("d.jsonl", r#"{"prompt": "Why?", "chosen": "Because.", "rejected": "No."}"#);
    let tokenizer = small_tokenizer(Some(CHATML));
    let encoded = encode_dataset(&dataset, &tokenizer, &options(Objective::Kto)).unwrap();
    let labels: Vec<_> = encoded.examples.iter().map(|example| example.preference.clone()).collect();
    assert_eq!(labels, [Some(Preference::Label(true)), Some(Preference::Label(false))]);
    let pair = encode_dataset(&dataset, &tokenizer, &options(Objective::Orpo)).unwrap();
    assert_eq!(pair.examples[0].rejected().unwrap().input_ids, encoded.examples[1].input_ids);
}

#[test]
fn the_objective_must_suit_the_rows() {
    let said = |line: &str, objective| {
        let result = read("d.jsonl", line).check_objective(objective);
        result.map_err(|error| error.to_string()).err().unwrap_or_default()
    };
    let pairs = r#"{"prompt": "a", "chosen": "b", "rejected": "c"}"#;
    let rated = r#"{"prompt": "a", "completion": "b", "label": false}"#;
    let chat = r#"{"messages": [{"role": "user", "content": "a"}]}"#;
    assert_eq!(
        said(pairs, Objective::Sft),
        "recipe: objective is \"sft\", but d.jsonl holds preference pairs, for which it must be dpo or orpo or \
         kto or reward"
    );
    assert!(said(rated, Objective::Dpo).ends_with("holds rated answers, for which it must be kto"));
    assert_eq!(
        said(rated, Objective::Sft),
        "recipe: objective is \"sft\", but d.jsonl holds rated answers, for which it must be kto; its column \"label\" says \
         which answers are liked; to learn all alike, name the others alone in data.mapping"
    );
    assert!(said(chat, Objective::Dpo).ends_with("for which it must be text or sft or grpo"));
    for (line, objective) in
        [(pairs, Objective::Dpo), (pairs, Objective::Kto), (rated, Objective::Kto), (chat, Objective::Sft)]
    {
        assert_eq!(said(line, objective), "");
    }
}

#[test]
fn the_report_and_the_preview_show_both_answers() {
    let lines = [
        r#"{"prompt": "Why?", "chosen": "Because.", "rejected": "No."}"#,
        r#"{"prompt": "Why?", "chosen": "Yes.", "rejected": "Yes."}"#,
        r#"{"prompt": "Why?", "chosen": "Yes.", "rejected": ""}"#,
        r#"{"prompt": "Why?", "chosen": "Because.", "rejected": "No."}"#,
    ];
    let dataset = read("d.jsonl", &lines.join("\n"));
    let tokenizer = small_tokenizer(Some(CHATML));
    let encoded = encode_dataset(&dataset, &tokenizer, &options(Objective::Dpo)).unwrap();
    let report = report(&dataset, &encoded);
    assert_eq!((report.rows, report.examples), (4, 2));
    assert_eq!((report.empty.rows, report.fully_masked.rows), (vec![3], vec![2]));
    assert_eq!(report.duplicates.rows, [4]);
    let tokens = |example: &Example| example.input_ids.len() + example.rejected().unwrap().input_ids.len();
    assert_eq!(report.tokens, encoded.examples.iter().map(tokens).sum::<usize>());
    let same = "1 row is left out because the chosen and the rejected answer are the same (line 2)";
    assert!(report.notes.iter().any(|note| note == same), "{:?}", report.notes);

    let shown = preview(&dataset, &tokenizer, &options(Objective::Dpo), 2).unwrap();
    let trained: Vec<_> =
        shown.iter().map(|row| (row.line, row.verdict, row.pieces.last().unwrap().text.as_str())).collect();
    assert_eq!(
        trained,
        [(1, Some(Verdict::Chosen), "Because.<|im_end|>\n"), (1, Some(Verdict::Rejected), "No.<|im_end|>\n")]
    );
    let rated = read("d.csv", "prompt,completion,label\nWhy?,No.,false\n");
    let shown = preview(&rated, &tokenizer, &options(Objective::Kto), 2).unwrap();
    assert_eq!(shown.iter().map(|row| row.verdict).collect::<Vec<_>>(), [Some(Verdict::Rejected)]);
}
