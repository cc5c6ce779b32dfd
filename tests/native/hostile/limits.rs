//! Sizes, counts and offsets are checked before anything is made of them; what is there twice or lies on another is refused.

use super::*;
use loralet::export::{OutputFile, unzip, zip};
use loralet::weights::MemorySource;
use loralet::weights::gguf::Gguf;
use loralet::weights::safetensors::read_header;

fn of_gguf(bytes: Vec<u8>) -> String {
    match Gguf::open(&MemorySource::new("m.gguf", bytes)) {
        Ok(_) => panic!("the file was opened"),
        Err(error) => error.to_string(),
    }
}

fn of_safetensors(bytes: Vec<u8>) -> String {
    match read_header(&MemorySource::new("m.safetensors", bytes)) {
        Ok(_) => panic!("the file was opened"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_gguf_has_room_for_what_it_claims() {
    let mut bytes = hostile::gguf(&[], &[hostile::tensor("a", 1, 0)]);
    bytes.resize(bytes.len() + 64, 0);
    Gguf::open(&MemorySource::new("m.gguf", bytes.clone())).unwrap();
    bytes[8..16].copy_from_slice(&900_000_u64.to_le_bytes());
    assert!(of_gguf(bytes).contains("no room for the 900000 tensors"));
    let list = hostile::list("l", 10, 4_000_000, &[0; 64]);
    assert!(of_gguf(hostile::gguf(&[list], &[])).contains("no room for the 4000000 list elements"));
}

#[test]
fn nothing_in_a_gguf_is_there_twice_or_lies_on_another() {
    let whole = |metadata: &[Vec<u8>], tensors: &[Vec<u8>]| {
        let mut bytes = hostile::gguf(metadata, tensors);
        bytes.resize(bytes.len() + 512, 0);
        bytes
    };
    let key = hostile::entry("k", 7, &[1]);
    assert_eq!(
        of_gguf(whole(&[key.clone(), key], &[])),
        "m.gguf: has the metadata \"k\" twice, so that it cannot be told which is meant; download it again"
    );
    let [a, b] = ["a", "b"].map(|name| hostile::tensor(name, 4, 0));
    assert_eq!(
        of_gguf(whole(&[], &[a.clone(), a.clone()])),
        "m.gguf: has the tensor \"a\" twice; download it again"
    );
    let said = of_gguf(whole(&[], &[a, b]));
    assert!(said.contains("lies on the bytes of tensor"), "{said}");
    // One layer under two names.
    let doubled = ["blk.0.attn_norm.weight", "blk.00.attn_norm.weight"];
    let tensors: Vec<Vec<u8>> =
        doubled.iter().zip([0, 32]).map(|(name, offset)| hostile::tensor(name, 4, offset)).collect();
    readers::gguf(&whole(&[], &tensors));
    // A layer's number is no reason to count that far.
    readers::gguf(&whole(&[], &[hostile::tensor(&format!("blk.{}.attn_norm.weight", u64::MAX), 4, 0)]));
}

#[test]
fn nothing_in_a_safetensors_file_is_there_twice_or_lies_on_another() {
    let tensor = |name: &str, from: u64, to: u64| {
        format!("\"{name}\":{{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[{from},{to}]}}")
    };
    let header = |tensors: &[String]| format!("{{{}}}", tensors.join(","));
    let read = |tensors: &[String]| of_safetensors(hostile::safetensors(&header(tensors), 64));
    let said = read(&[tensor("a", 0, 8), tensor("a", 8, 16)]);
    assert!(said.starts_with("m.safetensors: tensor \"a\" is there twice"), "{said}");
    for others in [[tensor("a", 0, 8), tensor("b", 4, 12)], [tensor("a", 0, 8), tensor("b", 12, 20)]] {
        let said = read(&others);
        assert!(
            said.contains("tensor \"b\" begins at byte") && said.contains("overlap or leave a gap"),
            "{said}"
        );
    }
    let said = read(&[tensor("a", 0, 12)]);
    assert!(said.contains("takes 12 bytes, which its shape [2] of F32 does not fill"), "{said}");
    let said = read(&[tensor("a", u64::MAX - 8, u64::MAX)]);
    assert!(said.contains("damaged"), "{said}");
    let deep =
        format!("{{\"a\":{{\"dtype\":\"F32\",\"shape\":[{}1],\"data_offsets\":[0,4]}}}}", "1,".repeat(100));
    assert!(of_safetensors(hostile::safetensors(&deep, 4)).contains("at most 8 dimensions"));
    let twice = "{\"__metadata__\":{},\"__metadata__\":{}}";
    assert!(of_safetensors(hostile::safetensors(twice, 0)).contains("__metadata__ is there twice"));
}

#[test]
fn files_in_a_zip_share_no_bytes() {
    let file = |name: &str| OutputFile { name: name.into(), bytes: vec![7; 1000] };
    let whole = zip(&[file("a"), file("b")]).unwrap();
    assert_eq!(unzip("a.zip", &whole).unwrap().len(), 2);
    // Both entries of the directory name the first file's bytes.
    let mut overlapping = whole.clone();
    let directory: Vec<usize> = overlapping
        .windows(4)
        .enumerate()
        .filter(|(_, bytes)| bytes == b"PK\x01\x02")
        .map(|(at, _)| at)
        .collect();
    overlapping[directory[1] + 42..directory[1] + 46].fill(0);
    let said = unzip("a.zip", &overlapping).unwrap_err().to_string();
    assert!(said.starts_with("adapter a.zip: cannot be unpacked ("), "{said}");
    assert!(said.contains("overlap"), "{said}");
}

#[test]
fn an_adapter_has_few_patterns() {
    let config = |patterns: &str| {
        let json = format!(
            r#"{{"peft_type": "LORA", "r": 4, "target_modules": ["q_proj"], "rank_pattern": {{{patterns}}}}}"#
        );
        let weights = fixture("cases/last_layers/adapter_model.safetensors");
        [json.as_bytes(), readers::BETWEEN, &weights].concat()
    };
    let regular: Vec<String> = (0..20_000).map(|i| format!(r#""(\\w{{50}}){{9}}{i}$": 4"#)).collect();
    in_time("regular expressions", || readers::adapter(&config(&regular.join(","))));
    let plain: Vec<String> = (0..100_000).map(|i| format!(r#""layers.{i}.q_proj": 4"#)).collect();
    in_time("paths", || readers::adapter(&config(&plain.join(","))));
}
