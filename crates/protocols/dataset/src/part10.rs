//! The file around a data set (PS3.10 §7.1): preamble, file meta information,
//! and where the data set starts. Also files that lack either. Reads nothing of
//! the data set beyond its first header.

use dicom_object::FileMetaTableBuilder;

use crate::encoding::{Encoding, has_long_length, trim_uid, vr_of};
use crate::error::{Flag, Place, Refusal, ScanError};
use crate::limits::MAX_META;
use crate::source::{ByteSource, Cursor, Window};

/// What precedes the data set in a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part10 {
    /// Where the data set starts in the file.
    pub data_set_offset: u64,
    /// Transfer Syntax UID (0002,0010), or the guessed one.
    pub transfer_syntax_uid: String,
    /// Media Storage SOP Class UID (0002,0002); empty when absent.
    pub media_storage_sop_class_uid: String,
    /// Media Storage SOP Instance UID (0002,0003); empty when absent.
    pub media_storage_sop_instance_uid: String,
    /// What was missing or guessed.
    pub flags: Vec<Flag>,
}

/// What stands before the data set of an instance in a file: preamble and file
/// meta information. Nothing when a UID is longer than one can be.
#[must_use]
pub fn head(
    sop_class_uid: &str,
    sop_instance_uid: &str,
    transfer_syntax_uid: &str,
    implementation_class_uid: &str,
) -> Option<Vec<u8>> {
    let table = FileMetaTableBuilder::new()
        .media_storage_sop_class_uid(sop_class_uid)
        .media_storage_sop_instance_uid(sop_instance_uid)
        .transfer_syntax(transfer_syntax_uid)
        .implementation_class_uid(implementation_class_uid)
        .implementation_version_name("HILUM")
        .build()
        .ok()?;
    let mut bytes = vec![0; 128];
    bytes.extend_from_slice(b"DICM");
    table.write(&mut bytes).ok()?;
    Some(bytes)
}

/// Finds the data set of a file.
///
/// # Errors
/// [`Refusal::NotDicom`] when there is no sign of one;
/// [`Refusal::Truncated`] when the file ends in its meta information.
pub fn split<S: ByteSource>(source: &S) -> Result<Part10, ScanError> {
    let mut cursor = Cursor::new(source);
    let mut part10 = Part10::default();
    let head = cursor.peek(132)?;
    let start = if head.get(128..) == Some(b"DICM") {
        132
    } else {
        part10.flags.push(Flag::NoPreamble);
        if head.starts_with(b"DICM") { 4 } else { 0 }
    };
    cursor.skip(start, Place::Header)?;
    let found = meta(&mut cursor, &mut part10)?;
    part10.data_set_offset = cursor.position();
    if !found || part10.transfer_syntax_uid.is_empty() {
        part10.flags.push(Flag::NoMeta);
        let room = cursor.remaining();
        let uid = guess(cursor.peek(12)?, room).ok_or(Refusal::NotDicom)?;
        uid.clone_into(&mut part10.transfer_syntax_uid);
    }
    Ok(part10)
}

/// Reads group 0002, always explicit little endian, until the group changes:
/// its own length is often wrong.
fn meta<S: ByteSource>(cursor: &mut Cursor<S>, part10: &mut Part10) -> Result<bool, ScanError> {
    let start = cursor.position();
    let little = Encoding::ExplicitLittle;
    let mut found = false;
    loop {
        let at = cursor.position();
        let bytes = cursor.peek(12)?;
        let [2, 0, low, high, first, second, ..] = *bytes else {
            return Ok(found);
        };
        let Some(vr) = vr_of([first, second]) else {
            return if found {
                Err(Refusal::Broken {
                    at,
                    tag: 0x0002_0000,
                }
                .into())
            } else {
                Ok(false)
            };
        };
        let (size, length) = if has_long_length(vr) {
            (12, little.u32(bytes.get(8..).unwrap_or_default()))
        } else {
            let short = little.u16(bytes.get(6..).unwrap_or_default());
            (8, u32::from(short))
        };
        found = true;
        cursor.skip(size, Place::Header)?;
        if cursor.position() + u64::from(length) - start > MAX_META {
            return Err(Refusal::Broken {
                at,
                tag: 0x0002_0000,
            }
            .into());
        }
        let target = match u16::from_le_bytes([low, high]) {
            0x0002 => Some(&mut part10.media_storage_sop_class_uid),
            0x0003 => Some(&mut part10.media_storage_sop_instance_uid),
            0x0010 => Some(&mut part10.transfer_syntax_uid),
            _ => None,
        };
        match target {
            // A UID has at most 64 bytes; a longer value is none.
            Some(target) if length <= 128 => {
                let length = usize::try_from(length).unwrap_or(0);
                let bytes = cursor.take(length, Place::Header)?;
                let text = String::from_utf8_lossy(bytes);
                *target = trim_uid(&text).to_owned();
            }
            _ => cursor.skip(u64::from(length), Place::Header)?,
        }
    }
}

/// The uncompressed syntax that the first header can be of.
fn guess(bytes: &[u8], room: u64) -> Option<&'static str> {
    let [g0, g1, _, _, a, b, ..] = *bytes else {
        return None;
    };
    if bytes.len() < 8 {
        return None;
    }
    // Data sets start in group 0008, rarely 0004 or another low one.
    let little = (1..=0x20).contains(&g0) && g1 == 0;
    let big = g0 == 0 && (1..=0x20).contains(&g1);
    let explicit = vr_of([a, b]).is_some();
    if big && explicit {
        return Some("1.2.840.10008.1.2.2");
    }
    if little && explicit {
        return Some("1.2.840.10008.1.2.1");
    }
    let length = Encoding::ImplicitLittle.u32(bytes.get(4..).unwrap_or_default());
    let fits = length == u32::MAX || u64::from(length) + 8 <= room;
    (little && g0 >= 4 && fits).then_some("1.2.840.10008.1.2")
}

/// The data set of a split file.
pub fn data_set<S: ByteSource>(source: S, part10: &Part10) -> Window<S> {
    Window::new(source, part10.data_set_offset)
}
