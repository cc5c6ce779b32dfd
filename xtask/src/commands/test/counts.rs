//! How many tests passed, read from what the test runners print.

use std::iter::Sum;

use super::failures;

#[derive(Clone, Default, Debug, PartialEq, Eq)]
pub struct Counts {
    pub passed: usize,
    pub failed: usize,
    /// What failed and why, as the runners say it.
    pub failures: Vec<String>,
}

impl Counts {
    /// A check that is not a test runner counts as one; `what` names it where it fails.
    pub fn check(what: impl Into<String>, passed: bool) -> Self {
        let failures = if passed { Vec::new() } else { vec![what.into()] };
        Self { failures, ..Self::new(usize::from(passed), usize::from(!passed)) }
    }

    fn new(passed: usize, failed: usize) -> Self {
        Self { passed, failed, failures: Vec::new() }
    }

    fn with_failures(self, failures: Vec<String>) -> Self {
        Self { failures, ..self }
    }

    /// Adds up the `test result: ok. 3 passed; 0 failed; …` of cargo's and wasm-bindgen's runners.
    pub fn of_cargo(output: &str) -> Self {
        let results = output.lines().filter_map(|line| line.trim().strip_prefix("test result: "));
        let counts: Self =
            results.map(|result| Self::new(before(result, " passed"), before(result, " failed"))).sum();
        counts.with_failures(failures::of_cargo(output))
    }

    /// Reads the closing `# pass 3` and `# fail 0` (or `ℹ pass 3`) of Node's test runner.
    pub fn of_node(output: &str) -> Self {
        let count = |word: &str| {
            let line = output.lines().rev().find_map(|line| {
                let rest = line.trim().strip_prefix(['#', 'ℹ'])?.trim().strip_prefix(word)?;
                rest.trim().parse().ok()
            });
            line.unwrap_or(0)
        };
        Self::new(count("pass "), count("fail ") + count("cancelled "))
            .with_failures(failures::of_node(output))
    }

    /// A runner that fails without a failed test, for instance because nothing compiled, has failed once.
    pub fn with_success(self, success: bool) -> Self {
        let missed = usize::from(!success && self.failed == 0);
        Self { failed: self.failed + missed, ..self }
    }
}

impl Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            passed: sum.passed + one.passed,
            failed: sum.failed + one.failed,
            failures: [sum.failures, one.failures].concat(),
        })
    }
}

/// The number that stands before the word.
fn before(text: &str, word: &str) -> usize {
    let number = text.split(word).next().and_then(|text| text.rsplit(' ').next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_all_test_binaries_add_up() {
        let output = "running 2 tests\ntest result: ok. 2 passed; 0 failed; 0 ignored; 0 measured\n\
                      test result: FAILED. 11 passed; 3 failed; 1 ignored\n";
        assert_eq!(Counts::of_cargo(output), Counts::new(13, 3));
    }

    #[test]
    fn node_prints_its_counts_in_two_styles() {
        let counts = Counts::new(12, 1);
        assert_eq!(Counts::of_node("# tests 13\n# pass 12\n# fail 1\n# cancelled 0\n"), counts);
        assert_eq!(Counts::of_node("ℹ tests 13\nℹ pass 12\nℹ fail 1\n"), counts);
    }

    #[test]
    fn a_runner_that_dies_has_failed() {
        assert_eq!(Counts::default().with_success(false), Counts::new(0, 1));
        assert_eq!(Counts::new(3, 2).with_success(false), Counts::new(3, 2));
    }
}
