//! Tools that rows list and call.

use super::*;

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
