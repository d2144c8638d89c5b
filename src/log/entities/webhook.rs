use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "webhooks")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub url: String,
    pub secrets: String,
    pub has_bodies: i64,
    pub is_configured: i64,
    pub token_key: Vec<u8>,
    pub epoch: i64,
    pub position: i64,
    pub chain: i64,
    pub created_at: i64,
    pub disabled_at: Option<i64>,
    pub disabled_because: Option<String>,
    pub lease_owner: Option<Uuid>,
    pub lease_until: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
