use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::prelude::*;
use tokio::sync::Notify;

use super::run::{Run, RunWriter};
use super::*;
use crate::db::{Place, Whose};
use crate::disk::LocalDisk;
use crate::index::schema::MIGRATIONS;
use crate::index::{Readers, objects};
use crate::keys::MasterKey;
use crate::limits::LOOKUP_RECENT;
use crate::objects::Objects;
use crate::pack::Packs;
use crate::writer::{Context, Writer};

struct Bench {
    dir: tempfile::TempDir,
    readers: Readers,
    writer: Writer,
    lookup: Lookup,
    tenant: i64,
}

impl Bench {
    fn new() -> Self {
        Self::at(tempfile::tempdir().unwrap())
    }

    fn at(dir: tempfile::TempDir) -> Self {
        let index = Place::File(dir.path().join("archive.sqlite"));
        let mut db = index.writer(MIGRATIONS).unwrap();
        let tx = db.begin(Whose::Every).unwrap();
        let tenant = objects::tenant_row(&tx, "default").unwrap();
        tx.commit().unwrap();
        let keys = KeyStore::open(dir.path(), &MasterKey::File, 16).unwrap();
        keys.for_label("default", "1.2", 0).unwrap();
        let keys = Arc::new(keys);
        let lookup = || Lookup::new(dir.path(), Arc::new(LocalDisk), Arc::clone(&keys));
        let stored = Arc::new(Objects::in_folder(dir.path()));
        let packs = Packs::new(Arc::clone(&stored), Arc::clone(&keys), lookup(), 0);
        let context = Context {
            stores: Arc::default(),
            packs: Arc::new(packs),
            objects: stored,
            clock: hilum_platform::clock::system(),
            bell: Arc::new(Notify::new()),
            changes: Arc::default(),
            opening: 1,
            doubted: std::sync::atomic::AtomicBool::new(false),
        };
        let lookup = lookup();
        let readers = Readers::new(index, 2);
        let damaged = readers.read_here(|db| lookup.load(db)).unwrap();
        assert_eq!(damaged, BTreeSet::new());
        Self {
            writer: Writer::start(db, context).unwrap(),
            readers,
            lookup,
            tenant,
            dir,
        }
    }

    /// As after a kill: what is in memory is gone.
    fn reopen(self) -> Self {
        self.readers.close();
        self.writer.close();
        Self::at(self.dir)
    }

    fn owner(&self) -> Arc<Owner> {
        let tenant = self.tenant;
        let owner = self.readers.read_here(|db| self.lookup.owner(db, tenant));
        owner.unwrap().unwrap()
    }

    fn entry(&self, uid: &str, pack: u64, ordinal: u32) -> Entry {
        let hash = self.owner().hash(uid);
        Entry {
            hash,
            pack,
            ordinal,
        }
    }

    fn add(&self, entries: Vec<Entry>) {
        let tenant = self.tenant;
        let added = self.writer.run_here(move |db, _| {
            let tx = db.begin(Whose::Every)?;
            Lookup::add(&tx, tenant, entries)?;
            tx.commit()?;
            Ok(())
        });
        added.unwrap();
    }

    fn find(&self, uid: &str) -> Result<Vec<(u64, u32)>> {
        self.readers
            .read_here(|db| self.lookup.find(db, self.tenant, &[uid]))
    }

    fn merge(
        &self,
        extent: Extent,
        alive: impl FnMut(Range<u64>) -> Result<Vec<u64>>,
    ) -> Result<bool> {
        self.lookup
            .merge(&self.readers, &self.writer, self.tenant, extent, alive)
    }

    fn runs(&self) -> Vec<u64> {
        let runs = self.readers.read_here(|db| registered(db, self.tenant));
        runs.unwrap().into_iter().map(|(_, count)| count).collect()
    }

    fn recent(&self) -> u64 {
        let count = self.readers.read_here(|db| {
            Ok(db.query_row("SELECT count(*) FROM lookup_recent", [], |row| row.get(0))?)
        });
        count.unwrap()
    }

    fn files(&self) -> Vec<PathBuf> {
        entries_of(&self.dir.path().join("lookup/default")).unwrap()
    }

    fn many(&self, pack: u64, count: u32) -> Vec<Entry> {
        let owner = self.owner();
        let entry = |ordinal| Entry {
            hash: owner.hash(&format!("1.2.{pack}.{ordinal}")),
            pack,
            ordinal,
        };
        (0..count).map(entry).collect()
    }
}

