//! How a run ends and what is said of it: whether it changed anything, which step's values it gives out, what it resumes from.

use super::*;

fn card(session: &Session) -> String {
    let files = block_on(session.adapter_files()).unwrap();
    let card = files.into_iter().find(|file| file.name == "README.md").unwrap();
    String::from_utf8(card.bytes).unwrap()
}

fn refusal<T>(result: Result<T, loralet::Error>) -> String {
    result.err().expect("it was taken").to_string()
}

/// Whether the tuned model computes something else than the base.
fn is_tuned(session: &Session) -> bool {
    let ids: Vec<u32> = (3..40).collect();
    block_on(session.logits(&ids, true)).unwrap() != block_on(session.logits(&ids, false)).unwrap()
}

#[test]
fn a_run_of_one_step_learns() {
    for scheduler in ["linear", "cosine", "constant_with_warmup", "constant"] {
        let mut session = session();
        let train = json!({ "max_steps": 1, "lr_scheduler_type": scheduler, "warmup_ratio": 1.0 });
        let plan = session.begin(&recipe(json!({ "train": train }))).unwrap();
        assert_eq!(plan.warmup_steps, 0);
        assert!(plan.notes.iter().any(|note| note.contains("no warm-up")), "{:?}", plan.notes);
        let report = block_on(session.step()).unwrap();
        assert_eq!((report.learning_rate, report.finished, report.note), (5e-3, true, None));
        assert!(is_tuned(&session), "{scheduler}");
    }
    // Two steps begin at 0, as with transformers, and one of them learns.
    let mut session = session();
    let train = json!({ "max_steps": 2, "warmup_ratio": 1.0 });
    assert_eq!(session.begin(&recipe(json!({ "train": train }))).unwrap().warmup_steps, 2);
    let rates: Vec<f64> = (0..2).map(|_| block_on(session.step()).unwrap().learning_rate).collect();
    assert_eq!(rates, [0.0, 2.5e-3]);
    assert!(is_tuned(&session));
}

#[test]
fn a_run_that_changed_nothing_says_so() {
    for use_dora in [false, true] {
        let mut session = session();
        // Less than a float of 32 bits holds.
        let changes =
            json!({ "train": { "learning_rate": 1e-60, "max_steps": 3 }, "lora": { "use_dora": use_dora } });
        session.begin(&recipe(changes)).unwrap();
        let notes: Vec<Option<String>> = (0..3).map(|_| block_on(session.step()).unwrap().note).collect();
        assert_eq!(notes[..2], [None, None]);
        let note = notes[2].as_ref().expect("the adapter does nothing");
        assert!(note.contains("changes nothing") && note.contains("train.learning_rate"), "{note}");
    }
    let mut learns = session();
    learns.begin(&recipe(json!({}))).unwrap();
    let last = (0..8).map(|_| block_on(learns.step()).unwrap()).last().unwrap();
    assert_eq!((last.finished, last.note), (true, None));
}

#[test]
fn a_base_that_computes_no_number_is_named_as_the_cause() {
    let mut session = Session::new(Device::flex(), Limits::default());
    session.open_model(model_files_of(1, 3e38), "random", BaseDtype::Auto, &|_, _| {}).unwrap();
    session.open_data("rows.jsonl", &rows(), &recipe(json!({}))).unwrap();
    session.begin(&recipe(json!({}))).unwrap();
    let text = refusal(block_on(session.step()));
    assert!(text.contains("the base") && !text.contains("learning_rate"), "{text}");
    let text = refusal(block_on(session.score(&recipe(json!({})), false)));
    assert!(text.contains("not a number"), "{text}");
}

#[test]
fn the_card_names_the_step_whose_values_it_has() {
    let mut session = session();
    session.begin(&overfitting(json!({}))).unwrap();
    let last = loop {
        let report = block_on(session.step()).unwrap();
        if report.finished {
            break report;
        }
    };
    let best = last.restored_step.unwrap();
    assert!(best < last.step);
    let loss = block_on(session.evaluate()).unwrap().loss;
    let text = card(&session);
    assert!(text.contains(&format!("Validation loss after {best} steps: {loss:.4}")), "{text}");

    // A run that is resumed after it ended has its own best evaluation, and a new one none of an earlier run.
    let saved = block_on(session.save_checkpoint()).unwrap();
    let mut again = self::session();
    again.resume(&saved).unwrap();
    assert_eq!(card(&again), text);
    let without =
        json!({ "train": { "max_steps": 6 }, "eval": { "eval_steps": 4, "validation_fraction": 0.5 } });
    let mut other = self::session();
    other.begin(&recipe(without)).unwrap();
    losses(&mut other, 3);
    let saved = block_on(other.save_checkpoint()).unwrap();
    session.resume(&saved).unwrap();
    let text = card(&session);
    assert!(text.contains("Trained for 3 steps; they were not scored"), "{text}");
    // Scored at step 4, given out at step 5.
    losses(&mut session, 2);
    let text = card(&session);
    assert!(
        text.contains("values after 5 steps") && text.contains("Validation loss after 4 steps"),
        "{text}"
    );
    // A folder's name is no repository.
    assert!(!text.contains("base_model:") && text.contains("for random\n"), "{text}");
}

