use super::*;
use loralet::weights::checkpoint::Checkpoint;
use loralet::weights::source::{ByteSource, FileSource};
use serde_json::json;

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

/// A row that asks a tool, in the ways that exporters write it.
fn tool_rows() -> Vec<Value> {
    let question = "Does it rain in the forest?";
    let arguments = json!({"place": "the forest"});
    let call = |arguments: Value| json!({"name": "weather", "arguments": arguments});
    let asked = |call: Value| {
        json!({"messages": [
            {"role": "user", "content": question}, call, {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
            {"role": "assistant", "content": "Yes, it rains."}
        ]})
    };
    let openai =
        json!([{"id": "call_1", "type": "function", "function": call(arguments.to_string().into())}]);
    let shared = |calling: &str, call: Value, answering: &str| {
        json!({"conversations": [
            {"from": "human", "value": question}, {"from": calling, "value": call}, {"from": answering, "value": "rain"},
            {"from": "gpt", "value": "Yes, it rains."}
        ]})
    };
    vec![
        asked(json!({"role": "assistant", "content": null, "tool_calls": openai})),
        asked(json!({"role": "assistant", "content": "", "tool_calls": openai})),
        asked(json!({"role": "assistant", "tool_calls": openai})),
        asked(json!({"role": "assistant", "content": [], "tool_calls": openai})),
        asked(json!({"role": "assistant", "content": "", "tool_calls": openai.to_string()})),
        asked(json!({"role": "assistant", "tool_calls": [call(arguments.clone())]})),
        asked(
            json!({"role": "assistant", "content": null, "function_call": call(arguments.to_string().into())}),
        ),
        shared("function_call", call(arguments.clone()).to_string().into(), "observation"),
        shared("tool_call", json!([call(arguments.clone())]).to_string().into(), "tool"),
        shared("function_call", call(arguments), "function"),
    ]
}

#[test]
fn tool_calls_are_trained_as_the_template_writes_them() {
    let expected = [
        (
            "qwen2.5",
            "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"place\": \"the forest\"}}\n</tool_call><|im_end|>\nYes, it rains.<|im_end|>\n",
        ),
        (
            "llama3.1",
            // The end of a turn is no token of `tiny`, so its end token follows.
            "{\"name\": \"weather\", \"parameters\": {\"place\": \"the forest\"}}<|eot_id|>Yes, it rains.<|eot_id|><|im_end|>",
        ),
    ];
    for (name, expected) in expected {
        let tokenizer = tiny(Some(&template(name)));
        for row in tool_rows() {
            assert_eq!(trained(std::slice::from_ref(&row), &tokenizer), [expected], "{name}: {row}");
        }
    }
}

#[test]
fn a_template_that_drops_tool_calls_refuses_the_row() {
    let fixture = fixture("chat_templates.json");
    let plain =
        json!({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]});
    // `tiny` writes the tool's answer and drops the call; these two of the fixture know tools and drop the calls.
    let cut = |name: &str| fixture["templates"][name]["source"].as_str().unwrap().to_string();
    for source in [None, Some(cut("qwen2.5")), Some(cut("llama3.1"))] {
        let tokenizer = tiny(source.as_deref());
        for row in tool_rows() {
            let list = if row.get("messages").is_some() { "messages" } else { "conversations" };
            let said = refused(&[json!({list: plain["messages"]}), row.clone()], &tokenizer);
            assert_eq!(
                said,
                "d.jsonl, line 2: calls a tool, but the chat template does not write tool calls; remove this row, or take a \
                 model whose chat template writes tool calls",
                "{row}"
            );
        }
    }
    // One that raises, in its own words; and no template at all.
    let said = refused(&[plain.clone(), tool_rows().remove(0)], &tiny(Some(&cut("mistral"))));
    assert!(said.starts_with("d.jsonl, line 2: uses tools, and the chat template cannot render"), "{said}");
    let said = refused(&[plain.clone(), tool_rows().remove(0)], &small_tokenizer(None));
    assert!(said.starts_with("d.jsonl, line 2: calls a tool, but"), "{said}");
    // A call in the second place of a template that writes only the first.
    let first_only = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}{% if m.tool_calls %}\
                      {{ m.tool_calls[0].function | tojson }}{% endif %}<|im_end|>\n{% endfor %}";
    let call = |name: &str| json!({"name": name, "arguments": {}});
    let two = json!({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "tool_calls": [call("b"), call("c")]}]});
    assert!(refused(&[two], &tiny(Some(first_only))).contains("line 1: calls a tool, but"));
}

