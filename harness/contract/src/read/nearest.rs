//! What a mistyped word was meant to be.

/// Below this, two words have nothing to do with each other.
const LIKENESS: f64 = 0.75;

/// The word that is most like `word`, if any is.
pub(super) fn nearest<'w>(word: &str, words: &[&'w str]) -> Option<&'w str> {
    let likeness = |it: &&str| strsim::jaro_winkler(&it.to_lowercase(), &word.to_lowercase());
    let like = words.iter().map(|it| (*it, likeness(it)));
    let like = like.filter(|(_, likeness)| *likeness > LIKENESS);
    like.max_by(|a, b| a.1.total_cmp(&b.1))
        .map(|(word, _)| word)
}

/// `message; did you mean ...? allowed: a, b`.
pub(super) fn or_nearest(message: &str, word: &str, words: &[&str], list: &str) -> String {
    let hint = match nearest(word, words) {
        Some(nearest) => format!("{message}; did you mean `{nearest}`?"),
        None => format!("{message};"),
    };
    match words {
        [] => format!("{hint} {list} none"),
        _ => format!("{hint} {list}: {}", words.join(", ")),
    }
}
