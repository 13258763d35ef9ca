//! What tests of the whole product share: the real binary as a child process,
//! the sample series and changed copies of it, others' programs as senders and
//! as destinations. A test reads as a sentence; what goes wrong here panics
//! with a sentence of its own. Nothing here ships.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helper fails the test where it stands"
)]

mod answer;
mod authority;
mod balancer;
mod cases;
mod cluster;
mod collector;
mod files;
mod hilum;
mod keys;
mod machine;
mod mail;
mod models;
mod neighbours;
mod oidc;
mod peers;
mod place;
mod processes;
mod rabbitmq;
mod redis;
mod relay;
mod s3;
mod series;
mod shards;
mod tools;
mod webhook;

pub use answer::{Answer, Api, As};
pub use authority::Authority;
pub use balancer::Balancer;
pub use cases::{Cases, hostile_cases};
pub use cluster::{Cluster, SERVICES, Spare};
pub use collector::{Collector, Traced};
pub use files::{File, Files, Image, Odd, PIXELS};
pub use hilum::{Hilum, Setup};
pub use keys::keyring;
pub use machine::machine;
pub use mail::{MAIL_USER, MailServer};
pub use neighbours::Asked;
pub use oidc::{OIDC_SECRET, OidcProvider};
pub use peers::{Orthanc, Storescp};
pub use place::Place;
pub use processes::Server;
pub use rabbitmq::RabbitMq;
pub use redis::Redis;
pub use relay::{Behind, Relay};
pub use s3::{S3, S3_KEY};
pub use series::Series;
pub use shards::Shards;
pub use tools::{Sent, python, run, storescu, wait_until};
pub use webhook::Webhook;
