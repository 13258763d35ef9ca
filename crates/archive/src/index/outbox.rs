//! Events that wait to be carried, in the transaction of what they tell of.

use std::borrow::Cow;

use hilum_contracts::Event;
use hilum_platform::traces;

use crate::db::{Connection, params_from_iter};
use crate::error::{ArchiveError, Result};
use crate::limits;

pub(crate) fn append(db: &Connection, event: &Event) -> Result<()> {
    append_all(db, std::slice::from_ref(event))
}

pub(crate) fn append_all(db: &Connection, events: &[Event]) -> Result<()> {
    for some in events.chunks(db.together()) {
        let texts = some.iter().map(text).collect::<Result<Vec<_>>>()?;
        let each: Vec<String> = (1..=texts.len()).map(|at| format!("(?{at})")).collect();
        let sql = format!("INSERT INTO outbox (event) VALUES {}", each.join(", "));
        db.prepare_for(some.len(), &sql)?
            .execute(params_from_iter(texts))?;
    }
    Ok(())
}

/// What is told, with what it is a part of.
fn text(event: &Event) -> Result<String> {
    let mut event = Cow::Borrowed(event);
    if let Some(cause) = traces::cause(event.correlation_id) {
        event.to_mut().traceparent = Some(cause);
    }
    serde_json::to_string(&*event).map_err(|_| ArchiveError::Invalid("the event cannot be written"))
}

pub(crate) fn unsent(db: &Connection, limit: u32) -> Result<Vec<(i64, Event)>> {
    let mut query =
        db.prepare_cached("SELECT position, event FROM outbox ORDER BY position LIMIT ?1")?;
    let mut rows = query.query([limit.min(limits::OUTBOX_BATCH)])?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        let text: String = row.get(1)?;
        let event = serde_json::from_str(&text).map_err(|_| ArchiveError::Corrupt)?;
        events.push((row.get(0)?, event));
    }
    Ok(events)
}

/// What every inbox holds is not needed here any more.
pub(crate) fn delete_sent(db: &Connection, positions: &[i64]) -> Result<()> {
    let batch = serde_json::to_string(positions)
        .map_err(|_| ArchiveError::Invalid("the positions cannot be written"))?;
    db.prepare_cached(db.each(
        "DELETE FROM outbox WHERE position IN (SELECT value FROM json_each(?1))",
        "DELETE FROM outbox WHERE position IN
            (SELECT value::bigint FROM json_array_elements_text(?1::json) AS sent (value))",
    ))?
    .execute([batch])?;
    Ok(())
}
