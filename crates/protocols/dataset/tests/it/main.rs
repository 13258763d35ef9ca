//! The scan against other readers and hostile bytes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

mod corpus;
mod crafted;
mod mutations;
mod patched;
mod pydicom;

/// An element in explicit little endian with a 16-bit length.
fn short(group: u16, element: u16, vr: &[u8; 2], value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap();
    let mut bytes = [group.to_le_bytes(), element.to_le_bytes()].concat();
    bytes.extend(vr);
    bytes.extend(length.to_le_bytes());
    bytes.extend(value);
    bytes
}

/// An element in explicit little endian with a 32-bit length.
fn long(group: u16, element: u16, vr: &[u8; 2], length: u32, value: &[u8]) -> Vec<u8> {
    let mut bytes = [group.to_le_bytes(), element.to_le_bytes()].concat();
    bytes.extend(vr);
    bytes.extend([0, 0]);
    bytes.extend(length.to_le_bytes());
    bytes.extend(value);
    bytes
}

fn item(element: u16, length: u32, value: &[u8]) -> Vec<u8> {
    let mut bytes = [0xFFFE_u16.to_le_bytes(), element.to_le_bytes()].concat();
    bytes.extend(length.to_le_bytes());
    bytes.extend(value);
    bytes
}

/// The elements that file an instance, in order, up to group 0020.
fn filed() -> Vec<u8> {
    [
        short(0x0008, 0x0016, b"UI", b"1.2.840.10008.5.1.4.1.1.7\0"),
        short(0x0008, 0x0018, b"UI", b"1.2.3\0"),
        short(0x0020, 0x000D, b"UI", b"1.2\0"),
        short(0x0020, 0x000E, b"UI", b"1.4\0"),
    ]
    .concat()
}
