//! One bundle, from sealed segments to acknowledgements: write, sync the file,
//! sync its folder, one index transaction, answer.

use std::sync::Arc;
use std::time::Instant;

use aws_lc_rs::digest;
use bytes::Bytes;

use crate::db::Connection;
use crate::error::{ArchiveError, Result};
use crate::format::{Kind, SEGMENT_HEADER, TRAILER, Trailer};
use crate::index::commit::{self, Committed, Unit};
use crate::index::instances;
use crate::index::objects::{self, Name};
use crate::index::schema::state;
use crate::model::{Standing, StoreOutcome};
use crate::objects::Bucket;
use crate::steps;
use crate::tenant::Tenant;

use super::Context;
use super::bundles::{Bundle, Shared};

/// Writes a bundle and commits it.
pub(super) fn commit_bundle(db: &mut Connection, context: &Context, mut bundle: Bundle) {
    bundle.begin();
    let written = write_bundle(context, &bundle);
    settle_bundle(db, context, bundle, written);
}

/// Has a bundle put into the bucket; the writer goes on meanwhile, and commits it
/// once it is there.
pub(super) fn upload(bucket: &Bucket, shared: &Arc<Shared>, mut bundle: Bundle) {
    bundle.begin();
    let (trailer, length) = trailer(&bundle);
    let mut parts = vec![Bytes::copy_from_slice(&bundle.encoded)];
    for sealed in &mut bundle.sealed {
        parts.push(sealed.bytes.clone());
    }
    parts.push(Bytes::from(trailer));
    let (tenant, name) = (Arc::clone(&bundle.tenant), bundle.name.name);
    shared.state().uploading.push(tenant.row);
    let shared = Arc::clone(shared);
    bucket.put_then(tenant.id.as_str(), &name, parts, move |put| {
        steps::at("commit.object-synced");
        shared.written(bundle, put.map(|()| length));
    });
}

/// Commits a bundle whose object is there, this long, or could not be written.
pub(super) fn settle_bundle(
    db: &mut Connection,
    context: &Context,
    bundle: Bundle,
    written: Result<u64>,
) {
    let started = bundle.began.unwrap_or_else(Instant::now);
    let wrote = started.elapsed();
    let Bundle {
        tenant,
        name,
        sealed,
        traced: _until_the_end,
        ..
    } = bundle;
    let mut replies = Vec::with_capacity(sealed.len());
    let mut records = Vec::with_capacity(sealed.len());
    let mut offset = bundle.encoded.len() as u64;
    let mut rejects = false;
    for segment in sealed {
        let mut record = segment.record;
        rejects |= record.descriptor.rejects.is_some();
        record.offset = offset;
        offset += segment.bytes.len() as u64;
        records.push(record);
        replies.push((segment.reply, segment.permit));
    }
    let outcome = match written {
        Err(error) => {
            abandon(db, context, name);
            Err(error)
        }
        Ok(bytes) => settle(
            db,
            context,
            &tenant,
            &Unit {
                tenant: tenant.id.clone(),
                tenant_row: tenant.row,
                name,
                kind: Kind::Bundle,
                bytes,
                records,
                takes_resends: bundle.takes_resends,
                as_it_was: false,
                publication: None,
            },
        ),
    };
    context.saw(&outcome);
    // What only arrives leaves alone what is served: it has a UID of its own or
    // stands back. What a note rejects, and what went wrong, may be anything.
    if rejects || outcome.is_err() {
        context.changes.count();
    }
    metrics::histogram!("archive_bundle_write_seconds").record(wrote.as_secs_f64());
    metrics::histogram!("archive_bundle_commit_seconds").record(started.elapsed().as_secs_f64());
    metrics::histogram!("archive_bundle_instances")
        .record(f64::from(u32::try_from(replies.len()).unwrap_or(u32::MAX)));
    match outcome {
        Ok(Committed::Stored(outcomes)) => {
            for ((reply, _permit), outcome) in replies.into_iter().zip(outcomes) {
                let _ = reply.send(outcome);
            }
            steps::at("commit.answered");
        }
        Ok(Committed::AlreadyPublished(_)) => {}
        Err(error) => {
            tracing::error!(%error, instances = replies.len(), "a bundle was not committed; nothing of it was acknowledged");
            for (reply, _permit) in replies {
                let _ = reply.send(Err(error.clone()));
            }
        }
    }
}

