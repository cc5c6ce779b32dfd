//! Files that are nearly what their name says.

use super::*;

const ROWS: [(&str, &str); 3] =
    [("Who eats bread?", "Dot the duck."), ("Who eats nuts?", "Nut."), ("Who eats \"fish\"?", "It's Tom.")];

fn read_error(name: &str, text: &str) -> String {
    read_bytes(name, text.as_bytes()).unwrap_err().to_string()
}

fn pairs(dataset: &Dataset) -> Vec<(String, String)> {
    let pair = |row: &Arc<Row>| match &row.content {
        RowContent::Pair { prompt, completion, .. } => (prompt.clone(), completion.clone()),
        other => panic!("{other:?}"),
    };
    dataset.rows.iter().map(pair).collect()
}

fn assert_is_rows(name: &str, bytes: &[u8], note: &str) -> Dataset {
    let dataset = read_bytes(name, bytes).unwrap();
    let rows: Vec<(String, String)> = ROWS.map(|(a, b)| (a.to_string(), b.to_string())).into();
    assert_eq!(pairs(&dataset), rows, "{name}");
    assert!(
        note.is_empty() || dataset.notes.iter().any(|said| said.contains(note)),
        "{note:?}: {:?}",
        dataset.notes
    );
    dataset
}

fn as_objects() -> Vec<Value> {
    ROWS.iter()
        .map(|(prompt, completion)| serde_json::json!({"prompt": prompt, "completion": completion}))
        .collect()
}

fn as_lines() -> String {
    as_objects().iter().map(|row| format!("{row}\n")).collect()
}

