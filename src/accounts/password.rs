//! Passwords: hashed with Argon2id, away from the threads that serve, a bounded number at a time.

use std::sync::Arc;

use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use tokio::sync::Semaphore;

use crate::error::Error;
use crate::random;

/// Memory in KiB, passes and lanes: the first choice of the OWASP Password Storage Cheat Sheet.
const COST: (u32, u32, u32) = (19 * 1024, 2, 1);

/// How many wait for each that is being hashed, before the next is told to come back.
const WAITING: usize = 64;

#[derive(Debug)]
pub(super) struct Passwords {
    hashing: Arc<Semaphore>,
    waiting: Semaphore,
    /// A hash that no password has, for handles that nobody has.
    nobody: Arc<str>,
}

impl Passwords {
    pub(super) fn new(at_a_time: usize) -> Self {
        let at_a_time = at_a_time.max(1);
        let nobody = hash(&random::bytes::<32>());
        Self {
            hashing: Arc::new(Semaphore::new(at_a_time)),
            waiting: Semaphore::new(at_a_time * WAITING),
            nobody: nobody.into(),
        }
    }

    /// The hash to be stored, in PHC form.
    pub(super) async fn hash(&self, password: &str) -> Result<String, Error> {
        let password = password.to_owned();
        self.run(move || hash(password.as_bytes())).await
    }

    /// Whether `stored` is the hash of `password`. `None`, for a handle that nobody has, takes as long and is
    /// always wrong.
    pub(super) async fn verify(&self, password: &str, stored: Option<String>) -> Result<bool, Error> {
        let password = password.to_owned();
        let known = stored.is_some();
        let stored = stored.unwrap_or_else(|| self.nobody.to_string());
        let right = move || argon2().verify_password(password.as_bytes(), stored.as_str()).is_ok();
        Ok(self.run(right).await? && known)
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
        let _waiting = self.waiting.try_acquire().map_err(|_| Error::RateLimited { seconds: 1 })?;
        let hashing = Arc::clone(&self.hashing).acquire_owned().await.map_err(|_| Error::Unavailable)?;
        let worked = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(hashing);
            done
        });
        worked.await.map_err(|error| {
            tracing::error!(%error, "hashing a password failed");
            Error::Internal
        })
    }
}

fn argon2() -> Argon2<'static> {
    let (memory, passes, lanes) = COST;
    let params = Params::new(memory, passes, lanes, None).expect("the cost is within Argon2's bounds");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn hash(password: &[u8]) -> String {
    let salt = random::bytes::<16>();
    argon2().hash_password_with_salt(password, &salt).expect("the salt is of a valid length").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_of_someone_who_exists_is_right() {
        let passwords = Passwords::new(1);
        let stored = passwords.hash("correct horse").await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert_eq!(passwords.verify("correct horse", Some(stored.clone())).await, Ok(true));
        assert_eq!(passwords.verify("wrong horse", Some(stored)).await, Ok(false));
        assert_eq!(passwords.verify("correct horse", None).await, Ok(false));
    }
}
