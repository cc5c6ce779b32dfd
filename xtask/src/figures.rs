//! What objectives measure beside their losses, as people are shown it: by the list of labels that the trainer's tests write.

use serde_json::Value;
use std::sync::LazyLock;

static LABELS: LazyLock<Vec<Value>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../www/src/engine/figures.json")).expect("the list is JSON")
});

/// The numbers of a report, a "step" or an "evaluation", up to this rank: ", accuracy 0.913".
pub fn shown(place: &str, report: &Value, rank: &str) -> String {
    const RANKS: [&str; 4] = ["loss", "first", "summary", "detail"];
    let number = |rank: &str| RANKS.iter().position(|known| *known == rank);
    let shown =
        LABELS.iter().filter(|label| number(label["rank"].as_str().unwrap_or_default()) <= number(rank));
    let row = |label: &Value| {
        let keys = label[place].as_str()?.replace('.', "/");
        let value = report.pointer(&format!("/{keys}"))?.as_f64()?;
        Some(format!(", {} {value:.3}", label["name"].as_str()?))
    };
    shown.filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_line_has_what_an_objective_is_about() {
        let evaluation =
            json!({ "loss": 0.4, "classification": { "accuracy": 0.9, "macro_f1": 0.8 }, "reward": null });
        assert_eq!(shown("evaluation", &evaluation, "first"), ", accuracy 0.900");
        assert_eq!(
            shown("step", &json!({ "accuracy": null, "rollout": { "reward": 0.25 } }), "loss"),
            ", reward 0.250"
        );
    }
}
