//! Whole runs through the session, with a small model: resuming, accumulation, saving.

use burn::tensor::Device;
use loralet::data::Message;
use loralet::metrics::StepReport;
use loralet::recipe::{BaseDtype, Recipe};
use loralet::session::{GenerateRequest, Limits, Session};
use loralet::weights::{ByteSource, MemorySource};
use pollster::block_on;
use serde_json::{Value, json};

mod early_stopping;
mod limits;
mod outcome;
mod padding;

/// A random Llama over the vocabulary of the committed byte-level tokenizer.
fn model_files() -> Vec<Box<dyn ByteSource>> {
    model_files_of(1, 1.0)
}

/// The same with other random numbers, and norms of that weight.
fn model_files_of(seed: u32, norm_weight: f32) -> Vec<Box<dyn ByteSource>> {
    let tokenizer = std::fs::read_to_string(path("tests/fixtures/data/bpe_tokenizer.json")).unwrap();
    let vocab_size =
        serde_json::from_str::<Value>(&tokenizer).unwrap()["model"]["vocab"].as_object().unwrap().len() + 8;
    let (hidden, ffn) = (32, 48);
    let config = json!({
        "model_type": "llama", "hidden_size": hidden, "intermediate_size": ffn, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": vocab_size, "rms_norm_eps": 1e-5,
        "max_position_embeddings": 256, "tie_word_embeddings": true, "hidden_act": "silu",
    });
    let mut state = seed;
    let mut random = |count: usize| -> Vec<f32> {
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 8) as f32 / (1 << 23) as f32 - 1.0) * 0.1
        };
        (0..count).map(|_| next()).collect()
    };
    let mut tensors = vec![
        ("model.embed_tokens.weight".to_string(), vec![vocab_size, hidden], random(vocab_size * hidden)),
        ("model.norm.weight".into(), vec![hidden], vec![norm_weight; hidden]),
    ];
    for layer in 0..2 {
        let mut matrix = |part: &str, out: usize, input: usize| {
            tensors.push((
                format!("model.layers.{layer}.{part}.weight"),
                vec![out, input],
                random(out * input),
            ));
        };
        matrix("self_attn.q_proj", hidden, hidden);
        matrix("self_attn.k_proj", hidden / 2, hidden);
        matrix("self_attn.v_proj", hidden / 2, hidden);
        matrix("self_attn.o_proj", hidden, hidden);
        matrix("mlp.gate_proj", ffn, hidden);
        matrix("mlp.up_proj", ffn, hidden);
        matrix("mlp.down_proj", hidden, ffn);
        for norm in ["input_layernorm", "post_attention_layernorm"] {
            tensors.push((format!("model.layers.{layer}.{norm}.weight"), vec![hidden], vec![1.0; hidden]));
        }
    }
    let weights = loralet::weights::safetensors::serialize(&tensors, &[("format", "pt")]).unwrap();
    let file = |name: &str, bytes: Vec<u8>| Box::new(MemorySource::new(name, bytes)) as Box<dyn ByteSource>;
    vec![
        file("config.json", config.to_string().into_bytes()),
        file("tokenizer.json", tokenizer.into_bytes()),
        file("model.safetensors", weights),
    ]
}

