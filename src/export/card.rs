//! What travels beside the weights: a model card and the tokenizer's files.

use super::{OutputFile, peft};
use crate::metrics::{Evaluation, Rank};
use crate::recipe::{Method, Objective};
use crate::train::Plan;
use crate::weights::checkpoint::TokenizerFiles;

/// README.md, tokenizer.json, tokenizer_config.json and chat_template.jinja. `steps` is the step whose values are given out,
/// `last` the latest evaluation with its step.
pub fn files(
    plan: &Plan,
    base_model_name: &str,
    steps: usize,
    last: Option<&(usize, Evaluation)>,
    is_encoder: bool,
    tokenizer: &TokenizerFiles,
) -> Vec<OutputFile> {
    let card = card(plan, base_model_name, steps, last, is_encoder);
    let mut files = vec![OutputFile { name: "README.md".into(), bytes: card.into_bytes() }];
    files.extend(tokenizer_files(tokenizer));
    files
}

/// tokenizer.json, tokenizer_config.json and chat_template.jinja, as far as the model has them.
pub fn tokenizer_files(tokenizer: &TokenizerFiles) -> Vec<OutputFile> {
    let file = |name: &str, text: String| OutputFile { name: name.into(), bytes: text.into_bytes() };
    let mut files = vec![file("tokenizer.json", tokenizer.tokenizer_json.clone())];
    if tokenizer.additional.is_object() {
        let text = serde_json::to_string_pretty(&tokenizer.additional).expect("plain JSON");
        files.push(file("tokenizer_config.json", text));
    }
    if let Some(template) = &tokenizer.chat_template {
        files.push(file("chat_template.jinja", template.clone()));
    }
    files
}

fn card(
    plan: &Plan,
    base_model_name: &str,
    steps: usize,
    last: Option<&(usize, Evaluation)>,
    is_encoder: bool,
) -> String {
    let base = &one_line(base_model_name);
    let recipe = serde_json::to_string_pretty(&plan.recipe).expect("plain JSON");
    let judges = plan.recipe.objective.has_score_head();
    let whole_texts = !plan.recipe.objective.writes_text();
    let scored = match last {
        Some((step, evaluation)) => format!(
            "{}Validation loss after {step} steps: {:.4}{} over {} of {} held-out rows.",
            if *step == steps {
                String::new()
            } else {
                format!("These are the values after {steps} steps. ")
            },
            evaluation.loss,
            also(evaluation),
            if whole_texts {
                format!("{} tokens", evaluation.tokens)
            } else {
                format!("{} target tokens", evaluation.tokens)
            },
            evaluation.examples
        ),
        None if plan.validation_examples > 0 => {
            format!("Trained for {steps} steps; they were not scored on the held-out rows yet.")
        }
        None => format!("Trained for {steps} steps; no rows were held out."),
    };
    let class = if judges { "AutoModelForSequenceClassification" } else { "AutoModelForCausalLM" };
    let (kind, library, usage) = match plan.recipe.method {
        method if judges && is_encoder => encoder_with_head(method, base),
        // The config beside the adapter has the classes, which the head's size depends on.
        Method::Lora if judges => (
            "LoRA adapter with a score head",
            "peft",
            format!(
                "from peft import PeftModel\nfrom transformers import AutoConfig, {class}\n\nconfig = \
                 AutoConfig.from_pretrained(\"path/to/this/folder\")\nbase = {class}.from_pretrained(\"{base}\", \
                 config=config)\nmodel = PeftModel.from_pretrained(base, \"path/to/this/folder\")\n"
            ),
        ),
        Method::Lora if is_encoder => (
            "LoRA adapter",
            "peft",
            format!(
                "from sentence_transformers import SentenceTransformer\n\nmodel = SentenceTransformer(\"{base}\")\n\
                 model.load_adapter(\"path/to/this/folder\")\nembeddings = model.encode([\"a text\", \"another\"])\n"
            ),
        ),
        Method::Full | Method::LastLayer if is_encoder => (
            "fine-tuned encoder",
            "sentence-transformers",
            "from sentence_transformers import SentenceTransformer\n\n# Without a modules.json it takes the mean of the \
             tokens, as in training.\nmodel = SentenceTransformer(\"path/to/this/folder\")\nembeddings = \
             model.encode([\"a text\", \"another\"])\n"
                .into(),
        ),
        Method::Lora => (
            "LoRA adapter",
            "peft",
            format!(
                "from peft import PeftModel\nfrom transformers import {class}\n\nbase = \
                 {class}.from_pretrained(\"{base}\")\nmodel = PeftModel.from_pretrained(base, \
                 \"path/to/this/folder\")\n"
            ),
        ),
        Method::Full | Method::LastLayer => (
            if plan.recipe.method == Method::Full {
                "fine-tuned model"
            } else {
                "model with a tuned last layer"
            },
            "transformers",
            format!(
                "from transformers import {class}\n\nmodel = {class}.from_pretrained(\"path/to/this/folder\")\n"
            ),
        ),
    };
    let task = match plan.recipe.objective {
        Objective::Contrastive => "sentence-similarity",
        _ if judges => "text-classification",
        _ => "text-generation",
    };
    // The Hub takes the id of a repository only.
    let base_model = match is_repository(base_model_name) {
        true => format!("base_model: \"{base_model_name}\"\n"),
        false => String::new(),
    };
    format!(
        "---\n{base_model}library_name: {library}\npipeline_tag: {task}\ntags:\n- loralet\n---\n\n# {kind} \
         for {base}\n\nTrained in a browser tab with Loralet on {} rows ({} held out); {} of {} parameters were \
         trained.\n\n{scored}\n\n## Use\n\n```python\n{usage}```\n\n## Recipe\n\n```json\n{recipe}\n```\n",
        plan.train_examples, plan.validation_examples, plan.trainable_parameters, plan.total_parameters,
    )
}

