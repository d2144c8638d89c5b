use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "log_head")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub epoch: i64,
    pub position: i64,
    pub sessions_ended: i64,
    pub chain: i64,
    pub at_micros: i64,
    pub home: Option<String>,
    pub users_changed: i64,
    pub owned_through: i64,
    pub redacted_through: i64,
    pub aging_until: i64,
    pub trimmed: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
