//! What an assistant thinks before it speaks.

use super::*;

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
