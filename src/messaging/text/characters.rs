//! Properties of characters and texts, by Unicode.

use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory};
use icu_properties::{CodePointMapData, CodePointSetData};

/// Characters that Unicode calls letters or symbols, and that fonts draw as nothing: BRAILLE PATTERN BLANK, EGYPTIAN
/// HIEROGLYPH FULL BLANK and HALF BLANK, MUSICAL SYMBOL NULL NOTEHEAD.
const DRAWN_AS_NOTHING: [char; 4] = ['\u{2800}', '\u{13441}', '\u{13442}', '\u{1d159}'];

/// Whether a reader sees nothing of a text. Spaces, format characters, ignorable characters (fillers, joiners, tags,
/// selectors) and marks are not visible by themselves.
pub(super) fn is_blank(text: &str) -> bool {
    !text.chars().any(is_visible)
}

/// Whether a character is visible when it stands alone.
fn is_visible(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_graphic();
    }
    let category = CodePointMapData::<GeneralCategory>::new().get(c);
    let has_shape = !matches!(
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
    has_shape
        && !DRAWN_AS_NOTHING.contains(&c)
        && !CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

/// Whether a character may begin a new line: it is a control character, such as NEXT LINE (U+0085), or one of the two
/// separators of Unicode.
pub(super) fn breaks_line(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Whether a text ends every change of the writing direction that it begins, and no other change. So it cannot reverse
/// the text around it. The Unicode Bidirectional Algorithm pairs the characters
/// (<https://www.unicode.org/reports/tr9/#Explicit_Levels_and_Directions>): a PDF ends the last embedding or override
/// within the same isolate; a PDI ends the last isolate and all embeddings within it.
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
    fn a_text_without_a_visible_character_is_blank() {
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
    fn directions_are_paired_as_the_bidirectional_algorithm_pairs_them() {
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
            // Two overrides begin, and one ends.
            "\u{202e}\u{202d}a\u{202c}",
            "\u{202a}a\u{202c}\u{202c}",
            // The PDF within the isolate ends nothing. The PDI ends no embedding outside of its isolate.
            "\u{202e}\u{2066}a\u{202c}\u{2069}",
            "\u{202e}a\u{2069}",
            "\u{2066}a\u{202c}",
            "\u{202b}\u{2067}a\u{2069}",
        ] {
            assert!(!closes_its_directions(open), "{open:?}");
        }
    }
}
