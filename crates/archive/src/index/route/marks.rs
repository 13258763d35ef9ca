//! Where pages of QIDO ended: who asks for the next one by its offset gets it
//! without the ones before being walked again, and misses none that was pushed
//! on by what arrived meanwhile. Only ever a shortcut: a page that it does not
//! fill is asked for by its offset.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{After, Asked, studies};
use crate::db::{Connection, Value};
use crate::error::Result;
use crate::model::{Order, StudyFilter, StudyRow};

/// How long somebody who pages through an answer may pause.
const KEPT: Duration = Duration::from_secs(120);
/// Marks of all who page, together.
const MARKS: usize = 512;

#[derive(Default)]
pub(crate) struct Marks(Mutex<HashMap<Key, (Instant, Mark)>>);

/// What begins at an offset of an answer.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    tenant: i64,
    filter: StudyFilter,
    offset: u64,
}

/// A study's place in the order by date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(super) date: String,
    pub(super) time: String,
    pub(super) id: i64,
}

impl Mark {
    fn of((study, id): &(StudyRow, i64)) -> Option<Self> {
        Some(Self {
            date: study.attributes.date.clone()?,
            time: study.attributes.time.clone().unwrap_or_default(),
            id: *id,
        })
    }
}

impl Mark {
    pub(super) fn values(&self) -> [Value; 3] {
        [
            Value::Text(self.date.clone()),
            Value::Text(self.time.clone()),
            Value::Integer(self.id),
        ]
    }
}

impl Marks {
    fn get(&self, key: &Key) -> Option<Mark> {
        let marks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, mark) = marks.get(key)?;
        (since.elapsed() < KEPT).then(|| mark.clone())
    }

    /// Remembers what the last two of a page precede: pages are often asked for
    /// with one more than is shown.
    fn remember(&self, asked: &Asked<'_>, found: &[(StudyRow, i64)], offset: u64) {
        let now = Instant::now();
        let mut marks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if marks.len() >= MARKS {
            marks.retain(|_, (since, _)| since.elapsed() < KEPT);
        }
        if marks.len() >= MARKS {
            marks.clear();
        }
        for (back, row) in (0..2).zip(found.iter().rev()) {
            let next = offset + found.len() as u64 - back;
            if let Some(mark) = Mark::of(row) {
                let key = key(asked, next);
                marks.insert(key, (now, mark));
            }
        }
    }
}

fn key(asked: &Asked<'_>, offset: u64) -> Key {
    Key {
        tenant: asked.tenant,
        filter: asked.filter.clone(),
        offset,
    }
}

/// A page by its offset.
pub(crate) fn page(
    db: &Connection,
    marks: &Marks,
    asked: &Asked<'_>,
) -> Result<Vec<(StudyRow, i64)>> {
    if asked.order != Order::StudyDate || asked.limit == 0 {
        return studies(db, asked);
    }
    let mark = (asked.offset > 0)
        .then(|| marks.get(&key(asked, asked.offset)))
        .flatten();
    if let Some(mark) = mark {
        let next = Asked {
            after: Some(After::Date(mark)),
            offset: 0,
            ..*asked
        };
        let found = studies(db, &next)?;
        if found.len() as u64 == asked.limit {
            marks.remember(asked, &found, asked.offset);
            return Ok(found);
        }
    }
    // The one before it tells where this page begins.
    let before = asked.offset.min(1);
    let plain = Asked {
        after: None,
        limit: asked.limit + before,
        offset: asked.offset - before,
        ..*asked
    };
    let mut found = studies(db, &plain)?;
    if before == 1 && !found.is_empty() {
        let first: Vec<_> = found.drain(..1).collect();
        marks.remember(asked, &first, asked.offset - 1);
    }
    marks.remember(asked, &found, asked.offset);
    Ok(found)
}
