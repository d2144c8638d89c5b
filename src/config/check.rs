//! Checks that the limits fit together, so that herald refuses at start what would otherwise fail at some later
//! request.

use thiserror::Error;

use super::Limits;

/// A limit that does not fit the others, and what to do.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum LimitsError {
    /// A limit of 0 would refuse everything.
    #[error("{flag} must be at least 1")]
    Zero {
        /// The flag of the limit.
        flag: &'static str,
    },
    /// A limit is more than any machine has.
    #[error("{flag} must be at most {MOST}")]
    TooLarge {
        /// The flag of the limit.
        flag: &'static str,
    },
    /// The default page is too large.
    #[error(
        "--page-size {page_size} is larger than --max-page-size {max_page_size}: a query without a page size would \
         always be refused"
    )]
    PageSize {
        /// `--page-size`.
        page_size: usize,
        /// `--max-page-size`.
        max_page_size: usize,
    },
    /// No request can carry the largest document.
    #[error(
        "--max-document-bytes {document_bytes} is larger than --max-body-bytes {body_bytes}: no request could carry \
         such a document"
    )]
    DocumentBytes {
        /// `--max-document-bytes`.
        document_bytes: usize,
        /// `--max-body-bytes`.
        body_bytes: usize,
    },
    /// No answer can carry the largest message.
    #[error(
        "--max-message-chars {message_chars} needs --max-answer-bytes of at least {answer_bytes}: otherwise nobody \
         could read such a message"
    )]
    MessageChars {
        /// `--max-message-chars`.
        message_chars: usize,
        /// The smallest `--max-answer-bytes` that would do.
        answer_bytes: usize,
    },
}

/// The most that a limit may be. What counts with it, such as a queue, has an end of its own above this.
const MOST: usize = u32::MAX as usize;

/// Bytes of an answer beside the text of a message: its keys, its ids, and what JSON escapes.
const MESSAGE_ENVELOPE_BYTES: usize = 4 * 1024;

/// Bytes that every event may have. The number is small because an event may wait for many slow clients; a client can
/// query what an event leaves out.
const MIN_EVENT_BYTES: usize = 1024 * 1024;

/// How many copies of the largest message fit into one event. An event may contain a message as the message itself,
/// and again as the newest of its conversation.
const MESSAGE_COPIES_PER_EVENT: usize = 4;

impl Limits {
    /// Checks that the limits fit together.
    ///
    /// # Errors
    /// The first limit that does not fit, and what to do.
    pub fn check(&self) -> Result<(), LimitsError> {
        self.check_each()?;
        if self.page_size > self.max_page_size {
            let (page_size, max_page_size) = (self.page_size, self.max_page_size);
            return Err(LimitsError::PageSize { page_size, max_page_size });
        }
        if self.max_document_bytes > self.max_body_bytes {
            let (document_bytes, body_bytes) = (self.max_document_bytes, self.max_body_bytes);
            return Err(LimitsError::DocumentBytes { document_bytes, body_bytes });
        }
        let answer_bytes = self.message_bytes();
        if answer_bytes > self.max_answer_bytes {
            return Err(LimitsError::MessageChars { message_chars: self.max_message_chars, answer_bytes });
        }
        Ok(())
    }

    /// The largest size of an event. It is at most that of an answer, and the largest message fits several times.
    pub(crate) fn max_event_bytes(&self) -> usize {
        MIN_EVENT_BYTES
            .max(self.message_bytes().saturating_mul(MESSAGE_COPIES_PER_EVENT))
            .min(self.max_answer_bytes)
    }

    /// The size of the largest message in an answer.
    fn message_bytes(&self) -> usize {
        // JSON writes a character in at most six bytes.
        self.max_message_chars.saturating_mul(6).saturating_add(MESSAGE_ENVELOPE_BYTES)
    }

    /// Checks that each limit has a value that it can have at all.
    fn check_each(&self) -> Result<(), LimitsError> {
        let counts = [
            ("--max-message-chars", self.max_message_chars),
            ("--page-size", self.page_size),
            ("--max-document-bytes", self.max_document_bytes),
            ("--max-tokens", self.max_tokens),
            ("--max-depth", self.max_depth),
            ("--max-complexity", self.max_complexity),
            ("--max-subscribed-fields", self.max_subscribed_fields),
            ("--max-subscribed-complexity", self.max_subscribed_complexity),
            ("--max-connections", self.max_connections),
            ("--max-sockets-per-user", self.max_sockets_per_user),
            ("--max-operations-per-socket", self.max_operations_per_socket),
            ("--subscriber-queue", self.subscriber_queue),
            ("--max-batch", self.max_batch),
            ("--write-queue", self.write_queue),
            ("--max-hashing", self.max_hashing),
        ];
        if let Some((flag, _)) = counts.into_iter().find(|(_, count)| *count == 0) {
            return Err(LimitsError::Zero { flag });
        }
        let may_be_zero = [
            ("--max-page-size", self.max_page_size),
            ("--max-body-bytes", self.max_body_bytes),
            ("--max-header-bytes", self.max_header_bytes),
            ("--max-answer-bytes", self.max_answer_bytes),
            ("--max-anonymous-sockets", self.max_anonymous_sockets),
            ("--max-unfinished-bytes", self.max_unfinished_bytes),
            ("--max-connections-per-address", self.max_connections_per_address.unwrap_or(0)),
            ("--recent-bytes", self.recent_bytes),
        ];
        match counts.into_iter().chain(may_be_zero).find(|(_, count)| *count > MOST) {
            Some((flag, _)) => Err(LimitsError::TooLarge { flag }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::ServeArgs;

    #[test]
    fn the_defaults_fit_together_and_an_error_names_the_limit_that_does_not() {
        let defaults = ServeArgs::default().limits;
        assert_eq!(defaults.check(), Ok(()));
        let check = |change: fn(&mut super::Limits)| {
            let mut limits = defaults.clone();
            change(&mut limits);
            limits.check().expect_err("the limits do not fit together").to_string()
        };
        assert!(check(|limits| limits.max_page_size = 20).contains("--page-size 50"));
        assert!(check(|limits| limits.max_body_bytes = 1_000).contains("--max-document-bytes"));
        assert!(check(|limits| limits.max_answer_bytes = 1_000).contains("--max-answer-bytes"));
        assert_eq!(defaults.max_event_bytes(), super::MIN_EVENT_BYTES);
        let long = super::Limits { max_message_chars: 500_000, ..defaults.clone() };
        assert!(long.max_event_bytes() > 500_000 * 6 && long.max_event_bytes() <= long.max_answer_bytes);
        assert!(check(|limits| limits.subscriber_queue = 0).contains("--subscriber-queue"));
        assert!(check(|limits| limits.write_queue = usize::MAX).contains("--write-queue must be at most"));
        assert!(check(|limits| limits.max_header_bytes = usize::MAX).contains("--max-header-bytes"));
    }
}
