//! An adapter at other strengths than it was trained at.

use super::*;
use loralet::session::PredictRequest;

fn values(trainable: &Trainable) -> Vec<f32> {
    block_on(read(trainable.values.clone())).unwrap()
}

fn merged(trainable: &Trainable, base: &Model) -> Vec<(String, Vec<f32>)> {
    let weights = merged_weights(&trainable.tuned(base));
    weights.into_iter().map(|weight| (weight.name.clone(), block_on(weight.read()).unwrap())).collect()
}

/// PEFT's own way to scale an adapter is its `lora_alpha`.
#[test]
fn a_strength_is_a_factor_on_alpha() {
    let base = model("llama/random_llama");
    for folder in ["llama/random_lora", "llama/random_rslora"] {
        let trained = peft::load(&adapter(folder), &base).unwrap();
        assert_eq!(values(&trained.at_strength(&base, 1.0)), values(&trained));
        for strength in [0.0, 0.5, 2.0] {
            let mut scaled = adapter(folder);
            let config = scaled.iter_mut().find(|file| file.name == "adapter_config.json").unwrap();
            let mut json: Value = serde_json::from_slice(&config.bytes).unwrap();
            // An alpha of 0 is refused; so near to it nothing is left in f32.
            json["lora_alpha"] = json!(json["lora_alpha"].as_f64().unwrap() * f64::max(strength, 1e-30));
            config.bytes = json.to_string().into_bytes();
            let scaled = merged(&peft::load(&scaled, &base).unwrap(), &base);
            for ((name, ours), (_, theirs)) in
                merged(&trained.at_strength(&base, strength), &base).iter().zip(&scaled)
            {
                close(&format!("{folder}, {strength}: {name}"), ours, theirs, 1e-6);
            }
        }
    }
}

/// DoRA has sizes of its own for the rows of a weight, which an adapter that is switched off must not leave behind.
#[test]
fn without_strength_the_base_is_left() {
    let base = model("llama/random_llama");
    let dora = peft::load(&adapter("lora_variants/dora"), &base).unwrap();
    let plain = merged_weights(&base);
    let plain: Vec<Vec<f32>> = plain.iter().map(|weight| block_on(weight.read()).unwrap()).collect();
    for ((name, ours), plain) in merged(&dora.at_strength(&base, 0.0), &base).iter().zip(&plain) {
        close(name, ours, plain, 1e-6);
    }
    let (whole, half) = (values(&dora), values(&dora.at_strength(&base, 0.5)));
    let none = values(&dora.at_strength(&base, 0.0));
    for parameter in dora.parameters.iter().filter(|parameter| !parameter.name.ends_with(".lora_A.weight")) {
        for i in parameter.offset..parameter.offset + parameter.len() {
            assert!((half[i] - (whole[i] + none[i]) / 2.0).abs() < 1e-6, "{}", parameter.name);
        }
    }
}

#[test]
fn what_is_asked_and_what_is_written_have_the_strength() {
    let session = session(&files("qwen2/model"), Some(&adapter("qwen2/adapter")));
    let predict = |adapter: bool, strength: f64| {
        let request =
            PredictRequest { prompt: Some("Hello".into()), adapter, strength, ..PredictRequest::default() };
        block_on(session.predict(&request)).map(|predictions| predictions.next)
    };
    for (ours, base) in predict(true, 0.0).unwrap().iter().zip(&predict(false, 1.0).unwrap()) {
        assert_eq!(ours.token, base.token);
        assert!((ours.probability - base.probability).abs() < 1e-6, "{ours:?} {base:?}");
    }
    assert_ne!(predict(true, 2.0).unwrap(), predict(true, 1.0).unwrap());
    for strength in [-0.1, 2.5, f64::NAN] {
        let said = predict(true, strength).unwrap_err().to_string();
        assert!(said.contains("strength") && said.contains("from 0"), "{said}");
    }

    let written = |format: ExportFormat, strength: f64| {
        let request = ExportRequest { format, dtype: Some(ExportDtype::F32), strength };
        let mut sink = Files::default();
        block_on(session.export(&request, &mut sink)).unwrap();
        sink.0
    };
    let again = |files: Vec<(String, Vec<u8>)>| {
        let files: Vec<OutputFile> =
            files.into_iter().map(|(name, bytes)| OutputFile { name, bytes }).collect();
        let gguf = files.iter().filter(|file| file.name.ends_with(".gguf")).cloned().collect::<Vec<_>>();
        let own = if gguf.is_empty() { files } else { gguf };
        logits_of(&super::session(&super::files("qwen2/model"), Some(&own)), true)
    };
    let request = GenerateRequest {
        prompt: Some("Hello".into()),
        max_new_tokens: 8,
        strength: 0.5,
        ..GenerateRequest::default()
    };
    let answer = block_on(session.generate(&request, async |_| Ok(true))).unwrap().text;
    let half = again(written(ExportFormat::Peft, 0.5));
    for format in [ExportFormat::GgufLora, ExportFormat::Mlx] {
        close(format.name(), &again(written(format, 0.5)), &half, 1e-5);
    }
    let mut merged = written(ExportFormat::Merged, 0.5);
    merged.retain(|(name, _)| name != "Modelfile");
    let merged = super::session(&merged, None);
    close("merged", &logits_of(&merged, false), &half, 1e-4);
    let request = GenerateRequest { adapter: false, strength: 1.0, ..request };
    assert_eq!(block_on(merged.generate(&request, async |_| Ok(true))).unwrap().text, answer);
}
