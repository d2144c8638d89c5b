//! Users, their passwords, the sessions in which they are signed in, and services.
//!
//! Here live registering, signing in and out, making users for another system, and the sessions and service keys in use
//! on this node. What never lives here: SQL (it is in `log`), and where a token travels (that is the transports'
//! business).

mod acting;
mod credential;
mod erasing;
mod handles;
mod jwt;
mod known_users;
mod live;
mod login_system;
mod password;
mod provisioning;
mod scope;
mod service;
mod session;
mod token;
mod turns;
mod watch;

use std::net::IpAddr;
use std::sync::Arc;

use sha2::{Digest, Sha256};

pub use acting::ActAs;
pub use credential::Credential;
pub use erasing::Erased;
pub use jwt::{JwtOptions, KeysError};
pub use known_users::{BeforeReading, KnownUsers};
pub use live::Live;
pub use provisioning::{MAX_USERS, Wanted};
pub use scope::{Scope, Scopes};
pub use service::{Keys, Service, ServiceKey};
pub use session::{Lifetimes, Sessions};
pub use token::Token;

use self::jwt::JwtVerifier;
use self::live::LiveByHash;
use self::login_system::LoginSystem;
use self::password::Passwords;
use self::turns::Turns;
use crate::error::Error;
use crate::log::{Database, Standing, Unavailable, UserChange, UserRow};
use crate::messaging::{DisplayName, Handle, IdempotencyKey, Sharing, UserId};
use crate::network::Network;
use crate::random;

/// The fewest characters of a password (NIST SP 800-63B, section 5.1.1.1).
const MIN_PASSWORD_CHARS: usize = 8;

/// The most bytes of a password. A longer one is refused before it is hashed.
const MAX_PASSWORD_BYTES: usize = 512;

/// The most sessions of services for somebody that this node remembers while nobody uses them.
const MAX_REMEMBERED_ACTING: usize = 20_000;

/// How users get in.
#[derive(Debug, Clone)]
pub struct AccountOptions {
    /// How long sessions last.
    pub lifetimes: Lifetimes,
    /// The most passwords that are hashed at a time.
    pub max_hashing: usize,
    /// Whether users sign in with passwords.
    pub has_passwords: bool,
    /// Whether everybody may register.
    pub is_open: bool,
    /// The other login system whose tokens herald believes, if any.
    pub jwt: Option<JwtOptions>,
}

impl AccountOptions {
    /// Passwords and nothing else, and everybody may register.
    pub fn new(lifetimes: Lifetimes, max_hashing: usize) -> Self {
        Self { lifetimes, max_hashing, has_passwords: true, is_open: true, jwt: None }
    }
}

/// The users of this herald.
#[derive(Debug)]
pub struct Accounts {
    database: Database,
    passwords: Passwords,
    /// Decides whose password is hashed next.
    turns: Turns,
    has_passwords: bool,
    is_open: bool,
    login_system: Option<LoginSystem>,
    /// The sessions in which services act for somebody.
    acting: LiveByHash,
    /// The keys of services.
    pub keys: Keys,
    /// The users that this node has read lately.
    pub users: KnownUsers,
    /// The sessions that herald keeps.
    pub sessions: Sessions,
}

impl Accounts {
    /// The accounts in `database`. It reads the keys of the other login system, if there is one.
    pub async fn open(database: Database, options: AccountOptions) -> Result<Self, KeysError> {
        let AccountOptions { lifetimes, max_hashing, has_passwords, is_open, jwt } = options;
        let login_system = match jwt {
            Some(jwt) => Some(LoginSystem::new(JwtVerifier::start(jwt).await?)),
            None => None,
        };
        Ok(Self {
            passwords: Passwords::new(max_hashing),
            turns: Turns::new(max_hashing),
            has_passwords,
            is_open,
            login_system,
            acting: LiveByHash::new(MAX_REMEMBERED_ACTING),
            keys: Keys::new(database.clone()),
            users: KnownUsers::default(),
            sessions: Sessions::new(database.clone(), lifetimes),
            database,
        })
    }