#[test]
fn listed_tools_are_written_or_refused() {
    let function = json!({"name": "weather", "parameters": {"type": "object", "properties": {}}});
    let openai = json!([{"type": "function", "function": function}]);
    let turns = json!([{"role": "user", "content": "Rain?"}, {"role": "assistant", "content": "No."}]);
    let rows = [
        json!({"messages": turns, "tools": openai}),
        json!({"messages": turns, "tools": openai.to_string()}),
        json!({"messages": turns, "functions": [function]}),
        json!({"conversations": turns, "tools": json!([function]).to_string()}),
        json!({"prompt": "Rain?", "completion": "No.", "tools": [function]}),
        json!({"instruction": "Rain?", "output": "No.", "tools": [function]}),
    ];
    let tokenizer = tiny(Some(&template("qwen2.5")));
    for row in rows {
        let encoded = encode(std::slice::from_ref(&row), &tokenizer);
        let (answer, all) = trained_text(&tokenizer, &encoded.examples[0]);
        assert_eq!(answer, "No.<|im_end|>\n", "{row}");
        assert!(
            all.contains(
                "<tools>\n{\"type\": \"function\", \"function\": {\"name\": \"weather\", \"parameters\""
            ),
            "{all}"
        );
        assert!(
            refused(&[row], &tiny(None))
                .contains("line 1: lists tools, but the chat template does not write")
        );
    }
    let pair = json!({"input": {"messages": [{"role": "user", "content": "Rain?"}], "tools": openai},
        "preferred_output": [{"role": "assistant", "content": "No."}], "non_preferred_output": [{"role": "assistant", "content": "Go away."}]});
    let options = EncodeOptions { objective: Objective::Dpo, ..sft(512) };
    let encoded = encode_dataset(&read("d.jsonl", &pair.to_string()), &tokenizer, &options).unwrap();
    assert!(trained_text(&tokenizer, &encoded.examples[0]).1.contains("<tools>"));
    let prompt = json!({"prompt": "Rain?", "tools": [function]});
    let encoded = encode(&[prompt], &tokenizer);
    assert!(trained_text(&tokenizer, &encoded.examples[0]).1.contains("<tools>"));
    // No tools are none.
    for none in [json!([]), json!(null), json!(""), json!("[]")] {
        assert_eq!(trained(&[json!({"messages": turns, "tools": none})], &tiny(None)), ["No.<|im_end|>\n"]);
    }
    let said = |tools: Value| refused(&[json!({"messages": turns, "tools": tools})], &tokenizer);
    assert!(said(json!("weather")).contains("\"tools\" holds text that is not JSON where a list of tools"));
    assert!(said(json!([{"parameters": {}}])).contains("\"tools\" holds a tool without a name"));
    let said = refused(
        &[json!({"messages": [{"role": "assistant", "tool_calls": [{"name": "a", "arguments": "b"}]}]})],
        &tokenizer,
    );
    assert!(
        said.contains("message 1: its call of the tool \"a\" has arguments that are not a JSON object"),
        "{said}"
    );
    let said = refused(
        &[json!({"messages": [{"role": "user", "content": "x", "tool_calls": [{"name": "a"}]}]})],
        &tokenizer,
    );
    assert!(said.contains("only the assistant can call a tool, but the role is \"user\""), "{said}");
}

