//! What travels beside the weights: a model card and the tokenizer's files.

use super::OutputFile;
use crate::recipe::Method;
use crate::train::{Evaluation, Plan};
use crate::weights::checkpoint::TokenizerFiles;

/// README.md, tokenizer.json, tokenizer_config.json and chat_template.jinja.
pub fn files(
    plan: &Plan,
    base_model_name: &str,
    steps: usize,
    last: Option<&Evaluation>,
    tokenizer: &TokenizerFiles,
) -> Vec<OutputFile> {
    let file = |name: &str, text: String| OutputFile { name: name.into(), bytes: text.into_bytes() };
    let mut files = vec![
        file("README.md", card(plan, base_model_name, steps, last)),
        file("tokenizer.json", tokenizer.tokenizer_json.clone()),
    ];
    if tokenizer.additional.is_object() {
        let text = serde_json::to_string_pretty(&tokenizer.additional).expect("plain JSON");
        files.push(file("tokenizer_config.json", text));
    }
    if let Some(template) = &tokenizer.chat_template {
        files.push(file("chat_template.jinja", template.clone()));
    }
    files
}

fn card(plan: &Plan, base: &str, steps: usize, last: Option<&Evaluation>) -> String {
    let recipe = serde_json::to_string_pretty(&plan.recipe).expect("plain JSON");
    let scored = match last {
        Some(evaluation) => format!(
            "Validation loss after {steps} steps: {:.4}{} over {} target tokens of {} held-out rows.",
            evaluation.loss,
            also(evaluation),
            evaluation.tokens,
            evaluation.examples
        ),
        None => format!("Trained for {steps} steps; no rows were held out."),
    };
    let (kind, library, usage) = match plan.recipe.method {
        Method::Lora => (
            "LoRA adapter",
            "peft",
            format!(
                "from peft import PeftModel\nfrom transformers import AutoModelForCausalLM\n\nbase = \
                 AutoModelForCausalLM.from_pretrained(\"{base}\")\nmodel = PeftModel.from_pretrained(base, \
                 \"path/to/this/folder\")\n"
            ),
        ),
        Method::Full => (
            "fine-tuned model",
            "transformers",
            "from transformers import AutoModelForCausalLM\n\nmodel = \
             AutoModelForCausalLM.from_pretrained(\"path/to/this/folder\")\n"
                .to_string(),
        ),
    };
    format!(
        "---\nbase_model: {base}\nlibrary_name: {library}\npipeline_tag: text-generation\ntags:\n- loralet\n---\n\n# {kind} \
         for {base}\n\nTrained in a browser tab with Loralet on {} rows ({} held out); {} of {} parameters were \
         trained.\n\n{scored}\n\n## Use\n\n```python\n{usage}```\n\n## Recipe\n\n```json\n{recipe}\n```\n",
        plan.train_examples, plan.validation_examples, plan.trainable_parameters, plan.total_parameters,
    )
}

/// What was measured beside the loss, in parentheses.
fn also(evaluation: &Evaluation) -> String {
    match (&evaluation.preference, evaluation.perplexity) {
        (Some(preference), _) => format!(" (reward margin {:.3})", preference.rewards_margin),
        (None, Some(perplexity)) => format!(" (perplexity {perplexity:.2})"),
        (None, None) => String::new(),
    }
}
