//! Intake by C-STORE: the called AE title picks the tenant, the calling one with
//! its address or certificate the device; each association is one intake.

use async_trait::async_trait;
use bytes::Bytes;
use std::sync::Arc;

use hilum_contracts::identity::{DeviceAdmission, DeviceAsks, DeviceRejection, Identity};
use hilum_contracts::ids::{CorrelationId, TenantId};
use hilum_contracts::service::ServiceName;
use hilum_dimse::{
    Acceptor, Admission, AssociationEnd, AssociationHandler, AssociationInfo, AssociationRequest,
    Carried, EndReason, Rejection, Server, ServerConfig, Status, StoreRequest, StoreSink,
    StoreStatus,
};
use hilum_platform::auth;
use hilum_platform::remote::carried;
use hilum_platform::remote::elsewhere::{Answers, Shards};
use hilum_platform::shares::{Share, Shares};
use hilum_platform::tls::{Feed, fingerprint};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Intake, Refused, Source};
use crate::ImagingService;
use crate::domain::readiness::Ending;
use crate::limits::SHUTDOWN_GRACE;
use crate::spool::Spool;

/// Where associations come to, and where those go that are for another shard's tenant.
pub struct DicomDoor {
    /// Where devices connect.
    pub listener: TcpListener,
    /// How, over TLS.
    pub tls: Option<Feed>,
    /// Who answers for each tenant.
    pub shards: Shards,
    /// What other shards bring.
    pub carried: mpsc::Receiver<carried::Carried>,
}

/// Takes associations until `stop` is called, and lets those that are open
/// finish what they are sending.
pub(crate) async fn serve(
    service: ImagingService,
    identity: Arc<dyn Identity>,
    door: DicomDoor,
    stop: CancellationToken,
) {
    let DicomDoor {
        listener,
        tls,
        shards,
        carried,
    } = door;
    let config = ServerConfig {
        max_associations: service.config.max_associations,
        grace: SHUTDOWN_GRACE,
        new_id: uuid::Uuid::now_v7,
        tls,
        ..ServerConfig::default()
    };
    let acceptor = KnownDevices {
        shares: Shares::new(config.max_associations),
        service,
        identity,
        elsewhere: shards,
    };
    let (brought, taken) = mpsc::channel(1);
    let server = Server::new(config, Arc::new(acceptor)).with_carried(taken);
    tokio::select! {
        () = server.serve(listener, stop) => {}
        () = bring(carried, brought) => {}
    }
}

/// Hands on what other shards bring, for as long as anybody asks.
async fn bring(mut from: mpsc::Receiver<carried::Carried>, to: mpsc::Sender<Carried>) {
    while let Some(one) = from.recv().await {
        let carried = Carried {
            stream: Box::new(one.stream),
            peer: one.peer,
            certificate: one.certificate,
        };
        if to.send(carried).await.is_err() {
            break;
        }
    }
    // Nobody brings any more, or nobody takes it; devices still come by themselves.
    std::future::pending().await
}

struct KnownDevices {
    service: ImagingService,
    identity: Arc<dyn Identity>,
    shares: Shares,
    elsewhere: Shards,
}

impl KnownDevices {
    /// The way to the shard of another one's tenant. What was carried once is not carried
    /// on: shards learn of a move moments after each other.
    async fn elsewhere(
        &self,
        tenant: &TenantId,
        request: &AssociationRequest,
        share: Share,
    ) -> Result<Admission, Rejection> {
        let way = match self.elsewhere.of(tenant, ServiceName::Imaging) {
            Answers::At(way) if !request.carried => way,
            _ => {
                tracing::info!(%tenant, "an association is for a tenant of another shard");
                return Err(Rejection::TEMPORARY_CONGESTION);
            }
        };
        let certificate = request.certificate.as_deref();
        match carried::carry(&way, request.peer, certificate).await {
            Ok(way) => Ok(Admission::Elsewhere {
                way: Box::new(way),
                held: Box::new(share),
            }),
            Err(error) => {
                tracing::warn!(%error, %tenant, "an association could not be carried to its shard");
                Err(Rejection::TEMPORARY_CONGESTION)
            }
        }
    }
}

