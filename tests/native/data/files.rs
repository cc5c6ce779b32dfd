use super::*;

fn message(name: &str, bytes: &[u8]) -> String {
    read_bytes(name, bytes).unwrap_err().to_string()
}

fn pair(prompt: &str, completion: &str) -> RowContent {
    RowContent::Pair { system: None, prompt: prompt.into(), completion: completion.into() }
}

fn chat(messages: &[(&str, &str)], prompt_messages: usize) -> RowContent {
    let messages = messages.iter().map(|(role, content)| Message::new(*role, *content)).collect();
    RowContent::Chat { messages, prompt_messages, tools: Vec::new() }
}

fn contents(dataset: Dataset) -> Vec<RowContent> {
    dataset.rows.iter().map(|row| row.content.clone()).collect()
}

#[test]
fn every_shape_is_detected() {
    let cases = [
        (r#"{"text": "a"}"#, DataShape::Text, RowContent::Text("a".into())),
        (r#"{"prompt": "a", "completion": "b"}"#, DataShape::PromptCompletion, pair("a", "b")),
        (r#"{"Prompt": "a", "Completion": 4}"#, DataShape::PromptCompletion, pair("a", "4")),
        (
            r#"{"prompt": [{"role": "user", "content": "a"}], "completion": [{"role": "assistant", "content": "b"}]}"#,
            DataShape::PromptCompletion,
            chat(&[("user", "a"), ("assistant", "b")], 1),
        ),
        (
            r#"{"prompt": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}], "completion": "d"}"#,
            DataShape::PromptCompletion,
            chat(&[("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d")], 3),
        ),
        (
            r#"{"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, {"role": "tool", "content": "t"}], "id": 7}"#,
            DataShape::Messages,
            chat(&[("system", "s"), ("user", "ab"), ("tool", "t")], 0),
        ),
        (
            r#"{"system": "s", "conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}"#,
            DataShape::ShareGpt,
            chat(&[("system", "s"), ("user", "a"), ("assistant", "b")], 1),
        ),
        (
            r#"{"instruction": "a", "input": "x", "output": "b", "text": "all of it"}"#,
            DataShape::Alpaca,
            chat(&[("user", "a\n\nx"), ("assistant", "b")], 1),
        ),
        (
            r#"{"instruction": "a", "input": null, "output": "b"}"#,
            DataShape::Alpaca,
            chat(&[("user", "a"), ("assistant", "b")], 1),
        ),
    ];
    for (line, shape, content) in cases {
        let dataset = read("d.jsonl", line);
        assert_eq!(dataset.shape, shape, "{line}");
        assert_eq!(dataset.rows[0].content, content, "{line}");
    }
}

#[test]
fn every_format_gives_the_same_rows() {
    let rows = [pair("a\nb", "c, \"d\""), pair("ü", "e")];
    let files = [
        (
            "d.jsonl",
            "{\"prompt\":\"a\\nb\",\"completion\":\"c, \\\"d\\\"\"}\n\n{\"prompt\":\"ü\",\"completion\":\"e\"}\n",
        ),
        (
            "d.JSON",
            "[{\"prompt\":\"a\\nb\",\"completion\":\"c, \\\"d\\\"\"},{\"prompt\":\"ü\",\"completion\":\"e\"}]",
        ),
        (
            "d.json",
            "{\"data\":[{\"prompt\":\"a\\nb\",\"completion\":\"c, \\\"d\\\"\"},{\"prompt\":\"ü\",\"completion\":\"e\"}]}",
        ),
        ("d.csv", "prompt,completion\n\"a\nb\",\"c, \"\"d\"\"\"\nü,e\n"),
        ("d.tsv", "completion\tprompt\n\"c, \"\"d\"\"\"\t\"a\nb\"\ne\tü\n"),
    ];
    for (name, text) in files {
        for text in [text.to_string(), format!("\u{feff}{text}")] {
            assert_eq!(contents(read(name, &text)), rows, "{name}");
        }
    }
    // Windows line ends, between rows only.
    let windows = "prompt,completion\r\nü,e\r\n\r\nx,y\r\n";
    assert_eq!(contents(read("d.csv", windows)), [pair("ü", "e"), pair("x", "y")]);
    let windows = "\u{feff}{\"text\":\"a\"}\r\n\r\n{\"text\":\"b\"}\r\n";
    assert_eq!(
        contents(read("d.jsonl", windows)),
        [RowContent::Text("a".into()), RowContent::Text("b".into())]
    );
}

#[test]
fn a_conversation_fits_in_a_table_cell() {
    let text = "id,messages\n1,\"[{\"\"role\"\": \"\"user\"\", \"\"content\"\": \"\"a\"\"}]\"\n";
    let dataset = read("d.csv", text);
    assert_eq!(dataset.rows[0].content, chat(&[("user", "a")], 0));
    assert_eq!(dataset.notes, ["columns that are not used: id"]);
}

#[test]
fn columns_are_mapped_by_hand() {
    let mapping = ColumnMapping {
        prompt: Some("question".into()),
        completion: Some("answer".into()),
        system: Some("who".into()),
        ..Default::default()
    };
    let file = DataFile { name: "d.csv", bytes: b"question,answer,who,text\na,b,s,t\n" };
    let dataset = read_dataset(file, Some(&mapping)).unwrap();
    assert_eq!(
        dataset.rows[0].content,
        RowContent::Pair { system: Some("s".into()), prompt: "a".into(), completion: "b".into() }
    );
    let wrong = |mapping: ColumnMapping| read_dataset(file, Some(&mapping)).unwrap_err().to_string();
    let missing = ColumnMapping { text: Some("body".into()), ..Default::default() };
    assert_eq!(
        wrong(missing),
        "recipe: data.mapping is {\"text\": \"body\"}, but the file's columns are question, answer, who, text"
    );
    let half = ColumnMapping { completion: Some("answer".into()), ..Default::default() };
    assert!(
        wrong(half)
            .contains("a mapping of completion, but it must map text (and label), or prompt (and answer), or prompt and completion, or")
    );
    assert!(wrong(ColumnMapping::default()).contains("data.mapping is empty"));
}

#[test]
fn bytes_that_are_no_text_are_located() {
    assert_eq!(
        message("d.jsonl", b"{\"text\":\"a\"}\n{\"text\":\"\xE4\"}\n"),
        "d.jsonl, line 2: is not UTF-8: byte 0xE4 at offset 22; save the file as UTF-8"
    );
    let mut utf16: Vec<u8> = "text\nabc\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    utf16.pop();
    assert!(message("d.csv", &utf16).contains("zero byte at offset 1: it looks like UTF-16 text"));
    assert!(message("d.jsonl", b"PAR1\x15\x04").contains("is a Parquet file"));
    assert!(
        message("d.txt", b"some words\nand\x00 more words")
            .starts_with("d.txt, line 2: holds a zero byte at offset 14")
    );
}

#[test]
fn empty_files_say_so() {
    for (name, bytes) in [("d.jsonl", &b""[..]), ("d.csv", b"\n \n"), ("d.txt", b"\xEF\xBB\xBF \n")] {
        assert_eq!(message(name, bytes), format!("{name}: is empty; it needs at least one example"));
    }
    assert!(message("d.csv", b"prompt,completion\n").contains("a header line and no rows"));
    assert!(message("d.json", b"[]").contains("no rows"));
    assert!(message("d.json", b"{\"data\": []}").contains("no rows"));
    assert!(message("d.jsonl", b"{}\n{}").contains("only empty rows"));
}

#[test]
fn unknown_columns_are_listed_with_the_known_shapes() {
    let said = message("d.jsonl", b"{\"title\": \"a\", \"author\": \"b\", \"Response\": \"c\"}");
    assert!(said.starts_with("d.jsonl: has the columns title, author, Response, which are no known shape; known are text (raw text), prompt + completion"), "{said}");
    assert!(
        said.ends_with("in data.mapping, such as {\"prompt\": \"title\", \"completion\": \"Response\"}"),
        "{said}"
    );
    assert!(message("d.xlsx", b"x").contains("the extension .xlsx; known data files are"));
    assert!(message("data", b"x").contains("has no extension"));
    // The worker hands its rows over as JSON lines; a program without it gets the file itself.
    assert!(message("d.parquet", b"PAR1\x15\x04").contains("is a Parquet file"));
}

#[test]
fn mixed_shapes_name_their_lines() {
    let text = "{\"text\":\"a\"}\n{\"prompt\":\"a\",\"completion\":\"b\"}\n\n{\"text\":\"c\"}\n";
    assert_eq!(
        message("d.jsonl", text.as_bytes()),
        "d.jsonl: mixes shapes: raw text on lines 1, 4; prompts and completions on line 2; give each shape its own file"
    );
    let text = "{\"prompt\":\"a\",\"completion\":\"b\"}\n{\"prompt\":\"a\"}\n";
    let said = message("d.jsonl", text.as_bytes());
    assert!(
        said.starts_with(
            "d.jsonl, line 2: has the columns prompt, but the file's other rows are prompts and completions"
        ),
        "{said}"
    );
}

#[test]
fn a_broken_line_in_the_middle_is_named() {
    let mut text: Vec<String> = (0..50).map(|i| format!("{{\"text\": \"row {i}\"}}")).collect();
    text[20] = "{\"text\": \"row 20\"".into();
    let said = message("d.jsonl", text.join("\n").as_bytes());
    assert_eq!(
        said,
        "d.jsonl, line 21: is not valid JSON at column 17 (EOF while parsing an object); correct or remove this line"
    );
    let said = message("d.json", b"[{\"text\": \"a\"},\n{\"text\": 'b'}]");
    assert!(said.starts_with("d.json, line 2: is not valid JSON at column 10"), "{said}");
    let said = message("d.csv", b"text,label\na,b\nc\nd,e\n");
    assert!(said.starts_with("d.csv, line 3: has 1 fields where the header has 2"), "{said}");
}

#[test]
fn wrongly_nested_messages_are_explained() {
    let said = |line: &str| message("d.jsonl", line.as_bytes());
    let cases = [
        (
            r#"{"messages": [[{"role": "user", "content": "a"}]]}"#,
            "\"messages\", message 1: it is a list where {\"role\": …, \"content\": …} is expected; the list is nested one level too deep",
        ),
        (
            r#"{"messages": {"role": "user", "content": "a"}}"#,
            "\"messages\" holds an object where a list of messages is expected",
        ),
        (r#"{"messages": "hello"}"#, "\"messages\" holds text that is not a JSON list of messages"),
        (
            r#"{"messages": [{"role": "user", "content": "a"}, {"role": "bot", "content": "b"}]}"#,
            "message 2: \"bot\" is not a role; roles are system, user, assistant and tool",
        ),
        (
            r#"{"messages": [{"user": "a"}]}"#,
            "message 1: it has no role (\"role\" or \"from\"); its keys are user",
        ),
        (r#"{"messages": [{"role": "user", "text": "a"}]}"#, "message 1: it has no content"),
        (
            r#"{"messages": [{"role": "user", "content": {"a": 1}}]}"#,
            "\"content\" holds an object where text is expected",
        ),
        (
            r#"{"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}]}"#,
            "a part of type \"image_url\"; only text can be used",
        ),
        (
            r#"{"messages": [{"role": "assistant", "content": null, "tool_calls": [{"id": "1"}]}]}"#,
            "message 1: its tool call is an object without a name where {\"name\": …, \"arguments\": {…}} is expected",
        ),
        (
            r#"{"prompt": "a", "completion": {"b": 1}}"#,
            "\"completion\" holds an object where text is expected",
        ),
        (r#"[{"role": "user", "content": "a"}] x"#, "not valid JSON"),
        ("5", "holds 5 where an object with named columns is expected"),
    ];
    for (line, expected) in cases {
        let said = said(line);
        assert!(said.starts_with("d.jsonl, line 1: ") && said.contains(expected), "{said}");
    }
}

/// Whatever a file holds, reading it ends in rows or in an error.
#[test]
fn damaged_files_do_not_panic() {
    let whole = [
        (
            "d.jsonl",
            "{\"messages\": [{\"role\": \"user\", \"content\": \"ä\\ud83d\\ude00\"}]}\r\n{\"messages\": []}\n",
        ),
        (
            "d.json",
            "{\"v\": 1, \"data\": [{\"prompt\": \"a\", \"completion\": \"b\"},\n {\"prompt\": null}]}",
        ),
        ("d.csv", "prompt,completion,x\n\"a\nb\",\"c \"\"q\"\"\",1\n\n;,\t,\n"),
        (
            "p.csv",
            "chosen,rejected,prompt\n\"[{\"\"role\"\":\"\"user\"\",\"\"content\"\":\"\"a\"\"}]\",b,c\nd,e,f\n",
        ),
        ("p.jsonl", "{\"prompt\": \"a\", \"completion\": \"b\", \"label\": true}\n"),
        ("d.tsv", "instruction\toutput\na\tb\r\n\r\n"),
        ("d.txt", "\u{feff}a\r\n\r\n\r\nb\n<|endoftext|>\n"),
    ];
    let mut state = 1_u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let swaps = b"\"{}[],:\\\n\r\t; 0a\x00\xff\xc3";
    for (name, text) in whole {
        for _ in 0..4000 {
            let mut bytes = text.as_bytes().to_vec();
            for _ in 0..=next(4) {
                let at = next(bytes.len());
                match next(3) {
                    0 => bytes[at] = swaps[next(swaps.len())],
                    1 => drop(bytes.remove(at)),
                    _ => bytes.insert(at, swaps[next(swaps.len())]),
                }
            }
            match read_bytes(name, &bytes) {
                Ok(dataset) => assert!(dataset.rows.iter().all(|row| row.line > 0)),
                Err(error) => assert!(error.to_string().starts_with(name), "{error}"),
            }
        }
    }
}
