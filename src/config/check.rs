//! Whether the limits fit together. A limit that only shows its fault at the first request that meets it is refused at
//! start.

use super::Limits;

/// Bytes of an answer beside the text of a message: its keys, its ids, and what JSON escapes.
const AROUND_A_MESSAGE: usize = 4 * 1024;

/// Bytes that an event may always come to. It may wait for many who read slowly, and more is to be had by a query.
const EVENT: usize = 1024 * 1024;

/// Places of an event in which the same message may be asked for: as the message, and as the newest of its conversation.
const PLACES: usize = 4;

impl Limits {
    /// Holds the limits against each other.
    ///
    /// # Errors
    /// The first that cannot be, and what to do.
    pub fn check(&self) -> Result<(), String> {
        self.check_positive()?;
        if self.page_size > self.max_page_size {
            return Err(format!(
                "--page-size {} is larger than --max-page-size {}: a page without a size could never be had",
                self.page_size, self.max_page_size
            ));
        }
        if self.max_document_bytes > self.max_body_bytes {
            return Err(format!(
                "--max-document-bytes {} is larger than --max-body-bytes {}: no request could carry such a document",
                self.max_document_bytes, self.max_body_bytes
            ));
        }
        let message = self.message_bytes();
        if message > self.max_answer_bytes {
            return Err(format!(
                "--max-message-chars {} needs --max-answer-bytes of at least {message}: such a message could be sent and \
                 never be read",
                self.max_message_chars
            ));
        }
        Ok(())
    }

    /// Bytes that an event may come to: no more than any answer, and enough for a message of the largest size that is asked
    /// for in several places.
    pub(crate) fn max_event_bytes(&self) -> usize {
        EVENT.max(self.message_bytes().saturating_mul(PLACES)).min(self.max_answer_bytes)
    }

    /// Bytes that a message of the largest size comes to in an answer.
    fn message_bytes(&self) -> usize {
        // A character has at most four bytes, and JSON writes none in more than six.
        self.max_message_chars.saturating_mul(6).saturating_add(AROUND_A_MESSAGE)
    }

    fn check_positive(&self) -> Result<(), String> {
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
        match counts.into_iter().find(|(_, count)| *count == 0) {
            Some((flag, _)) => Err(format!("{flag} must be at least 1")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::ServeArgs;

    #[test]
    fn the_defaults_fit_together_and_what_does_not_is_named() {
        let defaults = ServeArgs::default().limits;
        assert_eq!(defaults.check(), Ok(()));
        let check = |change: fn(&mut super::Limits)| {
            let mut limits = defaults.clone();
            change(&mut limits);
            limits.check().expect_err("the limits do not fit together")
        };
        assert!(check(|limits| limits.max_page_size = 20).contains("--page-size 50"));
        assert!(check(|limits| limits.max_body_bytes = 1_000).contains("--max-document-bytes"));
        assert!(check(|limits| limits.max_answer_bytes = 1_000).contains("--max-answer-bytes"));
        assert_eq!(defaults.max_event_bytes(), super::EVENT);
        let long = super::Limits { max_message_chars: 500_000, ..defaults.clone() };
        assert!(long.max_event_bytes() > 500_000 * 6 && long.max_event_bytes() <= long.max_answer_bytes);
        assert!(check(|limits| limits.subscriber_queue = 0).contains("--subscriber-queue"));
    }
}
