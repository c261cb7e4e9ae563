//! Just enough of a Rust reader: words and signs without comments and literals, and paths.

/// A word or a sign of the source, without comments and literals.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
}

pub(crate) fn tokens(source: &str) -> Vec<Token> {
    let chars: Vec<char> = source.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let (mut out, mut i, mut line) = (Vec::new(), 0, 1);
    while i < chars.len() {
        let start = i;
        match at(i) {
            '/' if at(i + 1) == '/' => {
                while i < chars.len() && at(i) != '\n' {
                    i += 1
                }
            }
            '/' if at(i + 1) == '*' => {
                let mut depth = 0;
                loop {
                    match (at(i), at(i + 1)) {
                        ('/', '*') => (depth, i) = (depth + 1, i + 2),
                        ('*', '/') => (depth, i) = (depth - 1, i + 2),
                        _ => i += 1,
                    }
                    if depth == 0 || i >= chars.len() {
                        break;
                    }
                }
            }
            '"' => {
                i += 1;
                while i < chars.len() && at(i) != '"' {
                    i += if at(i) == '\\' { 2 } else { 1 };
                }
                i += 1;
            }
            // A character, or a lifetime.
            '\'' if at(i + 1) == '\\' => {
                i += 3;
                while i < chars.len() && at(i) != '\'' {
                    i += 1;
                }
                i += 1;
            }
            '\'' if at(i + 2) == '\'' => i += 3,
            'r' | 'b' | 'c' if raw_string(&chars, i).is_some() => i = raw_string(&chars, i).unwrap(),
            c if word(c) => {
                while word(at(i)) {
                    i += 1;
                }
                out.push(Token { text: chars[start..i].iter().collect(), line });
            }
            ':' if at(i + 1) == ':' => {
                i += 2;
                out.push(Token { text: "::".to_owned(), line });
            }
            c => {
                i += 1;
                if !c.is_whitespace() {
                    out.push(Token { text: c.to_string(), line });
                }
            }
        }
        line += chars[start..i.min(chars.len())].iter().filter(|c| **c == '\n').count();
    }
    out
}

/// The end of a raw string that starts at `i`.
fn raw_string(chars: &[char], i: usize) -> Option<usize> {
    let rest: String = chars[i..].iter().take(12).collect();
    let body =
        rest.strip_prefix("br").or_else(|| rest.strip_prefix("cr")).or_else(|| rest.strip_prefix('r'))?;
    let hashes = body.chars().take_while(|c| *c == '#').count();
    if body.chars().nth(hashes) != Some('"') {
        return None;
    }
    let open = i + rest.len() - body.len() + hashes + 1;
    let close: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    (open..chars.len()).find(|k| chars[*k..].starts_with(&close)).map(|k| k + close.len())
}

/// The same without `#[cfg(test)] mod name { ... }`.
pub(crate) fn without_tests(tokens: &[Token]) -> Vec<Token> {
    let attribute = ["#", "[", "cfg", "(", "test", ")", "]", "mod"];
    let (mut out, mut i) = (Vec::new(), 0);
    while i < tokens.len() {
        let here = attribute.iter().zip(&tokens[i..]).filter(|(a, t)| **a == t.text).count();
        let body = i + attribute.len() + 1;
        if here == attribute.len() && tokens.get(body).is_some_and(|t| t.text == "{") {
            let mut depth = 0;
            i = body;
            while let Some(token) = tokens.get(i) {
                depth += i32::from(token.text == "{") - i32::from(token.text == "}");
                i += 1;
                if depth == 0 {
                    break;
                }
            }
        } else {
            out.push(tokens[i].clone());
            i += 1;
        }
    }
    out
}

/// Every path with `::` in it, groups spelt out: `a::{b, c::d}` gives `a::b` and `a::c::d`.
pub(crate) fn paths(tokens: &[Token]) -> Vec<(usize, Vec<String>)> {
    let mut out = Vec::new();
    let mut i = 0;
    while i < tokens.len() {
        let starts = is_word(&tokens[i].text) && tokens.get(i + 1).is_some_and(|t| t.text == "::");
        if starts {
            i = expand(tokens, i, &[], &mut out);
        } else {
            i += 1;
        }
    }
    out
}

fn is_word(text: &str) -> bool {
    text.chars().all(|c| c.is_alphanumeric() || c == '_')
}

fn expand(tokens: &[Token], mut i: usize, prefix: &[String], out: &mut Vec<(usize, Vec<String>)>) -> usize {
    let mut path = prefix.to_vec();
    while let Some(token) = tokens.get(i) {
        match token.text.as_str() {
            "{" => {
                i += 1;
                while tokens.get(i).is_some_and(|t| t.text != "}") {
                    let next = if tokens[i].text == "," { i } else { expand(tokens, i, &path, out) };
                    i = next.max(i + 1);
                }
                return i + 1;
            }
            text if is_word(text) || text == "*" => {
                path.push(text.to_owned());
                i += 1;
                // `crate as other` would hide what follows.
                if tokens.get(i).is_none_or(|t| t.text != "::") {
                    out.push((token.line, path));
                    return i;
                }
                i += 1;
            }
            _ => break,
        }
    }
    i
}
