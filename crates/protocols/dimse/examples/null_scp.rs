//! A receiver that acknowledges every instance and keeps none: `null_scp [ADDRESS]`. For measuring
//! the protocol by itself; prints its address, and each association's counts when it ends.
#![expect(clippy::print_stdout, reason = "an example speaks on standard output")]

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use hilum_dimse::{
    Acceptor, Admission, AssociationEnd, AssociationHandler, AssociationInfo, AssociationRequest,
    Rejection, Server, ServerConfig, StoreRequest, StoreSink, StoreStatus,
};
use tokio_util::sync::CancellationToken;

struct Null;

#[async_trait]
impl Acceptor for Null {
    async fn admit(&self, _request: &AssociationRequest) -> Result<Admission, Rejection> {
        Ok(Admission::Served(Box::new(Self)))
    }
}

#[async_trait]
impl AssociationHandler for Null {
    async fn begin_store(
        &self,
        _association: &AssociationInfo,
        _request: StoreRequest,
    ) -> Result<Box<dyn StoreSink>, StoreStatus> {
        Ok(Box::new(Self))
    }

    async fn closed(&self, association: &AssociationInfo, end: AssociationEnd) {
        println!("{} {end:?}", association.calling_ae_title);
    }
}

#[async_trait]
impl StoreSink for Null {
    async fn write(&mut self, _fragment: Bytes) -> Result<(), StoreStatus> {
        Ok(())
    }

    async fn finish(self: Box<Self>) -> StoreStatus {
        StoreStatus::SUCCESS
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("{}", listener.local_addr()?);
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            stop.cancel();
        }
    });
    Server::new(ServerConfig::default(), Arc::new(Null))
        .serve(listener, shutdown)
        .await;
    Ok(())
}