#[async_trait]
impl Acceptor for KnownDevices {
    async fn admit(&self, request: &AssociationRequest) -> Result<Admission, Rejection> {
        let asks = DeviceAsks {
            called: request.called_ae_title.clone(),
            calling: request.calling_ae_title.clone(),
            peer: request.peer.ip(),
            certificate_sha256: request.certificate.as_deref().map(fingerprint),
        };
        let device = match self.identity.device(&asks).await {
            Ok(DeviceAdmission::Admitted(device)) => device,
            Ok(DeviceAdmission::Rejected(DeviceRejection::CalledUnknown)) => {
                return Err(Rejection::CALLED_AE_TITLE);
            }
            Ok(DeviceAdmission::Rejected(DeviceRejection::CallingUnknown)) => {
                return Err(Rejection::CALLING_AE_TITLE);
            }
            Err(error) => {
                tracing::error!(%error, "a device could not be looked up");
                return Err(Rejection::TEMPORARY_CONGESTION);
            }
        };
        let tenants = self.service.tenants.known().tenants().len();
        let share = self.shares.take(&device.tenant, tenants);
        let share = share.ok_or(Rejection::LOCAL_LIMIT_EXCEEDED)?;
        if !self.service.tenants.is_here(&device.tenant) {
            return self.elsewhere(&device.tenant, request, share).await;
        }
        let scope = auth::device(&device.tenant, &device.ae_title, Some(asks.peer));
        let source = Source::Dimse {
            calling_ae_title: request.calling_ae_title.clone(),
        };
        let intake = Intake::begin(
            self.service.clone(),
            scope,
            CorrelationId(request.id),
            source,
        );
        Ok(Admission::Served(Box::new(DeviceAssociation {
            intake,
            _share: share,
        })))
    }
}

struct DeviceAssociation {
    intake: Intake,
    _share: Share,
}

#[async_trait]
impl AssociationHandler for DeviceAssociation {
    async fn begin_store(
        &self,
        _: &AssociationInfo,
        request: StoreRequest,
    ) -> Result<Box<dyn StoreSink>, StoreStatus> {
        Ok(Box::new(ArrivingInstance {
            spool: self.intake.spool(),
            intake: self.intake.clone(),
            request,
        }))
    }

    async fn closed(&self, _: &AssociationInfo, end: AssociationEnd) {
        let ending = match end.reason {
            EndReason::Released => Ending::Released,
            _ => Ending::Aborted,
        };
        self.intake.end(ending).await;
    }
}

struct ArrivingInstance {
    intake: Intake,
    spool: Spool,
    request: StoreRequest,
}

#[async_trait]
impl StoreSink for ArrivingInstance {
    async fn write(&mut self, fragment: Bytes) -> Result<(), StoreStatus> {
        self.spool.write(&fragment).map_err(|error| {
            self.intake.lacks_something();
            status_of(&error.into())
        })
    }

    async fn finish(self: Box<Self>) -> StoreStatus {
        let claimed = super::Claimed {
            sop_class_uid: &self.request.sop_class_uid,
            sop_instance_uid: &self.request.sop_instance_uid,
        };
        let spooled = self.spool.finish();
        let received = self
            .intake
            .receive(&self.request.transfer_syntax_uid, spooled, Some(claimed))
            .await;
        match received {
            Ok(_) => StoreStatus::SUCCESS,
            Err(refused) => status_of(&refused),
        }
    }
}

/// The status of PS3.4 §B.2.3 that says what the sender can do about it.
fn status_of(refused: &Refused) -> StoreStatus {
    match refused {
        Refused::NotAnInstance(_) => StoreStatus::with_comment(
            Status::CANNOT_UNDERSTAND,
            "Not a readable instance; kept in quarantine",
        ),
        Refused::DoesNotMatch => StoreStatus::with_comment(
            Status::DATA_SET_DOES_NOT_MATCH,
            "SOP UIDs differ from those of the C-STORE request",
        ),
        Refused::Deleted => StoreStatus::with_comment(
            Status::NOT_AUTHORIZED,
            "Deleted here before; resends are refused",
        ),
        Refused::TooLong => StoreStatus::with_comment(
            Status::OUT_OF_RESOURCES,
            "The data set is longer than this server takes",
        ),
        Refused::OverQuota => StoreStatus::with_comment(
            Status::OUT_OF_RESOURCES,
            "The quota of this archive is used up",
        ),
        Refused::NoSpace => {
            StoreStatus::with_comment(Status::OUT_OF_RESOURCES, "No space left for the archive")
        }
        Refused::NoStorage => StoreStatus::with_comment(
            Status::OUT_OF_RESOURCES,
            "The archive's storage does not answer; send again later",
        ),
        Refused::Moving => StoreStatus::with_comment(
            Status::OUT_OF_RESOURCES,
            "Being moved to another shard; send again later",
        ),
        Refused::Unavailable => {
            StoreStatus::with_comment(Status::PROCESSING_FAILURE, "Not stored; send again later")
        }
    }
}