#[test]
fn a_checkpoint_knows_its_base_and_its_recipe_is_checked() {
    let mut first = session();
    first.begin(&recipe(json!({}))).unwrap();
    losses(&mut first, 2);
    let saved = block_on(first.save_checkpoint()).unwrap();
    let mut same = session();
    same.resume(&saved).unwrap();
    assert_eq!(losses(&mut same, 1), losses(&mut first, 1));

    // The same shapes and the same data, other weights.
    let mut other = Session::new(Device::flex(), Limits::default());
    other.open_model(model_files_of(2, 1.0), "random", BaseDtype::Auto, &|_, _| {}).unwrap();
    other.open_data("rows.jsonl", &rows(), &recipe(json!({}))).unwrap();
    let text = refusal(other.resume(&saved));
    assert!(text.starts_with("checkpoint:") && text.contains("another model"), "{text}");

    let changed = |from: &str, to: &str| {
        assert_eq!(from.len(), to.len());
        let at = saved.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
        let mut changed = saved.clone();
        changed[at..at + to.len()].copy_from_slice(to.as_bytes());
        changed
    };
    for (from, to, named) in [
        (r#"\"rank\":4"#, r#"\"rank\":0"#, "lora.rank"),
        (r#"\"batch_size\":4"#, r#"\"batch_size\":0"#, "train.batch_size"),
        (r#"\"warmup_ratio\":0.05"#, r#"\"warmup_ratio\":9.05"#, "train.warmup_ratio"),
    ] {
        let text = refusal(same.resume(&changed(from, to)));
        assert!(text.starts_with("checkpoint:") && text.contains(named), "{text}");
    }
}

#[test]
fn sampling_out_of_range_is_refused_by_name() {
    let session = session();
    let ask = |sampling: Value| {
        let mut request = json!({ "prompt": "How far is stop 3?", "adapter": false, "max_new_tokens": 8 });
        request.as_object_mut().unwrap().extend(sampling.as_object().unwrap().clone());
        let request: GenerateRequest = serde_json::from_value(request).unwrap();
        block_on(session.generate(&request, async |_: &str| Ok(true))).map(|answer| answer.text)
    };
    let alone = ask(json!({})).unwrap();
    for same in [
        json!({ "temperature": 0 }),
        json!({ "temperature": 1, "top_p": 0 }),
        json!({ "temperature": 1, "top_k": 1 }),
        json!({ "temperature": 0, "top_k": 0 }),
    ] {
        assert_eq!(ask(same).unwrap(), alone);
    }
    // 0 switches the choice among the likeliest off.
    let warm = ask(json!({ "temperature": 2 })).unwrap();
    assert_eq!(ask(json!({ "temperature": 2, "top_k": 0 })).unwrap(), warm);
    assert_ne!(warm, alone);
    for (key, value) in [
        ("top_p", json!(1.5)),
        ("top_p", json!(-0.5)),
        ("temperature", json!(-1)),
        ("temperature", json!(null)),
    ] {
        let text = refusal(ask(json!({ "temperature": 1, key: value })));
        assert!(text.contains(key), "{text}");
    }
    assert_eq!(ask(json!({ "max_new_tokens": 0 })).unwrap(), "");
}

#[test]
fn a_run_whose_largest_tensor_the_device_cannot_take_is_refused_before_it_begins() {
    let limited = |tensor: u64| {
        let limits = Limits { tensor: Some(tensor), ..Limits::default() };
        let mut session = Session::new(Device::flex(), limits);
        session.open_model(model_files(), "random", BaseDtype::F32, &|_, _| {}).unwrap();
        session.open_data("rows.jsonl", &rows(), &recipe(json!({}))).unwrap();
        session.begin(&recipe(json!({ "train": { "batch_size": 16 } })))
    };
    let needed = limited(1 << 30).unwrap().memory.tensor;
    // 16 rows have the gate beside what it multiplies, 2 × 48 numbers a token.
    assert_eq!(needed % (16 * 2 * 48 * 4 * 8), 0);
    let text = refusal(limited(needed - 1));
    assert!(text.contains("in one piece") && text.contains("train.batch_size"), "{text}");
    limited(needed).unwrap();
}
