//! A real `hilum serve`, under load of others' senders: killed (`kills`),
//! frozen and with a clock that jumps (`odd`), and on a disk that loses power
//! (`cuts`).

pub(crate) mod cuts;
pub(crate) mod kills;
pub(crate) mod load;
pub(crate) mod odd;
pub(crate) mod senders;
pub(crate) mod server;
