//! An owner changed what is kept of a conversation.

use serde::{Deserialize, Serialize};

use super::{Audience, Event, Kind, Range, Record, Unreadable};
use crate::messaging::{Facts, Metadata, Title, UserId};

/// The actor changed the title or the metadata of the conversation, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Updated {
    /// What is so from here on.
    pub to: Description,
    /// What was so before it. Users who left earlier still see this.
    pub former: Description,
}

/// What is kept of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Description {
    /// The title, if any.
    pub title: Option<Title>,
    /// The metadata, if any.
    pub metadata: Option<Metadata>,
}

/// The JSON of its data.
#[derive(Serialize, Deserialize)]
struct Data {
    title: Option<String>,
    metadata: Option<String>,
    former_title: Option<String>,
    former_metadata: Option<String>,
}

impl Description {
    fn texts(&self) -> (Option<String>, Option<String>) {
        (self.title.as_ref().map(ToString::to_string), self.metadata.as_ref().map(ToString::to_string))
    }

    fn trusted(title: Option<String>, metadata: Option<String>) -> Self {
        Self { title: title.map(Title::trusted), metadata: metadata.map(Metadata::trusted) }
    }
}

impl Updated {
    /// The number under which its events are stored.
    pub const NUMBER: i64 = 10;
}

impl Kind for Updated {
    const NUMBERS: &'static [i64] = &[Self::NUMBER];

    fn record(&self) -> Record {
        let ((title, metadata), (former_title, former_metadata)) = (self.to.texts(), self.former.texts());
        let data = Data { title, metadata, former_title, former_metadata };
        Record { data: serde_json::to_string(&data).ok(), ..Record::of(Self::NUMBER) }
    }

    fn read(record: Record) -> Result<Self, Unreadable> {
        let data = record.data.ok_or(Unreadable::Missing("data"))?;
        let Data { title, metadata, former_title, former_metadata } = serde_json::from_str(&data)?;
        let former = Description::trusted(former_title, former_metadata);
        Ok(Self { to: Description::trusted(title, metadata), former })
    }

    fn audience(&self) -> &Audience {
        &Audience::Everyone
    }

    fn covers(&self) -> Option<Range> {
        None
    }

    fn joining(&self) -> &[UserId] {
        &[]
    }

    fn leaving<'a>(&'a self, _: &'a UserId) -> &'a [UserId] {
        &[]
    }

    fn is_activity(&self) -> bool {
        true
    }

    fn apply(&self, event: &Event, facts: &mut Facts) {
        facts.describe(event.conversation, self.to.clone());
    }
}
