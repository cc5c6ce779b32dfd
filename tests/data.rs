//! Data files, chat templates, token ids and loss masks, against references written by
//! `tests/fixtures/data/make.py`. Run the script again when a reference changes.
//!
//! - `files`: what a user's file may look like, and what is said about bad ones.
//! - `templates`, `tokens`, `masks`: parity with transformers and tokenizers.
//! - `encoding`: truncation, windows, previews and reports.

use loralet::data::*;
use loralet::recipe::Objective;
use loralet::weights::checkpoint::TokenizerFiles;
use serde_json::Value;

const CHATML: &str = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] \
    + '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

fn fixture(name: &str) -> Value {
    serde_json::from_str(&fixture_text(name)).unwrap()
}

fn fixture_text(name: &str) -> String {
    let path = format!("{}/tests/fixtures/data/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn small_tokenizer(chat_template: Option<&str>) -> Tokenizer {
    Tokenizer::from_files(&TokenizerFiles {
        tokenizer_json: fixture_text("bpe_tokenizer.json"),
        chat_template: chat_template.map(str::to_string),
        bos_token: Some("<|im_start|>".into()),
        eos_token: Some("<|im_end|>".into()),
        unk_token: None,
        pad_token: Some("<|endoftext|>".into()),
        additional: Value::Null,
    })
    .unwrap()
}

fn sft(max_seq_length: usize) -> EncodeOptions {
    EncodeOptions { objective: Objective::Sft, max_seq_length, train_on_prompt: false }
}

fn read(name: &str, text: &str) -> Dataset {
    read_bytes(name, text.as_bytes()).unwrap()
}

fn read_bytes(name: &str, bytes: &[u8]) -> loralet::Result<Dataset> {
    read_dataset(DataFile { name, bytes }, None)
}

/// The text of the tokens that are trained, and of all tokens.
fn trained_text(tokenizer: &Tokenizer, example: &Example) -> (String, String) {
    let trained: Vec<u32> = example
        .input_ids
        .iter()
        .zip(&example.loss_mask)
        .filter_map(|(id, trained)| trained.then_some(*id))
        .collect();
    (tokenizer.decode(&trained, false).unwrap(), tokenizer.decode(&example.input_ids, false).unwrap())
}

mod files {
    use super::*;

    fn message(name: &str, bytes: &[u8]) -> String {
        read_bytes(name, bytes).unwrap_err().to_string()
    }

    fn pair(prompt: &str, completion: &str) -> RowContent {
        RowContent::Pair { system: None, prompt: prompt.into(), completion: completion.into() }
    }

    fn chat(messages: &[(&str, &str)], prompt_messages: usize) -> RowContent {
        let messages = messages.iter().map(|(role, content)| Message::new(*role, *content)).collect();
        RowContent::Chat { messages, prompt_messages }
    }

    fn contents(dataset: Dataset) -> Vec<RowContent> {
        dataset.rows.into_iter().map(|row| row.content).collect()
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
            (r#"{"instruction": "a", "input": null, "output": "b"}"#, DataShape::Alpaca, chat(&[("user", "a"), ("assistant", "b")], 1)),
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
            ("d.jsonl", "{\"prompt\":\"a\\nb\",\"completion\":\"c, \\\"d\\\"\"}\n\n{\"prompt\":\"ü\",\"completion\":\"e\"}\n"),
            ("d.JSON", "[{\"prompt\":\"a\\nb\",\"completion\":\"c, \\\"d\\\"\"},{\"prompt\":\"ü\",\"completion\":\"e\"}]"),
            ("d.json", "{\"data\":[{\"prompt\":\"a\\nb\",\"completion\":\"c, \\\"d\\\"\"},{\"prompt\":\"ü\",\"completion\":\"e\"}]}"),
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
        assert_eq!(contents(read("d.jsonl", windows)), [RowContent::Text("a".into()), RowContent::Text("b".into())]);
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
        let half = ColumnMapping { prompt: Some("question".into()), ..Default::default() };
        assert!(wrong(half).contains("a mapping of prompt, but it must map text, or prompt and completion"));
        assert!(wrong(ColumnMapping::default()).contains("data.mapping is empty"));
    }

    #[test]
    fn bytes_that_are_no_text_are_located() {
        assert_eq!(
            message("d.jsonl", b"{\"text\":\"a\"}\n{\"text\":\"\xE4\"}\n"),
            "d.jsonl, line 2: is not UTF-8: byte 0xE4 at offset 22; save the file as UTF-8"
        );
        let utf16: Vec<u8> = "text\nabc\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(message("d.csv", &utf16).contains("zero byte at offset 1: it looks like UTF-16 text"));
        let with_mark: Vec<u8> = [0xFF, 0xFE].into_iter().chain(utf16).collect();
        assert_eq!(
            message("d.csv", &with_mark),
            "d.csv: is UTF-16 text, not text; export it as .jsonl or .csv in UTF-8 first".replace("UTF-16 text, not text", "UTF-16, not UTF-8 text")
        );
        assert!(message("d.jsonl", b"PAR1\x15\x04").contains("is a Parquet file"));
        assert!(message("d.txt", b"some words\nand\x00 more words").starts_with("d.txt, line 2: holds a zero byte at offset 14"));
    }

    #[test]
    fn empty_files_say_so() {
        for (name, bytes) in [("d.jsonl", &b""[..]), ("d.csv", b"\n \n"), ("d.txt", b"\xEF\xBB\xBF \n")] {
            assert_eq!(message(name, bytes), format!("{name}: is empty; it needs at least one example"));
        }
        assert!(message("d.csv", b"prompt,completion\n").contains("a header line and no rows"));
        assert!(message("d.json", b"[]").contains("no rows"));
        assert!(message("d.json", b"{\"data\": []}").contains("no rows"));
        assert!(message("d.jsonl", b"{}\n{\"text\": null}").contains("rows are empty") || read_bytes("d.jsonl", b"{}\n{\"text\": null}").is_ok());
        assert!(message("d.jsonl", b"{}\n{}").contains("only empty rows"));
    }

    #[test]
    fn unknown_columns_are_listed_with_the_known_shapes() {
        let said = message("d.jsonl", b"{\"question\": \"a\", \"answer\": \"b\"}");
        assert!(said.starts_with("d.jsonl: has the columns question, answer, which are no known shape; known are text (raw text), prompt + completion"), "{said}");
        assert!(message("d.parquet", b"x").contains("the extension .parquet; known data files are"));
        assert!(message("data", b"x").contains("has no extension"));
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
        assert!(said.starts_with("d.jsonl, line 2: has the columns prompt, but the file's other rows are prompts and completions"), "{said}");
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
            (r#"{"messages": [[{"role": "user", "content": "a"}]]}"#, "\"messages\", message 1: it is a list where {\"role\": …, \"content\": …} is expected; the list is nested one level too deep"),
            (r#"{"messages": {"role": "user", "content": "a"}}"#, "\"messages\" holds an object where a list of messages is expected"),
            (r#"{"messages": "hello"}"#, "\"messages\" holds text that is not a JSON list of messages"),
            (r#"{"messages": [{"role": "user", "content": "a"}, {"role": "bot", "content": "b"}]}"#, "message 2: \"bot\" is not a role; roles are system, user, assistant and tool"),
            (r#"{"messages": [{"user": "a"}]}"#, "message 1: it has no role (\"role\" or \"from\"); its keys are user"),
            (r#"{"messages": [{"role": "user", "text": "a"}]}"#, "message 1: it has no content"),
            (r#"{"messages": [{"role": "user", "content": {"a": 1}}]}"#, "\"content\" holds an object where text is expected"),
            (r#"{"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}]}"#, "a part of type \"image_url\"; only text can be used"),
            (r#"{"messages": [{"role": "assistant", "content": null, "tool_calls": [{}]}]}"#, "tool calls are not available yet"),
            (r#"{"prompt": "a", "completion": {"b": 1}}"#, "\"completion\" holds an object where text is expected"),
            (r#"[{"role": "user", "content": "a"}] x"#, "not valid JSON"),
            ("5", "holds 5 where an object with named columns is expected"),
        ];
        for (line, expected) in cases {
            let said = said(line);
            assert!(said.starts_with("d.jsonl, line 1: ") && said.contains(expected), "{said}");
        }
    }
}

mod templates {
    use super::*;

    #[test]
    fn rendering_equals_transformers() {
        let fixture = fixture("chat_templates.json");
        let mut compared = 0;
        for case in fixture["cases"].as_array().unwrap() {
            let template = &fixture["templates"][case["template"].as_str().unwrap()];
            let tokens = template["tokens"].as_object().unwrap().iter();
            let tokens = tokens.map(|(name, token)| (name.clone(), token.as_str().unwrap().to_string())).collect();
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
            let template = ChatTemplate::new(template["source"].as_str().unwrap(), Vec::new()).unwrap();
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
}

mod tokens {
    use super::*;

    fn compare(column: &str, tokenizer: &Tokenizer) {
        let cases = fixture("tokens.json");
        let mut wrong = Vec::new();
        for case in cases.as_array().unwrap() {
            let text = match &case["text"] {
                Value::String(text) => text.clone(),
                long => long[1].as_str().unwrap().repeat(long[0].as_u64().unwrap() as usize),
            };
            let ids = tokenizer.encode(&text, false).unwrap();
            let matches = match &case[column] {
                Value::Array(expected) => ids.iter().map(|&id| u64::from(id)).eq(expected.iter().map(|id| id.as_u64().unwrap())),
                digest => digest["count"] == ids.len() && digest["fnv1a"] == fnv1a(&ids),
            };
            let decoded = tokenizer.decode(&ids, false).unwrap();
            if !matches || decoded != text {
                wrong.push(text.chars().take(60).collect::<String>());
            }
        }
        assert!(wrong.is_empty(), "{} of {}: {wrong:?}", wrong.len(), cases.as_array().unwrap().len());
        assert!(cases.as_array().unwrap().len() >= 300);
    }

    fn fnv1a(ids: &[u32]) -> String {
        let bytes = ids.iter().flat_map(|id| id.to_le_bytes());
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |state, byte| {
            (state ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
        format!("{hash:016x}")
    }

    #[test]
    fn the_small_tokenizer_equals_the_reference() {
        compare("bpe", &small_tokenizer(None));
    }

    #[test]
    fn smollm2_equals_the_reference() {
        if let Some(tokenizer) = smollm2() {
            compare("smollm2", &tokenizer);
            assert_eq!(tokenizer.end_of_turn_ids(), [2]);
            assert_eq!(tokenizer.vocab_size(), 49_152);
        }
    }
}

/// The tokenizer of the real SmolLM2, or nothing where the model has not been fetched.
fn smollm2() -> Option<Tokenizer> {
    use loralet::weights::checkpoint::Checkpoint;
    use loralet::weights::source::{ByteSource, FileSource};
    let cache = std::env::var("LORALET_CACHE").unwrap_or_else(|_| {
        format!("{}/.cache/loralet", std::env::var("HOME").unwrap_or_default())
    });
    let path = format!("{cache}/models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf");
    if !std::path::Path::new(&path).exists() {
        let required = std::env::var("LORALET_REQUIRE_MODELS").is_ok_and(|v| v == "1");
        assert!(!required, "{path} is missing; `cargo xtask test` fetches it");
        eprintln!("skipped: {path} is missing; `cargo xtask test` fetches it");
        return None;
    }
    let source: Box<dyn ByteSource> = Box::new(FileSource::open(&path).unwrap());
    Some(Tokenizer::from_files(&Checkpoint::open(vec![source]).unwrap().tokenizer).unwrap())
}

mod masks {
    use super::*;

    #[test]
    fn masks_equal_the_reference() {
        let fixture = fixture("masks.json");
        let tokenizer = small_tokenizer(fixture["chat_template"].as_str());
        for case in fixture["cases"].as_array().unwrap() {
            let content = RowContent::Chat {
                messages: serde_json::from_value(case["messages"].clone()).unwrap(),
                prompt_messages: case["prompt_messages"].as_u64().unwrap() as usize,
            };
            let dataset = Dataset {
                file: "d.jsonl".into(),
                shape: DataShape::Messages,
                columns: vec!["messages".into()],
                rows: vec![Row { line: 1, content }],
                notes: Vec::new(),
            };
            let encoded = encode_dataset(&dataset, &tokenizer, &sft(4096)).unwrap();
            let example = &encoded.examples[0];
            let ids: Vec<u64> = example.input_ids.iter().map(|&id| id.into()).collect();
            let mask: Vec<u64> = example.loss_mask.iter().map(|&trained| trained.into()).collect();
            assert_eq!(serde_json::to_value(ids).unwrap(), case["input_ids"], "{}", case["title"]);
            assert_eq!(serde_json::to_value(mask).unwrap(), case["loss_mask"], "{}", case["title"]);
        }
    }

    #[test]
    fn the_smollm2_template_trains_answers_and_their_end() {
        let Some(tokenizer) = smollm2() else { return };
        let line = r#"{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello 12!"}, {"role": "user", "content": "Bye"}, {"role": "assistant", "content": "\n\nBye."}]}"#;
        let encoded = encode_dataset(&read("d.jsonl", line), &tokenizer, &sft(512)).unwrap();
        let (trained, all) = trained_text(&tokenizer, &encoded.examples[0]);
        assert!(all.starts_with("<|im_start|>system\nYou are a helpful AI assistant"), "{all}");
        // The answer's line breaks share a token with the header's, which is then trained too.
        assert!(trained.starts_with("Hello 12!<|im_end|>\n"), "{trained}");
        assert!(trained.ends_with("Bye.<|im_end|>\n"), "{trained}");
    }

    /// Every well-known template: exactly what the assistant said and the end of the turn is trained.
    #[test]
    fn every_template_trains_what_the_assistant_says() {
        let fixture = fixture("chat_templates.json");
        let line = r#"{"messages": [{"role": "user", "content": "Q1"}, {"role": "assistant", "content": "A1"}, {"role": "user", "content": "Q2"}, {"role": "assistant", "content": "A2"}]}"#;
        let dataset = read("d.jsonl", line);
        let expected = [
            ("smollm2", "A1<|im_end|>\nA2<|im_end|>\n"),
            ("llama3", "A1<|eot_id|>A2<|eot_id|>"),
            ("llama3.1", "A1<|eot_id|>A2<|eot_id|>"),
            ("tinyllama", "A1<|im_end|>\nA2<|im_end|>\n"),
            ("mistral", "A1<|im_end|>A2<|im_end|>"),
            ("gemma", "A1<end_of_turn>\nA2<end_of_turn>\n"),
            ("qwen2.5", "A1<|im_end|>\nA2<|im_end|>\n"),
        ];
        for (name, trained) in expected {
            let tokenizer = small_tokenizer(fixture["templates"][name]["source"].as_str());
            let encoded = encode_dataset(&dataset, &tokenizer, &sft(512)).unwrap();
            assert_eq!(encoded.examples.len(), 1, "{name}");
            assert_eq!(trained_text(&tokenizer, &encoded.examples[0]).0, trained, "{name}");
        }
    }

    #[test]
    fn a_template_that_rewrites_past_turns_makes_an_example_of_each_answer() {
        let fixture = fixture("chat_templates.json");
        let tokenizer = small_tokenizer(fixture["templates"]["qwen3"]["source"].as_str());
        let line = r#"{"messages": [{"role": "user", "content": "Q1"}, {"role": "assistant", "content": "<think>\nT1\n</think>\n\nA1"}, {"role": "user", "content": "Q2"}, {"role": "assistant", "content": "<think>\nT2\n</think>\n\nA2"}]}"#;
        let encoded = encode_dataset(&read("d.jsonl", line), &tokenizer, &sft(512)).unwrap();
        let texts: Vec<_> = encoded.examples.iter().map(|e| trained_text(&tokenizer, e)).collect();
        assert_eq!(texts.len(), 2);
        assert_eq!(texts[0].0, "<think>\nT1\n</think>\n\nA1<|im_end|>\n");
        assert_eq!(texts[1].0, "<think>\nT2\n</think>\n\nA2<|im_end|>\n");
        assert!(!texts[1].1.contains("T1"));
    }

    #[test]
    fn a_conversation_that_begins_with_the_assistant_trains_only_its_words() {
        let fixture = fixture("chat_templates.json");
        let tokenizer = small_tokenizer(fixture["templates"]["smollm2"]["source"].as_str());
        let line = r#"{"messages": [{"role": "assistant", "content": "Welcome!"}, {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}]}"#;
        let encoded = encode_dataset(&read("d.jsonl", line), &tokenizer, &sft(512)).unwrap();
        let (trained, _) = trained_text(&tokenizer, &encoded.examples[0]);
        assert_eq!(trained, "Welcome!<|im_end|>\nYes?<|im_end|>\n");
    }
}

mod encoding {
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
        let pairs = encode_dataset(&read("d.csv", "prompt,completion\nWhy? ,Because.\n"), &tokenizer, &sft(512)).unwrap();
        let (trained, all) = trained_text(&tokenizer, &pairs.examples[0]);
        assert_eq!((trained.trim_start(), all.as_str()), ("Because.<|im_end|>", "Why? Because.<|im_end|>"));

        let line = r#"{"instruction": "Add.", "input": "1 2", "output": "3", "system": "Count."}"#;
        let chats = encode_dataset(&read("d.jsonl", line), &tokenizer, &sft(512)).unwrap();
        let (trained, all) = trained_text(&tokenizer, &chats.examples[0]);
        assert_eq!(
            all,
            "### System:\nCount.\n\n### User:\nAdd.\n\n1 2\n\n### Assistant:\n3<|im_end|>\n\n"
        );
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
            preview(&dataset, &tokenizer, &sft(512), 1).unwrap();
            eprintln!("{:.1} s", started.elapsed().as_secs_f32());
        }
        let encoded = encode_dataset(&read("d.txt", &words), &tokenizer, &sft(512)).unwrap();
        assert!(encoded.examples.len() > 1000);
        eprintln!("{:.1} s", started.elapsed().as_secs_f32());
        assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
    }
}