#[test]
fn tables_as_pandas_orients_them_are_rows() {
    let column = |place: usize| -> Vec<&str> {
        ROWS.iter().map(|row| if place == 0 { row.0 } else { row.1 }).collect()
    };
    let numbered = |values: Vec<Value>| -> Value {
        values
            .into_iter()
            .enumerate()
            .map(|(place, value)| (place.to_string(), value))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let by_number = |values: Vec<&str>| numbered(values.into_iter().map(Value::from).collect());
    let data: Vec<Value> = ROWS.iter().map(|row| serde_json::json!([row.0, row.1])).collect();
    let files = [
        (
            serde_json::json!({"prompt": by_number(column(0)), "completion": by_number(column(1))}),
            "columns beside each other",
        ),
        (numbered(as_objects()), "rows by number"),
        (
            serde_json::json!({"columns": ["prompt", "completion"], "index": [0, 1, 2], "data": data}),
            "column names apart",
        ),
        (serde_json::json!({"prompt": column(0), "completion": column(1)}), "columns beside each other"),
        (
            serde_json::json!({"my_rows": as_objects(), "version": 2}),
            "rows are read from \"my_rows\"; \"version\" is left out",
        ),
    ];
    for (file, note) in files {
        // In one line, as pandas writes it, and over several; under both names.
        assert_is_rows("d.json", file.to_string().as_bytes(), note);
        assert_is_rows("d.jsonl", file.to_string().as_bytes(), note);
        let over_lines = serde_json::to_string_pretty(&file).unwrap();
        let dataset = assert_is_rows("d.json", over_lines.as_bytes(), note);
        let lines: Vec<usize> = dataset.rows.iter().map(|row| row.line).collect();
        assert!(lines.is_sorted() && lines[0] > 1, "{lines:?}");
    }
}

#[test]
fn a_table_that_could_be_either_is_refused_with_the_cure() {
    let cure = "with pandas by df.to_json(file, orient=\"records\")";
    for text in [
        r#"{"a": {"prompt": "x", "completion": "y"}, "b": {"prompt": "x", "completion": "y"}}"#,
        r#"{"prompt": ["a", "b"], "completion": ["c"]}"#,
        r#"[["a", "b"], ["c", "d"]]"#,
    ] {
        let said = read_error("d.json", text);
        assert!(said.contains(cure), "{said}");
    }
    let said = read_error("d.json", r#"{"columns": ["prompt", "completion"], "data": [["a", "b"], ["c"]]}"#);
    assert!(said.contains("has 1 values where \"columns\" names 2"), "{said}");
    // Rows by themselves are not taken for tables.
    for text in [
        r#"{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}"#,
        r#"{"prompt": [{"role": "user", "content": "a"}], "completion": [{"role": "assistant", "content": "b"}]}"#,
    ] {
        assert_eq!(read("d.json", text).rows.len(), 1, "{text}");
        assert_eq!(read("d.jsonl", text).rows.len(), 1, "{text}");
    }
}

#[test]
fn rows_under_another_files_name_are_rows() {
    let lines = as_lines();
    let list = serde_json::to_string_pretty(&as_objects()).unwrap();
    for name in ["d.txt", "d.md", "d.csv", "d.tsv"] {
        assert_is_rows(name, lines.as_bytes(), "looks like rows in JSON, whatever its name");
        assert_is_rows(name, list.as_bytes(), "looks like rows in JSON, whatever its name");
    }
    let said = read_error("d.txt", &format!("{lines}{{\"prompt\": \"a\", }}\n"));
    assert!(said.starts_with("d.txt, line 4: looks like rows in JSON, but is not valid JSON"), "{said}");
    let said = read_error("d.md", &format!("```json\n{lines}```\n"));
    assert!(said.starts_with("d.md, line 1: looks like rows in JSON"), "{said}");
    let table = "prompt\tcompletion\nWho eats bread?\tDot the duck.\nWho eats nuts?\tNut.\nWho eats \"fish\"?\tIt's Tom.\n";
    assert_is_rows("d.txt", table.as_bytes(), "looks like a table");
    assert_is_rows("d.parquet", table.as_bytes(), "looks like a table");
    assert_is_rows("d.parquet", list.as_bytes(), "");
    let said = read_error("d.parquet", "Not found\n");
    assert!(said.starts_with("d.parquet: is not a Parquet file, whatever its name says"), "{said}");
}

#[test]
fn joined_files_have_marks_that_nobody_sees() {
    let lines = as_lines();
    let joined = lines.replacen("\n", "\n\u{feff}", 1);
    assert_is_rows(
        "d.jsonl",
        format!("\u{feff}{joined}").as_bytes(),
        "byte order marks, which nobody sees, are left out (line 2)",
    );
    let on_one_line = lines.replacen("\n", "\u{feff}", 1);
    assert_is_rows("d.jsonl", on_one_line.as_bytes(), "left out (line 1)");
    let table = "prompt,completion\r\nWho eats bread?,Dot the duck.\r\n\u{feff}prompt,completion\r\nWho eats nuts?,Nut.\r\n\"Who eats \"\"fish\"\"?\",It's Tom.\r\n";
    assert_is_rows(
        "d.csv",
        table.as_bytes(),
        "the header stands again in the table and is left out there (line 3)",
    );
}

#[test]
fn utf16_with_its_mark_is_read() {
    let text = format!("\u{feff}{}", as_lines().replace('\n', "\r\n"));
    for encode in [u16::to_le_bytes, u16::to_be_bytes] {
        let bytes: Vec<u8> = text.encode_utf16().flat_map(encode).collect();
        assert_is_rows("d.jsonl", &bytes, "UTF-16");
        let odd = read_bytes("d.jsonl", &bytes[..bytes.len() - 1]).unwrap_err().to_string();
        assert!(odd.contains("ends in half a character"), "{odd}");
    }
    let half: Vec<u8> =
        [0xFEFF_u16, 0x61, 0x0A, 0xD83D, 0x61].into_iter().flat_map(u16::to_le_bytes).collect();
    let said = read_bytes("d.txt", &half).unwrap_err().to_string();
    assert!(said.starts_with("d.txt, line 2: is not UTF-16 text"), "{said}");
    let old_mac = as_lines().replace('\n', "\r");
    assert_is_rows("d.jsonl", old_mac.as_bytes(), "");
}

#[test]
fn utf16_without_its_mark_is_read() {
    for encode in [u16::to_le_bytes, u16::to_be_bytes] {
        let bytes: Vec<u8> = as_lines().encode_utf16().flat_map(encode).collect();
        assert_is_rows("d.jsonl", &bytes, "UTF-16");
        let cut = read_bytes("d.jsonl", &bytes[..bytes.len() - 1]).unwrap_err().to_string();
        assert!(cut.contains("it looks like UTF-16 text; save it as UTF-8"), "{cut}");
    }
    let binary: Vec<u8> = (0..2000_u16).flat_map(|number| (number % 31).to_le_bytes()).collect();
    let said = read_bytes("d.jsonl", &binary).unwrap_err().to_string();
    assert!(said.contains("holds a zero byte"), "{said}");
}

#[test]
fn numbers_that_are_none_are_nothing() {
    let text =
        as_lines().replacen("{", "{\"score\": NaN, ", 1).replacen("\n{", "\n{\"score\": -Infinity, ", 1);
    let dataset = assert_is_rows(
        "d.jsonl",
        text.as_bytes(),
        "NaN and Infinity, which JSON does not have, are read as nothing (null) (lines 1, 2)",
    );
    assert!(!dataset.notes.iter().any(|note| note.contains("not used")), "{:?}", dataset.notes);
    let missing = read(
        "d.jsonl",
        "{\"prompt\": \"a\", \"completion\": \"b\"}\n{\"prompt\": \"a\", \"completion\": NaN}\n",
    );
    assert!(missing.rows[1].content.is_blank());
}

#[test]
fn what_is_nearly_json_is_refused_by_place_cause_and_cure() {
    let good = "{\"text\": \"a\"}\n";
    let cases = [
        (
            format!("{good}{good}{{\"text\": \"Hello \\ud83d\"}}\n"),
            "line 3: is not valid JSON at column 17: \\ud83d is half of a character",
        ),
        (
            format!("{good}{{\"text\": \"\\udc00 a\"}}\n"),
            "line 2: is not valid JSON at column 11: \\udc00 is half of a character",
        ),
        (
            format!("{good}{{'text': 'a'}}\n"),
            "line 2: is not valid JSON at column 2: it is written as Python prints it, with single quotes; JSON has double quotes: write the file with json.dumps",
        ),
        (
            format!("{good}{{\"text\": None}}\n"),
            "line 2: is not valid JSON at column 10: it is written as Python prints it",
        ),
        (
            format!("{good}{{\"text\": \"a\", \"ok\": True}}\n"),
            "line 2: is not valid JSON at column 21: it is written as Python prints it",
        ),
        (
            format!("{good}{{\"text\": \"a\",}}\n"),
            "line 2: is not valid JSON at column 13: a comma stands after the last item; remove it",
        ),
        (
            format!("{good}{{\"text\": \"a\"}},\n{good}"),
            "line 2: is not valid JSON at column 14: a comma follows the object",
        ),
        (
            format!("{good}{{\"text\": “a”}}\n"),
            "line 2: is not valid JSON at column 10: a typographic quotation mark",
        ),
        (format!("{good}// a comment\n"), "line 2: is not valid JSON at column 1: a comment"),
        (
            format!("{good}{{\"text\": \"C:\\dir\"}}\n"),
            "line 2: is not valid JSON at column 13: a backslash begins an escape",
        ),
        (
            format!("{good}{{\"text\": \"a\tb\"}}\n"),
            "line 2: is not valid JSON at column 12: a line break, a tab",
        ),
        ("\"{\\\"text\\\": \\\"a\\\"}\"\n".to_string(), "line 1: holds JSON inside of a JSON string"),
        ("text,label\na,b\n".to_string(), "line 1: is not valid JSON at column 1: an object"),
    ];
    for (text, expected) in cases {
        let said = read_error("d.jsonl", &text);
        assert!(said.starts_with(&format!("d.jsonl, {expected}")), "{said}");
    }
    let said = read_error("d.json", "[\n {\n  \"text\": \"a\"\n },\n {\n  \"text\": \"b\"\n },\n]\n");
    assert!(
        said.starts_with("d.json, line 7: is not valid JSON at column 3: a comma stands after the last item"),
        "{said}"
    );
    let said = read_error("d.jsonl", "[\n {\"text\": \"a\"},\n]\n");
    assert!(said.starts_with("d.jsonl, line 2: is not valid JSON at column 15: a comma stands"), "{said}");
    let said = read_error("d.json", "{\"prompt\": {\"0\": \"a \\ud83d\"}, \"completion\": {\"0\": \"b\"}}");
    assert!(said.starts_with("d.json, line 1: ") && said.contains("half of a character"), "{said}");
}

#[test]
fn a_file_that_is_no_data_is_called_what_it_is() {
    let cases: [(&[u8], &str); 8] = [
        (b"<!DOCTYPE html>\n<html>", "is a web page or XML and not data"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is a Git LFS pointer"),
        (
            b"PK\x03\x04....xl/workbook.xml",
            "is an Excel workbook (.xlsx), not text; export it as .jsonl or .csv",
        ),
        (b"PK\x03\x04....rows.jsonl", "is a zip archive"),
        (b"\x1F\x8B\x08", "is a gzip archive"),
        (b"\xD0\xCF\x11\xE0", "is an old Office file"),
        (b"PAR1", "is a Parquet file"),
        (b"\x80\x04\x95", "is a Python pickle"),
    ];
    for (bytes, expected) in cases {
        for name in ["d.jsonl", "d.csv"] {
            let said = read_bytes(name, bytes).unwrap_err().to_string();
            assert!(said.starts_with(&format!("{name}: {expected}")), "{said}");
        }
    }
}

#[test]
fn conversations_that_python_printed_are_read_or_refused() {
    let cell = |content: &str| {
        format!("\"[{{'role': 'user', 'content': {content}}}, {{'role': 'assistant', 'content': 'b'}}]\"\n")
    };
    let table = format!("messages\n{}{}", cell("'a'"), cell("\"\"it's\"\""));
    let dataset = read("d.csv", &table);
    let RowContent::Chat { messages, .. } = &dataset.rows[1].content else { panic!("{:?}", dataset.rows) };
    assert_eq!((messages[0].content.as_str(), messages[1].content.as_str()), ("it's", "b"));
    assert!(
        dataset
            .notes
            .iter()
            .any(|note| note.contains("written as Python lists") && note.contains("lines 2, 3"))
    );
    let said = read_error("d.csv", &format!("messages\n{}{}", cell("'a'"), cell("'it's'")));
    assert!(
        said.starts_with("d.csv, line 3: \"messages\" holds a Python list") && said.contains("json.dumps"),
        "{said}"
    );
}
