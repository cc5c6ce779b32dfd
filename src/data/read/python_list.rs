//! Conversations as Python prints lists of dictionaries, which is what a table's cell holds when a data frame with lists is saved as
//! CSV: single quotes, `None`, `True`; from NumPy without commas between the turns.

use serde_json::{Map, Number, Value};

/// Whether `text` is a conversation that Python printed: a list of dictionaries (or one) with roles.
pub(super) fn is_printed(text: &str) -> bool {
    let start = text.trim_start().trim_start_matches("array(").trim_start();
    let Some(first) = start.trim_start_matches(['[', '(', ' ', '\n', '\r', '\t']).strip_prefix('{') else {
        return false;
    };
    let has_role = ["'role'", "'from'", "\"role\"", "\"from\""].iter().any(|key| text.contains(key));
    first.trim_start().starts_with(['\'', '"'])
        && has_role
        && serde_json::from_str::<serde::de::IgnoredAny>(text).is_err()
}

/// The value; `None` where it is not whole.
pub(super) fn parse(text: &str) -> Option<Value> {
    let mut reader = Reader { rest: text, depth: 0 };
    let value = reader.value()?;
    reader.space();
    reader.rest.is_empty().then_some(value)
}

struct Reader<'a> {
    rest: &'a str,
    depth: usize,
}

impl Reader<'_> {
    fn value(&mut self) -> Option<Value> {
        const DEEPEST: usize = 32;
        self.space();
        self.depth += 1;
        if self.depth > DEEPEST {
            return None;
        }
        let value = match self.rest.chars().next()? {
            '[' => self.list(']'),
            '(' => self.list(')'),
            '{' => self.dictionary(),
            '\'' | '"' => self.string().map(Value::String),
            _ if self.takes("array(") => self.array(),
            _ => self.word(),
        };
        self.depth -= 1;
        value
    }

    fn list(&mut self, end: char) -> Option<Value> {
        self.rest = &self.rest[1..];
        let mut items = Vec::new();
        loop {
            self.space();
            if self.take(end) {
                return Some(Value::Array(items));
            }
            items.push(self.value()?);
            self.space();
            // NumPy prints objects without commas between them.
            let joins = self.take(',') || self.rest.starts_with(end) || self.rest.starts_with('{');
            if !joins {
                return None;
            }
        }
    }

    fn dictionary(&mut self) -> Option<Value> {
        self.rest = &self.rest[1..];
        let mut fields = Map::new();
        loop {
            self.space();
            if self.take('}') {
                return Some(Value::Object(fields));
            }
            let key = self.string()?;
            self.space();
            if !self.take(':') {
                return None;
            }
            let value = self.value()?;
            fields.insert(key, value);
            self.space();
            if !self.take(',') && !self.rest.starts_with('}') {
                return None;
            }
        }
    }

    /// What follows `array(`: a list, and maybe its type.
    fn array(&mut self) -> Option<Value> {
        let list = self.value().filter(Value::is_array)?;
        let end = self.rest.find(')')?;
        let rest = self.rest[..end].trim();
        if !rest.is_empty() && !rest.starts_with(',') {
            return None;
        }
        self.rest = &self.rest[end + 1..];
        Some(list)
    }

    fn string(&mut self) -> Option<String> {
        let quote = self.rest.chars().next().filter(|c| ['\'', '"'].contains(c))?;
        self.rest = &self.rest[1..];
        let mut text = String::new();
        loop {
            match self.next()? {
                c if c == quote => return Some(text),
                '\\' => match self.next()? {
                    'n' => text.push('\n'),
                    't' => text.push('\t'),
                    'r' => text.push('\r'),
                    'x' => text.push(self.code(2)?),
                    'u' => text.push(self.code(4)?),
                    'U' => text.push(self.code(8)?),
                    c @ ('\\' | '\'' | '"') => text.push(c),
                    // Python keeps the backslash of what is no escape.
                    c => text.extend(['\\', c]),
                },
                c => text.push(c),
            }
        }
    }

    /// A character by so many hexadecimal digits.
    fn code(&mut self, digits: usize) -> Option<char> {
        let (code, rest) = self.rest.split_at_checked(digits)?;
        self.rest = rest;
        char::from_u32(u32::from_str_radix(code, 16).ok()?)
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    /// `None`, `True`, `False`, `nan` or a number.
    fn word(&mut self) -> Option<Value> {
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && !"+-._".contains(c));
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        match word {
            "None" | "nan" | "NaN" => Some(Value::Null),
            "True" => Some(Value::Bool(true)),
            "False" => Some(Value::Bool(false)),
            number => number.parse::<Number>().ok().map(Value::Number),
        }
    }

    fn space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, c: char) -> bool {
        self.takes(c.encode_utf8(&mut [0; 4]))
    }

    fn takes(&mut self, word: &str) -> bool {
        let rest = self.rest.strip_prefix(word);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn printed_conversations_are_read() {
        let said = r#"[{'role': 'user', 'content': "it's\n\\ \u00fc"}, {'role': 'assistant', 'content': 'say "a"', 'x': None, 'y': (1, True)}]"#;
        assert!(is_printed(said));
        assert_eq!(
            parse(said).unwrap(),
            json!([
                {"role": "user", "content": "it's\n\\ ü"},
                {"role": "assistant", "content": "say \"a\"", "x": null, "y": [1, true]}
            ])
        );
        let numpy =
            "array([{'content': 'a', 'role': 'user'}\n {'content': 'b', 'role': 'assistant'}], dtype=object)";
        assert!(is_printed(numpy));
        assert_eq!(parse(numpy).unwrap()[1]["content"], "b");
    }

    #[test]
    fn what_is_not_whole_or_not_printed_is_not_read() {
        for broken in ["[{'role': 'user', 'content': 'it's'}]", "[{'role': 'user'", "[{'role': x}]", "[1] x"]
        {
            assert_eq!(parse(broken), None, "{broken}");
        }
        assert_eq!(parse(&"[".repeat(100_000)), None);
        assert!(!is_printed(r#"[{"role": "user", "content": "a"}]"#));
        assert!(!is_printed("[1] a note on 'role'"));
    }
}
