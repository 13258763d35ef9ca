//! Any range is readable; any flipped bit is found and never served.

use futures::TryStreamExt;
use hilum_archive::{Archive, ArchiveError, limits};
use proptest::prelude::*;

use crate::support::{TestArchive, config, instance, noise, scope};

#[test]
fn every_range_of_every_length_is_what_was_stored() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let test = runtime.block_on(TestArchive::new());
    let next = std::sync::atomic::AtomicU32::new(0);
    let lengths = prop_oneof![0..300_u64, 65_530..65_545_u64, 100_000..700_000_u64];
    let ranges = (lengths, any::<u64>(), any::<u64>());
    let config = ProptestConfig {
        cases: 60,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |((length, a, b) in ranges)| {
        let number = next.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let body = noise(number.into(), length as usize);
        let (a, b) = (a % (length + 1), b % (length + 1));
        let (from, to) = (a.min(b), a.max(b));
        runtime.block_on(async {
            let new = instance(1, 1, number, body.clone());
            let uid = new.sop_instance.clone();
            test.archive.store(&test.scope, new).await.unwrap();
            let row = test.archive.lookup(&test.scope, &uid).await.unwrap().unwrap();
            let reader = test.archive.read_range(&test.scope, &row.location, from..to).await.unwrap();
            assert_eq!(reader.length(), to - from);
            let pieces: Vec<_> = reader.try_collect().await.unwrap();
            assert!(pieces.iter().all(|piece| piece.len() as u64 <= limits::READ_WHOLE_BYTES));
            assert_eq!(pieces.concat(), &body[from as usize..to as usize]);
            let beyond = test.archive.read_range(&test.scope, &row.location, 0..length + 1).await;
            assert!(matches!(beyond, Err(ArchiveError::Invalid(_))));
        });
    });
}

#[tokio::test]
async fn any_flipped_bit_is_found_by_verify_and_never_served() {
    // Every read is one of the disk.
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    config.limits.cached_body_bytes = 0;
    let test = TestArchive {
        archive: Archive::open(config).await.unwrap(),
        scope: scope("default"),
        dir,
    };
    let body = noise(1, 1_500);
    test.archive
        .store(&test.scope, instance(1, 1, 1, body.clone()))
        .await
        .unwrap();
    let row = test
        .archive
        .lookup(&test.scope, "1.2.1.1.1")
        .await
        .unwrap()
        .unwrap();
    let file = test.objects().remove(0);
    let sound = std::fs::read(&file).unwrap();
    for bit in (0..sound.len() * 8).step_by(61) {
        let mut changed = sound.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&file, &changed).unwrap();
        match test
            .archive
            .read_range(&test.scope, &row.location, 0..1_500)
            .await
        {
            Ok(reader) => assert_eq!(reader.collect().await.unwrap(), body, "bit {bit}"),
            // A changed key name is a key that does not exist.
            Err(error) => assert_eq!(error, ArchiveError::Corrupt, "bit {bit}"),
        }
        let report = test.archive.verify(None).await.unwrap();
        assert!(!report.is_sound(), "bit {bit} was not noticed");
    }
    for length in [0, 10, 100, sound.len() / 2, sound.len() - 1] {
        std::fs::write(&file, &sound[..length]).unwrap();
        let read = test
            .archive
            .read_range(&test.scope, &row.location, 0..1_500)
            .await;
        match read {
            Ok(reader) => assert_eq!(reader.collect().await.unwrap(), body),
            Err(error) => assert_eq!(error, ArchiveError::Corrupt, "length {length}"),
        }
        assert!(!test.archive.verify(None).await.unwrap().is_sound());
    }
    std::fs::write(&file, &sound).unwrap();
    assert!(test.archive.verify(None).await.unwrap().is_sound());
}

#[tokio::test]
async fn a_flipped_bit_far_into_a_long_instance_ends_the_stream_with_an_error() {
    let test = TestArchive::new().await;
    let body = noise(1, 3 << 20);
    test.archive
        .store(&test.scope, instance(1, 1, 1, body.clone()))
        .await
        .unwrap();
    let row = test
        .archive
        .lookup(&test.scope, "1.2.1.1.1")
        .await
        .unwrap()
        .unwrap();
    let file = test.objects().remove(0);
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    let length = row.location.length();
    let mut reader = test
        .archive
        .read_range(&test.scope, &row.location, 0..length)
        .await
        .unwrap();
    let mut good = Vec::new();
    let error = loop {
        match reader.try_next().await {
            Ok(Some(piece)) => good.extend_from_slice(&piece),
            Ok(None) => panic!("the changed bytes were served"),
            Err(error) => break error,
        }
    };
    assert_eq!(error, ArchiveError::Corrupt);
    assert_eq!(good, body[..good.len()]);
    // A range that does not touch the changed chunk is fine.
    let end = test
        .archive
        .read_range(&test.scope, &row.location, length - 9..length)
        .await
        .unwrap();
    assert_eq!(end.collect().await.unwrap(), body[body.len() - 9..]);
}
