use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub handle: String,
    pub display_name: String,
    pub password_hash: String,
    pub created_at: i64,
    pub registration: Option<Vec<u8>>,
    pub external_id: Option<String>,
    pub disabled_at: Option<i64>,
    pub changed: Option<i64>,
    pub share_delivered: bool,
    pub share_read: bool,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