const RECENT: u32 = 65_536;

fn all(packs: Range<u64>) -> Result<Vec<u64>> {
    Ok(packs.collect())
}

#[test]
fn an_entry_is_found_as_a_row_and_in_a_run_and_after_reopening() {
    let bench = Bench::new();
    bench.add(vec![bench.entry("1.2.3", 7, 4)]);
    assert_eq!(bench.find("1.2.3").unwrap(), [(7, 4)]);
    assert!(!bench.merge(Extent::Due, all).unwrap(), "there are few");
    assert!(bench.merge(Extent::Everything, all).unwrap());
    assert_eq!((bench.recent(), bench.runs()), (0, vec![1]));
    assert_eq!(bench.find("1.2.3").unwrap(), [(7, 4)]);
    assert_eq!(bench.find("1.2.4").unwrap(), []);
    let bench = bench.reopen();
    assert_eq!(bench.find("1.2.3").unwrap(), [(7, 4)]);
}

#[test]
fn a_tenant_without_data_finds_nothing() {
    let bench = Bench::new();
    let found = bench
        .readers
        .read_here(|db| bench.lookup.find(db, 99, &["1.2.3"]));
    assert_eq!(found.unwrap(), []);
}

#[test]
fn many_rows_become_a_run_and_small_runs_merge_with_it() {
    assert_eq!(RECENT as usize, LOOKUP_RECENT);
    let bench = Bench::new();
    for pack in 1..=10 {
        bench.add(bench.many(pack, RECENT));
        assert!(bench.merge(Extent::Due, all).unwrap());
        assert_eq!(bench.recent(), 0);
        assert!(bench.runs().len() <= 2, "{:?}", bench.runs());
        assert_eq!(bench.files().len(), bench.runs().len());
    }
    let total: u64 = bench.runs().iter().sum();
    assert_eq!(total, u64::from(RECENT) * 10);
    for pack in 1..=10 {
        for ordinal in (0..RECENT).step_by(4_099) {
            let found = bench.find(&format!("1.2.{pack}.{ordinal}")).unwrap();
            assert_eq!(found, [(pack, ordinal)]);
            assert_eq!(bench.find(&format!("1.3.{pack}.{ordinal}")).unwrap(), []);
        }
    }
    let bytes: u64 = bench
        .files()
        .iter()
        .map(|path| path.metadata().unwrap().len())
        .sum();
    assert!(bytes <= total * 24, "{bytes} bytes for {total} instances");
}

#[test]
fn entries_of_a_pack_that_is_gone_leave_with_the_next_merge() {
    let bench = Bench::new();
    bench.add(vec![bench.entry("1.2.3", 1, 0), bench.entry("1.2.4", 1, 1)]);
    bench.merge(Extent::Everything, all).unwrap();
    bench.add(vec![bench.entry("1.2.3", 2, 0)]);
    assert_eq!(bench.find("1.2.3").unwrap(), [(1, 0), (2, 0)]);
    bench
        .merge(Extent::Everything, |packs| {
            Ok(packs.filter(|pack| *pack == 2).collect())
        })
        .unwrap();
    assert_eq!(bench.find("1.2.3").unwrap(), [(2, 0)]);
    assert_eq!(bench.find("1.2.4").unwrap(), []);
    bench.merge(Extent::Everything, |_| Ok(Vec::new())).unwrap();
    assert_eq!((bench.recent(), bench.runs()), (0, vec![]));
    assert_eq!(bench.files(), Vec::<PathBuf>::new());
}

#[test]
fn a_merge_that_fails_leaves_everything_found() {
    let bench = Bench::new();
    bench.add(bench.many(1, 1_000));
    let failed = bench.merge(Extent::Everything, |_| Err(ArchiveError::Closed));
    assert_eq!(failed, Err(ArchiveError::Closed));
    assert_eq!((bench.recent(), bench.files()), (1_000, vec![]));
    assert_eq!(bench.find("1.2.1.999").unwrap(), [(1, 999)]);
}

