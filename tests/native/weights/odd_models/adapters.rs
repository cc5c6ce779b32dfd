use super::*;

/// The files of an adapter folder with the keys of its config changed; of `null` a key is set to null.
fn adapter(folder: &str, change: &[(&str, Value)]) -> Vec<OutputFile> {
    let mut config: Value = serde_json::from_slice(&case(&format!("{folder}/adapter_config.json"))).unwrap();
    for (key, value) in change {
        config[*key] = value.clone();
    }
    let weights = case(&format!("{folder}/adapter_model.safetensors"));
    files(&config, weights)
}

fn files(config: &Value, weights: Vec<u8>) -> Vec<OutputFile> {
    [("adapter_config.json", config.to_string().into_bytes()), ("adapter_model.safetensors", weights)]
        .map(|(name, bytes)| OutputFile { name: name.into(), bytes })
        .to_vec()
}

fn with_tensors(folder: &str, change: impl Fn(&mut Vec<NamedTensor>)) -> Vec<OutputFile> {
    let weights = case(&format!("{folder}/adapter_model.safetensors"));
    let mut tensors = deserialize_f32("adapter", &weights).unwrap();
    change(&mut tensors);
    let config: Value = serde_json::from_slice(&case(&format!("{folder}/adapter_config.json"))).unwrap();
    files(&config, serialize(&tensors, &[]).unwrap())
}

fn loss_with(files: &[OutputFile]) -> f64 {
    let mut session = session();
    session.load_adapter(files).unwrap();
    loss(&mut session, true)
}

fn refused(files: &[OutputFile]) -> String {
    refusal(session().load_adapter(files))
}

const ALL: [&str; 7] = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];
const REGEX: f64 = 7.944790;
const LAST: f64 = 7.862126;

#[test]
fn target_modules_by_a_regular_expression() {
    close(loss_with(&adapter("regex_targets", &[])), REGEX);
    for same in
        [json!("all-linear"), json!(ALL), json!(".*_proj"), json!("model.layers.[01].(self_attn|mlp).+")]
    {
        close(loss_with(&adapter("regex_targets", &[("target_modules", same)])), REGEX);
    }
    // A whole path must match, as with Python's fullmatch.
    let sentence = refused(&adapter("regex_targets", &[("target_modules", json!("q_proj"))]));
    says(&sentence, &["target_modules", "q_proj", "no linear layer"]);
    let sentence = refused(&adapter("regex_targets", &[("target_modules", json!("(?=q)q_proj"))]));
    says(&sentence, &["target_modules", "regular expression"]);
    // Tensors of layers that are not named are not left out in silence.
    let sentence = refused(&adapter("regex_targets", &[("target_modules", json!(".*(q|k)_proj"))]));
    says(&sentence, &["has no place"]);
    let sentence = refused(&adapter("regex_targets", &[("exclude_modules", json!(["v_proj"]))]));
    says(&sentence, &["v_proj", "has no place"]);
}

#[test]
fn layers_to_transform() {
    close(loss_with(&adapter("last_layers", &[])), LAST);
    let paths = |layer: usize| {
        let linears = ALL.map(|name| {
            let part = if ALL[..4].contains(&name) { "self_attn" } else { "mlp" };
            format!("model.layers.{layer}.{part}.{name}")
        });
        json!(linears)
    };
    let same: [&[(&str, Value)]; 6] = [
        &[("layers_to_transform", json!(1))],
        &[("layers_pattern", json!("layers"))],
        &[("layers_pattern", json!(["h", "layers"]))],
        &[("layers_to_transform", json!(null)), ("target_modules", paths(1))],
        &[("layers_to_transform", json!(null)), ("target_modules", json!(".*layers.1.*proj"))],
        &[("layers_to_transform", json!([])), ("exclude_modules", json!(r".*\.0\..*"))],
    ];
    for change in same {
        close(loss_with(&adapter("last_layers", change)), LAST);
    }
    let sentence = refused(&adapter("last_layers", &[("layers_to_transform", json!([0, 1]))]));
    says(&sentence, &["layers.0.self_attn.q_proj.lora_A.weight", "missing", "layers_to_transform"]);
    says(&refused(&adapter("last_layers", &[("layers_to_transform", json!([7]))])), &["layers_to_transform"]);
    says(
        &refused(&adapter("last_layers", &[("layers_to_transform", json!("last"))])),
        &["layers_to_transform"],
    );
    says(&refused(&adapter("last_layers", &[("layers_pattern", json!("blocks"))])), &["no linear layer"]);
}

