//! Prompts and answers through the cache of keys and values, against whole sequences.

use super::*;
use loralet::generate::read_prompt;
use loralet::models::Decoder;

/// Logits of tokens that came in pieces of these lengths are those of the whole sequences, over several rooms of the cache, of two
/// sequences that change places in between.
pub async fn cached_logits(device: &Device, tolerance: f32) {
    let model = random_llama(fixture!("random_llama/config.json"), false, device);
    let (seq, batch) = (110, 2);
    let id = |row: usize, i: usize| ((i * 37 + row * 101 + i * i * 5) % 256) as u32;
    let rows: Vec<Vec<u32>> = (0..batch).map(|row| (0..seq).map(|i| id(row, i)).collect()).collect();
    let whole = {
        let positions: Vec<u32> = (0..batch).flat_map(|_| 0..seq as u32).collect();
        let documents = vec![1; batch * seq];
        let input_ids = rows.concat();
        let input =
            Input { input_ids: &input_ids, position_ids: &positions, document_ids: &documents, batch, seq };
        let logits = logits(&model, &input).await;
        logits.chunks(logits.len() / batch).map(<[f32]>::to_vec).collect::<Vec<_>>()
    };
    let decoder = model.decoder().unwrap();
    let vocab = whole[0].len() / seq;
    // Rooms are of 32: pieces that fill one, that leave one place, and that reach into the next but one; then token by token.
    for (pieces, expected) in [([32, 1, 30], 0), ([33, 31, 1], 0), ([1, 2, 70], 0), ([31, 33, 1], seq)] {
        let mut caches = decoder.new_caches(expected);
        let mut order = [0, 1];
        let mut at = 0;
        let lengths = pieces.into_iter().chain(std::iter::repeat(1));
        for length in lengths {
            let length = length.min(seq - at);
            if length == 0 {
                break;
            }
            let ids: Vec<u32> =
                order.iter().flat_map(|&row: &usize| &rows[row][at..at + length]).copied().collect();
            let hidden = decoder.forward_cached(&ids, batch, &mut caches);
            let found = read(head::logits(hidden, decoder.head())).await.unwrap();
            for (&row, found) in order.iter().zip(found.chunks(length * vocab)) {
                let what = format!("{pieces:?}, row {row}, tokens {at} to {}", at + length);
                close(&what, found, &whole[row][at * vocab..(at + length) * vocab], tolerance);
            }
            at += length;
            if at % 3 == 0 {
                caches.iter_mut().for_each(|cache| cache.select(&[1, 0]));
                order.reverse();
            }
        }
        assert_eq!((at, caches[0].len()), (seq, seq));
    }
}

/// A prompt of 8,000 tokens in a layer with as many heads as SmolLM2, whose scores would be 2.3 GB: its last token's hidden state is
/// that of the whole sequence on the CPU.
pub async fn long_prompt(device: &Device, tolerance: f32) {
    const TOKENS: usize = 8000;
    let prompt: Vec<u32> = (0..TOKENS).map(|i| ((i * 37 + i / 7) % 64) as u32).collect();
    let model = nine_heads(device);
    let read_all = read_prompt(&model, &prompt, &mut async || Ok(true)).await.unwrap().unwrap();
    assert_eq!(read_all.caches[0].len(), TOKENS);
    let found = read(read_all.hidden).await.unwrap();
    let model = nine_heads(&Device::flex());
    let positions: Vec<u32> = (0..TOKENS as u32).collect();
    let input = Input {
        input_ids: &prompt,
        position_ids: &positions,
        document_ids: &vec![1; TOKENS],
        batch: 1,
        seq: TOKENS,
    };
    let expected = read(model.forward(&input).narrow(0, TOKENS - 1, 1)).await.unwrap();
    close("the last hidden state", &found, &expected, tolerance);
}

/// One layer with 9 heads and 3 of keys and values, all of them narrow.
fn nine_heads(device: &Device) -> Decoder {
    let config = serde_json::json!({
        "model_type": "llama", "hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 9,
        "num_key_value_heads": 3, "head_dim": 8, "vocab_size": 64, "max_position_embeddings": 8192,
        "tie_word_embeddings": true,
    });
    let weights = |name: &str, shape: &[usize]| {
        let seed = name.bytes().map(usize::from).sum::<usize>();
        let values = (0..shape.iter().product()).map(|i: usize| ((i * 7 + seed) as f32 * 0.61).sin() * 0.3);
        Ok(values.collect())
    };
    Model::load(&config, &weights, device).unwrap().decoder().unwrap().clone()
}
