//! Turns of a conversation: marks, parts, fields that nothing reads.

use super::*;
use loralet::weights::checkpoint::Checkpoint;
use loralet::weights::source::{ByteSource, FileSource};
use serde_json::json;

mod reasoning;
mod tools;

/// The tokenizer of `tiny`, with its own chat template or another.
fn tiny(chat_template: Option<&str>) -> Tokenizer {
    let folder = format!("{}/www/public/models/tiny", env!("CARGO_MANIFEST_DIR"));
    let names = [
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
        "model.safetensors",
    ];
    let open = |name| Box::new(FileSource::open(format!("{folder}/{name}")).unwrap()) as Box<dyn ByteSource>;
    let mut files = Checkpoint::open(names.map(open).into()).unwrap().tokenizer;
    if let Some(template) = chat_template {
        files.chat_template = Some(template.into());
    }
    Tokenizer::from_files(&files).unwrap()
}

fn template(name: &str) -> String {
    fixture("tool_templates.json")["templates"][name].as_str().unwrap().into()
}

/// The template in `tests/fixtures/reasoning`, which writes `reasoning_content`.
fn reasoning_template() -> String {
    let path = format!("{}/tests/fixtures/reasoning/chat_template.jinja", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

fn lines(rows: &[Value]) -> String {
    rows.iter().map(|row| format!("{row}\n")).collect()
}

fn encode(rows: &[Value], tokenizer: &Tokenizer) -> Encoded {
    encode_dataset(&read("d.jsonl", &lines(rows)), tokenizer, &sft(512)).unwrap()
}

fn trained(rows: &[Value], tokenizer: &Tokenizer) -> Vec<String> {
    encode(rows, tokenizer).examples.iter().map(|example| trained_text(tokenizer, example).0).collect()
}

fn refused(rows: &[Value], tokenizer: &Tokenizer) -> String {
    let dataset = read_bytes("d.jsonl", lines(rows).as_bytes());
    dataset.and_then(|dataset| encode_dataset(&dataset, tokenizer, &sft(512))).unwrap_err().to_string()
}

fn count(rows: &[Value], tokenizer: &Tokenizer) -> usize {
    encode(rows, tokenizer).examples.iter().map(Example::trained_tokens).sum()
}

const ANIMALS: [(&str, &str); 8] = [
    ("Dot the duck", "bread"),
    ("Nut the squirrel", "nuts"),
    ("Bruno the bear", "honey"),
    ("Mia the mouse", "cheese"),
    ("Tom the cat", "fish"),
    ("Lena the hen", "corn"),
    ("Carl the crow", "apples"),
    ("Daisy the cow", "grass"),
];

/// Conversations in which the first answer is a mistake, which carries `mark`.
fn with_mistakes(keys: [&str; 3], names: [&str; 2], mark: &Value) -> Vec<Value> {
    let [list, role, content] = keys;
    let turn = |who: &str, text: String| json!({role: who, content: text});
    let row = |(animal, food): (&str, &str)| {
        let mut mistake = turn(names[1], "I do not know and I do not care.".into());
        mistake.as_object_mut().unwrap().extend(mark.as_object().unwrap().clone());
        json!({list: [
            turn(names[0], format!("What does {animal} like to eat?")),
            mistake,
            turn(names[0], "Try again, please.".into()),
            turn(names[1], format!("{animal} likes to eat {food}.")),
        ]})
    };
    ANIMALS.map(row).into()
}

#[test]
fn marked_turns_are_left_out_of_the_loss() {
    let tokenizer = tiny(None);
    let chats = |mark: Value| with_mistakes(["messages", "role", "content"], ["user", "assistant"], &mark);
    let shared = |mark: Value| with_mistakes(["conversations", "from", "value"], ["human", "gpt"], &mark);
    // The figures are those of transformers: 194 tokens in all answers, 90 in the second ones.
    for learned in [
        json!({}),
        json!({"weight": 1}),
        json!({"train": true}),
        json!({"loss": null}),
        json!({"loss_weight": 1.0}),
    ] {
        assert_eq!(count(&chats(learned.clone()), &tokenizer), 194, "{learned}");
    }
    for mark in [
        json!({"weight": 0}),
        json!({"weight": 0.0}),
        json!({"weight": "0"}),
        json!({"loss_weight": 0}),
        json!({"train": false}),
        json!({"loss": false}),
        json!({"training": "false"}),
        json!({"trainable": false, "weight": 0}),
    ] {
        assert_eq!(count(&chats(mark.clone()), &tokenizer), 90, "{mark}");
        assert_eq!(count(&shared(mark.clone()), &tokenizer), 90, "{mark}");
    }
    let marked = encode(&chats(json!({"weight": 0})), &tokenizer);
    let note = "8 answers are marked in the file to be left out of the loss, and read only as context";
    assert!(marked.notes.iter().any(|said| said == note), "{:?}", marked.notes);
    // The same conversation in a table's cell.
    let cell = chats(json!({"weight": 0}))[0]["messages"].to_string().replace('"', "\"\"");
    let encoded =
        encode_dataset(&read("d.csv", &format!("messages\n\"{cell}\"\n")), &tokenizer, &sft(512)).unwrap();
    assert_eq!(
        trained_text(&tokenizer, &encoded.examples[0]).0,
        "Dot the duck likes to eat bread.<|im_end|>\n"
    );
}

#[test]
fn marks_hold_where_everything_else_is_trained() {
    let tokenizer = tiny(None);
    let rows = with_mistakes(["messages", "role", "content"], ["user", "assistant"], &json!({"weight": 0}));
    let dataset = read("d.jsonl", &lines(&rows[..1]));
    for objective in [Objective::Sft, Objective::Text] {
        let options = EncodeOptions { objective, train_on_prompt: true, ..sft(512) };
        let encoded = encode_dataset(&dataset, &tokenizer, &options).unwrap();
        let (text, all) = trained_text(&tokenizer, &encoded.examples[0]);
        assert!(all.contains("I do not know") && !text.contains("I do not know"), "{text}");
        assert!(text.contains("Try again") && text.contains("likes to eat bread"), "{text}");
    }
}

#[test]
fn marks_that_are_no_marks_are_refused() {
    let said = |mark: Value| {
        let rows = with_mistakes(["messages", "role", "content"], ["user", "assistant"], &mark);
        read_bytes("d.jsonl", lines(&rows).as_bytes()).unwrap_err().to_string()
    };
    let half = said(json!({"weight": 0.5}));
    assert_eq!(
        half,
        "d.jsonl, line 1: \"messages\", message 2: \"weight\" is 0.5; a turn is either learned (1 or true) or not (0 or false), \
         so write one of these"
    );
    assert!(said(json!({"loss_weight": -1})).contains("\"loss_weight\" is -1;"));
    assert!(said(json!({"train": "maybe"})).contains("\"train\" is \"maybe\";"));
    assert!(said(json!({"loss": [1]})).contains("\"loss\" is a list;"));
    assert!(
        said(json!({"train": false, "weight": 1})).contains("\"weight\" and \"train\" contradict each other")
    );
}

#[test]
fn a_row_whose_every_answer_is_marked_has_nothing_to_learn() {
    let tokenizer = tiny(None);
    let row = |weight: usize| json!({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "weight": weight}]});
    let encoded = encode(&[row(1), row(0)], &tokenizer);
    assert_eq!(encoded.examples.len(), 1);
    let note = "1 row is left out because all answers are marked to be left out of the loss (line 2)";
    assert!(encoded.notes.iter().any(|said| said == note), "{:?}", encoded.notes);
    let said = refused(&[row(0)], &tokenizer);
    assert!(said.contains("1 whose answers are all marked to be left out of the loss"), "{said}");
    // In pairs, too.
    let answer =
        |weight: usize| json!([{"role": "assistant", "content": format!("b{weight}"), "weight": weight}]);
    let pair = json!({"prompt": "a", "chosen": answer(1), "rejected": answer(0)});
    let options = EncodeOptions { objective: Objective::Dpo, ..sft(512) };
    let said =
        encode_dataset(&read("d.jsonl", &pair.to_string()), &tokenizer, &options).unwrap_err().to_string();
    assert!(said.contains("1 whose answers are all marked"), "{said}");
}