#[test]
fn a_partial_adapter_is_saved_as_it_was() {
    for (folder, expected) in [("last_layers", LAST), ("regex_targets", REGEX)] {
        let mut session = session();
        session.load_adapter(&adapter(folder, &[])).unwrap();
        let saved = block_on(session.adapter_files()).unwrap();
        let config: Value = serde_json::from_slice(&saved[0].bytes).unwrap();
        let names = config["target_modules"].as_array().unwrap();
        assert!(
            names.iter().all(|name| name.as_str().unwrap().contains("layers.1."))
                == (folder == "last_layers")
        );
        close(loss_with(&saved), expected);
    }
}

/// The rank of one module, doubled by zeros, and the alpha that keeps its scale: the same adapter.
#[test]
fn ranks_and_alphas_by_pattern() {
    let widened = with_tensors("regex_targets", |tensors| {
        for (name, shape, values) in
            tensors.iter_mut().filter(|(name, ..)| name.contains("1.self_attn.k_proj"))
        {
            match name.contains("lora_A") {
                true => values.extend(vec![0.0; shape[0] * shape[1]]),
                false => {
                    let rows = values.chunks(shape[1]).map(|row| [row, &vec![0.0; shape[1]][..]].concat());
                    *values = rows.collect::<Vec<_>>().concat();
                }
            }
            let rank = if name.contains("lora_A") { 0 } else { 1 };
            shape[rank] *= 2;
        }
    });
    let of = |change: &[(&str, Value)]| {
        let mut config: Value = serde_json::from_slice(&widened[0].bytes).unwrap();
        for (key, value) in change {
            config[*key] = value.clone();
        }
        files(&config, widened[1].bytes.clone())
    };
    let both = [
        ("rank_pattern", json!({ r"layers\.1\.self_attn\.k_proj": 8 })),
        ("alpha_pattern", json!({ "1.self_attn.k_proj": 16 })),
    ];
    close(loss_with(&of(&both)), REGEX);
    let half = loss_with(&of(&both[..1]));
    assert!((half - REGEX).abs() > 1e-4, "half the scale on one module is another adapter, {half}");
    // Without the pattern the ranks are not the tensors'.
    says(&refused(&of(&[])), &["r is 4", "k_proj.lora_A.weight", "[8, 32]"]);
    // And it is saved as it is.
    let mut session = session();
    session.load_adapter(&of(&both)).unwrap();
    let saved = block_on(session.adapter_files()).unwrap();
    let config: Value = serde_json::from_slice(&saved[0].bytes).unwrap();
    assert_eq!(config["rank_pattern"], json!({ "model.layers.1.self_attn.k_proj": 8 }));
    assert_eq!(config["alpha_pattern"], json!({ "model.layers.1.self_attn.k_proj": 16 }));
    close(loss_with(&saved), REGEX);
}

#[test]
fn settings_that_change_the_result_are_refused_by_name() {
    let refusals = [
        ("init_lora_weights", json!("pissa")),
        ("init_lora_weights", json!("pissa_niter_16")),
        ("init_lora_weights", json!("olora")),
        ("init_lora_weights", json!("loftq")),
        ("init_lora_weights", json!("corda")),
        ("init_lora_weights", json!("lora_ga")),
        ("peft_type", json!("ADALORA")),
        ("peft_type", json!(null)),
        ("fan_in_fan_out", json!(true)),
        ("lora_bias", json!(true)),
        ("bias", json!("some")),
        ("use_dora", json!("yes")),
        ("use_rslora", json!(1)),
        ("use_qalora", json!(true)),
        ("layer_replication", json!([[0, 2], [0, 2]])),
        ("trainable_token_indices", json!([1, 2])),
        ("target_parameters", json!(["mlp.experts.gate_up_proj"])),
        ("megatron_config", json!({ "tensor_model_parallel_size": 2 })),
        ("a_setting_of_tomorrow", json!(0.5)),
        ("task_type", json!("SEQ_CLS")),
        ("target_modules", json!(null)),
        ("target_modules", json!(["c_attn"])),
        ("target_modules", json!([3])),
        ("lora_alpha", json!(null)),
        ("lora_alpha", json!("16")),
        ("lora_alpha", json!(0)),
        ("rank_pattern", json!(8)),
        ("rank_pattern", json!({ "q_proj": -1 })),
        ("rank_pattern", json!({ "q_proj": 8 })),
        ("alpha_pattern", json!({ "(": 8 })),
    ];
    for (key, value) in refusals {
        let sentence = refused(&adapter("regex_targets", &[(key, value.clone())]));
        let named = if key == "target_modules" && value == json!(["c_attn"]) { "c_attn" } else { key };
        says(&sentence, &["adapter_config.json", named]);
        assert!(!sentence.contains('\n'), "{sentence}");
    }
    for (key, value) in [
        ("init_lora_weights", json!("gaussian")),
        ("init_lora_weights", json!("eva")),
        ("init_lora_weights", json!(false)),
        ("bias", json!("all")),
        ("modules_to_save", json!(["classifier", "score"])),
        ("an_empty_setting", json!({})),
    ] {
        close(loss_with(&adapter("regex_targets", &[(key, value)])), REGEX);
    }
    let saved = with_tensors("regex_targets", |tensors| {
        tensors.push(("base_model.model.model.norm.weight".into(), vec![32], vec![1.0; 32]));
    });
    let mut config: Value = serde_json::from_slice(&saved[0].bytes).unwrap();
    config["modules_to_save"] = json!(["norm"]);
    says(&refused(&files(&config, saved[1].bytes.clone())), &["modules_to_save", "\"norm\""]);
    says(&refused(&saved), &["model.norm.weight", "has no place"]);
}