/// Every moment at which a merge can be stopped.
#[test]
fn a_crash_between_the_steps_of_a_merge_loses_nothing_and_leaves_no_file() {
    let bench = Bench::new();
    bench.add(bench.many(1, 500));
    bench.merge(Extent::Everything, all).unwrap();
    bench.add(bench.many(2, 500));
    let old = bench.files();
    let names = |bench: &Bench| bench.readers.read_here(|db| registered(db, bench.tenant));
    let replaced = names(&bench).unwrap();
    let check = |bench: &Bench, files: usize| {
        for pack in [1, 2] {
            for ordinal in 0..500 {
                let found = bench.find(&format!("1.2.{pack}.{ordinal}"));
                assert_eq!(found.unwrap(), [(pack, ordinal)]);
            }
        }
        assert_eq!(bench.files().len(), files);
    };
    // A run in the middle of being written, and one that is durable.
    std::fs::write(bench.dir.path().join("lookup/default/torn"), [7; 100]).unwrap();
    std::fs::copy(
        &old[0],
        bench
            .dir
            .path()
            .join(format!("lookup/default/{}", "ab".repeat(16))),
    )
    .unwrap();
    let bench = bench.reopen();
    check(&bench, 1);
    // Registered, but neither rows nor files of what it replaces are gone.
    let kept = std::fs::read(&old[0]).unwrap();
    let rows: Vec<Entry> = bench.many(2, 500);
    bench.merge(Extent::Everything, all).unwrap();
    std::fs::write(&old[0], kept).unwrap();
    bench.add(rows);
    assert_ne!(names(&bench).unwrap(), replaced);
    let bench = bench.reopen();
    check(&bench, 1);
    // The rows that came back merge into the run that has them already.
    bench.merge(Extent::Everything, all).unwrap();
    assert_eq!((bench.recent(), bench.runs()), (0, vec![1_000]));
    check(&bench, 1);
}

#[test]
fn a_reader_of_an_older_snapshot_still_finds_what_was_merged() {
    let bench = Bench::new();
    bench.add(bench.many(1, 300));
    bench.merge(Extent::Everything, all).unwrap();
    bench.add(bench.many(2, 300));
    let found = bench.readers.read_here(|snapshot| {
        let before = bench.lookup.find(snapshot, bench.tenant, &["1.2.1.5"])?;
        // Pack 1 is gone for those who come later.
        bench.merge(Extent::Everything, |packs| {
            Ok(packs.filter(|pack| *pack == 2).collect())
        })?;
        let after = bench.lookup.find(snapshot, bench.tenant, &["1.2.1.5"])?;
        Ok((before, after))
    });
    assert_eq!(found.unwrap(), (vec![(1, 5)], vec![(1, 5)]));
    assert_eq!(bench.find("1.2.1.5").unwrap(), []);
}

#[test]
fn any_flipped_bit_and_any_torn_end_is_found_and_mended_from_the_packs() {
    let bench = Bench::new();
    bench.add(bench.many(1, 1_000));
    bench.merge(Extent::Everything, all).unwrap();
    let path = bench.files().remove(0);
    let whole = std::fs::read(&path).unwrap();
    let owner = bench.owner();
    let name = hex::decode(path.file_name().unwrap().to_str().unwrap()).unwrap();
    let reads = |bytes: &[u8]| {
        let copy = bench.dir.path().join("copy");
        std::fs::write(&copy, bytes).unwrap();
        let run = Run::open(&copy, &owner.pages, name)?;
        run.entries_of().collect::<Result<Vec<_>>>()
    };
    assert_eq!(reads(&whole).unwrap().len(), 1_000);
    for at in (0..whole.len()).step_by(97) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        assert_eq!(reads(&bytes), Err(ArchiveError::Corrupt), "byte {at}");
    }
    for length in [0, 1, 4_096, whole.len() - 4_096, whole.len() - 1] {
        let torn = reads(&whole[..length]);
        assert_eq!(torn, Err(ArchiveError::Corrupt), "{length} bytes");
    }
    let mut swapped = whole.clone();
    swapped[..8_192].rotate_left(4_096);
    assert_eq!(reads(&swapped), Err(ArchiveError::Corrupt));
    let other = Run::open(&path, &owner.pages, [9; 16]).map(|run| run.entries());
    assert_eq!(other, Err(ArchiveError::Corrupt));

    std::fs::write(&path, &whole[..4_096]).unwrap();
    lock(&bench.lookup.runs).clear();
    let damaged = bench.readers.read_here(|db| bench.lookup.load(db));
    assert_eq!(damaged.unwrap(), BTreeSet::from([bench.tenant]));
    assert_eq!(bench.find("1.2.1.5"), Err(ArchiveError::Corrupt));
    let entries = bench.many(1, 1_000);
    bench
        .lookup
        .rebuild(&bench.readers, &bench.writer, bench.tenant, |_| {
            Ok(entries.into_iter().map(Ok))
        })
        .unwrap();
    assert_eq!(bench.find("1.2.1.5").unwrap(), [(1, 5)]);
    let damaged = bench.readers.read_here(|db| bench.lookup.verify(db));
    assert_eq!(damaged.unwrap(), BTreeSet::new());
}

