//! Tensor values, in every storage form.

use super::*;

#[test]
fn every_type_expands_as_gguf_expands_it() {
    let source = FileSource::open(fixture("quants.gguf")).unwrap();
    let gguf = Gguf::open(&source).unwrap();
    let expected = deserialize_f32("quants.safetensors", &bytes("quants.safetensors")).unwrap();
    assert_eq!(expected.len(), 11);
    for (name, shape, values) in expected {
        let tensor = gguf.tensors.iter().find(|tensor| tensor.name == name).unwrap();
        assert_eq!((tensor.dtype.name(), &tensor.shape), (name.as_str(), &shape));
        assert_eq!(read_f32(&source, tensor).unwrap(), values, "{name}");
    }
}

#[test]
fn one_model_in_every_form_has_the_same_values() {
    let expected = deserialize_f32("f32", &bytes("f32/model.safetensors")).unwrap();
    let forms: [(&[&str], SourceFormat, &str); 6] = [
        (&F32, SourceFormat::Safetensors, "F32 ×21"),
        (&F16, SourceFormat::Safetensors, "F16 ×21"),
        (&SHARDED, SourceFormat::Safetensors, "BF16 ×21"),
        (&["f32.gguf"], SourceFormat::Gguf, "F32 ×21"),
        (&["f16.gguf"], SourceFormat::Gguf, "F16 ×16, F32 ×5"),
        (&["bf16.gguf"], SourceFormat::Gguf, "BF16 ×16, F32 ×5"),
    ];
    for (names, format, stored_as) in forms {
        let model = open(names).unwrap();
        assert_eq!((model.format, model.stored_as().as_str()), (format, stored_as));
        assert_eq!(model.tensors.len(), expected.len());
        for (name, shape, values) in &expected {
            assert_eq!(&model.tensor(name).unwrap().shape, shape, "{name}");
            assert_eq!(&model.read_f32(name).unwrap(), values, "{name} in {names:?}");
        }
    }
}

#[test]
fn a_quantised_model_is_near() {
    let exact = open(&["f32.gguf"]).unwrap();
    let quantised = open(&["q8_0.gguf"]).unwrap();
    assert_eq!(quantised.stored_as(), "Q8_0 ×16, F32 ×5");
    assert_eq!(quantised.file_bytes(), bytes("q8_0.gguf").len() as u64);
    for tensor in &exact.tensors {
        let (a, b) = (exact.read_f32(&tensor.name).unwrap(), quantised.read_f32(&tensor.name).unwrap());
        let difference = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(difference < 2e-3, "{}: {difference}", tensor.name);
    }
}

#[test]
fn words_as_stored_have_the_values_that_reading_them_as_numbers_gives() {
    let device = Device::flex();
    let forms: [(&[&str], Form); 5] = [
        (&F16, Form::F16),
        (&SHARDED, Form::Bf16),
        (&["f16.gguf"], Form::F16),
        (&["bf16.gguf"], Form::Bf16),
        (&["q8_0.gguf"], Form::Q8),
    ];
    for (names, form) in forms {
        let model = open(names).unwrap();
        let matrices = model.tensors.iter().filter(|tensor| tensor.shape.len() == 2);
        assert_eq!(matrices.clone().count(), 16);
        for tensor in matrices {
            let (name, shape) = (&tensor.name, [tensor.shape[0], tensor.shape[1]]);
            let host = model.read_blocks(name).unwrap().unwrap();
            assert_eq!(host.form, form, "{name} in {names:?}");
            let values = Blocks::new(host, shape, &device).expand().to_data();
            assert_eq!(
                values.try_into_vec::<f32>().unwrap(),
                model.read_f32(name).unwrap(),
                "{name} in {names:?}"
            );
        }
    }
}

#[test]
fn a_model_that_stays_as_stored_has_the_logits_of_its_numbers() {
    let logits = |names: &[&str], base_dtype| {
        let mut session = Session::new(Device::flex(), Limits::default());
        let files = names.iter().map(|name| memory(name, bytes(name))).collect();
        session.open_model(files, "random", base_dtype, &|_, _| {}).unwrap();
        block_on(session.logits(&[1, 17, 250, 3, 99], false)).unwrap()
    };
    for names in [&F16[..], &SHARDED[..]] {
        let (stored, numbers) = (logits(names, BaseDtype::Stored), logits(names, BaseDtype::F32));
        assert_eq!(stored.len(), 5 * 281);
        let apart = stored.iter().zip(&numbers).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart < 1e-5, "{apart} in {names:?}");
    }
}

#[test]
fn queries_keys_and_values_in_one_tensor_are_three() {
    let (fused, apart) = (open(&["fused.gguf"]).unwrap(), open(&["q8_0.gguf"]).unwrap());
    assert_eq!(fused.stored_as(), apart.stored_as());
    for tensor in &apart.tensors {
        assert_eq!(fused.tensor(&tensor.name).unwrap().shape, tensor.shape, "{}", tensor.name);
        assert_eq!(fused.read_f32(&tensor.name).unwrap(), apart.read_f32(&tensor.name).unwrap());
    }
    checked(Ok(fused)).unwrap();
    // In a model with other heads it would be cut elsewhere.
    let mut other = bytes("fused.gguf");
    let name = b"llama.attention.head_count_kv";
    let at = other.windows(name.len()).position(|window| window == name).unwrap() + name.len() + 4;
    other[at] = 4;
    let said = sentence(Checkpoint::open(vec![memory("a.gguf", other)]));
    assert!(said.contains("blk.0.attn_qkv.weight") && said.contains("96 rows"), "{said}");
}
