//! Single operations at SmolLM2-135M's sizes, in the browser and natively, in turns.

use serde_json::{Value, json};

use super::native::Native;
use super::{TURNS, median};
use crate::browser::BenchPages;
use crate::error::Result;
use crate::progress::Bar;

/// Tokens that calls are counted with: as many calls as with more, sooner.
const FEW_TOKENS: u64 = 64;

/// Each operation, with medians of its times by place: `browser_cpu`, `browser_webgpu`, `native_cpu` and `native_vulkan`. On CPUs one
/// thread computes; the page's worker has two.
pub fn measure(pages: &mut BenchPages, native: &mut [Native]) -> Result<Value> {
    let mut bar = Bar::new("single operations", TURNS as u64);
    let of_browser = [("browser_cpu", "/bench.html?device=cpu"), ("browser_webgpu", "/bench.html")];
    let mut times: Vec<(String, Vec<Value>)> = Vec::new();
    for turn in 0..TURNS {
        let mut add = |place: &str, ops: Value| match times.iter_mut().find(|(known, _)| known == place) {
            Some((_, turns)) => turns.push(ops),
            None => times.push((place.into(), vec![ops])),
        };
        for (place, page) in of_browser {
            add(place, pages.ask(&json!({ "page": page, "ops": workload(super::TOKENS) }))?);
        }
        for native in &mut *native {
            let ops = native.ask(&json!({ "ops": workload(super::TOKENS) }))?;
            add(&format!("native_{}", native.kind), ops);
        }
        bar.set(turn as u64 + 1, String::new());
    }
    let calls = pages.ask(&json!({ "page": "/bench.html", "op_calls": workload(FEW_TOKENS) }))?;
    let ops = times[0].1[0].as_array().map_or(0, Vec::len);
    Ok((0..ops).map(|op| joined(op, &times, &calls)).collect())
}

/// One operation: what is the same everywhere, and the median of its times in each place.
fn joined(op: usize, times: &[(String, Vec<Value>)], calls: &Value) -> Value {
    let mut report = times[0].1[0][op].clone();
    for (pass, name) in ["forward", "backward"].into_iter().enumerate() {
        if report[name].is_null() {
            continue;
        }
        let of_place = |(place, turns): &(String, Vec<Value>)| {
            let ms: Vec<f64> = turns.iter().filter_map(|turn| turn[op][name]["ms"].as_f64()).collect();
            (place.clone(), json!(median(&ms)))
        };
        report[name]["ms"] = times.iter().map(of_place).collect();
        report[name]["dispatches"] = calls[op][pass].clone();
    }
    report
}

/// SmolLM2-135M's sizes, rank 16 on all seven linears, batch 1.
fn workload(tokens: u64) -> Value {
    json!({
        "hidden": 576, "layers": 30, "heads": 9, "kv_heads": 3, "head_dim": 64, "ffn": 1536, "vocab": 49152,
        "rope_theta": 100000.0, "eps": 1e-5, "batch": 1, "seq": tokens,
        "lora": { "r": 16, "alpha": 32.0 },
        "adamw": { "lr": 2e-4, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.0 },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_has_the_median_of_each_place() {
        let turn = |ms: f64| json!([{ "name": "o", "forward": { "ms": ms, "flops": 8 }, "backward": null }]);
        let times = [
            ("browser_cpu".to_string(), vec![turn(3.0), turn(1.0), turn(2.0)]),
            ("native_cpu".to_string(), vec![turn(7.0), turn(7.5), turn(9.0)]),
        ];
        let report = joined(0, &times, &json!([[2, null]]));
        assert_eq!(report["forward"]["ms"], json!({ "browser_cpu": 2.0, "native_cpu": 7.5 }));
        assert_eq!((&report["forward"]["dispatches"], &report["forward"]["flops"]), (&json!(2), &json!(8)));
        assert!(report["backward"].is_null());
    }
}