    /// Finds the session that this credential stands for.
    ///
    /// # Errors
    /// Why it stands for none. A service key stands for no session: [`Keys::find`] finds its service.
    pub async fn identify(&self, credential: &Credential) -> Result<Arc<Live>, Error> {
        match credential {
            Credential::Token(token) => self.sessions.find(token, &self.users).await,
            Credential::Jwt(jwt) => self.sign_in_by_jwt(jwt).await,
            Credential::Service(_) => Err(Error::Unauthenticated),
        }
    }

    /// Changes a user. All nodes show the change within a second or two. `None` when there is no such user.
    pub async fn change(&self, id: UserId, change: &UserChange) -> Result<Option<UserRow>, Unavailable> {
        let changed = self.database.change_user(id, change).await?;
        if let Some(user) = &changed {
            self.apply_change(user);
        }
        Ok(changed)
    }

    /// Forgets what this node knows of a user, who was changed. Ends the user's sessions if the user is disabled.
    fn apply_change(&self, user: &UserRow) {
        self.users.forget(user.id);
        if user.disabled_at.is_some() {
            self.sessions.forget_all_of(user.id);
            if let Some(login_system) = &self.login_system {
                login_system.live.end_where(|live| live.user == user.id);
            }
            self.acting.end_where(|live| live.user == user.id);
        }
    }

    /// Refuses what needs a password where users sign in elsewhere.
    fn check_passwords(&self) -> Result<(), Error> {
        if self.has_passwords {
            return Ok(());
        }
        Err(Error::Forbidden("Passwords are switched off here: sign in at your login system.".into()))
    }

    /// Creates a user, on a request from an address. A registration that is repeated with its key and its password gets
    /// the user that the first one created.
    pub async fn register(
        &self,
        from: IpAddr,
        handle: &str,
        display_name: &str,
        password: &str,
        key: Option<&IdempotencyKey>,
    ) -> Result<UserRow, Error> {
        self.check_passwords()?;
        if !self.is_open {
            return Err(Error::Forbidden("Registration is closed: ask whoever runs this service.".into()));
        }
        self.create(from, handle, display_name, password, key).await
    }

    /// Creates a user as [`Accounts::register`] does, also where registration is closed.
    pub async fn create(
        &self,
        from: IpAddr,
        handle: &str,
        display_name: &str,
        password: &str,
        key: Option<&IdempotencyKey>,
    ) -> Result<UserRow, Error> {
        let handle = Handle::parse(handle).map_err(Error::invalid("handle"))?;
        let display_name = DisplayName::parse(display_name).map_err(Error::invalid("displayName"))?;
        check_new_password("password", password)?;
        let registration = key.map(|key| registration(key, &display_name));
        // A taken handle is refused before the password is hashed. The insertion decides between two at once.
        if let Some(known) = self.user(&handle).await? {
            return self.repeat(from, known, password, registration).await;
        }
        let row = UserRow {
            id: UserId(random::id()),
            handle,
            display_name,
            password_hash: Some(self.hash(from, password).await?),
            created_at: self.database.now(),
            registration: registration.map(Vec::from),
            external_id: None,
            disabled_at: None,
            sharing: Sharing::default(),
        };
        if self.database.insert_user(&row).await? {
            return Ok(row);
        }
        let known = self.user(&row.handle).await?.ok_or(Error::Unavailable)?;
        self.repeat(from, known, password, registration).await
    }

    async fn user(&self, handle: &Handle) -> Result<Option<UserRow>, Error> {
        Ok(self.database.users_by_handle([handle]).await?.pop())
    }

    /// Repeats a registration whose handle is taken. The key alone proves nothing, since others may guess it.
    async fn repeat(
        &self,
        from: IpAddr,
        known: UserRow,
        password: &str,
        registration: Option<[u8; 32]>,
    ) -> Result<UserRow, Error> {
        let is_the_same =
            registration.is_some_and(|asked| known.registration.as_deref() == Some(asked.as_slice()));
        if is_the_same && self.verify(from, password, known.password_hash.clone()).await? {
            return enabled(known);
        }
        Err(Error::HandleTaken)
    }

