//! Runs that end when the held-out loss stops falling.

use super::*;

#[test]
fn early_stopping_takes_back_the_best_values() {
    let mut session = session();
    session.begin(&overfitting(json!({}))).unwrap();
    let mut evaluations = Vec::new();
    let last = loop {
        let report = block_on(session.step()).unwrap();
        evaluations.extend(report.evaluation.as_ref().map(|evaluation| (report.step, evaluation.loss)));
        if report.finished {
            break report;
        }
        assert_eq!(report.restored_step, None);
    };
    let (best, rest) = evaluations.split_at(evaluations.len() - 3);
    let &(best_step, best_loss) = best.last().unwrap();
    assert!(last.step < 60 && best.iter().all(|(_, loss)| *loss >= best_loss), "{evaluations:?}");
    assert!(rest.iter().all(|(_, loss)| *loss >= best_loss), "{evaluations:?}");
    assert_eq!(last.restored_step, Some(best_step));
    assert_eq!(block_on(session.evaluate()).unwrap().loss, best_loss);
    assert_eq!(no_step_left(&mut session), loralet::ErrorKind::Training);
}

#[test]
fn a_resumed_run_remembers_its_best() {
    let run_to_end = |session: &mut Session| loop {
        let report = block_on(session.step()).unwrap();
        if report.finished {
            return (report.step, report.restored_step, report.loss);
        }
    };
    let mut whole = session();
    whole.begin(&overfitting(json!({}))).unwrap();
    let expected = run_to_end(&mut whole);
    let mut first = session();
    first.begin(&overfitting(json!({}))).unwrap();
    losses(&mut first, expected.0 - 1);
    let saved = block_on(first.save_checkpoint()).unwrap();
    let mut second = session();
    second.resume(&saved).unwrap();
    assert_eq!(run_to_end(&mut second), expected);
    assert_eq!(block_on(second.evaluate()).unwrap().loss, block_on(whole.evaluate()).unwrap().loss);

    // Nor does a run that has ended begin again.
    let mut ended = session();
    ended.resume(&block_on(whole.save_checkpoint()).unwrap()).unwrap();
    assert_eq!(no_step_left(&mut ended), loralet::ErrorKind::Training);
}

/// The kind of the error with which a run that has ended does no step.
fn no_step_left(session: &mut Session) -> loralet::ErrorKind {
    let error = block_on(session.step()).unwrap_err();
    assert!(error.to_string().contains("no step left"), "{error}");
    error.kind()
}

#[test]
fn patience_needs_rows_to_stop_by() {
    let bad = |eval: Value| Recipe::from_json(&json!({ "eval": eval })).unwrap_err().to_string();
    let text = bad(json!({ "early_stopping_patience": 0 }));
    assert!(text.contains("eval.early_stopping_patience is 0, but it must be at least 1"), "{text}");
    let text = bad(json!({ "early_stopping_patience": 2, "validation_fraction": 0 }));
    assert!(text.contains("eval.early_stopping_patience") && text.contains("held-out rows"), "{text}");
}
