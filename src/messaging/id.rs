//! Ids. Each kind of thing has its own type of id, and its own prefix in text.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// The text is not an id of the wanted kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAnId;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), self.0.simple())
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            /// Accepts exactly what `Display` writes, so that one id has one text.
            fn from_str(text: &str) -> Result<Self, NotAnId> {
                let hex = text.strip_prefix(concat!($prefix, "_")).ok_or(NotAnId)?;
                if hex.len() != 32 || !hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
                    return Err(NotAnId);
                }
                Uuid::try_parse(hex).map(Self).map_err(|_| NotAnId)
            }
        }
    };
}

id!(
    /// The id of a user.
    UserId,
    "usr"
);
id!(
    /// The id of a conversation.
    ConversationId,
    "cnv"
);
id!(
    /// The id of a message.
    MessageId,
    "msg"
);
id!(
    /// The id of a signed-in session. It proves nothing: clients prove the session by its token.
    SessionId,
    "ses"
);
id!(
    /// The id of a service key, which is not the key. Operators and clients never see it.
    KeyId,
    "key"
);
id!(
    /// The id of a webhook. Only operators see it.
    WebhookId,
    "whk"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_only_as_its_own_kind_and_spelling() {
        let id = MessageId(Uuid::from_u128(7));
        let text = id.to_string();
        assert_eq!(text, "msg_00000000000000000000000000000007");
        assert_eq!(text.parse(), Ok(id));
        assert_eq!(text.parse::<UserId>(), Err(NotAnId));
        assert_eq!(text.to_uppercase().parse::<MessageId>(), Err(NotAnId));
        assert_eq!("msg_{00000000000000000000000000007}".parse::<MessageId>(), Err(NotAnId));
    }
}