#[test]
fn a_copy_holds_the_runs_of_its_index() {
    let bench = Bench::new();
    bench.add(bench.many(1, 300));
    bench.merge(Extent::Everything, all).unwrap();
    let to = tempfile::tempdir().unwrap();
    let pause = bench.lookup.pause();
    let copied = bench
        .readers
        .read_here(|db| copy(db, bench.dir.path(), to.path()));
    copied.unwrap();
    drop(pause);
    let path = bench.files().remove(0);
    let below = path.strip_prefix(bench.dir.path()).unwrap();
    assert_eq!(
        std::fs::read(&path).unwrap(),
        std::fs::read(to.path().join(below)).unwrap()
    );
}

#[test]
fn neither_rows_nor_runs_hold_what_one_can_compute_from_a_uid() {
    let bench = Bench::new();
    let uid = "1.2.840.113619.2.1";
    bench.add(vec![bench.entry(uid, 1, 0)]);
    bench.merge(Extent::Everything, all).unwrap();
    let bytes = std::fs::read(bench.files().remove(0)).unwrap();
    let plain = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, uid.as_bytes());
    let holds = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
    assert!(holds(&bench.owner().hash(uid)));
    assert!(!holds(uid.as_bytes()) && !holds(&plain.as_ref()[..6]));
}

#[test]
fn readers_miss_nothing_while_rows_become_runs_and_runs_merge() {
    let bench = Bench::new();
    let done = std::sync::atomic::AtomicBool::new(false);
    bench.add(bench.many(1, 2_000));
    std::thread::scope(|scope| {
        for reader in 0..2 {
            let (bench, done) = (&bench, &done);
            scope.spawn(move || {
                let mut ordinal = reader;
                while !done.load(std::sync::atomic::Ordering::SeqCst) {
                    ordinal = (ordinal + 7) % 2_000;
                    let found = bench.find(&format!("1.2.1.{ordinal}")).unwrap();
                    assert_eq!(found, [(1, ordinal)]);
                }
            });
        }
        for pack in 2..12 {
            bench.add(bench.many(pack, 2_000));
            bench.merge(Extent::Everything, all).unwrap();
        }
        done.store(true, std::sync::atomic::Ordering::SeqCst);
    });
}

/// The format: what this writes now must stay what it reads for ever.
#[test]
fn a_run_is_written_byte_for_byte_as_version_1() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run");
    let key = hmac::Key::new(hmac::HMAC_SHA256, &[5; 32]);
    let mut run = RunWriter::create(&LocalDisk, &path, &key, [6; 16]).unwrap();
    for number in 0..400_u32 {
        let mut hash = [0; 12];
        hash[..4].copy_from_slice(&(number * 10_000_000).to_be_bytes());
        let entry = Entry {
            hash,
            pack: u64::from(number) << 20,
            ordinal: number,
        };
        run.push(entry).unwrap();
        run.push(entry).unwrap();
    }
    assert_eq!(run.finish().unwrap(), 400);
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(bytes.len(), 4 * 4_096);
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes);
    assert_eq!(hex::encode(&digest.as_ref()[..8]), "d0cf76b25be5c939");
}

/// Hashes that share all but their end, over several pages.
#[test]
fn hashes_that_are_not_uniform_are_found_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &[5; 32]);
    let hash = |number: u32| {
        let number = u64::from(number);
        let mut hash = [3; 12];
        // Clustered at the beginning, with a tail far away.
        let spread = if number > 990 { number << 40 } else { number };
        hash[4..].copy_from_slice(&spread.to_be_bytes());
        hash
    };
    let path: &Path = &dir.path().join("run");
    let mut run = RunWriter::create(&LocalDisk, path, &key, [6; 16]).unwrap();
    for number in 0..1_000_u32 {
        let copies = if number == 500 { 600 } else { 1 };
        for pack in 0..copies {
            let entry = Entry {
                hash: hash(number),
                pack,
                ordinal: number,
            };
            run.push(entry).unwrap();
        }
    }
    run.finish().unwrap();
    let run = Run::open(path, &key, [6; 16]).unwrap();
    for number in 0..1_000 {
        let mut found = Vec::new();
        run.find(&hash(number), &mut found).unwrap();
        found.sort_unstable();
        let copies = if number == 500 { 600 } else { 1 };
        let expected: Vec<_> = (0..copies).map(|pack| (pack, number)).collect();
        assert_eq!(found, expected);
    }
    let mut found = Vec::new();
    run.find(&[0; 12], &mut found).unwrap();
    run.find(&[0xFF; 12], &mut found).unwrap();
    run.find(&hash(995_000), &mut found).unwrap();
    assert_eq!(found, []);
}

