//! Passwords: hashed with Argon2id, away from the threads that serve, a bounded number at a time, in memory that is
//! used again.

use std::sync::{Arc, Mutex, PoisonError};

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, Version};
use tokio::sync::Semaphore;

use crate::error::Error;
use crate::random;

/// Memory in KiB, passes and lanes: the first choice of the OWASP Password Storage Cheat Sheet.
const ARGON2_COST: (u32, u32, u32) = (19 * 1024, 2, 1);

/// The number of passwords that may wait for each one that is being hashed. Further ones are refused.
const HASH_QUEUE: usize = 64;

#[derive(Debug)]
pub(super) struct Passwords {
    hashing: Arc<Semaphore>,
    waiting: Semaphore,
    memory: Arc<Memory>,
    /// A hash of no known password. It is checked for a handle that nobody has.
    nobody: Arc<str>,
}

impl Passwords {
    pub(super) fn new(at_a_time: usize) -> Self {
        let at_a_time = at_a_time.max(1);
        Self {
            hashing: Arc::new(Semaphore::new(at_a_time)),
            waiting: Semaphore::new(at_a_time * HASH_QUEUE),
            memory: Arc::default(),
            // It costs as much to check as a real hash. It is random instead of computed.
            nobody: phc(&random::bytes::<16>(), &random::bytes::<{ Params::DEFAULT_OUTPUT_LEN }>()).into(),
        }
    }

    /// Hashes a password, for storage in PHC form.
    pub(super) async fn hash(&self, password: &str) -> Result<String, Error> {
        let password = password.to_owned();
        self.run(move |blocks| hash(password.as_bytes(), blocks)).await
    }

    /// Whether `stored` is the hash of `password`. `None`, for a handle that nobody has, takes as long and is
    /// always wrong.
    pub(super) async fn verify(&self, password: &str, stored: Option<String>) -> Result<bool, Error> {
        let password = password.to_owned();
        let known = stored.is_some();
        let stored = stored.unwrap_or_else(|| self.nobody.to_string());
        let right = move |blocks: &mut Vec<Block>| is_right(password.as_bytes(), &stored, blocks);
        Ok(self.run(right).await?.unwrap_or(false) && known)
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Vec<Block>) -> T + Send + 'static,
    ) -> Result<T, Error> {
        // The error of a semaphore says only that no permit is free, or that it is closed.
        let _waiting = self.waiting.try_acquire().map_err(|_| Error::RateLimited { seconds: 1 })?;
        let hashing = Arc::clone(&self.hashing).acquire_owned().await.map_err(|_| Error::Unavailable)?;
        let memory = Arc::clone(&self.memory);
        let worked = tokio::task::spawn_blocking(move || {
            let done = memory.lend(work);
            drop(hashing);
            done
        });
        worked.await.map_err(|error| {
            tracing::error!(%error, "hashing a password failed");
            Error::Internal
        })
    }
}

/// The memory in which passwords are hashed: 19 MiB for each password that was ever hashed at the same time as others.
/// It is reused, because the C library's allocator would keep an arena for every thread that ever hashed.
#[derive(Debug, Default)]
struct Memory {
    // A `std` mutex, because it is never locked while a password is hashed.
    idle: Mutex<Vec<Vec<Block>>>,
}

impl Memory {
    fn lend<T>(&self, work: impl FnOnce(&mut Vec<Block>) -> T) -> T {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let mut blocks = idle().pop().unwrap_or_default();
        let done = work(&mut blocks);
        idle().push(blocks);
        done
    }
}

fn params() -> Params {
    let (memory, passes, lanes) = ARGON2_COST;
    Params::new(memory, passes, lanes, None).expect("the cost is within Argon2's bounds")
}

fn hash(password: &[u8], blocks: &mut Vec<Block>) -> String {
    let salt = random::bytes::<16>();
    let mut output = [0; Params::DEFAULT_OUTPUT_LEN];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params());
    compute(&argon2, password, &salt, &mut output, blocks).expect("salt and output are of valid lengths");
    phc(&salt, &output)
}

/// Whether `stored` is the hash of `password`. `None` when Argon2 cannot have made `stored`.
fn is_right(password: &[u8], stored: &str, blocks: &mut Vec<Block>) -> Option<bool> {
    let stored = PasswordHash::new(stored).ok()?;
    let (salt, expected) = (stored.salt?, stored.hash?);
    let algorithm = Algorithm::try_from(stored.algorithm.as_str()).ok()?;
    let version = Version::try_from(stored.version?).ok()?;
    let argon2 = Argon2::new(algorithm, version, Params::try_from(&stored).ok()?);
    let mut output = [0; Output::MAX_LENGTH];
    let output = output.get_mut(..expected.len())?;
    compute(&argon2, password, &salt, output, blocks).ok()?;
    // This compares the two outputs in constant time.
    Some(Output::new(output).ok()? == expected)
}

fn compute(
    argon2: &Argon2<'_>,
    password: &[u8],
    salt: &[u8],
    output: &mut [u8],
    blocks: &mut Vec<Block>,
) -> argon2::Result<()> {
    let needed = argon2.params().block_count();
    if blocks.len() < needed {
        blocks.resize(needed, Block::new());
    }
    argon2.hash_password_into_with_memory(password, salt, output, blocks)
}

/// A hash of the present cost, as it is stored.
fn phc(salt: &[u8], output: &[u8]) -> String {
    let hash = PasswordHash {
        algorithm: ARGON2ID_IDENT,
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&params()).expect("the cost can be written"),
        salt: Some(Salt::new(salt).expect("the salt is of a valid length")),
        hash: Some(Output::new(output).expect("the output is of a valid length")),
    };
    hash.to_string()
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
        assert_eq!(passwords.verify("correct horse", Some("no hash".into())).await, Ok(false));
    }

    #[tokio::test]
    async fn hashes_are_those_that_argon2_makes_with_memory_of_its_own() {
        use argon2::PasswordVerifier;
        let passwords = Passwords::new(1);
        // The second in memory that the first one has left.
        for password in ["correct horse", "battery staple"] {
            let stored = passwords.hash(password).await.unwrap();
            assert!(Argon2::default().verify_password(password.as_bytes(), stored.as_str()).is_ok());
        }
        // Made with less memory, one lane more and a shorter output, by somebody else.
        let theirs = "$argon2id$v=19$m=64,t=1,p=2$c29tZXNhbHQ$";
        let params =
            argon2::ParamsBuilder::new().m_cost(64).t_cost(1).p_cost(2).output_len(16).build().unwrap();
        let mut output = [0; 16];
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        argon2.hash_password_into(b"elsewhere", b"somesalt", &mut output).unwrap();
        let theirs = format!("{theirs}{}", Output::new(&output).unwrap());
        assert_eq!(passwords.verify("elsewhere", Some(theirs)).await, Ok(true));
    }

    #[tokio::test]
    async fn memory_is_made_for_those_that_are_hashed_at_once_and_never_again() {
        let passwords = Passwords::new(2);
        let stored = passwords.hash("correct horse").await.unwrap();
        for _ in 0..3 {
            let verify = || passwords.verify("correct horse", Some(stored.clone()));
            let (a, b, c, nobody) = tokio::join!(verify(), verify(), verify(), passwords.verify("x", None));
            assert_eq!((a, b, c, nobody), (Ok(true), Ok(true), Ok(true), Ok(false)));
            let idle = passwords.memory.idle.lock().unwrap();
            assert!(idle.len() <= 2, "{} for two at a time", idle.len());
            assert!(idle.iter().all(|blocks| blocks.capacity() == ARGON2_COST.0 as usize));
        }
    }
}
