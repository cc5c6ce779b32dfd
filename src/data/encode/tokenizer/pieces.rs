//! Long texts in pieces.

/// The tokenizer needs a hundred times a text's memory, so a long text is encoded in pieces.
pub(super) const PIECE_BYTES: usize = 256 << 10;

/// Length of the first piece of a long text, at least `wanted` bytes: up to the space between two
/// words or to the line end between a character and a word, where no tokenizer joins the sides.
pub(super) fn cut_at_word(text: &str, wanted: usize) -> usize {
    let Some((_, tail)) =
        text.split_at_checked(text.floor_char_boundary(wanted)).filter(|(_, t)| !t.is_empty())
    else {
        return text.len();
    };
    let start = text.len() - tail.len();
    let mut before = [' ', ' '];
    for (offset, c) in tail.char_indices() {
        let [left, between] = before;
        if between == ' ' && left.is_ascii_alphabetic() && c.is_ascii_alphabetic() {
            return start + offset - 1;
        }
        if between == '\n' && !left.is_whitespace() && c.is_alphabetic() {
            return start + offset;
        }
        before = [between, c];
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_words() {
        assert_eq!(cut_at_word("some words here", 2), 4);
        assert_eq!(cut_at_word("some words here", 7), 10);
        assert_eq!(cut_at_word("1 2 3  four\n five\nsix seven", 2), 18);
        assert_eq!(cut_at_word("天气。\n今天", 3), 10);
        assert_eq!(cut_at_word("some words", 100), 10);
        assert_eq!(cut_at_word("", 10), 0);
    }
}
