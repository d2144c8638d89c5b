//! Adds what is needed to find stays that do not share what their users chose.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// Up to `owned_through` it was also seen that every stay shares what its user chose. So everything is looked at once
/// more, and the starts and joins with the leavings: kinds 1, 2 and 3.
///
/// The head comes first, as with every writer: in another order the two would wait for each other. Readers wait only for
/// the index that goes, which is quick, and not while the other one is made.
const UP: &str = "
UPDATE log_head SET owned_through = 0;
CREATE INDEX events_by_stay ON events (position) WHERE kind IN (1, 2, 3);
DROP INDEX events_by_owning;
";

#[allow(elided_lifetimes_in_paths, reason = "the trait, expanded by async_trait, leaves this one out")]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run_script(manager, UP).await
    }
}
