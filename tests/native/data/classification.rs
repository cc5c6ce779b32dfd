use super::*;
use loralet::data::{class_counts, classes};

fn said(name: &str, rows: &str) -> String {
    let read = read_bytes(name, rows.as_bytes());
    read.and_then(|dataset| classes(&dataset)).map(drop).unwrap_err().to_string()
}

#[test]
fn columns_of_labels_are_refused_in_a_sentence() {
    assert_eq!(
        said("d.jsonl", "{\"text\": \"a\", \"label\": 1}\n{\"text\": \"b\"}\n"),
        "d.jsonl, line 2: has no label, but other rows do (the first on line 1); add the label or remove this row"
    );
    assert_eq!(
        said("d.csv", "text,label\na,x\nb,\n"),
        "d.csv, line 3: has an empty label; write the text's class or remove this row"
    );
    assert_eq!(
        said("d.csv", "text,label\na,x\nb,x\n"),
        "d.csv: has only the label \"x\", so there is nothing to tell apart; add rows of at least one other class"
    );
    for (name, rows) in
        [("d.tsv", "text\tlabel\na\t0.5\n"), ("d.jsonl", "\n{\"text\": \"a\", \"label\": 0.5}\n")]
    {
        let said = said(name, rows);
        let expected = format!(
            "{name}, line 2: \"label\" holds 0.5 where a class is expected, a word or a whole number"
        );
        assert!(said.starts_with(&expected), "{said}");
    }
    let list = said("d.jsonl", "{\"text\": \"a\", \"label\": [1, 2]}\n");
    assert!(list.contains("\"label\" holds a list where a class is expected"), "{list}");
}

#[test]
fn classes_are_in_an_order_of_their_own() {
    let counts = |name: &str, rows: &str, mapping: Option<&ColumnMapping>| {
        let dataset = read_dataset(DataFile { name, bytes: rows.as_bytes() }, mapping).unwrap();
        assert_eq!(dataset.shape, DataShape::Classification);
        let counts = class_counts(&dataset).into_iter();
        counts.map(|count| format!("{} {}", count.label, count.rows)).collect::<Vec<_>>()
    };
    // Whole numbers by value, words by alphabet; an empty row is of no class.
    assert_eq!(counts("d.csv", "text,label\na,10\nb,9\nc,10\n,\n", None), ["9 1", "10 2"]);
    assert_eq!(counts("d.csv", "text,label\na,no\nb, 10\n", None), ["10 1", "no 1"]);
    let mixed = "{\"text\": \"a\", \"label\": true}\n{\"text\": \"b\", \"label\": -1}";
    assert_eq!(counts("d.jsonl", mixed, None), ["-1 1", "true 1"]);
    let mapping: ColumnMapping = serde_json::from_str(r#"{"text": "said", "label": "mood"}"#).unwrap();
    assert_eq!(counts("d.csv", "said,mood\na,x\nb,y\n", Some(&mapping)), ["x 1", "y 1"]);

    // The texts alone can be chosen.
    let mapping: ColumnMapping = serde_json::from_str(r#"{"text": "text"}"#).unwrap();
    let file = DataFile { name: "d.csv", bytes: b"text,label\na,0.5\n" };
    assert_eq!(read_dataset(file, Some(&mapping)).unwrap().shape, DataShape::Text);
}

#[test]
fn texts_are_encoded_and_cut_as_by_transformers() {
    let path = |file: &str| format!("{}/{file}", env!("CARGO_MANIFEST_DIR"));
    let json = |file: &str| -> Value {
        serde_json::from_str(&std::fs::read_to_string(path(file)).unwrap()).unwrap()
    };
    let expected = &json("tests/fixtures/score/expected.json")["encoded"];
    let texts: Vec<&str> = expected["texts"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let row = |text: &&str| serde_json::json!({ "text": text, "label": text.len() }).to_string() + "\n";
    let dataset = read("d.jsonl", &texts.iter().map(row).collect::<String>());
    for case in expected["cases"].as_array().unwrap() {
        let mut tokenizer = json("www/public/models/tiny/tokenizer.json");
        tokenizer["post_processor"] = case["post_processor"].clone();
        let tokenizer = Tokenizer::from_files(&TokenizerFiles {
            tokenizer_json: tokenizer.to_string(),
            chat_template: None,
            bos_token: Some("<|im_start|>".into()),
            eos_token: Some("<|im_end|>".into()),
            unk_token: None,
            pad_token: Some("<|im_end|>".into()),
            additional: Value::Null,
        })
        .unwrap();
        let max_seq_length = case["max_length"].as_u64().unwrap() as usize;
        let options = EncodeOptions { objective: Objective::Classify, ..sft(max_seq_length) };
        let encoded = encode_dataset(&dataset, &tokenizer, &options).unwrap();
        let ids: Vec<&Vec<u32>> = encoded.examples.iter().map(|example| &example.input_ids).collect();
        assert_eq!(serde_json::json!(ids), case["ids"], "{case}");
        assert!(encoded.examples.iter().all(|example| example.trained_tokens() == 0));
        assert_eq!(encoded.examples[3].truncated, max_seq_length == 8);
    }
}

#[test]
fn the_report_and_the_preview_show_labels() {
    let dataset = read("d.csv", "text,label\nThe cat sleeps.,cat\nThe dog runs.,dog\nA cat purrs.,cat\n");
    let tokenizer = small_tokenizer(None);
    let options = EncodeOptions { objective: Objective::Classify, ..sft(8) };
    let encoded = encode_dataset(&dataset, &tokenizer, &options).unwrap();
    let report = report(&dataset, &encoded);
    let classes: Vec<_> = report.classes.iter().map(|count| (count.label.as_str(), count.rows)).collect();
    assert_eq!(classes, [("cat", 2), ("dog", 1)]);
    assert_eq!(report.objectives, [Objective::Classify, Objective::Text]);
    let shown = preview(&dataset, &tokenizer, &options, 2).unwrap();
    let labels: Vec<_> = shown.iter().map(|row| (row.label.as_deref(), row.trained_tokens)).collect();
    assert_eq!(labels, [(Some("cat"), 0), (Some("dog"), 0)]);
    // Without their labels the texts are raw text.
    let encoded =
        encode_dataset(&dataset, &tokenizer, &EncodeOptions { objective: Objective::Text, ..sft(512) });
    assert!(encoded.unwrap().examples.iter().all(|example| example.trained_tokens() > 0));
}

#[test]
fn an_answer_that_would_be_cut_has_no_reward() {
    let long = "word ".repeat(60);
    let lines = format!(
        "{{\"prompt\": \"Why?\", \"chosen\": \"Because.\", \"rejected\": \"No.\"}}\n{{\"prompt\": \"Why?\", \"chosen\": \"{long}\", \"rejected\": \"No.\"}}\n"
    );
    let dataset = read("d.jsonl", &lines);
    let tokenizer = small_tokenizer(Some(CHATML));
    let of =
        |objective| encode_dataset(&dataset, &tokenizer, &EncodeOptions { objective, ..sft(32) }).unwrap();
    assert_eq!((of(Objective::Dpo).examples.len(), of(Objective::Reward).examples.len()), (2, 1));
    let notes = of(Objective::Reward).notes;
    assert!(
        notes.iter().any(|note| note.contains("1 row is left out because an answer is longer")),
        "{notes:?}"
    );
}
