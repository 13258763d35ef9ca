//! Every answer of every level about everything in a tenant, as text.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use hilum_archive::{
    Archive, InstanceFilter, InstanceRow, MetadataForm, MetadataPiece, MetadataScope, Page,
    SeriesFilter, SeriesRow, StudyFilter,
};
use hilum_platform::scope::TenantScope;

use crate::support::sha256;

pub(crate) const ALL: Page = Page {
    limit: 5_000,
    offset: 0,
};

/// Everything about an instance but where it is.
pub(crate) fn told(row: &InstanceRow) -> String {
    let row = row.clone();
    format!(
        "{:?}",
        (
            (row.study, row.series, row.sop_class, row.sop_instance),
            (row.transfer_syntax, row.attributes, row.flags, row.origin),
            (row.received_at, row.standing, row.sha256),
            row.location.length(),
        )
    )
}

pub(crate) async fn read(archive: &Archive, scope: &TenantScope, row: &InstanceRow) -> Vec<u8> {
    let whole = 0..row.location.length();
    let reader = archive
        .read_range(scope, &row.location, whole)
        .await
        .unwrap();
    reader.collect().await.unwrap().to_vec()
}

/// Gives metadata out as it is stored.
struct AsStored;

impl MetadataForm for AsStored {
    fn name(&self, _: &str, _: &str) -> [u8; 16] {
        [0; 16]
    }

    fn make(&self, piece: &MetadataPiece) -> hilum_archive::Result<Bytes> {
        let objects: Vec<&[u8]> = piece
            .instances
            .iter()
            .map(|instance| &piece.text[instance.within.clone()])
            .collect();
        assert_eq!(objects.join(&b","[..]), piece.text);
        Ok(piece.text.clone())
    }
}

/// A series' metadata in pieces is what it is instance by instance.
pub(crate) async fn pieces(archive: &Archive, scope: &TenantScope, of: &SeriesRow) -> String {
    let of = MetadataScope::Series {
        study: of.study.clone(),
        series: of.uid.clone(),
    };
    let revision = archive.revision(scope, &of).await.unwrap();
    let all: Vec<_> = archive
        .instance_metadata(scope, of.clone())
        .map_ok(|one| one.metadata)
        .try_collect()
        .await
        .unwrap();
    // Twice: made, and as it was kept.
    for _ in 0..2 {
        let batches: Vec<_> = archive
            .metadata(scope, of.clone(), Arc::new(AsStored))
            .try_collect()
            .await
            .unwrap();
        assert!(batches.last().is_some_and(|batch| batch.last));
        let pieces = batches.into_iter().flat_map(|batch| batch.pieces);
        let pieces: Vec<_> = pieces.collect();
        assert_eq!(pieces.join(&b","[..]), all.join(&b","[..]));
    }
    format!("{revision:?}")
}

/// Every answer of every level, and every byte.
pub(crate) async fn everything(archive: &Archive, scope: &TenantScope) -> Vec<String> {
    let mut told_all = Vec::new();
    let studies = archive
        .studies(scope, &StudyFilter::default(), ALL)
        .await
        .unwrap();
    for study in &studies {
        told_all.push(format!("{study:?}"));
        let of = MetadataScope::Study(study.uid.clone());
        let found: Vec<_> = archive
            .instance_metadata(scope, of)
            .try_collect()
            .await
            .unwrap();
        for one in found {
            told_all.push(format!(
                "{} {:?} {:?}",
                told(&one.row),
                one.metadata,
                one.layout
            ));
        }
    }
    let series = archive
        .series(scope, &SeriesFilter::default(), ALL)
        .await
        .unwrap();
    for (one, _) in &series {
        told_all.push(pieces(archive, scope, one).await);
    }
    told_all.extend(series.iter().map(|series| format!("{series:?}")));
    let filter = InstanceFilter::default();
    let rows = archive.instances(scope, &filter, ALL).await.unwrap();
    for row in &rows {
        told_all.push(told(row));
        let uid = &row.sop_instance;
        let found = archive.lookup(scope, uid).await.unwrap().unwrap();
        assert_eq!(told(&found), told(row));
        assert_eq!(sha256(&read(archive, scope, row).await), row.sha256);
        let of = MetadataScope::Instance {
            study: row.study.clone(),
            series: row.series.clone(),
            instance: uid.clone(),
        };
        let one: Vec<_> = archive
            .instance_metadata(scope, of)
            .try_collect()
            .await
            .unwrap();
        assert_eq!(one.len(), 1);
        assert_eq!(told(&one[0].row), told(row));
    }
    let conflicts = archive.conflicts(scope, ALL).await.unwrap();
    for conflict in &conflicts {
        told_all.push(format!(
            "{} {} {}",
            conflict.id,
            told(&conflict.served),
            told(&conflict.contender)
        ));
        for row in [&conflict.served, &conflict.contender] {
            assert_eq!(sha256(&read(archive, scope, row).await), row.sha256);
        }
    }
    told_all
}
