//! Finding what was meant from a few letters of it.

/// How well `text` is what `typed` means: each word's letters occur in order. Higher is better; `None` when
/// they do not occur. Nothing typed means everything alike.
pub(super) fn score(typed: &str, text: &str) -> Option<i32> {
    typed.split_whitespace().try_fold(0, |sum, word| Some(sum + word_score(word, text)?))
}

/// The same for a sentence: whole pieces only, since some letters in order are in every sentence.
pub(super) fn words(typed: &str, sentence: &str) -> Option<i32> {
    let sentence = sentence.to_lowercase();
    let all = typed.split_whitespace().all(|word| sentence.contains(&word.to_lowercase()));
    all.then_some(0)
}

fn word_score(word: &str, text: &str) -> Option<i32> {
    let (word, text) = (word.to_lowercase(), text.to_lowercase());
    if let Some(at) = text.find(&word) {
        // Whole words are what people type; at the beginning most of all.
        let starts = text[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric());
        return Some(100 + 100 * i32::from(starts) + 50 * i32::from(at == 0) - (at as i32).min(50));
    }
    let mut rest = text.chars();
    let mut gaps = 0;
    for c in word.chars() {
        gaps += rest.position(|t| t == c)? as i32;
    }
    Some(50 - gaps.min(50))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_a_word_wins() {
        let best = |typed: &str, texts: &[&'static str]| {
            let found = texts.iter().filter_map(|text| Some((score(typed, text)?, *text)));
            found.max_by_key(|(score, _)| *score).map(|(_, text)| text)
        };
        let all = ["commit", "trash-restore", "rebase", "snapshot", "go-back", "quit"];
        assert_eq!(best("re", &all), Some("rebase"));
        assert_eq!(best("restore", &all), Some("trash-restore"));
        assert_eq!(best("cmt", &all), Some("commit"));
        assert_eq!(best("back", &all), Some("go-back"));
        assert_eq!(best("xyz", &all), None);
        assert_eq!(score("", "anything"), Some(0));
    }
}