    async fn verify(&self, from: IpAddr, password: &str, hash: Option<String>) -> Result<bool, Error> {
        let _turn = self.turns.take(Network::of(from)).await?;
        self.passwords.verify(password, hash).await
    }

    async fn hash(&self, from: IpAddr, password: &str) -> Result<String, Error> {
        let _turn = self.turns.take(Network::of(from)).await?;
        self.passwords.hash(password).await
    }

    /// Changes a user's password, and ends all of the user's sessions. Returns the user of after.
    ///
    /// # Errors
    /// [`Error::InvalidCredentials`] when `current` is not the user's password, also when somebody changed it while it was
    /// checked; [`Error::AccountDisabled`] when the user was disabled meanwhile.
    pub async fn change_password(
        &self,
        from: IpAddr,
        user: UserId,
        current: &str,
        new: &str,
    ) -> Result<UserRow, Error> {
        self.check_passwords()?;
        check_new_password("newPassword", new)?;
        let [row] = self.database.users_by_id(&[user]).await.try_into().map_err(|_| Error::Internal)?;
        let row = row?.ok_or(Error::Unauthenticated)?;
        let Some(hash) = row.password_hash.clone() else {
            return Err(Error::Forbidden("Another system signs you in: change your password there.".into()));
        };
        if current.len() > MAX_PASSWORD_BYTES || !self.verify(from, current, Some(hash)).await? {
            return Err(Error::InvalidCredentials);
        }
        let hash = self.hash(from, new).await?;
        match self.database.change_password(&row, &hash).await? {
            Standing::Same((changed, ended)) => {
                self.apply_change(&changed);
                for id in ended {
                    self.sessions.forget(id);
                }
                Ok(changed)
            }
            Standing::Disabled => Err(Error::AccountDisabled),
            Standing::Changed => Err(Error::InvalidCredentials),
        }
    }

    /// Finds the user whose password this is. An unknown handle takes as long as a wrong password.
    pub async fn authenticate(&self, from: IpAddr, handle: &str, password: &str) -> Result<UserRow, Error> {
        self.check_passwords()?;
        if password.len() > MAX_PASSWORD_BYTES {
            return Err(Error::InvalidCredentials);
        }
        let known = match Handle::parse(handle) {
            Ok(handle) => self.user(&handle).await?,
            Err(_) => None,
        };
        let hash = known.as_ref().and_then(|user| user.password_hash.clone());
        let right = self.verify(from, password, hash).await?;
        let Some(user) = known.filter(|_| right) else {
            // Operators ban addresses by this line. It leaves the handle out: people type passwords into the wrong
            // field.
            tracing::warn!(address = %from, "a sign-in failed");
            return Err(Error::InvalidCredentials);
        };
        enabled(user)
    }
}

/// Refuses a new password that is too short to be safe, or too long to be hashed.
fn check_new_password(field: &'static str, password: &str) -> Result<(), Error> {
    if password.chars().count() < MIN_PASSWORD_CHARS {
        let reason = format!("must be at least {MIN_PASSWORD_CHARS} characters long");
        return Err(Error::bad_input(field, reason));
    }
    if password.len() > MAX_PASSWORD_BYTES {
        return Err(Error::bad_input(field, format!("must be at most {MAX_PASSWORD_BYTES} bytes long")));
    }
    Ok(())
}

/// The user, unless disabled. Only somebody who knows the password learns which.
fn enabled(user: UserRow) -> Result<UserRow, Error> {
    if user.disabled_at.is_some() { Err(Error::AccountDisabled) } else { Ok(user) }
}

/// The digest of a registration under a key: of the key and the display name. It is stored, so its input never changes.
fn registration(key: &IdempotencyKey, display_name: &DisplayName) -> [u8; 32] {
    // Neither part has a line break, so a line break separates them.
    Sha256::digest(format!("{key}\n{display_name}")).into()
}
