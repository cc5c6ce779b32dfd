//! Rows of unequal length in one batch.

use super::*;

#[test]
fn short_rows_beside_a_long_one_are_computed_without_padding_and_give_the_losses_of_rows_alone() {
    let text = |words: usize| "The mill stands by the river. ".repeat(words);
    let rows: String = (0..16).map(|i| json!({ "text": text(1 + i * i % 23) }).to_string() + "\n").collect();
    let reports = |batch_size: usize, accumulation: usize, checkpointing: &str| {
        let recipe = recipe(json!({
            "train": {
                "batch_size": batch_size, "gradient_accumulation_steps": accumulation, "max_steps": 6,
                "gradient_checkpointing": checkpointing, "max_seq_length": 256,
            },
            "eval": { "validation_fraction": 0.0 },
        }));
        let mut session = session();
        session.open_data("rows.jsonl", rows.as_bytes(), &recipe).unwrap();
        session.begin(&recipe).unwrap();
        (0..6).map(|_| block_on(session.step()).unwrap()).collect::<Vec<StepReport>>()
    };
    let alone = reports(1, 4, "off");
    for checkpointing in ["off", "on"] {
        for (together, alone) in reports(4, 1, checkpointing).iter().zip(&alone) {
            let apart = (together.loss - alone.loss).abs() / alone.loss;
            let apart = apart.max((together.grad_norm - alone.grad_norm).abs() / alone.grad_norm);
            assert!(apart < 1e-4, "{together:?} beside {alone:?}");
            assert_eq!(together.tokens, alone.tokens);
            assert!(together.computed_tokens - together.tokens < 16, "{together:?}");
        }
    }
}
