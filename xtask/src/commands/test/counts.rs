//! How many tests passed, read from what the test runners print.

use std::iter::Sum;

#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Counts {
    pub passed: usize,
    pub failed: usize,
}

impl Counts {
    /// A check that is not a test runner counts as one.
    pub fn check(passed: bool) -> Self {
        Self { passed: usize::from(passed), failed: usize::from(!passed) }
    }

    /// Adds up the `test result: ok. 3 passed; 0 failed; …` of cargo's and wasm-bindgen's runners.
    pub fn of_cargo(output: &str) -> Self {
        let results = output.lines().filter_map(|line| line.trim().strip_prefix("test result: "));
        results
            .map(|result| Self { passed: before(result, " passed"), failed: before(result, " failed") })
            .sum()
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
        Self { passed: count("pass "), failed: count("fail ") + count("cancelled ") }
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
        assert_eq!(Counts::of_cargo(output), Counts { passed: 13, failed: 3 });
    }

    #[test]
    fn node_prints_its_counts_in_two_styles() {
        let counts = Counts { passed: 12, failed: 1 };
        assert_eq!(Counts::of_node("# tests 13\n# pass 12\n# fail 1\n# cancelled 0\n"), counts);
        assert_eq!(Counts::of_node("ℹ tests 13\nℹ pass 12\nℹ fail 1\n"), counts);
    }

    #[test]
    fn a_runner_that_dies_has_failed() {
        assert_eq!(Counts::default().with_success(false), Counts { passed: 0, failed: 1 });
        assert_eq!(Counts { passed: 3, failed: 2 }.with_success(false), Counts { passed: 3, failed: 2 });
    }
}
