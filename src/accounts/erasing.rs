//! Erases users. What never lives here: their messages, which are redacted one by one as events of the log.

use super::Accounts;
use crate::error::Error;
use crate::log::UserRow;
use crate::messaging::{DisplayName, Handle, UserId};

/// The name of everybody who was erased.
const ERASED: &str = "Erased user";

impl Accounts {
    /// Takes a user's names, password, sessions and settings away for good.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such user.
    pub async fn erase(&self, id: UserId) -> Result<UserRow, Error> {
        // The end of the id, since its beginning is the time.
        let digits = id.0.simple().to_string();
        let handle = Handle::trusted(format!("erased-{}", &digits[digits.len() - 12..]));
        let erased = self.database.erase_user(id, &handle, &DisplayName::trusted(ERASED)).await?;
        let erased = erased.ok_or(Error::NotFound("user"))?;
        self.apply_change(&erased);
        Ok(erased)
    }
}