#[test]
fn tools_and_thoughts_are_rendered_as_by_transformers() {
    let fixture = fixture("tool_templates.json");
    let tokens = vec![("bos_token".to_string(), "<s>".to_string()), ("eos_token".into(), "</s>".into())];
    let mut compared = 0;
    for case in fixture["cases"].as_array().unwrap() {
        let (name, title) = (case["template"].as_str().unwrap(), case["conversation"].as_str().unwrap());
        let row = json!({"messages": fixture["conversations"][title]}).to_string();
        let dataset = read("d.jsonl", &row);
        let RowContent::Chat { messages, .. } = &dataset.rows[0].content else { panic!() };
        let tools =
            if case["tools"] == true { fixture["tools"].as_array().unwrap().clone() } else { Vec::new() };
        let template =
            ChatTemplate::new(fixture["templates"][name].as_str().unwrap(), tokens.clone()).unwrap();
        let rendered = template.render_with_tools(messages, &tools, false);
        match case["raises"].as_str() {
            None => assert_eq!(rendered.unwrap(), case["text"].as_str().unwrap(), "{name} on {title}"),
            Some(raised) => assert!(rendered.unwrap_err().to_string().contains(raised), "{name} on {title}"),
        }
        compared += 1;
    }
    assert_eq!(compared, 18);
}

/// Answers with a thought under `field`.
fn thinking(field: &str) -> Vec<Value> {
    let row = |(animal, food): (&str, &str)| {
        json!({"messages": [
            {"role": "user", "content": format!("What does {animal} like to eat?")},
            {"role": "assistant", "content": format!("{animal} likes to eat {food}."),
             field: format!("I remember {animal}. The plate was full of {food}.")},
        ]})
    };
    ANIMALS.map(row).into()
}

#[test]
fn reasoning_goes_to_a_template_that_writes_it() {
    let tokenizer = tiny(Some(&reasoning_template()));
    for field in ["reasoning_content", "reasoning", "thinking", "thought"] {
        let encoded = encode(&thinking(field), &tokenizer);
        let tokens: usize = encoded.examples.iter().map(Example::trained_tokens).sum();
        // As transformers counts them; without the thoughts there are 226.
        assert_eq!(tokens, 400, "{field}");
        assert!(!encoded.notes.iter().any(|note| note.contains("not used")), "{:?}", encoded.notes);
    }
    let parts = json!({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": [
        {"type": "reasoning", "text": "Hm."}, {"type": "text", "text": "b"}]}]});
    assert_eq!(trained(&[parts], &tokenizer), ["<think>\nHm.\n</think>\n\nb<|im_end|>\n"]);
    let other = tiny(Some(&template("thinking")));
    let text = trained(&thinking("reasoning_content")[..1], &other).remove(0);
    assert!(text.contains("analysis<|message|>I remember Dot the duck."), "{text}");
    // Each of several turns is learned as the model is to write it, its thoughts included.
    let two = json!({"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b", "thinking": "T1"},
        {"from": "human", "value": "c"}, {"from": "gpt", "value": "d", "thinking": "T2"}]});
    let expected = ["<think>\nT1\n</think>\n\nb<|im_end|>\n", "<think>\nT2\n</think>\n\nd<|im_end|>\n"];
    assert_eq!(trained(&[two], &tokenizer), expected);
}

#[test]
fn reasoning_that_no_template_writes_is_said_to_be_unused() {
    let tokenizer = tiny(None);
    for field in ["reasoning_content", "reasoning", "thinking", "thought", "thinking_content"] {
        let encoded = encode(&thinking(field), &tokenizer);
        assert_eq!(encoded.examples.iter().map(Example::trained_tokens).sum::<usize>(), 90);
        let note = format!(
            "the field \"{field}\" of 8 rows is not used: the model's chat template does not write reasoning (lines 1, 2, 3, 4, 5, 6, 7, 8)"
        );
        assert!(encoded.notes.contains(&note), "{:?}", encoded.notes);
    }
    // A turn that only thinks is no answer then.
    let silent = json!({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "", "thinking": "Hm."}]});
    let encoded = encode(&[thinking("thinking").remove(0), silent], &tokenizer);
    assert_eq!((encoded.examples.len(), encoded.skipped.len()), (1, 1));
    assert_eq!(encoded.skipped[0].reason, SkipReason::Empty);
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
