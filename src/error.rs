//! The errors that a client gets: a message for people, and a code in `extensions.code` for programs. Causes inside
//! herald are logged where they occur and never sent.

mod jwt;

use std::borrow::Cow;
use std::sync::Arc;

use async_graphql::ErrorExtensions;

pub use self::jwt::JwtRefusal;

use crate::hub::{Broken, OpenError};
use crate::log::{SubmitError, Unavailable};
use crate::messaging::{Invalid, Refusal};

/// An error that a client gets.
///
/// It does not implement `Display`, so that async-graphql cannot convert it without its code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// A value is not acceptable.
    BadInput {
        /// The argument or input field.
        field: Cow<'static, str>,
        /// What is wrong with the value: a phrase that follows the name of the field.
        reason: String,
    },
    /// Nobody is signed in.
    Unauthenticated,
    /// The service key was never given out, or is revoked.
    UnknownKey,
    /// The password is wrong or the handle is unknown. The client cannot tell which.
    InvalidCredentials,
    /// Somebody has that handle.
    HandleTaken,
    /// The handle that an entry of a list asks for is somebody else's. The text names the field.
    EntryHandleTaken(String),
    /// The user is disabled.
    AccountDisabled,
    /// The token of another login system is not believed.
    Jwt(JwtRefusal),
    /// The token with which a push worker marks messages is of no use: a phrase that follows "the token".
    DeliveredToken(&'static str),
    /// This caller may not do this: a sentence that says why, and what to do.
    Forbidden(String),
    /// The thing does not exist, or the viewer may not see it. The client cannot tell which.
    NotFound(&'static str),
    /// The sender of a message cannot mark it.
    SenderCannotMark,
    /// The idempotency key was used with another input.
    IdempotencyKeyReused,
    /// The user or the address made too many requests.
    RateLimited {
        /// The seconds after which to try again.
        seconds: u64,
    },
    /// This log never gave out the cursor.
    CursorInvalid,
    /// The cursor was given out, but its place in the log is no longer known.
    CursorExpired,
    /// An event after the cursor is damaged in the log, or what it shows is.
    EventDamaged,
    /// A row of the database that this needs is damaged.
    Damaged,
    /// Herald cannot do this now.
    Unavailable,
    /// Herald has a fault.
    Internal,
}

impl Error {
    /// Builds the error for a field with a wrong value.
    pub fn bad_input(field: impl Into<Cow<'static, str>>, reason: impl Into<String>) -> Self {
        Self::BadInput { field: field.into(), reason: reason.into() }
    }

    /// Returns the same error with another name for the field; other errors stay as they are.
    #[must_use]
    pub fn about(self, field: &'static str) -> Self {
        match self {
            Self::BadInput { reason, .. } => Self::bad_input(field, reason),
            other => other,
        }
    }

    /// Returns a function that names the field in which a text is invalid.
    pub fn invalid(field: impl Into<Cow<'static, str>>) -> impl Fn(Invalid) -> Self {
        let field = field.into();
        move |Invalid(reason)| Self::BadInput { field: field.clone(), reason }
    }

    /// The code for programs, as in `extensions.code`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadInput { .. } => "BAD_INPUT",
            Self::Unauthenticated | Self::UnknownKey | Self::Jwt(_) => "UNAUTHENTICATED",
            Self::Forbidden(_) => "FORBIDDEN",
            Self::DeliveredToken(_) => "TOKEN_INVALID",
            Self::InvalidCredentials => "INVALID_CREDENTIALS",
            Self::HandleTaken | Self::EntryHandleTaken(_) => "HANDLE_TAKEN",
            Self::AccountDisabled => "ACCOUNT_DISABLED",
            Self::NotFound(_) => "NOT_FOUND",
            Self::SenderCannotMark => "SENDER_CANNOT_MARK",
            Self::IdempotencyKeyReused => "IDEMPOTENCY_KEY_REUSED",
            Self::RateLimited { .. } => "RATE_LIMITED",
            Self::CursorInvalid => "CURSOR_INVALID",
            Self::CursorExpired | Self::EventDamaged => "CURSOR_EXPIRED",
            Self::Unavailable => "UNAVAILABLE",
            Self::Internal | Self::Damaged => "INTERNAL",
        }
    }

    /// The message for people. It says what is wrong, and what to do.
    pub fn message(&self) -> String {
        match self {
            Self::BadInput { field, reason } => format!("`{field}` {reason}."),
            Self::Unauthenticated => "Sign in first: send the token from `login` or `register` as \
                 `Authorization: Bearer …`, or as `authorization` in the payload of `connection_init`."
                .into(),
            Self::Jwt(refusal) => refusal.message(),
            Self::DeliveredToken(reason) => {
                format!(
                    "This token {reason}: it is the `deliveredToken` of a webhook's call, and is of use for 7 days."
                )
            }
            Self::UnknownKey => {
                "This service key is unknown or revoked: make one with `herald key add NAME --scope …`."
                    .into()
            }
            Self::Forbidden(reason) => reason.clone(),
            Self::InvalidCredentials => "The handle or the password is wrong.".into(),
            Self::HandleTaken => "This handle is taken: choose another.".into(),
            Self::EntryHandleTaken(field) => format!("`{field}` is taken by somebody else: choose another."),
            Self::AccountDisabled => "This account is disabled: ask whoever runs this service.".into(),
            Self::NotFound(what) => format!("There is no such {what}."),
            Self::SenderCannotMark => {
                "The sender of a message cannot mark it: only those who receive it can.".into()
            }
            Self::IdempotencyKeyReused => "This idempotency key was used with another input: \
                 choose a new key for each new message, and for each new conversation."
                .into(),
            Self::RateLimited { seconds } => format!("Too many requests: try again in {seconds} s."),
            Self::CursorInvalid => "This cursor was not given out by this server: take a new snapshot \
                 with `cursor` in it, and subscribe with that."
                .into(),
            Self::CursorExpired => "This cursor's place in the log is no longer known: take a new \
                 snapshot with `cursor` in it, and subscribe with that."
                .into(),
            Self::EventDamaged => "An event after this cursor, or what it shows, is damaged in herald's database \
                 and cannot be told: take a new snapshot with `cursor` in it, and subscribe with that. herald's \
                 log names the row."
                .into(),
            Self::Damaged => "This needs a row of herald's database that is damaged. To try again brings the same: \
                 whoever runs this service finds the row in herald's log."
                .into(),
            Self::Unavailable => {
                "herald cannot do this now: try again, with the same idempotency key if it has one.".into()
            }
            Self::Internal => "Something went wrong inside herald; its log says what.".into(),
        }
    }
}

