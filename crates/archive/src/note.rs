//! Notes: what was decided about stored instances, written as small sealed
//! objects before the index transaction that carries it out, so that an index
//! made again from objects and keys alone knows it too. Never changes what it
//! tells of.

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};

use crate::db::Connection;
use crate::descriptor::{Digest, NoteDescriptor, hex};
use crate::engine::Engine;
use crate::error::{ArchiveError, Result};
use crate::format::Kind;
use crate::index::objects::{self as index, Name};
use crate::index::schema::state;
use crate::model::{
    Body, Cause, HoldOn, MoveOf, PatientIdentity, SeriesAttributes, StudyAttributes,
};
use crate::objects::Objects;
use crate::read::read_header;
use crate::steps;
use crate::stream::ObjectWriter;
use crate::tenant::Tenant;
use crate::writer::Context;

/// What a note tells. Fields and kinds are only ever added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "note", rename_all = "snake_case")]
pub(crate) enum Note {
    /// Something was deleted.
    Deleted {
        /// `study`, `series` or `instance`.
        level: String,
        /// Its keyed hash.
        #[serde(with = "hex")]
        mark: [u8; 32],
        /// Those of what was received under other UIDs and moved there.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        also: Vec<Digest>,
        cause: Cause,
        reason: String,
        by: String,
        /// Unix milliseconds.
        at: i64,
    },
    /// A study or a series was corrected; what its row answers with since.
    Corrected {
        study: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        series: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        patient: Option<Box<PatientIdentity>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        study_attributes: Option<Box<StudyAttributes>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        series_attributes: Option<Box<SeriesAttributes>>,
        overlay: String,
        detail: String,
        reason: String,
        by: String,
        /// Unix milliseconds.
        at: i64,
    },
    /// Instances were moved; the object says which they are.
    Moved {
        from_study: String,
        /// Series that they came from.
        series: Vec<String>,
        study: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to_series: Option<String>,
        of: MoveOf,
        /// What lies over later arrivals.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        overlay: Option<String>,
        /// The name of the object, in hexadecimal.
        object: String,
        detail: String,
        reason: String,
        by: String,
        /// Unix milliseconds.
        at: i64,
    },
    /// A legal hold was placed.
    Held {
        /// Names it.
        #[serde(with = "hex16")]
        mark: [u8; 16],
        on: HoldOn,
        reason: String,
        by: String,
        /// Unix milliseconds.
        at: i64,
    },
    /// A legal hold was lifted.
    Lifted {
        /// Names it.
        #[serde(with = "hex16")]
        mark: [u8; 16],
        by: String,
        /// Unix milliseconds.
        at: i64,
    },
}

mod hex16 {
    //! Marks in JSON.
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::descriptor::hex;

    pub(super) fn serialize<S: Serializer>(bytes: &[u8; 16], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hex::encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<[u8; 16], D::Error> {
        let text = String::deserialize(from)?;
        hex::decode(&text).ok_or_else(|| D::Error::custom("not 16 bytes in hexadecimal"))
    }
}

/// A note whose object is durable and not live yet.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    pub name: Name,
    pub bytes: u64,
    pub offset: u64,
    pub length: u64,
    pub sha256: [u8; 32],
}

impl Engine {
    /// Writes a note, sealed under the key of `label`. Blocks until durable.
    pub(crate) fn write_note(
        &self,
        tenant: &std::sync::Arc<Tenant>,
        label: &str,
        note: &Note,
    ) -> Result<Written> {
        let body = serde_json::to_vec(note)
            .map_err(|_| ArchiveError::Invalid("the note cannot be written"))?;
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(digest::digest(&digest::SHA256, &body).as_ref());
        let now = self.clock.now_millis();
        let descriptor = NoteDescriptor {
            sha256,
            length: body.len() as u64,
            written_at: now,
        };
        let name = self.writer.take_name(tenant)?;
        let written = || -> Result<(u64, u64)> {
            let mut object = ObjectWriter::create(self, tenant, name, Kind::Note)?;
            let key = self.keys.for_label(tenant.id.as_str(), label, now)?;
            let text = descriptor.encode()?;
            let body = Body::Memory(body.clone().into());
            let offset = object.segment(0, (&key.id, &key.secret), &text, &body, &sha256)?;
            Ok((object.finish(self)?, offset))
        };
        let (bytes, offset) = written().inspect_err(|_| self.give_up(name))?;
        steps::at("note.written");
        Ok(Written {
            name,
            bytes,
            offset,
            length: descriptor.length,
            sha256,
        })
    }
}

impl Engine {
    /// Runs the transaction that a note tells of. When it is refused, the note
    /// is gone before anybody is told so: an index that is made again carries
    /// out every note that it finds.
    pub(crate) fn carry_out<T, F>(&self, tenant: &Tenant, note: Name, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection, &Context) -> Result<T> + Send + 'static,
    {
        let done = self.writer.run_here(move |db, context| {
            let outcome = work(db, context);
            if outcome.is_err() {
                db.abandon();
            }
            outcome
        });
        if done.is_err()
            && let Err(error) = self.take_back(tenant, note)
        {
            // The next opening does it.
            tracing::error!(%error, "a note of what was refused was not removed");
        }
        done
    }

    fn take_back(&self, tenant: &Tenant, note: Name) -> Result<()> {
        let refused = self.writer.run_here(move |db, context| {
            // When COMMIT's own answer is unclear, the state is read.
            if index::state_of(db, note.row)? == Some(state::LIVE) {
                return Ok(false);
            }
            let now = context.clock.now_millis();
            index::transition(db, note.row, state::RESERVED, state::DEAD, now)?;
            Ok(true)
        })?;
        if !refused {
            return Ok(());
        }
        steps::at("note.refused");
        let tenant = tenant.id.as_str();
        self.objects.remove(tenant, &note.name)?;
        self.objects.settle([(tenant, &note.name)])?;
        self.writer.run_here(move |db, context| {
            let now = context.clock.now_millis();
            index::transition(db, note.row, state::DEAD, state::GONE, now).map(drop)
        })
    }
}

/// Removes the notes that an earlier run wrote and did not carry out, before
/// anybody is told what is there. Names are dead before their files go.
pub(crate) fn remove_refused(
    db: &Connection,
    objects: &Objects,
    opening: i64,
    now: i64,
) -> Result<()> {
    for (row, tenant, name) in index::unsettled_before(db, opening)? {
        let kind = objects
            .get(&tenant, &name)
            .and_then(|object| read_header(&object))
            .map(|(header, _)| header.kind);
        match kind {
            Ok(Kind::Note) => {}
            // Whether it is one can't be told now, and nobody may be told of it.
            Err(error @ (ArchiveError::Bucket | ArchiveError::Closed)) => return Err(error),
            _ => continue,
        }
        index::transition(db, row, state::RESERVED, state::DEAD, now)?;
        objects.remove(&tenant, &name)?;
        objects.settle([(tenant.as_str(), &name)])?;
        index::transition(db, row, state::DEAD, state::GONE, now)?;
    }
    Ok(())
}