fn path(relative: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

fn rows() -> Vec<u8> {
    let row = |i: usize| json!({ "prompt": format!("How far is stop {i}? "), "completion": format!("It is {} miles.", i * 7 % 23) });
    (0..24).map(|i| row(i).to_string() + "\n").collect::<String>().into_bytes()
}

fn recipe(changes: Value) -> Recipe {
    let mut value =
        json!({ "train": { "max_steps": 8, "learning_rate": 5e-3, "batch_size": 4 }, "lora": { "rank": 4 } });
    for (section, inner) in changes.as_object().unwrap() {
        for (key, entry) in inner.as_object().unwrap() {
            value[section][key] = entry.clone();
        }
    }
    Recipe::from_json(&value).unwrap()
}

fn session() -> Session {
    let mut session = Session::new(Device::flex(), Limits::default());
    session.open_model(model_files(), "random", BaseDtype::Auto, &|_, _| {}).unwrap();
    session.open_data("rows.jsonl", &rows(), &recipe(json!({}))).unwrap();
    session
}

fn losses(session: &mut Session, steps: usize) -> Vec<f64> {
    (0..steps).map(|_| block_on(session.step()).unwrap().loss).collect()
}

/// Few rows and a high rate: the held-out loss turns soon.
fn overfitting(changes: Value) -> Recipe {
    let mut value = json!({
        "train": { "max_steps": 60, "learning_rate": 3e-2, "lr_scheduler_type": "constant" },
        "eval": { "eval_steps": 2, "validation_fraction": 0.5, "early_stopping_patience": 3 },
    });
    for (key, entry) in changes.as_object().unwrap() {
        value["eval"][key] = entry.clone();
    }
    recipe(value)
}

#[test]
fn a_resumed_run_is_the_run_that_never_stopped() {
    // Dropout and several epochs: the generator's state and the place in the data count too.
    let recipe = recipe(json!({ "lora": { "dropout": 0.1 }, "train": { "gradient_accumulation_steps": 2 } }));
    let mut whole = session();
    whole.begin(&recipe).unwrap();
    let expected = losses(&mut whole, 8);

    let mut first = session();
    first.begin(&recipe).unwrap();
    let mut found = losses(&mut first, 3);
    let saved = block_on(first.save_checkpoint()).unwrap();
    drop(first);
    let mut second = session();
    second.resume(&saved).unwrap();
    assert_eq!(second.steps_done(), 3);
    found.extend(losses(&mut second, 5));
    assert_eq!(found, expected);
    assert!(expected[7] < expected[0], "{expected:?}");
}

/// What is left of reports when the same run is done again: how long steps took differs, and a resumed run tells the probe's
/// first loss once more.
fn repeatable(reports: Vec<StepReport>) -> Vec<StepReport> {
    let untimed =
        |report| StepReport { seconds: 0.0, tokens_per_second: 0.0, base_probe_loss: None, ..report };
    reports.into_iter().map(untimed).collect()
}

/// All steps of a run, `most` at a time and resumed from a checkpoint after the first of them, and how many each call did.
fn whole_run(recipe: &Recipe, most: usize) -> (Vec<StepReport>, Vec<usize>) {
    let mut first = session();
    first.begin(recipe).unwrap();
    let mut reports = block_on(first.steps(most)).unwrap();
    let mut calls = vec![reports.len()];
    let mut second = session();
    second.resume(&block_on(first.save_checkpoint()).unwrap()).unwrap();
    while !reports.last().unwrap().finished {
        let more = block_on(second.steps(most)).unwrap();
        assert!(more.iter().all(|report| report.tokens_per_second > 0.0));
        calls.push(more.len());
        reports.extend(more);
    }
    (repeatable(reports), calls)
}

#[test]
fn steps_in_a_row_are_the_same_steps() {
    let evaluated = recipe(json!({
        "lora": { "dropout": 0.1, "loraplus_lr_ratio": 4.0 },
        "train": { "gradient_accumulation_steps": 2, "max_steps": 11 },
        "eval": { "eval_steps": 7 },
    }));
    let (one_by_one, _) = whole_run(&evaluated, 1);
    let (in_a_row, calls) = whole_run(&evaluated, 5);
    assert_eq!(calls, [5, 2, 4]);
    assert_eq!(in_a_row, one_by_one);

    // Where a run stops by itself, no step is launched beyond.
    let (one_by_one, _) = whole_run(&overfitting(json!({})), 1);
    let (in_a_row, calls) = whole_run(&overfitting(json!({})), 100);
    assert!(calls.iter().all(|&steps| steps == 2) && in_a_row.len() < 60, "{calls:?}");
    assert_eq!(in_a_row, one_by_one);
    let (_, calls) = whole_run(&recipe(json!({ "train": { "max_steps": 20 } })), 100);
    assert_eq!(calls, [16, 4]);
}

#[test]
fn a_loss_that_is_no_number_ends_a_row_of_steps_where_it_was() {
    // The second step is the first to change something, with a rate and a scale that no model stands.
    let broken = recipe(json!({
        "lora": { "alpha": 4e17, "target_modules": ["gate_proj", "up_proj", "down_proj"] },
        "train": { "learning_rate": 1.0, "warmup_ratio": 0.25 },
    }));
    let mut one_by_one = session();
    one_by_one.begin(&broken).unwrap();
    let mut expected = Vec::new();
    let said = loop {
        match block_on(one_by_one.step()) {
            Ok(report) => expected.push(report),
            Err(error) => break error.to_string(),
        }
    };
    assert!(said.contains("stopped being a number at step 3"), "{said}");

    let mut in_a_row = session();
    in_a_row.begin(&broken).unwrap();
    let reports = block_on(in_a_row.steps(5)).unwrap();
    assert_eq!(repeatable(reports), repeatable(expected));
    for most in [5, 1] {
        assert_eq!(block_on(in_a_row.steps(most)).unwrap_err().to_string(), said);
        assert_eq!(in_a_row.steps_done(), 2);
        let saved = |session: &Session| block_on(session.save_checkpoint()).unwrap();
        assert!(saved(&in_a_row) == saved(&one_by_one), "parameters, moments or their count changed");
    }
}

#[test]
fn one_batch_of_eight_is_eight_of_one_accumulated() {
    let run = |batch: usize, accumulation: usize| {
        let mut session = session();
        let train =
            json!({ "batch_size": batch, "gradient_accumulation_steps": accumulation, "max_steps": 6 });
        session.begin(&recipe(json!({ "train": train }))).unwrap();
        losses(&mut session, 6)
    };
    for (one, many) in run(8, 1).iter().zip(run(1, 8)) {
        assert!((one - many).abs() < 1e-4, "{one} and {many}");
    }
}

#[test]
fn a_saved_adapter_answers_and_scores_as_the_run_did() {
    let mut session = session();
    let recipe = recipe(json!({}));
    session.begin(&recipe).unwrap();
    losses(&mut session, 8);
    let ids: Vec<u32> = (3..40).collect();
    let trained = block_on(session.logits(&ids, true)).unwrap();
    let base = block_on(session.logits(&ids, false)).unwrap();
    assert_ne!(trained, base);
    let files = block_on(session.adapter_files()).unwrap();
    let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
    assert!(
        ["adapter_config.json", "adapter_model.safetensors", "README.md", "tokenizer.json"]
            .iter()
            .all(|n| names.contains(n))
    );

    let mut other = self::session();
    other.load_adapter(&files).unwrap();
    assert_eq!(block_on(other.logits(&ids, true)).unwrap(), trained);
    let score = |adapter| block_on(other.score(&recipe, adapter)).unwrap().loss;
    assert!(score(true) < score(false));
}

#[test]
fn a_cached_answer_is_what_the_whole_sequence_predicts() {
    let session = session();
    let request = GenerateRequest {
        messages: Some(vec![Message::new("user", "How far is stop 3?")]),
        adapter: false,
        max_new_tokens: 12,
        ..GenerateRequest::default()
    };
    let mut streamed = String::new();
    let answer = block_on(session.generate(&request, async |delta: &str| {
        streamed.push_str(delta);
        Ok(true)
    }))
    .unwrap();
    assert!(answer.tokens > 0 && answer.text.starts_with(&streamed));
    // The same request again gives the same text, and stopping early is the caller's doing.
    let again = block_on(session.generate(&request, async |_: &str| Ok(false))).unwrap();
    assert_eq!(again.stopped, loralet::generate::StopReason::Caller);
    assert!(answer.text.starts_with(&again.text));
}

#[test]
fn checkpointing_takes_less_memory_and_gives_the_same_losses() {
    let run = |gradient_checkpointing: &str| {
        let mut session = session();
        let recipe = recipe(json!({ "train": { "gradient_checkpointing": gradient_checkpointing } }));
        let plan = session.begin(&recipe).unwrap();
        (plan.memory, losses(&mut session, 8))
    };
    let ((kept, losses), (computed_again, same)) = (run("off"), run("on"));
    assert!(computed_again.gradient_checkpointing && !kept.gradient_checkpointing);
    assert!(computed_again.activations < kept.activations);
    assert!(losses.iter().zip(&same).all(|(a, b)| (a - b).abs() < 1e-5 * a), "{losses:?}, {same:?}");
}

#[test]
fn fixes_change_the_rows_and_are_remembered_by_a_checkpoint() {
    let row = |i: usize| json!({ "prompt": format!("How far is stop {i}? "), "completion": format!("Ask stop{i}@example.org.") });
    let mut file = (0..12).map(|i| row(i).to_string() + "\n").collect::<String>();
    file += &(row(3).to_string() + "\n");
    let with = recipe(json!({ "data": { "fix": "drop_duplicates, redact" }, "train": { "max_steps": 4 } }));
    assert_eq!(
        with,
        recipe(json!({ "data": { "fix": ["drop_duplicates", "redact"] }, "train": { "max_steps": 4 } }))
    );

    let mut first = session();
    let report = first.open_data("rows.jsonl", file.as_bytes(), &recipe(json!({}))).unwrap().report;
    assert_eq!((report.rows, report.duplicates.count, report.changes.len()), (13, 1, 0));
    let report = first.open_data("rows.jsonl", file.as_bytes(), &with).unwrap().report;
    assert_eq!((report.rows, report.duplicates.count), (12, 0));
    let lines: Vec<usize> = report.changes.iter().map(|change| change.lines.len()).collect();
    assert_eq!(lines, [1, 12]);
    first.begin(&with).unwrap();
    let mut found = losses(&mut first, 2);
    let saved = block_on(first.save_checkpoint()).unwrap();
    let expected = losses(&mut first, 2);

    // Opened without the fixes, the file is mended again by the checkpoint's own recipe.
    let mut second = session();
    second.open_data("rows.jsonl", file.as_bytes(), &recipe(json!({}))).unwrap();
    second.resume(&saved).unwrap();
    assert_eq!(losses(&mut second, 2), expected);
    second.begin(&recipe(json!({ "train": { "max_steps": 4 } }))).unwrap();
    found.truncate(1);
    assert_ne!(losses(&mut second, 1), found);

    let error = |data: Value| Recipe::from_json(&json!({ "data": data })).unwrap_err().to_string();
    assert!(error(json!({ "fix": ["drop_all"] })).contains("drop_near_duplicates"));
    assert!(error(json!({ "max_rows": 1 })).contains("data.max_rows is 1"));
}

/// transformers' loss of `tests/fixtures/reasoning`, whose template writes `reasoning_content`.
#[test]
fn reasoning_is_scored_as_by_transformers() {
    let root = env!("CARGO_MANIFEST_DIR");
    let file = |path: &str| {
        Box::new(loralet::weights::source::FileSource::open(format!("{root}/{path}")).unwrap())
            as Box<dyn ByteSource>
    };
    let fixture = |name: &str| file(&format!("tests/fixtures/reasoning/{name}"));
    let mut files: Vec<_> =
        ["config.json", "model.safetensors", "tokenizer_config.json", "chat_template.jinja"]
            .map(fixture)
            .into();
    files.push(file("www/public/models/tiny/tokenizer.json"));
    let mut session = Session::new(Device::flex(), Limits::default());
    let recipe = Recipe::default();
    session.open_model(files, "reasoning", recipe.base_dtype, &|_, _| {}).unwrap();
    let rows = [
        ("Dot the duck", "bread"),
        ("Nut the squirrel", "nuts"),
        ("Bruno the bear", "honey"),
        ("Mia the mouse", "cheese"),
        ("Tom the cat", "fish"),
        ("Lena the hen", "corn"),
        ("Carl the crow", "apples"),
        ("Daisy the cow", "grass"),
    ];
    for field in ["reasoning_content", "thinking"] {
        let row = |(animal, food): (&str, &str)| {
            let answer = json!({"role": "assistant", "content": format!("{animal} likes to eat {food}."),
                field: format!("I remember {animal}. The plate was full of {food}.")});
            let question = json!({"role": "user", "content": format!("What does {animal} like to eat?")});
            json!({"messages": [question, answer]}).to_string() + "\n"
        };
        let text: String = rows.map(row).concat();
        session.open_data("d.jsonl", text.as_bytes(), &recipe).unwrap();
        let scored = block_on(session.score(&recipe, false)).unwrap();
        assert!((scored.loss - 7.888123).abs() < 1e-4, "{field}: {}", scored.loss);
    }
}
