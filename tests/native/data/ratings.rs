use super::*;

fn labels(dataset: &Dataset) -> Vec<bool> {
    let label = |row: &Arc<Row>| match &row.content {
        RowContent::Unpaired { label, .. } => *label,
        other => panic!("{other:?}"),
    };
    dataset.rows.iter().map(label).collect()
}

fn rated(column: &str, liked: &str, disliked: &str) -> Dataset {
    let row =
        |rating: &str| format!("{{\"prompt\": \"a\", \"completion\": \"b\", \"{column}\": {rating}}}\n");
    read("d.jsonl", &(row(liked) + &row(disliked)))
}

fn said(name: &str, text: &str) -> String {
    read_bytes(name, text.as_bytes()).unwrap_err().to_string()
}

#[test]
fn ratings_are_read_in_the_usual_words() {
    for (liked, disliked) in [
        ("true", "false"),
        ("1", "0"),
        ("1.0", "0.0"),
        ("\"1\"", "\"0\""),
        ("\"True\"", "\"False\""),
        ("\"yes\"", "\"no\""),
        ("\"good\"", "\"bad\""),
        ("\"Like\"", "\"Dislike\""),
        ("\"liked\"", "\"disliked\""),
        ("\"thumbs up\"", "\"thumbs down\""),
        ("\"thumbs_up\"", "\"thumbs_down\""),
        ("\"up\"", "\"down\""),
        ("\"👍\"", "\"👎\""),
        ("\"chosen\"", "\"rejected\""),
        ("\"desirable\"", "\"undesirable\""),
    ] {
        for column in [
            "label",
            "Label",
            "liked",
            "is_liked",
            "thumbs_up",
            "kto_tag",
            "feedback",
            "preference",
            "rating",
            "score",
            "correct",
        ] {
            let dataset = rated(column, liked, disliked);
            assert_eq!(dataset.shape, DataShape::UnpairedPreference, "{column}: {liked}");
            assert_eq!(labels(&dataset), [true, false], "{column}: {liked}");
            assert!(dataset.notes.is_empty(), "{:?}", dataset.notes);
        }
    }
    let table = read("d.csv", "prompt,completion,label\na,b,1\na,c,0\n");
    assert_eq!(labels(&table), [true, false]);
    let table = read("d.tsv", "question\tanswer\tthumbs_up\na\tb\tyes\na\tc\tno\n");
    assert_eq!(labels(&table), [true, false]);
}

/// Whether it is set or not, a file of ratings has one objective.
#[test]
fn rated_answers_are_never_learned_alike_in_silence() {
    for rating in ["1", "\"good\"", "true"] {
        let dataset = rated("label", rating, "0");
        dataset.check_objective(Objective::Kto).unwrap();
        let error = dataset.check_objective(Objective::Sft).unwrap_err().to_string();
        assert!(
            error.contains(
                "\"sft\", but d.jsonl holds rated answers, for which it must be kto; its column \"label\""
            ),
            "{error}"
        );
    }
}

