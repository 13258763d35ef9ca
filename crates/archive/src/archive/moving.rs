//! Moves of studies, series and instances.

use std::sync::Arc;

use hilum_platform::scope::TenantScope;

use crate::archive::{Archive, blocking};
use crate::error::Result;
use crate::index::moving;
use crate::model::{Followed, MoveOf, Moved, NewMove, Overlay};
use crate::moving::check;

impl Archive {
    /// What reads lay over the instances that a move would take, each kind
    /// once, and what they lay over later arrivals of its series.
    ///
    /// # Errors
    /// When the index does not answer.
    pub async fn overlays_of(
        &self,
        scope: &TenantScope,
        study: &str,
        of: &MoveOf,
    ) -> Result<Vec<Option<Overlay>>> {
        let (study, of) = (study.to_owned(), of.clone());
        self.ask(scope, Vec::new(), move |db, tenant| {
            moving::overlays_of(db, tenant, &study, &of)
        })
        .await
    }

    /// Moves instances to another series or study, which is made when it is
    /// not there. The received bytes stay what they are, sealed under the key
    /// of the study that they belong to now; later arrivals of a whole series
    /// or study follow it.
    ///
    /// # Errors
    /// [`crate::ArchiveError::NotFound`]; [`crate::ArchiveError::Outdated`] when something
    /// changed since it was prepared: prepare it again; [`crate::ArchiveError::Held`]
    /// under a legal hold; [`crate::ArchiveError::Deleted`] when the destination was
    /// deleted. Nothing changed then.
    pub async fn relocate(&self, scope: &TenantScope, asked: NewMove) -> Result<Moved> {
        check(&asked)?;
        let tenant = self.engine.tenant(scope).await?;
        // Neither packing nor verification may meet instances on the move.
        let _moving = self.engine.moving.lock().await;
        let (engine, scope) = (Arc::clone(&self.engine), scope.clone());
        blocking(move || {
            let moved = engine.relocate(&tenant, &scope, asked);
            tenant.has_moved(true);
            moved
        })
        .await
    }

    /// Where instances are that are received under these UIDs; `None`: there.
    ///
    /// # Errors
    /// When the index does not answer.
    pub async fn followed(
        &self,
        scope: &TenantScope,
        study: &str,
        series: &str,
    ) -> Result<Option<Followed>> {
        let tenant = self.engine.tenant(scope).await?;
        let engine = Arc::clone(&self.engine);
        let (study, series) = (study.to_owned(), series.to_owned());
        blocking(move || engine.followed(&tenant, &study, &series)).await
    }
}