/// Whether a name can be that of a repository on the Hub, as huggingface_hub's `validate_repo_id` has it, with its owner: a name
/// alone is more often that of a file or folder.
pub(super) fn is_repository(name: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let is_part = |part: &str| {
        !part.is_empty()
            && part.chars().all(is_allowed)
            && !part.starts_with(['-', '.'])
            && !part.ends_with(['-', '.'])
    };
    let parts: Vec<&str> = name.split('/').collect();
    parts.len() == 2
        && parts.into_iter().all(is_part)
        && name.len() <= 96
        && !name.contains("--")
        && !name.contains("..")
        && !name.ends_with(".git")
}

/// A name as it can stand in a line of text and between quotes of a program.
fn one_line(name: &str) -> String {
    let name: String = name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    name.replace('\\', "/").replace('"', "'")
}

/// transformers' BERT classifies by its first token and a pooler, so a head on the mean of the tokens is put on by hand.
fn encoder_with_head(method: Method, base: &str) -> (&'static str, &'static str, String) {
    let (kind, library, import, model, head) = match method {
        Method::Lora => (
            "LoRA adapter and a score head",
            "peft",
            "from peft import PeftModel\n",
            format!("PeftModel.from_pretrained(AutoModel.from_pretrained(\"{base}\"), folder)"),
            peft::HEAD,
        ),
        Method::Full | Method::LastLayer => (
            "encoder with a score head",
            "transformers",
            "",
            "AutoModel.from_pretrained(folder)  # it says that it does not use score.weight".into(),
            "model.safetensors",
        ),
    };
    let import = format!("{import}from safetensors.torch import load_file");
    let model = format!("model = {model}");
    let head = format!("head = load_file(f\"{{folder}}/{head}\")[\"score.weight\"]  # [classes, hidden]");
    let lines = [
        import.as_str(),
        "from transformers import AutoConfig, AutoModel, AutoTokenizer",
        "",
        "folder = \"path/to/this/folder\"",
        &model,
        "tokenizer = AutoTokenizer.from_pretrained(folder)",
        &head,
        "labels = AutoConfig.from_pretrained(folder).id2label",
        "",
        "inputs = tokenizer([\"a text\", \"another\"], padding=True, return_tensors=\"pt\")",
        "hidden = model(**inputs).last_hidden_state",
        "mask = inputs[\"attention_mask\"].unsqueeze(-1)",
        "scores = (hidden * mask).sum(1) / mask.sum(1) @ head.T  # on the mean of the tokens",
        "print([labels[row] for row in scores.argmax(1).tolist()])",
        "",
    ];
    (kind, library, lines.join("\n"))
}

/// What was measured beside the loss, in parentheses.
fn also(evaluation: &Evaluation) -> String {
    let rows = evaluation.metrics.rows();
    let shown = rows.iter().filter(|row| row.rank <= Rank::Summary);
    let shown: Vec<String> = shown.map(|row| format!("{} {:.3}", row.name, row.value)).collect();
    if shown.is_empty() { String::new() } else { format!(" ({})", shown.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_is_named_where_the_hub_can_have_it() {
        for name in ["HuggingFaceTB/SmolLM2-135M-Instruct", "a/b", "some_one/v1.5"] {
            assert!(is_repository(name), "{name}");
        }
        let local = [
            "my model: v2 #test",
            "tiny",
            "",
            "a/b/c",
            "/b",
            "a/",
            "a/b--c",
            "a/..b",
            "a/b.git",
            "-a/b",
            "a/b.",
            "ä/b",
            "a b/c",
        ];
        for name in
            local.map(String::from).into_iter().chain([format!("a/{}", "b".repeat(95)), "a/b\nc: d".into()])
        {
            assert!(!is_repository(&name), "{name}");
        }
        assert_eq!(one_line("a \"b\"\n\\c"), "a 'b' /c");
    }
}
