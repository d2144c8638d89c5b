//! Handles for users who come from another system and chose none here.

use crate::messaging::Handle;
use crate::random;

/// The fewest and the most bytes of a handle.
const HANDLE_BYTES: (usize, usize) = (3, 32);

/// How many handles with a counted suffix are tried, before random ones.
const COUNTED: u32 = 4;

/// How many handles with a random suffix are tried. Each is free with a probability close to one.
const RANDOM: u32 = 16;

/// The handles to try for a user whom another system calls `wish`, the best first: the wish itself as far as it is one,
/// then with suffixes.
pub(super) fn candidates(wish: &str) -> impl Iterator<Item = Handle> {
    let base = spelled(wish);
    let counted = (2..2 + COUNTED).map(|number| number.to_string());
    // An id begins with the time, so it would give the same suffix again and again.
    let random = (0..RANDOM).map(|_| format!("{:08x}", u32::from_be_bytes(random::bytes())));
    let suffixed = counted.chain(random).collect::<Vec<_>>();
    let suffixed_with = move |suffix: &String| {
        let room = HANDLE_BYTES.1 - suffix.len() - 1;
        format!("{}-{suffix}", &base[..base.len().min(room)])
    };
    let texts: Vec<String> =
        std::iter::once(spelled(wish)).chain(suffixed.iter().map(suffixed_with)).collect();
    texts.into_iter().filter_map(|text| Handle::parse(&text).ok())
}

/// The wish in the spelling of handles. Of an address of mail it is the part before the `@`.
fn spelled(wish: &str) -> String {
    let wish = wish.split('@').next().unwrap_or_default();
    let mut text = String::new();
    for c in wish.chars().flat_map(char::to_lowercase) {
        match c {
            'a'..='z' | '0'..='9' | '_' => text.push(c),
            // Everything else becomes one hyphen, however much of it there is.
            _ if text.is_empty() || text.ends_with('-') => {}
            _ => text.push('-'),
        }
    }
    text.truncate(HANDLE_BYTES.1);
    let text = text.trim_end_matches('-');
    match text.len() {
        0 => "user".to_owned(),
        short if short < HANDLE_BYTES.0 => format!("user-{text}"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(wish: &str) -> String {
        candidates(wish).next().unwrap().to_string()
    }

    #[test]
    fn a_wish_is_spelled_as_a_handle() {
        assert_eq!(first("alice"), "alice");
        assert_eq!(first("Alice.Miller@example.com"), "alice-miller");
        assert_eq!(first("al"), "user-al");
        assert_eq!(first("ÅÄÖ"), "user");
        assert_eq!(first("--"), "user");
        assert_eq!(first("a  ..  b!"), "a-b");
        assert_eq!(first("auth0|5f7c8ec7c33c6c004bbafe82"), "auth0-5f7c8ec7c33c6c004bbafe82");
        assert_eq!(first(&"x".repeat(300)), "x".repeat(32));
    }

    #[test]
    fn the_next_handles_have_a_suffix_and_fit() {
        let wish = "x".repeat(40);
        let handles: Vec<String> = candidates(&wish).map(|handle| handle.to_string()).collect();
        assert_eq!(u32::try_from(handles.len()), Ok(1 + COUNTED + RANDOM));
        assert_eq!(handles[1], format!("{}-2", "x".repeat(30)));
        assert!(handles.iter().all(|handle| handle.len() <= 32));
    }
}
