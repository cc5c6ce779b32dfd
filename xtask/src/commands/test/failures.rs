//! Which tests failed and why, read from what the test runners print.
//!
//! The summary repeats them, because continuous integration may keep only the end of a log.

/// As much of one failure as the summary shows.
const MOST_LINES: usize = 24;

/// The blocks `---- name stdout ----` of cargo's and wasm-bindgen's runners.
pub fn of_cargo(output: &str) -> Vec<String> {
    let mut failures: Vec<Vec<&str>> = Vec::new();
    let mut inside = false;
    for line in output.lines() {
        let line = line.trim_end();
        if line.starts_with("---- ") && line.ends_with(" ----") {
            inside = true;
            failures.push(Vec::new());
        } else if line == "failures:" || line.starts_with("test result: ") {
            inside = false;
        }
        if let (true, Some(failure)) = (inside, failures.last_mut()) {
            failure.push(line);
        }
    }
    failures.iter().map(|lines| shorten(lines)).collect()
}

/// The `not ok` of Node's TAP with the lines that explain it, or the end of its other style, `✖ failing tests:`.
/// A suite that failed because a test in it failed says nothing more than the test.
pub fn of_node(output: &str) -> Vec<String> {
    let lines: Vec<&str> = output.lines().collect();
    let mut failures = Vec::new();
    for (i, line) in lines.iter().enumerate() {
        if !line.trim_start().starts_with("not ok ") {
            continue;
        }
        let end = lines[i + 1..].iter().position(|line| line.trim() == "...").unwrap_or(0);
        let block = &lines[i..=i + end];
        if !block.iter().any(|line| line.contains("'subtestsFailed'")) {
            failures.push(shorten(block));
        }
    }
    if failures.is_empty()
        && let Some(start) = lines.iter().position(|line| line.trim() == "✖ failing tests:")
    {
        failures.push(shorten(&lines[start..]));
    }
    failures
}

fn shorten(lines: &[&str]) -> String {
    let lines: Vec<&str> = lines.iter().copied().filter(|line| !line.trim().is_empty()).collect();
    lines[..lines.len().min(MOST_LINES)].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_says_what_panicked() {
        let output = "test a::b ... FAILED\n\nfailures:\n\n---- a::b stdout ----\n\nthread 'a::b' panicked at x.rs:3:4:\n\
                      left: 1\n\nfailures:\n    a::b\n\ntest result: FAILED. 3 passed; 1 failed\n";
        assert_eq!(of_cargo(output), ["---- a::b stdout ----\nthread 'a::b' panicked at x.rs:3:4:\nleft: 1"]);
        assert!(of_cargo("running 2 tests\ntest result: ok. 2 passed; 0 failed\n").is_empty());
    }

    #[test]
    fn node_says_which_test_of_a_suite_failed() {
        let output = "TAP version 13\n    # Subtest: it learns\n    not ok 1 - it learns\n      ---\n      \
                      error: 'no step'\n      ...\n    1..1\nnot ok 1 - the page\n  ---\n  \
                      failureType: 'subtestsFailed'\n  ...\nok 2 - another\n# pass 1\n# fail 1\n";
        let [failure] = of_node(output).try_into().unwrap();
        assert_eq!(failure, "    not ok 1 - it learns\n      ---\n      error: 'no step'");
        let styled = "✔ a (3ms)\n✖ b (4ms)\nℹ fail 1\n\n✖ failing tests:\n\n✖ b (4ms)\n  no step\n";
        assert_eq!(of_node(styled), ["✖ failing tests:\n✖ b (4ms)\n  no step"]);
    }
}
