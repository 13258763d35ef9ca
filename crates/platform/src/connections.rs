//! How many connections this process takes: as many as its file descriptors allow,
//! so that open pages never leave intake without one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How many HTTP connections and open pages there may be at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// HTTP connections.
    pub http: usize,
    /// Of these, what one address of the network may hold: half, so that it can't shut
    /// out the others, while a whole hospital behind one address has room.
    pub of_one: usize,
    /// Of these, pages that have live updates (`/api/v1/events`): what is left takes
    /// what they ask for.
    pub live: usize,
}

/// Pages at once in one process: memory, at some ten kilobytes each.
const LIVE_MAX: u64 = 10_000;
/// Open files that a process asks the system for: those pages, what they ask for,
/// and as many again for intake, databases, objects and neighbours.
const WANTED: u64 = 32_768;

impl Connections {
    /// What this process can take, once it has asked for as many open files as it may
    /// have: most systems let a process begin with 1,024, and allow it many more.
    #[must_use]
    pub fn here() -> Self {
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        let have = current.unwrap_or(WANTED);
        let wanted = maximum.map_or(WANTED, |most| most.min(WANTED));
        if have >= wanted {
            return Self::of(have);
        }
        let more = Rlimit {
            current: Some(wanted),
            maximum,
        };
        match setrlimit(Resource::Nofile, more) {
            Ok(()) => Self::of(wanted),
            Err(error) => {
                tracing::warn!(%error, open_files = have, "no more files can be open at once");
                Self::of(have)
            }
        }
    }

    /// What so many open files allow: five eighths of them for HTTP, and of those again
    /// for pages.
    fn of(open_files: u64) -> Self {
        let five_eighths = |of: u64| of / 8 * 5;
        let live = five_eighths(five_eighths(open_files)).min(LIVE_MAX);
        let http = live / 5 * 8;
        let [http, of_one, live] =
            [http, http / 2, live].map(|many| usize::try_from(many).unwrap_or(usize::MAX));
        Self { http, of_one, live }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intake_is_left_three_eighths_of_the_open_files_and_pages_end_at_ten_thousand() {
        let of = |files| {
            let Connections { http, of_one, live } = Connections::of(files);
            (http, of_one, live)
        };
        assert_eq!(of(1_024), (640, 320, 400));
        assert_eq!(of(20_000), (12_496, 6_248, 7_810));
        assert_eq!(of(u64::MAX), (16_000, 8_000, 10_000));
    }

    #[test]
    fn a_process_takes_as_many_open_files_as_it_may_have() {
        let _here = Connections::here();
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        let most = maximum.map_or(WANTED, |most| most.min(WANTED));
        assert!(current.is_none_or(|have| have >= most), "{current:?}");
    }
}
