//! The tokens with which a push worker marks what it delivered: it has no session, and stands for nothing else.
//!
//! A token names a recipient and a message, and carries a signature of herald's own, by a key that the receiver of the
//! webhook does not know. Nothing is stored of it. To use it again changes nothing, since a mark never moves back.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use uuid::Uuid;

use crate::error::Error;
use crate::graphql::Engine;
use crate::log::WebhookRow;
use crate::messaging::{
    Action, Command, ConversationId, Mark, MarkThrough, MessageId, Timestamp, UpTo, UserId, WebhookId,
};

/// The beginning of every token.
const PREFIX: &str = "hdt_";

/// What is signed before the rest, so that the key signs nothing else of the same form.
const PURPOSE: &[u8] = b"herald delivered token";

/// Bytes of what a token says: webhook, recipient, message, expiry.
const SAID_BYTES: usize = 3 * 16 + 8;

/// How long a token is of use. A call may be tried for three days, and a push may wait for a device.
const LIFETIME_MICROS: i64 = 7 * 24 * 3_600 * 1_000_000;

/// What a token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Claim {
    webhook: WebhookId,
    recipient: UserId,
    message: MessageId,
    expires: Timestamp,
}

impl Claim {
    /// That this recipient receives messages up to this one, if somebody says so soon.
    pub(super) fn new(webhook: WebhookId, recipient: UserId, message: MessageId, now: Timestamp) -> Self {
        let expires = Timestamp(now.0.saturating_add(LIFETIME_MICROS));
        Self { webhook, recipient, message, expires }
    }

    /// When the token expires.
    pub(super) fn expires(&self) -> Timestamp {
        self.expires
    }

    /// The token, signed by the key of its webhook.
    pub(super) fn token(&self, key: &[u8]) -> String {
        let said = self.said();
        let signature = hmac::sign(&hmac_key(key), &[PURPOSE, &said].concat());
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode([&said, signature.as_ref()].concat()))
    }

    fn said(&self) -> Vec<u8> {
        let ids = [self.webhook.0, self.recipient.0, self.message.0];
        let mut said: Vec<u8> = ids.iter().flat_map(|id| *id.as_bytes()).collect();
        said.extend(self.expires.0.to_be_bytes());
        said
    }

    /// What a text claims, with the signature, which is not checked yet.
    fn read(token: &str) -> Option<(Self, Vec<u8>)> {
        let bytes = URL_SAFE_NO_PAD.decode(token.strip_prefix(PREFIX)?).ok()?;
        let (said, signature) = bytes.split_at_checked(SAID_BYTES)?;
        let id = |at: usize| Uuid::from_slice(said.get(16 * at..16 * (at + 1))?).ok();
        let expires = i64::from_be_bytes(said.get(3 * 16..)?.try_into().ok()?);
        let claim = Self {
            webhook: WebhookId(id(0)?),
            recipient: UserId(id(1)?),
            message: MessageId(id(2)?),
            expires: Timestamp(expires),
        };
        Some((claim, signature.to_vec()))
    }

    fn is_signed(&self, key: &[u8], signature: &[u8]) -> bool {
        hmac::verify(&hmac_key(key), &[PURPOSE, &self.said()].concat(), signature).is_ok()
    }
}

fn hmac_key(key: &[u8]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, key)
}

/// What was marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Delivered {
    /// The conversation.
    pub(crate) conversation: ConversationId,
    /// The newest message that is delivered.
    pub(crate) message: MessageId,
}

/// Marks what a token stands for as delivered, as its recipient.
///
/// # Errors
/// [`Error::DeliveredToken`] if it is no token of this herald or has expired, [`Error::AccountDisabled`] if its recipient
/// is disabled, and as for `markDelivered`.
pub(crate) async fn mark(engine: &Engine, token: &str) -> Result<Delivered, Error> {
    let unknown = Error::DeliveredToken("is none of this herald");
    let services = engine.services();
    let (claim, signature) = Claim::read(token).ok_or_else(|| unknown.clone())?;
    let webhook: WebhookRow =
        services.database.webhook(claim.webhook).await?.ok_or_else(|| unknown.clone())?;
    if !claim.is_signed(&webhook.token_key, &signature) {
        return Err(unknown);
    }
    if services.database.now() > claim.expires {
        return Err(Error::DeliveredToken("has expired"));
    }
    let user = services.user(claim.recipient).await?.ok_or(Error::NotFound("recipient of this message"))?;
    if user.disabled_at.is_some() {
        return Err(Error::AccountDisabled);
    }
    if let Some(rates) = &services.rates {
        rates.mark(claim.recipient)?;
    }
    let action = Action::Mark(MarkThrough { up_to: UpTo::Message(claim.message), mark: Mark::Delivered });
    let command = Command { actor: claim.recipient, origin: None, via: None, action };
    let marked = services.writer.submit(command).await?.message.ok_or(Error::Internal)?;
    Ok(Delivered { conversation: marked.conversation, message: marked.id })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_what_it_was_made_of_and_a_changed_letter_makes_it_invalid() {
        let claim = Claim::new(
            WebhookId(Uuid::from_u128(1)),
            UserId(Uuid::from_u128(2)),
            MessageId(Uuid::from_u128(3)),
            Timestamp(4),
        );
        let is_valid = |token: &str, key: &[u8]| {
            Claim::read(token).is_some_and(|(claim, signature)| claim.is_signed(key, &signature))
        };
        let token = claim.token(b"key");
        assert_eq!(Claim::read(&token).map(|(read, _)| read), Some(claim));
        assert!(is_valid(&token, b"key") && !is_valid(&token, b"another"));
        for index in 0..token.len() {
            let mut letters = token.clone().into_bytes();
            letters[index] = if letters[index] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(letters).unwrap();
            assert!(!is_valid(&changed, b"key"), "letter {index}");
            assert!(!is_valid(&token[..index], b"key"), "cut at {index}");
        }
    }
}
