//! Adapters from one format to another and back, and those that mlx-lm wrote.

use super::*;
use loralet::export::mlx;

/// An adapter's weights in PEFT's layout, and the settings that say what they compute.
fn as_peft(trainable: &Trainable) -> (Vec<u8>, Value) {
    let files = block_on(peft::save(trainable, "base")).unwrap();
    let config: Value = serde_json::from_slice(&files[0].bytes).unwrap();
    let settings = ["r", "lora_alpha", "target_modules", "use_rslora", "rank_pattern", "alpha_pattern"];
    (files[1].bytes.clone(), settings.iter().map(|key| config[*key].clone()).collect())
}

/// A reader or writer that turns a matrix, permutes rows or rounds a scale where the other does not would be found here.
#[test]
fn a_peft_adapter_comes_back_to_the_last_bit() {
    for (base, folder) in [("llama/random_llama", "llama/random_lora"), ("qwen2/model", "qwen2/adapter")] {
        let base = model(base);
        let before = peft::load(&adapter(folder), &base).unwrap();
        let through_gguf =
            gguf_lora::load(&source(gguf_adapter(&before, &base, ExportDtype::F32)), &base).unwrap();
        assert_eq!(as_peft(&through_gguf), as_peft(&before), "{folder} through GGUF");
        let through_mlx = mlx::load(&block_on(mlx::save(&before, &base)).unwrap(), &base).unwrap();
        assert_eq!(as_peft(&through_mlx), as_peft(&before), "{folder} through MLX");
    }
}

#[test]
fn an_adapter_of_mlx_lm_computes_what_it_does_there() {
    let base = model("cases/model");
    let tuned = mlx::load(&adapter("mlx/adapter"), &base).unwrap();
    assert_eq!(tuned.targets.len(), 3);
    assert_eq!((tuned.targets[0].rank, tuned.targets[0].alpha), (4, 6.0));
    let expected = bytes("mlx/expected.safetensors");
    let expected = ::safetensors::SafeTensors::deserialize(&expected).unwrap();
    let words = |name: &str| expected.tensor(name).unwrap().data().as_chunks().0.to_vec();
    let input_ids: Vec<u32> = words("input_ids").into_iter().map(u32::from_le_bytes).collect();
    let theirs: Vec<f32> = words("logits").into_iter().map(f32::from_le_bytes).collect();
    let seq = input_ids.len();
    let positions: Vec<u32> = (0..seq as u32).collect();
    let input =
        Input { input_ids: &input_ids, position_ids: &positions, document_ids: &vec![1; seq], batch: 1, seq };
    close("mlx-lm", &block_on(logits(&tuned.tuned(&base), &input)), &theirs, 1e-4);
    let untuned = block_on(logits(&base, &input));
    assert!(untuned.iter().zip(&theirs).any(|(a, b)| (a - b).abs() > 0.1));

    // A session takes the folder's files for what they are.
    let of_session = session(&files("cases/model"), Some(&adapter("mlx/adapter")));
    let ours = block_on(of_session.logits(&input_ids, true)).unwrap();
    close("mlx-lm, in a session", &ours, &theirs, 1e-4);
}

#[test]
fn what_is_wrong_with_an_mlx_adapter_is_named() {
    let base = model("cases/model");
    let fails = |files: &[OutputFile]| mlx::load(files, &base).err().unwrap().to_string();
    let with_config = |config: Value| {
        let mut files = adapter("mlx/adapter");
        let file = files.iter_mut().find(|file| file.name == "adapter_config.json").unwrap();
        file.bytes = config.to_string().into_bytes();
        fails(&files)
    };
    let said = with_config(json!({ "fine_tune_type": "dora", "lora_parameters": { "scale": 1.0 } }));
    assert!(said.contains("fine_tune_type is \"dora\"") && said.contains("mlx_lm.fuse"), "{said}");
    let said = with_config(json!({ "lora_parameters": { "rank": 4 } }));
    assert!(said.contains("lora_parameters.scale is null"), "{said}");

    let with_tensor = |from: &str, to: &str| {
        let mut files = adapter("mlx/adapter");
        let file = files.iter_mut().find(|file| file.name == "adapters.safetensors").unwrap();
        let mut tensors = deserialize_f32("adapters.safetensors", &file.bytes).unwrap();
        tensors.iter_mut().filter(|(name, ..)| name == from).for_each(|tensor| tensor.0 = to.into());
        file.bytes = loralet::weights::safetensors::serialize(&tensors, &[]).unwrap();
        fails(&files)
    };
    let lora_b = "model.layers.1.mlp.down_proj.lora_b";
    let said = with_tensor(lora_b, "model.layers.1.mlp.down_proj.m");
    assert!(said.contains(&format!("tensor \"{lora_b}\" is missing")), "{said}");
    let said = with_tensor("model.layers.1.self_attn.q_proj.lora_a", "model.layers.1.mlp.up_proj.lora_a");
    assert!(
        said.contains("q_proj.lora_a\" is missing") || said.contains("up_proj.lora_b\" is missing"),
        "{said}"
    );
    let mut files = adapter("mlx/adapter");
    files.retain(|file| file.name != "adapter_config.json");
    assert!(fails(&files).contains("adapter_config.json is missing"), "{}", fails(&files));
}
