//! Pages over all trails of a tenant: the newest first, and where a page ends.

use hilum_platform::audit::Found;

/// After which entry a page begins: `TIME.WRITER.POSITION`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct After {
    at: i64,
    writer: String,
    position: u64,
}

impl After {
    pub(crate) fn of(found: &Found) -> Self {
        Self {
            at: found.record.at,
            writer: found.record.writer.clone(),
            position: found.record.position,
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (at, rest) = text.split_once('.')?;
        let (writer, position) = rest.rsplit_once('.')?;
        Some(Self {
            at: at.parse().ok()?,
            writer: writer.to_owned(),
            position: position.parse().ok()?,
        })
    }

    /// Time and position before which the entries of `writer` go on.
    pub(crate) fn in_trail(&self, writer: &str) -> (i64, u64) {
        let position = match writer.cmp(&self.writer) {
            std::cmp::Ordering::Less => u64::MAX,
            std::cmp::Ordering::Equal => self.position,
            std::cmp::Ordering::Greater => 0,
        };
        (self.at, position)
    }
}

impl std::fmt::Display for After {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.at, self.writer, self.position)
    }
}

/// The first `limit` of the pages of several trails, the newest first.
pub(crate) fn merge(pages: Vec<Vec<Found>>, limit: usize) -> Vec<Found> {
    let mut all: Vec<Found> = pages.into_iter().flatten().collect();
    all.sort_by(|a, b| {
        let key = |one: &Found| {
            (
                one.record.at,
                one.record.writer.clone(),
                one.record.position,
            )
        };
        key(b).cmp(&key(a))
    });
    all.truncate(limit);
    all
}

#[cfg(test)]
mod tests {
    use super::After;

    #[test]
    fn a_place_is_read_as_it_was_written() {
        let after = After {
            at: -5,
            writer: "archive".to_owned(),
            position: 7,
        };
        assert_eq!(After::parse(&after.to_string()), Some(after));
        for bad in ["", "1", "1.2", "x.archive.1", "1.archive.-1"] {
            assert_eq!(After::parse(bad), None, "{bad}");
        }
    }
}
