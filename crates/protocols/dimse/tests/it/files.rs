//! Instances and part 10 files to send.

use std::path::{Path, PathBuf};

use crate::support::EXPLICIT;

/// The real series that the project ships.
pub(crate) fn series() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../samples/mr-brain");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "dcm"))
        .collect();
    files.sort();
    assert!(files.len() >= 20);
    files
}

/// A UID of a part 10 file's meta information.
pub(crate) fn meta_uid(path: &Path, element: u8) -> String {
    let bytes = std::fs::read(path).unwrap();
    let tag = [2, 0, element, 0, b'U', b'I'];
    let at = bytes.windows(6).position(|window| window == tag).unwrap();
    let length = usize::from(bytes[at + 6]);
    let uid = std::str::from_utf8(&bytes[at + 8..at + 8 + length]).unwrap();
    uid.trim_end_matches('\0').to_owned()
}

/// The same without its first slice, whose 2.5 MB of bytes after the pixels dcmtk reads as elements,
/// for seconds.
pub(crate) fn plain_series() -> Vec<PathBuf> {
    series().split_off(1)
}

/// The data set's bytes of a part 10 file, as they are in it.
pub(crate) fn data_set_bytes(path: &Path) -> Vec<u8> {
    let bytes = std::fs::read(path).unwrap();
    // (0002,0000) is the first element: 132 + 12 bytes in front of what its value counts.
    let length = u32::from_le_bytes(bytes[140..144].try_into().unwrap());
    bytes[144 + length as usize..].to_vec()
}

fn put(out: &mut Vec<u8>, tag: (u16, u16), vr: &[u8; 2], value: &[u8]) {
    out.extend(tag.0.to_le_bytes());
    out.extend(tag.1.to_le_bytes());
    out.extend(vr);
    if matches!(vr, b"OB" | b"OW") {
        out.extend([0, 0]);
        out.extend(u32::try_from(value.len()).unwrap().to_le_bytes());
    } else {
        out.extend(u16::try_from(value.len()).unwrap().to_le_bytes());
    }
    out.extend(value);
}

fn padded(uid: &str) -> Vec<u8> {
    let mut bytes = uid.as_bytes().to_vec();
    bytes.resize(bytes.len().next_multiple_of(2), 0);
    bytes
}

/// An MR instance in explicit little endian with this many bytes of pixels.
pub(crate) fn instance(class: &str, instance: &str, pixels: usize) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, (8, 0x16), b"UI", &padded(class));
    put(&mut out, (8, 0x18), b"UI", &padded(instance));
    put(&mut out, (0x10, 0x20), b"LO", b"NOBODY");
    put(&mut out, (0x20, 0x0d), b"UI", &padded("1.2.3.1000"));
    put(&mut out, (0x20, 0x0e), b"UI", &padded("1.2.3.1001"));
    let pixels: Vec<u8> = (0..pixels).map(|i| (i * 31 % 251) as u8).collect();
    put(&mut out, (0x7fe0, 0x10), b"OW", &pixels);
    out
}

/// The same as a part 10 file.
pub(crate) fn file(folder: &Path, class: &str, uid: &str, pixels: usize) -> PathBuf {
    let mut meta = Vec::new();
    put(&mut meta, (2, 1), b"OB", &[0, 1]);
    put(&mut meta, (2, 2), b"UI", &padded(class));
    put(&mut meta, (2, 3), b"UI", &padded(uid));
    put(&mut meta, (2, 0x10), b"UI", &padded(EXPLICIT));
    put(&mut meta, (2, 0x12), b"UI", &padded("1.2.3.4"));
    let mut out = vec![0; 128];
    out.extend(b"DICM");
    put(
        &mut out,
        (2, 0),
        b"UL",
        &u32::try_from(meta.len()).unwrap().to_le_bytes(),
    );
    out.extend(meta);
    out.extend(instance(class, uid, pixels));
    let path = folder.join(format!("{uid}.dcm"));
    std::fs::write(&path, out).unwrap();
    path
}