#[test]
fn ratings_stand_beside_conversations_too() {
    let turns = |answer: &str| {
        format!(
            r#"[{{"role": "user", "content": "a"}}, {{"role": "assistant", "content": "x"}}, {{"role": "user", "content": "b"}}, {{"role": "assistant", "content": "{answer}"}}]"#
        )
    };
    let chats = format!(
        "{{\"messages\": {}, \"label\": 1}}\n{{\"messages\": {}, \"label\": 0}}\n",
        turns("c"),
        turns("d")
    );
    let shared = chats.replace("messages", "conversations");
    for text in [chats, shared] {
        let dataset = read("d.jsonl", &text);
        assert_eq!(labels(&dataset), [true, false]);
        let tokenizer = small_tokenizer(Some(CHATML));
        let options = EncodeOptions { objective: Objective::Kto, ..sft(512) };
        let encoded = encode_dataset(&dataset, &tokenizer, &options).unwrap();
        // The last answer is the one that is rated.
        assert_eq!(trained_text(&tokenizer, &encoded.examples[1]).0, "d<|im_end|>\n");
        assert_eq!(encoded.examples[1].preference, Some(Preference::Label(false)));
    }
    let alpaca = r#"{"instruction": "a", "output": "b", "label": "bad"}"#;
    assert_eq!(labels(&read("d.jsonl", alpaca)), [false]);
    let mapping: ColumnMapping = serde_json::from_str(r#"{"messages": "chat", "label": "vote"}"#).unwrap();
    let text = r#"{"chat": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "vote": "no"}"#;
    let dataset = read_dataset(DataFile { name: "d.jsonl", bytes: text.as_bytes() }, Some(&mapping)).unwrap();
    assert_eq!(labels(&dataset), [false]);
}

#[test]
fn what_is_no_rating_is_refused_or_said() {
    let row = |label: &str| format!("{{\"prompt\": \"a\", \"completion\": \"b\", \"label\": {label}}}\n");
    // Among ratings, or as a number, it is a mistake.
    for (label, shown) in
        [("\"meh\"", "\"meh\""), ("0.5", "0.5"), ("null", "nothing"), ("[1]", "a list"), ("3", "3")]
    {
        let message = said("d.jsonl", &(row("1") + &row(label)));
        let expected = format!(
            "d.jsonl, line 2: \"label\" holds {shown} where true or false is expected (or 1 or 0, yes or no, good or bad, like or \
             dislike, thumbs up or down); write one of these, or, if the column is no rating, name the others alone in data.mapping"
        );
        assert_eq!(message, expected);
    }
    assert!(
        said("d.csv", "prompt,completion,label\na,b,4\na,c,5\n")
            .starts_with("d.csv, line 2: \"label\" holds \"4\"")
    );
    // Classes of another kind: said, and with KTO the reason.
    let dataset = read("d.csv", "prompt,completion,label\na,b,sports\na,c,news\n");
    assert_eq!(dataset.shape, DataShape::PromptCompletion);
    let note = "the column \"label\" holds \"sports\", which is no rating (true or false, or 1 or 0, yes or no, good or bad, like or \
                dislike, thumbs up or down), so all answers are learned alike";
    assert_eq!(dataset.notes, [note, "columns that are not used: label"]);
    let error = dataset.check_objective(Objective::Kto).unwrap_err().to_string();
    assert!(
        error.contains(
            "must be text or sft or grpo; its column \"label\" holds \"sports\", which is no rating"
        ),
        "{error}"
    );
    // Stars and comments are no verdict.
    for (column, values) in
        [("rating", ["4", "2"]), ("feedback", ["\"Great!\"", "\"no\""]), ("score", ["0.9", "0.1"])]
    {
        let dataset = rated(column, values[0], values[1]);
        assert_eq!(dataset.shape, DataShape::PromptCompletion, "{column}");
        assert!(
            dataset.notes[0].starts_with(&format!("the column \"{column}\" holds {}", values[0])),
            "{:?}",
            dataset.notes
        );
    }
    // A mapping without it is the user's word, and still said.
    let mapping: ColumnMapping =
        serde_json::from_str(r#"{"prompt": "prompt", "completion": "completion"}"#).unwrap();
    let text = row("1") + &row("0");
    let dataset = read_dataset(DataFile { name: "d.jsonl", bytes: text.as_bytes() }, Some(&mapping)).unwrap();
    assert_eq!(dataset.shape, DataShape::PromptCompletion);
    assert!(
        dataset.notes[0].starts_with("the column \"label\" looks like a rating and is not used"),
        "{:?}",
        dataset.notes
    );
}

#[test]
fn classes_of_texts_are_no_ratings() {
    let dataset = read("d.csv", "text,label\na,1\nb,0\n");
    assert_eq!(dataset.shape, DataShape::Classification);
    assert!(dataset.notes.is_empty());
}
