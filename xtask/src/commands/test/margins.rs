//! Every objective learns something: on rows that it did not train on, the tuned model is better than the base by a margin.
//! `docs/objectives.md` has the same commands with what they were measured to gain.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::checks::{Checks, text, xtask};
use super::stages::Length;
use crate::error::Result;
use crate::paths;

/// A run by a recipe of `examples/recipes`, and what it must reach.
struct Margin {
    recipe: &'static str,
    model: &'static str,
    sample: &'static str,
    /// Where `eval` prints the figure.
    figure: &'static str,
    /// How much higher it must be; below 0, how much lower.
    gain: f64,
    /// Whether only `cargo xtask test --long` has time for it: another recipe goes the same way.
    long: bool,
}

#[rustfmt::skip]
const MARGINS: &[Margin] = &[
    Margin { recipe: "text", model: "tiny", sample: "tiny-letters.jsonl", figure: "/loss", gain: -3.0, long: true },
    Margin { recipe: "sft", model: "tiny", sample: "tiny-duck.jsonl", figure: "/loss", gain: -1.5, long: false },
    Margin { recipe: "dpo", model: "tiny", sample: "tiny-kindness.jsonl", figure: "/preference/logps_accuracy", gain: 0.3, long: false },
    Margin { recipe: "ipo", model: "tiny", sample: "tiny-kindness.jsonl", figure: "/preference/logps_accuracy", gain: 0.3, long: true },
    Margin { recipe: "orpo", model: "tiny", sample: "tiny-kindness.jsonl", figure: "/preference/logps_accuracy", gain: 0.4, long: true },
    Margin { recipe: "kto", model: "tiny", sample: "tiny-rated.jsonl", figure: "/preference/logps_margin", gain: 20.0, long: false },
    Margin { recipe: "reward", model: "tiny", sample: "tiny-kindness.jsonl", figure: "/reward/accuracy", gain: 0.2, long: false },
    Margin { recipe: "grpo", model: "tiny", sample: "tiny-brief.jsonl", figure: "/rollout/reward", gain: 0.3, long: false },
    Margin { recipe: "classify", model: "tiny", sample: "tiny-moods.jsonl", figure: "/classification/accuracy", gain: 0.4, long: false },
    Margin { recipe: "contrastive", model: "minilm", sample: "harbour-slang.jsonl", figure: "/embedding/recall_at_1", gain: 0.3, long: false },
];

/// How long a run may take on two cores, browser and page included.
const LONGEST: Duration = Duration::from_secs(120);

/// The adapter of each run is left in the folder of its recipe's name.
pub fn every_objective_beats_its_base(dir: &Path, length: Length, checks: &mut Checks) -> Result<()> {
    let has_time = |margin: &&Margin| length == Length::Long || !margin.long;
    for Margin { recipe, model, sample, figure, gain, .. } in MARGINS.iter().filter(has_time) {
        let data = text(&paths::www().join("public/samples").join(sample));
        let settings = text(&paths::root().join(format!("examples/recipes/{recipe}.json")));
        let out = text(&dir.join(recipe));
        let given = ["--model", model, "--device", "cpu", "--data", &data, "--recipe", &settings];
        let trained = xtask(&[&["train"], &given[..], &["--out", &out]].concat())?;
        let seconds = trained.elapsed.as_secs_f64();
        checks.that(
            &format!("{recipe} trains in {seconds:.0} s"),
            trained.code == Some(0) && trained.elapsed < LONGEST,
            &trained,
        );
        let scored = xtask(&[&["eval", "--held-out"], &given[..], &["--adapter", &out]].concat())?;
        let result = scored.json();
        let of = |scores: &Value| scores.pointer(figure).and_then(Value::as_f64).unwrap_or(f64::NAN);
        let (base, tuned) = (of(&result["base"]), of(&result));
        let change = tuned - base;
        checks.that(
            &format!(
                "{recipe}: {figure} of held-out rows goes from {base:.3} to {tuned:.3}, by {gain} or more"
            ),
            if *gain > 0.0 { change >= *gain } else { change <= *gain },
            &scored,
        );
    }
    Ok(())
}
