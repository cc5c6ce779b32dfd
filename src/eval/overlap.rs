//! How much a written answer is like the row's own.

use std::collections::HashMap;

/// Harmonic mean of the shares of words that each of two texts has of the other: 1 for the same words, in whatever order, 0 for
/// none in common. Case and punctuation do not count, as in SQuAD's F1 (<https://arxiv.org/abs/1606.05250>, section 6.1).
pub fn word_overlap(answer: &str, expected: &str) -> f64 {
    let (answer_words, expected_words) = (words(answer), words(expected));
    let all = answer_words.len() + expected_words.len();
    if all == 0 {
        return if answer.trim() == expected.trim() { 1.0 } else { 0.0 };
    }
    let mut left: HashMap<&str, usize> = HashMap::new();
    for word in &expected_words {
        *left.entry(word).or_default() += 1;
    }
    let mut common = 0;
    for word in &answer_words {
        if let Some(count) = left.get_mut(word.as_str()).filter(|count| **count > 0) {
            *count -= 1;
            common += 1;
        }
    }
    2.0 * common as f64 / all as f64
}

/// Whether two texts are the same words in the same order.
pub fn same_words(answer: &str, expected: &str) -> bool {
    let (answer_words, expected_words) = (words(answer), words(expected));
    match answer_words.is_empty() && expected_words.is_empty() {
        true => answer.trim() == expected.trim(),
        false => answer_words == expected_words,
    }
}

/// Runs of letters and digits, in lower case; in scripts that put no space between words each character is one.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    for character in text.chars() {
        let stands_alone = stands_alone(character);
        if (stands_alone || !character.is_alphanumeric()) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if character.is_alphanumeric() {
            word.extend(character.to_lowercase());
        }
        if stands_alone {
            words.push(std::mem::take(&mut word));
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Thai, kana, and Chinese characters.
fn stands_alone(character: char) -> bool {
    let ranges =
        ['\u{e00}'..='\u{e7f}', '\u{3040}'..='\u{30ff}', '\u{3400}'..='\u{9fff}', '\u{f900}'..='\u{faff}'];
    character.is_alphanumeric() && ranges.iter().any(|range| range.contains(&character))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_count_as_often_as_they_occur_and_case_does_not() {
        assert_eq!(word_overlap("The cat sleeps.", "the CAT sleeps"), 1.0);
        assert_eq!(word_overlap("sleeps the cat", "the cat sleeps"), 1.0);
        assert_eq!(word_overlap("A dog", "the cat sleeps"), 0.0);
        assert_eq!(word_overlap("", "the cat"), 0.0);
        // One "the" of two is found: 2 · 1 / (2 + 2).
        assert_eq!(word_overlap("the the", "the cat"), 0.5);
        assert!((word_overlap("It is the cat", "the cat sleeps") - 4.0 / 7.0).abs() < 1e-12);
        assert_eq!(word_overlap("猫睡觉", "猫在睡觉"), 6.0 / 7.0);
        assert_eq!((word_overlap("!", "!"), word_overlap("!", "?")), (1.0, 0.0));
    }

    #[test]
    fn the_same_answer_has_the_same_words_in_the_same_order() {
        assert!(same_words(" It costs 79 dollars!\n", "it costs 79 dollars."));
        assert!(!same_words("79 dollars it costs", "It costs 79 dollars."));
        assert!(!same_words("", "It"));
        assert!(same_words(":-) ", ":-)") && !same_words(":-(", ":-)"));
    }
}