impl From<Error> for async_graphql::Error {
    fn from(error: Error) -> Self {
        let mut told = Self::new(error.message()).extend_with(|_, extensions| {
            extensions.set("code", error.code());
            match &error {
                Error::BadInput { field, .. } => extensions.set("field", field.as_ref()),
                Error::EntryHandleTaken(field) => extensions.set("field", field.as_str()),
                Error::HandleTaken => extensions.set("field", "handle"),
                Error::RateLimited { seconds } => extensions.set("retryAfter", *seconds),
                _ => {}
            }
        });
        // A subscription tells it from what else is INTERNAL.
        if error == Error::Damaged {
            told.source = Some(Arc::new(error));
        }
        told
    }
}

impl From<JwtRefusal> for Error {
    fn from(refusal: JwtRefusal) -> Self {
        Self::Jwt(refusal)
    }
}

impl From<Unavailable> for Error {
    fn from(unavailable: Unavailable) -> Self {
        match unavailable {
            Unavailable::Now => Self::Unavailable,
            Unavailable::Damaged => Self::Damaged,
        }
    }
}

impl From<SubmitError> for Error {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Unavailable | SubmitError::Rejected => Self::Unavailable,
            SubmitError::Damaged => Self::Damaged,
            SubmitError::Refused(refusal) => match refusal {
                Refusal::NoSuchConversation => Self::NotFound("conversation"),
                Refusal::NoSuchMessage => Self::NotFound("message"),
                Refusal::NotARecipient => Self::NotFound("recipient of this message"),
                Refusal::NotAnOwner => {
                    Self::Forbidden("Only an owner of the conversation may do this.".into())
                }
                Refusal::NeitherSenderNorOwner => Self::Forbidden(
                    "Only the sender of the message, or an owner of the conversation, may do this.".into(),
                ),
                Refusal::OneOfTwo => Self::Forbidden(
                    "Nobody is removed from the one conversation of two people: leave it instead.".into(),
                ),
                Refusal::Oneself => {
                    Self::bad_input("handles", "must not name yourself: use `leaveConversation`")
                }
                Refusal::SenderCannotMark => Self::SenderCannotMark,
                Refusal::KeyReused => Self::IdempotencyKeyReused,
                Refusal::NobodyElse => {
                    Self::bad_input("participantHandles", "must name somebody other than yourself")
                }
                Refusal::Blocked(user) => {
                    Self::bad_input("handles", format!("has somebody whom you cannot add: {user}"))
                }
                Refusal::TooManyParticipants { most } => {
                    Self::bad_input("handles", format!("would make more than {most} participants"))
                }
            },
        }
    }
}

impl From<Broken> for Error {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Expired => Self::CursorExpired,
            Broken::Damaged => Self::EventDamaged,
        }
    }
}

impl From<OpenError> for Error {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Expired => Self::CursorExpired,
            OpenError::Damaged => Self::EventDamaged,
            OpenError::NoSuchConversation => Self::NotFound("conversation"),
            OpenError::Unavailable => Self::Unavailable,
        }
    }
}
