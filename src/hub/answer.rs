//! What an event was rendered to: text that many subscribers share, with gaps for what each is told alone.

use std::sync::Arc;

/// The text in a gap that nobody has filled.
const UNFILLED: &str = "null";

/// An answer as JSON. A clone shares the text.
#[derive(Debug, Clone)]
pub struct Answer {
    text: Arc<str>,
    /// Where `null` stands for what came before, in ascending order. `None` where the operation does not ask for it.
    gaps: Option<Arc<[usize]>>,
}

impl Answer {
    /// An answer with a `null` at each of these offsets, in ascending order.
    pub fn new(text: String, gaps: &[usize]) -> Self {
        Self { text: text.into(), gaps: (!gaps.is_empty()).then(|| gaps.into()) }
    }

    /// The answer for one subscriber: `previous` in all gaps, which is text that needs no escaping. It is asked for only
    /// if there are gaps. Without it, the gaps stay null. The text is copied only if something is filled in.
    pub fn filled(&self, previous: impl FnOnce() -> Option<String>) -> Arc<str> {
        let Some((gaps, previous)) = self.gaps.as_ref().and_then(|gaps| Some((gaps, previous()?))) else {
            return Arc::clone(&self.text);
        };
        let mut filled = String::with_capacity(self.text.len() + gaps.len() * (previous.len() + 2));
        let mut from = 0;
        for gap in gaps.iter() {
            filled.push_str(&self.text[from..*gap]);
            filled.push('"');
            filled.push_str(&previous);
            filled.push('"');
            from = gap + UNFILLED.len();
        }
        filled.push_str(&self.text[from..]);
        filled.into()
    }

    /// Bytes of memory that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.text.len() + self.gaps.as_ref().map_or(0, |gaps| size_of_val(&**gaps))
    }
}

impl From<&str> for Answer {
    fn from(text: &str) -> Self {
        Self { text: text.into(), gaps: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_gap_is_filled_and_nothing_is_copied_where_there_is_nothing_to_fill() {
        let text = r#"{"a":null,"b":null,"c":null}"#;
        let answer = Answer::new(text.into(), &[5, 23]);
        assert_eq!(&*answer.filled(|| Some("x".into())), r#"{"a":"x","b":null,"c":"x"}"#);
        assert!(Arc::ptr_eq(&answer.filled(|| None), &answer.text));
        let whole = Answer::new(text.into(), &[]);
        assert!(Arc::ptr_eq(&whole.filled(|| panic!("nobody asks")), &whole.text));
    }
}
