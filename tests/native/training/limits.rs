//! What is refused, and that what was open stays open.

use super::*;
use loralet::ErrorKind;

#[test]
fn mistakes_are_sentences_and_keep_what_was_open() {
    let mut session = session();
    session.begin(&recipe(json!({}))).unwrap();
    losses(&mut session, 1);
    let saved = block_on(session.save_checkpoint()).unwrap();

    let refused = |result: Result<(), loralet::Error>, kind: ErrorKind, key: Option<&str>| {
        let error = result.unwrap_err();
        assert_eq!((error.kind(), error.key()), (kind, key), "{error}");
    };
    refused(session.resume(&saved[..200]).map(drop), ErrorKind::InvalidCheckpoint, None);
    let empty = session.open_data("empty.jsonl", b"", &recipe(json!({}))).map(drop);
    refused(empty, ErrorKind::InvalidData, Some("empty.jsonl"));
    let files = vec![Box::new(MemorySource::new("x.gguf", b"GGUF".to_vec())) as Box<dyn ByteSource>];
    let broken = session.open_model(files, "broken", BaseDtype::Auto, &|_, _| {}).map(drop);
    refused(broken, ErrorKind::InvalidModelFile, Some("x.gguf"));
    // The run goes on where it was.
    assert_eq!(block_on(session.step()).unwrap().step, 2);

    session
        .open_data("other.jsonl", b"{\"text\": \"Another file altogether.\"}\n", &recipe(json!({})))
        .unwrap();
    let other = session.resume(&saved).map(drop).unwrap_err();
    assert!(other.to_string().contains("it was trained on other data"), "{other}");
    refused(Err(other), ErrorKind::InvalidCheckpoint, None);

    let mut fresh = Session::new(Device::flex(), Limits { total: Some(1000), ..Limits::default() });
    let large = fresh.open_model(model_files(), "random", BaseDtype::Auto, &|_, _| {}).map(drop);
    refused(large, ErrorKind::ModelTooLarge, None);
    refused(fresh.begin(&recipe(json!({}))).map(drop), ErrorKind::Training, None);
}

#[test]
fn a_run_that_does_not_fit_is_refused_and_what_would_fit_is_named() {
    let weights = {
        let mut session = session();
        session.begin(&recipe(json!({}))).unwrap().memory.weights
    };
    // Room for the model and little else.
    let mut session =
        Session::new(Device::flex(), Limits { total: Some(weights + 10_000), ..Limits::default() });
    session.open_model(model_files(), "random", BaseDtype::Auto, &|_, _| {}).unwrap();
    session.open_data("rows.jsonl", &rows(), &recipe(json!({}))).unwrap();
    let text = session.begin(&recipe(json!({}))).err().unwrap().to_string();
    assert!(text.contains("this run needs about") && text.contains("train.batch_size"), "{text}");
}

#[test]
fn a_second_thread_is_part_of_what_a_run_needs() {
    let memory = |helper| {
        let mut session = Session::new(Device::flex(), Limits { helper, ..Limits::default() });
        session.open_model(model_files(), "random", BaseDtype::Auto, &|_, _| {}).unwrap();
        session.open_data("rows.jsonl", &rows(), &recipe(json!({}))).unwrap();
        session.begin(&recipe(json!({}))).unwrap().memory
    };
    let (alone, helped) = (memory(0), memory(32 << 20));
    assert_eq!((alone.helper, helped.helper), (0, 32 << 20));
    assert_eq!(helped.total, alone.total + (32 << 20));
}
