//! The parts of an installation that can break, and the ways in which they do. A
//! part more is a [`Row`] more.

use std::time::Duration;

use hilum_testkit::{Cluster, Place, Redis, Relay, S3, SERVICES};

use crate::world::World;

/// By how much a part that is slow holds what goes either way.
const SLOWED_BY: Duration = Duration::from_secs(2);

/// A part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Row {
    /// The process that runs a service.
    Service(&'static str),
    Postgres,
    Replica,
    PgBouncer,
    RabbitMq,
    Bucket,
    Redis,
}

impl Row {
    pub(crate) fn all() -> Vec<Self> {
        let services = SERVICES.iter().rev().map(|service| Self::Service(service));
        services
            .chain([
                Self::Postgres,
                Self::Replica,
                Self::PgBouncer,
                Self::RabbitMq,
                Self::Bucket,
                Self::Redis,
            ])
            .collect()
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Service(service) => service,
            Self::Postgres => "PostgreSQL",
            Self::Replica => "replica",
            Self::PgBouncer => "PgBouncer",
            Self::RabbitMq => "RabbitMQ",
            Self::Bucket => "S3",
            Self::Redis => "Redis",
        }
    }

    /// The service whose process it is.
    pub(crate) fn service(self) -> Option<&'static str> {
        match self {
            Self::Service(service) => Some(service),
            _ => None,
        }
    }

    fn of(self, world: &mut World) -> Box<dyn Part + '_> {
        match self {
            Self::Service(service) => Box::new(Service(&mut world.cluster, service)),
            Self::Postgres => Box::new(Database(&mut world.place)),
            Self::Replica => Box::new(Replica(&mut world.place)),
            Self::PgBouncer => Box::new(Pooler(&mut world.place)),
            Self::RabbitMq => Box::new(Broker(&mut world.cluster)),
            Self::Bucket => Box::new(Bucket(&mut world.bucket)),
            Self::Redis => Box::new(Cache(&mut world.cache)),
        }
    }
}

/// How it breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Fault {
    /// SIGKILL; started again at the end.
    Killed,
    /// SIGSTOP; SIGCONT at the end.
    Frozen,
    /// Connections to it are dropped, and new ones as well.
    CutOff,
    /// What goes to it and comes from it takes two seconds longer, each.
    Slowed,
}

impl Fault {
    pub(crate) const ALL: [Self; 4] = [Self::Killed, Self::Frozen, Self::CutOff, Self::Slowed];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::Frozen => "frozen",
            Self::CutOff => "cut off",
            Self::Slowed => "slowed by 2 s",
        }
    }

    pub(crate) fn begins(self, row: Row, world: &mut World) {
        let mut part = row.of(world);
        match self {
            Self::Killed => part.is_killed(),
            Self::Frozen => part.freezes(),
            Self::CutOff => part.ways().iter().for_each(|way| way.cuts_off()),
            Self::Slowed => part.ways().iter().for_each(|way| way.slows_by(SLOWED_BY)),
        }
    }

    /// Returns when what was killed takes connections.
    pub(crate) fn ends(self, row: Row, world: &mut World) {
        let mut part = row.of(world);
        match self {
            Self::Killed => part.comes_back(),
            Self::Frozen => part.goes_on(),
            Self::CutOff | Self::Slowed => part.ways().iter().for_each(|way| way.carries_on()),
        }
    }
}

trait Part {
    fn is_killed(&mut self);
    fn comes_back(&mut self);
    fn freezes(&mut self);
    fn goes_on(&mut self);
    fn ways(&self) -> Vec<&Relay>;
}

struct Service<'a>(&'a mut Cluster, &'static str);

impl Part for Service<'_> {
    fn is_killed(&mut self) {
        self.0.kill(self.1);
    }

    fn comes_back(&mut self) {
        self.0.start(self.1);
    }

    fn freezes(&mut self) {
        self.0.freeze(self.1);
    }

    fn goes_on(&mut self) {
        self.0.thaw(self.1);
    }

    fn ways(&self) -> Vec<&Relay> {
        self.0.ways_to(self.1)
    }
}

struct Broker<'a>(&'a mut Cluster);

impl Part for Broker<'_> {
    fn is_killed(&mut self) {
        self.0.broker.is_killed();
    }

    fn comes_back(&mut self) {
        self.0.broker.comes_up();
    }

    fn freezes(&mut self) {
        self.0.broker.freezes();
    }

    fn goes_on(&mut self) {
        self.0.broker.goes_on();
    }

    fn ways(&self) -> Vec<&Relay> {
        self.0.way_to_broker().into_iter().collect()
    }
}

struct Database<'a>(&'a mut Place);

impl Part for Database<'_> {
    fn is_killed(&mut self) {
        self.0.server().is_killed();
    }

    fn comes_back(&mut self) {
        self.0.server().comes_back();
        self.0.postgres_answers();
    }

    fn freezes(&mut self) {
        self.0.server().freezes();
    }

    fn goes_on(&mut self) {
        self.0.server().goes_on();
    }

    fn ways(&self) -> Vec<&Relay> {
        vec![self.0.way_to_server()]
    }
}

struct Replica<'a>(&'a mut Place);

impl Part for Replica<'_> {
    fn is_killed(&mut self) {
        self.0.replica().is_killed();
    }

    fn comes_back(&mut self) {
        self.0.replica().comes_back();
    }

    fn freezes(&mut self) {
        self.0.replica().freezes();
    }

    fn goes_on(&mut self) {
        self.0.replica().goes_on();
    }

    fn ways(&self) -> Vec<&Relay> {
        vec![self.0.way_to_replica()]
    }
}

struct Pooler<'a>(&'a mut Place);

impl Part for Pooler<'_> {
    fn is_killed(&mut self) {
        self.0.pooler().is_killed();
    }

    fn comes_back(&mut self) {
        self.0.pooler().comes_back();
        self.0.pooler_answers();
    }

    fn freezes(&mut self) {
        self.0.pooler().freezes();
    }

    fn goes_on(&mut self) {
        self.0.pooler().goes_on();
    }

    fn ways(&self) -> Vec<&Relay> {
        vec![self.0.way_to_pooler()]
    }
}

struct Bucket<'a>(&'a mut S3);

impl Part for Bucket<'_> {
    fn is_killed(&mut self) {
        self.0.is_killed();
    }

    fn comes_back(&mut self) {
        self.0.comes_up();
    }

    fn freezes(&mut self) {
        self.0.freezes();
    }

    fn goes_on(&mut self) {
        self.0.goes_on();
    }

    fn ways(&self) -> Vec<&Relay> {
        vec![self.0.way()]
    }
}

struct Cache<'a>(&'a mut Redis);

impl Part for Cache<'_> {
    fn is_killed(&mut self) {
        self.0.is_killed();
    }

    fn comes_back(&mut self) {
        self.0.comes_up();
    }

    fn freezes(&mut self) {
        self.0.freezes();
    }

    fn goes_on(&mut self) {
        self.0.goes_on();
    }

    fn ways(&self) -> Vec<&Relay> {
        vec![self.0.way()]
    }
}
