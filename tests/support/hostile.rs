//! Files that claim more than they have, or have more than any model.

/// A GGUF header with these metadata entries and tensors, each already in bytes.
pub fn gguf(metadata: &[Vec<u8>], tensors: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = b"GGUF\x03\0\0\0".to_vec();
    bytes.extend((tensors.len() as u64).to_le_bytes());
    bytes.extend((metadata.len() as u64).to_le_bytes());
    metadata.iter().chain(tensors).for_each(|entry| bytes.extend(entry));
    bytes
}

/// A text as GGUF writes it.
pub fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

/// A metadata entry; `value` is in bytes.
pub fn entry(key: &str, kind: u32, value: &[u8]) -> Vec<u8> {
    [text(key), kind.to_le_bytes().into(), value.into()].concat()
}

/// A metadata entry that is a list.
pub fn list(key: &str, kind: u32, count: usize, elements: &[u8]) -> Vec<u8> {
    entry(key, 9, &[&kind.to_le_bytes(), &(count as u64).to_le_bytes()[..], elements].concat())
}

/// A tensor of so many F32 values, with the offset of its data.
pub fn tensor(name: &str, values: u64, offset: u64) -> Vec<u8> {
    let numbers =
        [1_u32.to_le_bytes().to_vec(), values.to_le_bytes().into(), vec![0; 4], offset.to_le_bytes().into()];
    [text(name), numbers.concat()].concat()
}

/// As many tensors as asked for, of one value each, and the bytes for them.
pub fn many_tensors_gguf(count: u64, name: impl Fn(u64) -> String) -> Vec<u8> {
    let tensors: Vec<Vec<u8>> = (0..count).map(|i| tensor(&name(i), 1, 32 * i)).collect();
    let mut bytes = gguf(&[], &tensors);
    bytes.resize(bytes.len() + 32 * count as usize + 32, 0);
    bytes
}

/// A safetensors file with this header and so many zeros behind it.
pub fn safetensors(header: &str, zeros: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + zeros, 0);
    bytes
}

/// As many tensors as asked for, of one value each.
pub fn many_tensors_safetensors(count: usize) -> Vec<u8> {
    let tensor = |i: usize| {
        format!("\"t{i}\":{{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[{},{}]}}", 4 * i, 4 * i + 4)
    };
    let tensors: Vec<String> = (0..count).map(tensor).collect();
    safetensors(&format!("{{{}}}", tensors.join(",")), 4 * count)
}