/// PEFT's defaults are 8 and 8.
#[test]
fn what_the_file_does_not_say_is_what_peft_takes() {
    let mut config: Value = serde_json::from_slice(&case("regex_targets/adapter_config.json")).unwrap();
    let weights = case("regex_targets/adapter_model.safetensors");
    assert_eq!(config["lora_alpha"], 8);
    config.as_object_mut().unwrap().remove("lora_alpha");
    close(loss_with(&files(&config, weights.clone())), REGEX);
    config.as_object_mut().unwrap().remove("r");
    says(&refused(&files(&config, weights)), &["r is 8", "[4, 32]"]);
}

#[test]
fn ranks_are_those_of_the_tensors() {
    for rank in [json!(1_000_000_000), json!(4_294_967_296_u64), json!(u64::MAX), json!(2)] {
        for rslora in [false, true] {
            let files = adapter("last_layers", &[("r", rank.clone()), ("use_rslora", json!(rslora))]);
            says(&refused(&files), &[&format!("r is {rank}"), "lora_A.weight", "[4, 32]"]);
        }
    }
    for rank in [json!(0), json!(-1), json!(1e30), json!(4.5), json!("4"), json!(null)] {
        says(&refused(&adapter("last_layers", &[("r", rank)])), &["\"r\" must be a whole number above 0"]);
    }
}

#[test]
fn a_larger_vocabulary_is_named_with_both_sizes() {
    let resized = |module: &str, rows: usize| {
        let name = format!("base_model.model.{module}.weight");
        with_tensors("regex_targets", move |tensors| {
            tensors.push((name.clone(), vec![rows, 32], vec![0.1; rows * 32]));
        })
    };
    for module in ["lm_head", "model.embed_tokens"] {
        let sentence = refused(&resized(module, 1026));
        says(&sentence, &["adapter_model.safetensors", module, "1026", "1024", "2 more tokens", "merge"]);
        says(&refused(&resized(module, 1000)), &["1000", "1024", "24 fewer tokens"]);
    }
    // Where they have the base's size they are the base's of the time, and are used.
    let both = with_tensors("regex_targets", |tensors| {
        let (_, shape, values) =
            model_tensors().into_iter().find(|(name, ..)| name.ends_with("embed_tokens.weight")).unwrap();
        let doubled: Vec<f32> = values.iter().map(|value| value * 2.0).collect();
        tensors.push(("base_model.model.model.embed_tokens.weight".into(), shape.clone(), values));
        tensors.push(("base_model.model.lm_head.weight".into(), shape, doubled));
    });
    let used = loss_with(&both);
    assert!((used - REGEX).abs() > 1e-2, "{used}");
    says(&refused(&resized("lm_head", 1024)), &["lm_head", "modules_to_save"]);
}

#[test]
fn a_value_that_is_not_finite_is_refused() {
    let damaged = with_tensors("regex_targets", |tensors| tensors[3].2[5] = f32::NAN);
    says(&refused(&damaged), &["adapter_model.safetensors", "lora", "not finite"]);
}

#[test]
fn what_wrappers_put_before_names_is_taken_off_an_adapter_too() {
    let wrapped = with_tensors("regex_targets", |tensors| {
        for (name, ..) in tensors {
            *name = name.replace("base_model.model.", "base_model.model._orig_mod.");
        }
    });
    close(loss_with(&wrapped), REGEX);
}
