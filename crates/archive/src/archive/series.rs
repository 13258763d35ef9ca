//! The metadata of a whole series, as the pieces that it is stored in.

use std::sync::Arc;

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use hilum_platform::scope::TenantScope;

use crate::error::Result;
use crate::index::instances;
use crate::model::{InstanceMetadata, MetadataPiece, MetadataScope, SeriesMetadata};
use crate::pack::{OpenTexts, Section};

use crate::archive::{Archive, blocking};

impl Archive {
    /// The metadata of what is served of a series, in the order of answers;
    /// `None` when there is no such series in that study. Of a series that is
    /// one pack, many instances come as one piece, as it is stored.
    ///
    /// # Errors
    /// When the index does not answer; later, from the pieces, as
    /// [`Archive::instance_metadata`].
    pub async fn series_metadata(
        &self,
        scope: &TenantScope,
        study: &str,
        series: &str,
    ) -> Result<Option<SeriesMetadata>> {
        let of = (study.to_owned(), series.to_owned());
        let head = self
            .ask_packs(scope, move |db, packs, tenant| {
                instances::series_head(db, packs, tenant, &of.0, &of.1)
            })
            .await?;
        let Some(head) = head else { return Ok(None) };
        let pieces = match head.whole {
            Some(texts) => self.packed_pieces(texts),
            None => {
                let of = MetadataScope::Series {
                    study: study.to_owned(),
                    series: series.to_owned(),
                };
                self.instance_metadata(scope, of).map_ok(single).boxed()
            }
        };
        Ok(Some(SeriesMetadata {
            revision: head.revision,
            instances: head.instances,
            overlay: head.overlay,
            pieces,
        }))
    }

    fn packed_pieces(&self, texts: OpenTexts) -> BoxStream<'static, Result<MetadataPiece>> {
        let texts = Arc::new(texts);
        let packs = Arc::clone(&self.engine.packs);
        let groups = texts.groups(Section::Metadata);
        stream::iter(0..groups)
            .then(move |group| {
                let (texts, packs) = (Arc::clone(&texts), Arc::clone(&packs));
                blocking(move || texts.piece(&packs, group))
            })
            // Groups of what is not served any more come last.
            .try_filter(|piece| std::future::ready(!piece.instances.is_empty()))
            .boxed()
    }
}

fn single(of: InstanceMetadata) -> MetadataPiece {
    let whole = 0..of.metadata.len();
    MetadataPiece {
        instances: vec![(of.row.sop_instance, whole)],
        text: of.metadata,
    }
}