#[derive(Debug, Clone)]
enum Step {
    Add { uids: Vec<u8> },
    Drop(u8),
    Merge,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => proptest::collection::vec(any::<u8>(), 1..40).prop_map(|uids| Step::Add { uids }),
        1 => any::<u8>().prop_map(Step::Drop),
        2 => Just(Step::Merge),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_look_up_answers_like_a_map(steps in proptest::collection::vec(step(), 1..16)) {
        let mut bench = Bench::new();
        let mut model: BTreeMap<u8, BTreeSet<(u64, u32)>> = BTreeMap::new();
        let mut packs: BTreeSet<u64> = BTreeSet::new();
        let mut next = 1_u64;
        for step in steps {
            match step {
                Step::Add { uids } => {
                    let mut entries = Vec::new();
                    for (ordinal, uid) in (0..).zip(uids) {
                        entries.push(bench.entry(&uid.to_string(), next, ordinal));
                        model.entry(uid).or_default().insert((next, ordinal));
                    }
                    bench.add(entries);
                    packs.insert(next);
                    next += 1;
                }
                Step::Drop(which) => {
                    let gone = packs.iter().nth(usize::from(which) % packs.len().max(1)).copied();
                    if let Some(gone) = gone {
                        packs.remove(&gone);
                    }
                }
                Step::Merge => {
                    let alive = packs.clone();
                    bench.merge(Extent::Everything, |ids| Ok(ids.filter(|pack| alive.contains(pack)).collect())).unwrap();
                    prop_assert_eq!(bench.recent(), 0);
                    for places in model.values_mut() {
                        places.retain(|(pack, _)| packs.contains(pack));
                    }
                }
                Step::Reopen => bench = bench.reopen(),
            }
            for uid in 0..=u8::MAX {
                let expected: Vec<_> = model.get(&uid).into_iter().flatten().copied().collect();
                prop_assert_eq!(bench.find(&uid.to_string()).unwrap(), expected);
            }
        }
    }
}

/// `cargo test --release -p hilum-archive --lib ten_million -- --ignored --nocapture`
#[test]
#[ignore = "takes a minute; measures"]
fn ten_million_instances_are_looked_up_in_microseconds() {
    const COUNT: u64 = 10_000_000;
    let bench = Bench::new();
    let owner = bench.owner();
    let uid = |number: u64| format!("1.2.826.0.1.3680043.9.7777.{number}");
    let entries = (0..COUNT).map(|number| {
        Ok(Entry {
            hash: owner.hash(&uid(number)),
            pack: number / 200,
            ordinal: u32::try_from(number % 200).unwrap(),
        })
    });
    let started = Instant::now();
    bench
        .lookup
        .rebuild(&bench.readers, &bench.writer, bench.tenant, |_| Ok(entries))
        .unwrap();
    println!("rebuilt: {:.1} s", started.elapsed().as_secs_f64());
    let measure = |what: &str| {
        for (kind, first) in [("known", 0), ("unknown", COUNT)] {
            let started = Instant::now();
            for number in 0..1_000 {
                let number = number * 9_973 % COUNT + first;
                let found = bench.find(&uid(number)).unwrap();
                assert_eq!(found.len(), usize::from(number < COUNT));
            }
            let seconds = started.elapsed().as_secs_f64();
            println!(
                "{what}: 1,000 {kind} UIDs in {:.1} ms, {} runs",
                seconds * 1e3,
                bench.runs().len()
            );
        }
    };
    measure("after a rebuild");
    let started = Instant::now();
    bench.merge(Extent::Everything, all).unwrap();
    println!("merged: {:.1} s", started.elapsed().as_secs_f64());
    measure("merged");
    let started = Instant::now();
    let damaged = bench.readers.read_here(|db| bench.lookup.verify(db));
    assert_eq!(damaged.unwrap(), BTreeSet::new());
    println!("verified: {:.1} s", started.elapsed().as_secs_f64());
    let bytes = bench.files()[0].metadata().unwrap().len();
    println!("{:.2} bytes an instance", bytes as f64 / COUNT as f64);
}
