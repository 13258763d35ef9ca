//! One round of everything at once: three senders, rubbish, a deletion, an
//! erasure, a move and a reader.

use std::io;

use hilum_testkit::{File, Files, Odd};

use super::senders::{self, Say};
use super::server::Doors;

/// Files of each sender in one round.
const FILES: u64 = 10;
/// Files of a study that is deleted, erased or moved.
const FEW: u64 = 3;
/// Studies of one round.
pub(crate) const STUDIES: u64 = 6;

/// A study and SOP Instance UIDs of it.
pub(crate) type Study = (u64, Vec<String>);

/// What a round is about.
pub(crate) struct Load<'a> {
    pub(crate) files: &'a Files,
    pub(crate) doors: Doors,
    /// The round's studies are this one and the next [`STUDIES`].
    pub(crate) first: u64,
    /// What was acknowledged before, to be read.
    pub(crate) known: &'a [Study],
    /// Erasures that were asked for and never acknowledged; asked for again.
    pub(crate) unfinished: &'a [u64],
    /// The master key is rotated as well.
    pub(crate) rotates: bool,
}

/// What was sent.
pub(crate) struct Sent {
    pub(crate) files: u64,
    /// Studies that stay, with all that was sent of them.
    pub(crate) stay: Vec<(u64, Vec<File>)>,
}

impl Load<'_> {
    /// Sends all of it; `meanwhile` runs beside. Returns when the senders have
    /// ended.
    pub(crate) fn run(&self, say: Say<'_>, meanwhile: impl FnOnce()) -> io::Result<Sent> {
        let folder = tempfile::tempdir()?;
        let at = folder.path();
        let write = |study: u64, count: u64, odd: Odd| -> io::Result<Vec<File>> {
            let odd_one = |number| match odd {
                Odd::Large if number != 3 => Odd::Nothing,
                odd => odd,
            };
            (0..count)
                .map(|number| self.files.write(at, study, number, odd_one(number)))
                .collect()
        };
        let first = self.first;
        let by_dcmtk = write(first, FILES, Odd::Nothing)?;
        let by_python = write(first + 1, FILES, Odd::Nothing)?;
        let by_stow = write(first + 2, FILES, Odd::Large)?;
        let removed = write(first + 3, FEW, Odd::Nothing)?;
        let erased = write(first + 4, FEW, Odd::Patient)?;
        let moved = write(first + 5, FEW, Odd::Nothing)?;
        let to = self.doors;
        let panicked = std::thread::scope(|scope| {
            let senders = [
                scope.spawn(|| senders::dcmtk(to, &by_dcmtk, say)),
                scope.spawn(|| senders::pynetdicom(to, &by_python, at, say)),
                scope.spawn(|| {
                    senders::stow(to, &by_stow, say);
                }),
                scope.spawn(|| senders::rubbish(to, first, say)),
                scope.spawn(|| senders::remove(to, &removed, first + 3, say)),
                scope.spawn(|| {
                    for study in self.unfinished {
                        senders::erase_again(to, *study, say);
                    }
                    senders::erase(to, &erased, first + 4, say);
                }),
                scope.spawn(|| senders::relocate(to, &moved, first + 5, say)),
                scope.spawn(|| senders::read(to, self.known, say)),
                scope.spawn(|| {
                    if self.rotates {
                        senders::rotate(to, say);
                    }
                }),
            ];
            meanwhile();
            senders.into_iter().any(|sender| sender.join().is_err())
        });
        if panicked {
            return Err(io::Error::other("a sender panicked"));
        }
        Ok(Sent {
            files: FILES * 3 + FEW * 3,
            stay: vec![
                (first, by_dcmtk),
                (first + 1, by_python),
                (first + 2, by_stow),
            ],
        })
    }
}
