//! Somebody gave a conversation another title.

use serde::{Deserialize, Serialize};

use super::{Audience, Event, Kind, Range, Record, Unreadable};
use crate::messaging::{Facts, Title, UserId};

/// The actor gave the conversation another title, or took its title away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renamed {
    /// The title from here on, if any.
    pub title: Option<Title>,
    /// The title before it. Users who left earlier still see this one.
    pub former: Option<Title>,
}

/// The JSON of its data.
#[derive(Serialize, Deserialize)]
struct Data {
    title: Option<String>,
    former: Option<String>,
}

impl Renamed {
    /// The number under which its events are stored.
    pub const NUMBER: i64 = 7;
}

impl Kind for Renamed {
    const NUMBERS: &'static [i64] = &[Self::NUMBER];

    fn record(&self) -> Record {
        let text = |title: &Option<Title>| title.as_ref().map(ToString::to_string);
        let data = Data { title: text(&self.title), former: text(&self.former) };
        Record { data: serde_json::to_string(&data).ok(), ..Record::of(Self::NUMBER) }
    }

    fn read(record: Record) -> Result<Self, Unreadable> {
        let data = record.data.ok_or(Unreadable::Missing("data"))?;
        let Data { title, former } = serde_json::from_str(&data)?;
        Ok(Self { title: title.map(Title::trusted), former: former.map(Title::trusted) })
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
        facts.rename(event.conversation, self.title.clone());
    }
}
