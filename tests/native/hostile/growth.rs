//! Nothing takes time that grows with the square of what a file declares: at these sizes that would be minutes.

use super::*;
use loralet::data::{DataFile, Dataset, curate, read_dataset};
use loralet::recipe::Fix;
use loralet::weights::gguf::Gguf;
use loralet::weights::safetensors::read_header;
use loralet::weights::{Checkpoint, MemorySource};

fn rows(name: &str, text: String) -> Dataset {
    in_time(name, || read_dataset(DataFile { name, bytes: text.as_bytes() }, None).unwrap())
}

#[test]
fn tensors_of_a_gguf() {
    let bytes = hostile::many_tensors_gguf(300_000, |i| format!("blk.{i}.attn_norm.weight"));
    let source = MemorySource::new("m.gguf", bytes.clone());
    assert_eq!(in_time("the header", || Gguf::open(&source)).unwrap().tensors.len(), 300_000);
    in_time("the model", || readers::gguf(&bytes));
}

#[test]
fn tensors_of_a_safetensors_file() {
    let source = MemorySource::new("m.safetensors", hostile::many_tensors_safetensors(300_000));
    assert_eq!(in_time("the header", || read_header(&source)).unwrap().len(), 300_000);
    let folder = || -> Vec<Box<dyn loralet::weights::ByteSource>> {
        vec![
            Box::new(MemorySource::new("config.json", br#"{"model_type": "bert"}"#.to_vec())),
            Box::new(MemorySource::new("tokenizer.json", fixture("cases/model/tokenizer.json"))),
            Box::new(MemorySource::new("model.safetensors", hostile::many_tensors_safetensors(300_000))),
        ]
    };
    in_time("the folder", || Checkpoint::open(folder()).unwrap());
}

#[test]
fn pieces_of_a_sentence_piece_vocabulary() {
    // Every beginning of a long word, so that each can be put together from others in many ways.
    let words: Vec<Vec<u8>> = (1..=3000).map(|length| hostile::text(&"a".repeat(length))).collect();
    let scores = [0_u8; 4].repeat(words.len());
    let metadata = [
        hostile::entry("general.architecture", 8, &hostile::text("llama")),
        hostile::entry("tokenizer.ggml.model", 8, &hostile::text("llama")),
        hostile::list("tokenizer.ggml.tokens", 8, words.len(), &words.concat()),
        hostile::list("tokenizer.ggml.scores", 6, words.len(), &scores),
    ];
    let gguf = Gguf::open(&MemorySource::new("m.gguf", hostile::gguf(&metadata, &[]))).unwrap();
    let said =
        in_time("the tokenizer", || loralet::weights::gguf_tokenizer::tokenizer_files(&gguf)).unwrap_err();
    assert!(said.to_string().contains("token 512 is 513 bytes long"), "{said}");
}

#[test]
fn personal_data_in_one_cell() {
    for cell in ["me@example.com ", "me@", "a.b.", "-----BEGIN PRIVATE KEY-----\\n", "+491701234567 ", "4 "] {
        let line = format!("{{\"text\": \"{}\"}}\n", cell.repeat(4_000_000 / cell.len()));
        let dataset = rows("d.jsonl", line);
        in_time(cell, || curate::apply(dataset, &[Fix::Redact], None)).unwrap();
    }
}

#[test]
fn columns_of_a_table() {
    let names: Vec<String> = (0..300_000).map(|i| format!("c{i}")).collect();
    let table = format!("prompt,completion,{0}\n1,2{1}\n", names.join(","), ",".repeat(names.len()));
    assert_eq!(rows("d.csv", table).columns.len(), 300_002);
    // Each row has a column of its own.
    let lines: String = (0..200_000).map(|i| format!("{{\"text\": \"a\", \"c{i}\": 1}}\n")).collect();
    assert_eq!(rows("d.jsonl", lines).columns.len(), 200_001);
    let lines: String = (0..100_000)
        .map(|i| format!("{{\"messages\": [{{\"role\": \"user\", \"content\": \"a\", \"f{i}\": 1}}]}}\n"))
        .collect();
    rows("d.jsonl", lines);
    // A name is held with each row.
    let table = format!("{}\n{}", "n".repeat(1 << 20), "a\n".repeat(1 << 19));
    let said =
        in_time("a long name", || read_dataset(DataFile { name: "d.csv", bytes: table.as_bytes() }, None));
    assert!(said.unwrap_err().to_string().contains("has a name of 1048576 bytes for column 1"));
}

#[test]
fn marks_of_a_file() {
    rows("d.jsonl", "\u{feff}{\"text\": \"a\"}\n".repeat(200_000));
    rows("d.jsonl", "\u{feff}\n".repeat(500_000) + "{\"text\": \"a\"}\n");
    let header = format!("prompt,{}", "c".repeat(900));
    rows("d.csv", format!("{header}\n{}q,\"a\n", "a,b\n".repeat(300_000)));
}

#[test]
fn rows_that_are_half_alike() {
    let lines: String = (0..8_000)
        .map(|i| {
            let own: Vec<String> =
                (0..12).map(|word| format!("w{}", (i * 7919 + word * 104_729) % 1_000_003)).collect();
            let shared =
                "Read the text and say in one word whether its author was pleased with the product or not";
            format!("{{\"text\": \"{shared} {}\"}}\n", own.join(" "))
        })
        .collect();
    let dataset = rows("d.jsonl", lines);
    let (_, changes) =
        in_time("the rows", || curate::apply(dataset, &[Fix::DropNearDuplicates], None)).unwrap();
    assert!(changes[0].sentence.contains("only the first"), "{}", changes[0].sentence);
}

#[test]
fn broken_and_nested_json() {
    for text in [
        "[".repeat(1 << 20),
        "{\"a\":".repeat(1 << 20),
        "{\"a\": 1},".repeat(200_000),
        format!("{{\"messages\": \"{}\"}}\n", "[{'role': ".repeat(100_000)),
        format!("{{\"messages\": \"[{{'role': 'user', 'content': {}\"}}\n", "array([".repeat(100_000)),
        "\"a\":\n".repeat(200_000),
        "NaN,".repeat(300_000),
    ] {
        for name in ["d.json", "d.jsonl", "d.csv", "d.txt"] {
            let file = [name.as_bytes(), b"\n", text.as_bytes()].concat();
            in_time(&text[..20], || readers::data(&file));
        }
    }
}
