//! What who moves a tenant asks the processes of both shards, over the network: both
//! ends.

use async_trait::async_trait;
use hilum_contracts::error::ServiceError;
use hilum_contracts::scope::TenantScope;
use std::sync::Arc;

use super::{Answering, Asking, Neighbour};
use crate::limits::NEIGHBOUR_WITHIN_LONG;
use crate::tenants::Directory;

/// What the archive's service does for a tenant that moves.
#[async_trait]
pub trait Moves: Send + Sync {
    /// Waits until every event that was on its way has arrived, and tells the trail what
    /// is counted and not told yet.
    ///
    /// # Errors
    /// When the bus or the index does not answer.
    async fn come_to_rest(&self, scope: &TenantScope) -> Result<(), ServiceError>;

    /// Makes what is found by its UID alone from the packs that have come, which also
    /// shows that keys open and objects can be read here.
    ///
    /// # Errors
    /// When one of them can't be read.
    async fn make_lookup(&self, scope: &TenantScope) -> Result<(), ServiceError>;
}

/// The archive's service in another process.
#[derive(Clone, Debug)]
pub struct RemoteMoves(pub Neighbour);

#[async_trait]
impl Moves for RemoteMoves {
    async fn come_to_rest(&self, scope: &TenantScope) -> Result<(), ServiceError> {
        let asking = Asking::REPEATABLE;
        self.0.ask(asking, "come-to-rest", Some(scope), &()).await
    }

    async fn make_lookup(&self, scope: &TenantScope) -> Result<(), ServiceError> {
        // As long as the tenant has packs.
        let asking = Asking::REPEATABLE.within(NEIGHBOUR_WITHIN_LONG);
        self.0.ask(asking, "make-lookup", Some(scope), &()).await
    }
}

/// Answers for the archive's service.
pub fn answer(answering: Answering, moves: Arc<dyn Moves>) -> Answering {
    let (rests, makes) = (Arc::clone(&moves), moves);
    answering
        .on("come-to-rest", move |scope, ()| {
            let moves = Arc::clone(&rests);
            async move { moves.come_to_rest(&scope).await }
        })
        .on("make-lookup", move |scope, ()| {
            let moves = Arc::clone(&makes);
            async move { moves.make_lookup(&scope).await }
        })
}

/// Answers on which shard this process knows a tenant to live, and whether it moves.
pub fn answer_place(answering: Answering, directory: Directory) -> Answering {
    answering.on("place", move |scope, ()| {
        let directory = directory.clone();
        async move {
            let place = directory.known().place(scope.tenant());
            Ok((place.shard, place.is_moving))
        }
    })
}

/// On which shard a process knows the scope's tenant to live, and whether it moves.
///
/// # Errors
/// When it does not answer.
pub async fn place(
    neighbour: &Neighbour,
    scope: &TenantScope,
) -> Result<(String, bool), ServiceError> {
    neighbour.ask(Asking::ONCE, "place", Some(scope), &()).await
}