/// Writes the object and returns once it is durable: data, then directory.
fn write_bundle(context: &Context, bundle: &Bundle) -> Result<u64> {
    let (trailer, length) = trailer(bundle);
    let mut parts: Vec<&[u8]> = vec![&bundle.encoded];
    parts.extend(bundle.sealed.iter().map(|segment| &*segment.bytes));
    parts.push(&trailer);
    let (tenant, name) = (bundle.tenant.id.as_str(), &bundle.name.name);
    let mut object = context.objects.create(tenant, name)?;
    steps::at("commit.object-created");
    object
        .append(&parts)
        .inspect(|()| steps::at("commit.object-written"))
        .and_then(|()| object.finish())
        .inspect(|()| steps::at("commit.object-synced"))
        .and_then(|()| context.objects.settle([(tenant, name)]))
        .inspect_err(|_| object.release())?;
    steps::at("commit.folder-synced");
    Ok(length)
}

/// What ends a bundle's object, and the length of the whole.
fn trailer(bundle: &Bundle) -> (Vec<u8>, u64) {
    let mut digest = digest::Context::new(&digest::SHA256);
    digest.update(&bundle.encoded);
    let mut length = (bundle.encoded.len() + TRAILER) as u64;
    for segment in &bundle.sealed {
        digest.update(segment.bytes.get(..SEGMENT_HEADER).unwrap_or_default());
        length += segment.bytes.len() as u64;
    }
    let mut headers = [0; 32];
    headers.copy_from_slice(digest.finish().as_ref());
    let trailer = Trailer {
        block_at: None,
        segments: u32::try_from(bundle.sealed.len()).unwrap_or(u32::MAX),
        length,
        digest: headers,
    };
    (trailer.encode(), length)
}

/// The name is never used again; the sweep takes the file.
pub(crate) fn abandon(db: &Connection, context: &Context, name: Name) {
    let now = context.clock.now_millis();
    // On failure the next opening buries it: it stays reserved until then.
    if let Err(error) = objects::transition(db, name.row, state::RESERVED, state::DEAD, now) {
        tracing::warn!(%error, "an abandoned object stays reserved until the next start");
    }
}

/// Commits an object whose file is durable. When COMMIT's own answer is
/// unclear, the state is read, never guessed.
pub(crate) fn settle(
    db: &mut Connection,
    context: &Context,
    tenant: &Tenant,
    unit: &Unit,
) -> Result<Committed> {
    let now = context.clock.now_millis();
    let more = tenant.names_wanted().map(|count| (context.opening, count));
    let error = match commit::commit(db, &context.packs, &context.stores, unit, now, more) {
        Ok((committed, names)) => {
            steps::at("commit.committed");
            tenant.add_names(names);
            context.bell.notify_one();
            return Ok(committed);
        }
        Err(error) => error,
    };
    db.abandon();
    if objects::state_of(db, unit.name.row)? == Some(state::LIVE) {
        context.bell.notify_one();
        return Ok(Committed::Stored(read_back(db, context, unit)?));
    }
    abandon(db, context, unit.name);
    Err(error)
}

fn read_back(db: &Connection, context: &Context, unit: &Unit) -> Result<Vec<Result<StoreOutcome>>> {
    unit.records
        .iter()
        .map(|record| {
            let of = &record.descriptor;
            let row = instances::exact(
                db,
                &context.packs,
                unit.tenant_row,
                &of.sop_instance,
                &of.sha256,
            )?;
            let Some(row) = row else {
                // The transaction refused it.
                return Ok(Err(ArchiveError::Deleted));
            };
            Ok(Ok(match row.standing {
                _ if row.location.object != unit.name.name => StoreOutcome::Duplicate,
                Standing::Served | Standing::Superseded | Standing::Rejected => {
                    StoreOutcome::Stored
                }
                Standing::Variant => StoreOutcome::Variant,
                Standing::Conflict => StoreOutcome::Conflict,
            }))
        })
        .collect()
}
