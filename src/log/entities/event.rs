use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "events")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub position: i64,
    pub kind: i64,
    pub conversation_id: Uuid,
    pub actor_id: Uuid,
    pub origin_session: Option<Uuid>,
    pub origin_connection: Option<String>,
    pub users: Option<Vec<u8>>,
    pub from_position: Option<i64>,
    pub through_position: Option<i64>,
    pub data: Option<String>,
    pub at_micros: i64,
    pub chain: i64,
    pub via: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