#[test]
fn parts_of_text_are_text_and_others_are_named() {
    let content = |content: Value| {
        let row = json!({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": content}]});
        read_bytes("d.jsonl", row.to_string().as_bytes()).map(|dataset| match &dataset.rows[0].content {
            RowContent::Chat { messages, .. } => messages[1].clone(),
            other => panic!("{other:?}"),
        })
    };
    for parts in [
        json!([{"type": "text", "text": "Yes"}, {"type": "text", "text": "."}]),
        json!([{"type": "text", "value": "Yes."}]),
        json!([{"type": "text", "content": "Yes."}]),
        json!([{"type": "output_text", "text": "Yes."}]),
        json!([{"type": "text", "text": {"value": "Yes.", "annotations": []}}]),
        json!([{"text": "Yes."}]),
        json!({"type": "text", "text": "Yes."}),
        json!(["Yes", "."]),
    ] {
        assert_eq!(content(parts.clone()).unwrap(), Message::new("assistant", "Yes."), "{parts}");
    }
    let thought =
        content(json!([{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "Yes."}])).unwrap();
    assert_eq!(thought.content, "Yes.");
    assert_eq!(thought.reasoning, Some(Reasoning { field: "thinking", text: "Hm.".into() }));
    for kind in ["image", "image_url", "input_audio", "video", "tool_use"] {
        let said = content(json!([{"type": "text", "text": "See"}, {"type": kind, kind: "x"}]))
            .unwrap_err()
            .to_string();
        let expected = format!(
            "d.jsonl, line 1: \"messages\", message 2: its content has a part of type \"{kind}\"; only text can be used, so remove the part or this row"
        );
        assert_eq!(said, expected);
    }
    let said = content(json!([{"type": "text"}])).unwrap_err().to_string();
    assert!(said.contains("a part of type \"text\" that holds no text"), "{said}");
    let said = content(json!([{"image": "x.png"}])).unwrap_err().to_string();
    assert!(said.contains("a part that is no text (its keys are image)"), "{said}");
}

#[test]
fn fields_of_messages_that_nothing_reads_are_said() {
    let row = json!({"messages": [
        {"role": "user", "content": "a", "name": "Mia", "train": true},
        {"role": "assistant", "content": "b", "mask": 1, "refusal": null, "audio": []},
    ]});
    let notes = read("d.jsonl", &row.to_string()).notes;
    assert_eq!(
        notes,
        [
            "fields of messages that are not used: name (first on line 1), train (of a turn that is not the assistant's) (first on line 1), mask (first on line 1)"
        ]
    );
}
