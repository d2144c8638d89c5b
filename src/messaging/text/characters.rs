//! What the characters of a text are, by the properties that Unicode gives them.

use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory};
use icu_properties::{CodePointMapData, CodePointSetData};

/// Characters that are letters or symbols to Unicode and are drawn as nothing at all: BRAILLE PATTERN BLANK, EGYPTIAN
/// HIEROGLYPH FULL BLANK and HALF BLANK, MUSICAL SYMBOL NULL NOTEHEAD.
const DRAWN_AS_NOTHING: [char; 4] = ['\u{2800}', '\u{13441}', '\u{13442}', '\u{1d159}'];

/// Whether there is nothing to be seen in a text: spaces, what is ignored where it cannot be shown (fillers, joiners,
/// tags, selectors), formats, and marks without anything that they could belong to.
pub(super) fn is_blank(text: &str) -> bool {
    !text.chars().any(is_visible)
}

/// Whether a character is seen when it stands alone.
fn is_visible(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_graphic();
    }
    let category = CodePointMapData::<GeneralCategory>::new().get(c);
    let is_seen = !matches!(
        category,
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::SpaceSeparator
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
            | GeneralCategory::NonspacingMark
            | GeneralCategory::SpacingMark
            | GeneralCategory::EnclosingMark
    );
    is_seen
        && !DRAWN_AS_NOTHING.contains(&c)
        && !CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

/// Whether a character begins a new line: a control, or one of the two separators that Unicode has for it. NEXT LINE
/// (U+0085) is a control.
pub(super) fn breaks_line(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Whether every change of direction in a text ends in it, so that it cannot turn round what is written after it, nor
/// end a change that was begun before it. As the Unicode Bidirectional Algorithm pairs them
/// (<https://www.unicode.org/reports/tr9/#Explicit_Levels_and_Directions>): a PDF ends the embedding or override that was
/// begun last, within the same isolate; a PDI ends the isolate that was begun last, and all embeddings within it.
pub(super) fn closes_its_directions(text: &str) -> bool {
    let mut open = Vec::new();
    for c in text.chars() {
        match c {
            // LRE, RLE, LRO, RLO; LRI, RLI, FSI.
            '\u{202a}' | '\u{202b}' | '\u{202d}' | '\u{202e}' => open.push(Open::Embedding),
            '\u{2066}'..='\u{2068}' => open.push(Open::Isolate),
            // PDF.
            '\u{202c}' if open.pop() != Some(Open::Embedding) => return false,
            // PDI.
            '\u{2069}' => loop {
                match open.pop() {
                    Some(Open::Isolate) => break,
                    Some(Open::Embedding) => {}
                    None => return false,
                }
            },
            _ => {}
        }
    }
    open.is_empty()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    /// An embedding or an override.
    Embedding,
    Isolate,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_blank() {
        for blank in [
            "",
            " ",
            "\t\r\n",
            "\u{a0}\u{3000}\u{2007}",
            "\u{200b}\u{200c}\u{200d}\u{2060}\u{feff}",
            "\u{ad}",
            "\u{3164}",
            "\u{ffa0}",
            "\u{115f}\u{1160}",
            "\u{2800}\u{2800}",
            "\u{301}",
            " \u{301}\u{308}",
            "\u{20e3}",
            "\u{93e}",
            "\u{fe0f}",
            "\u{e0100}",
            "\u{180b}\u{180e}",
            "\u{e0041}\u{e007f}",
            "\u{202e}\u{202c}",
            "\u{2066}\u{2069}",
            "\u{200e}\u{200f}\u{61c}",
            "\u{206a}",
            "\u{34f}",
            "\u{17b4}\u{17b5}",
            "\u{fff9}\u{fffb}",
            "\u{1bca0}",
            "\u{1d173}",
            "\u{1d159}",
            "\u{13441}\u{13442}",
            "\u{2028}\u{2029}\u{85}",
        ] {
            assert!(is_blank(blank), "{blank:?}");
        }
        for seen in [
            "a",
            ".",
            "é",
            "e\u{301}",
            "שלום",
            "عا",
            "हि",
            "ไทย",
            "中",
            "👩‍👩‍👧‍👦",
            "❤\u{fe0f}",
            "1\u{fe0f}\u{20e3}",
            "🇩🇪",
            "½",
            "\u{e000}",
        ] {
            assert!(!is_blank(seen), "{seen:?}");
        }
    }

    #[test]
    fn directions_are_closed_in_the_order_in_which_bidi_pairs_them() {
        for closed in [
            "plain",
            "שלום",
            "\u{202b}a\u{202c}",
            "\u{202e}\u{2067}a\u{2069}\u{202c}",
            "\u{2068}\u{2066}a\u{2069}\u{2069}",
            // A PDI ends the embedding that was begun within its isolate.
            "\u{2067}\u{202e}a\u{2069}",
            "\u{200f}\u{200e}",
        ] {
            assert!(closes_its_directions(closed), "{closed:?}");
        }
        for open in [
            "\u{202e}a",
            "\u{202a}a",
            "\u{2066}a",
            "\u{2067}a",
            "\u{2068}a",
            "a\u{202c}",
            "a\u{2069}",
            // One is closed twice, the other not at all.
            "\u{202e}\u{202d}a\u{202c}",
            "\u{202a}a\u{202c}\u{202c}",
            // The PDF is within the isolate, and ends nothing; the PDI ends no embedding.
            "\u{202e}\u{2066}a\u{202c}\u{2069}",
            "\u{202e}a\u{2069}",
            "\u{2066}a\u{202c}",
            "\u{202b}\u{2067}a\u{2069}",
        ] {
            assert!(!closes_its_directions(open), "{open:?}");
        }
    }
}
