//! A stored instance as a part-10 file (PS3.10 §7.1): as received, or
//! rewritten in Explicit VR Little Endian, frame by frame. Attributes are
//! rewritten as bytes, so that text of any character set stays what it is.

use std::io::Cursor;

use bytes::Bytes;
use dicom_core::header::{DataElementHeader, Length};
use dicom_core::{PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_parser::dataset::DataToken;
use dicom_parser::dataset::read::{DataSetReader, DataSetReaderOptions, ValueReadStrategy};
use futures::stream::{self, StreamExt as _};
use hilum_archive::InstanceRow;
use hilum_contracts::error::ServiceError;
use hilum_dataset::part10;
use hilum_dataset::patch::patch;
use hilum_dataset::{Encoding, PixelLayout};
use hilum_dicomweb::accept::EXPLICIT_VR_LITTLE_ENDIAN;
use hilum_pixels::AttributeChanges;

use super::error::Failure;
use super::explicit::Writer;
use super::limits;
use super::pixels::{Image, around, head, plain_syntax};
use super::stored::{Pieces, Stored};

/// Whether instances of a transfer syntax can be rewritten.
pub(super) fn can_rewrite(transfer_syntax: &str) -> bool {
    hilum_pixels::can_decode(transfer_syntax)
}

/// Preamble and file meta information of an instance.
pub(super) fn file_meta(row: &InstanceRow, transfer_syntax: &str) -> Result<Bytes, Failure> {
    let failed = || Failure::Service(ServiceError::internal("File meta information failed."));
    let head = part10::head(
        &row.sop_class,
        &row.sop_instance,
        transfer_syntax,
        hilum_dimse::IMPLEMENTATION_CLASS_UID,
    );
    head.map(Bytes::from).ok_or_else(failed)
}

/// The instance's file, rewritten. What can fail before the first byte fails
/// here.
pub(super) async fn rewritten(stored: Stored) -> Result<Pieces, Failure> {
    let meta = file_meta(&stored.row, EXPLICIT_VR_LITTLE_ENDIAN)?;
    let encoding = stored.layout.encoding;
    let place = around(&stored);
    let head = head(&stored).await?;
    let (corrections, fallback) = stored.corrections()?;
    if place.tail < place.head || stored.length() - place.tail > limits::HEAD_BYTES {
        return Err(unreadable());
    }
    let tail = stored
        .read(place.tail, stored.length() - place.tail)
        .await?;
    let pixels = match &stored.layout.pixels {
        None => None,
        Some(_) => Some(Pixels::open(stored.clone(), place.head).await?),
    };
    let changes = pixels.as_ref().and_then(|pixels| pixels.changes);
    let (head, tail) = tokio::task::spawn_blocking(move || {
        let head = patch(head.as_ref(), encoding, &corrections, fallback)
            .ok()?
            .collect(head.as_ref())
            .ok()?;
        let head = rewrite(&head, encoding, changes.as_ref())?;
        Some((head, rewrite(&tail, encoding, None)?))
    })
    .await
    .ok()
    .flatten()
    .ok_or_else(unreadable)?;
    let mut before = Vec::from(meta);
    before.extend_from_slice(&head);
    let Some(pixels) = pixels else {
        return Ok(stream::iter([Ok(Bytes::from(before))]).boxed());
    };
    before.extend_from_slice(&pixels.header());
    Ok(stream::iter([Ok(Bytes::from(before))])
        .chain(pixels.value)
        .chain(stream::iter([Ok(Bytes::from(tail))]))
        .boxed())
}

/// The value of the pixel data's element, native and little endian.
struct Pixels {
    changes: Option<AttributeChanges>,
    tag: u32,
    length: u32,
    bytes_per_word: u8,
    value: Pieces,
}

impl Pixels {
    async fn open(stored: Stored, head: u64) -> Result<Self, Failure> {
        let little = !matches!(stored.layout.encoding, Encoding::ExplicitBig);
        if let (true, Some(PixelLayout::Native { offset, length, .. })) =
            (little, &stored.layout.pixels)
        {
            let (offset, length) = (*offset, *length);
            let tag = stored.read(head, 4).await?;
            let tag = match tag.as_ref() {
                [a, b, c, d] => {
                    u32::from(u16::from_le_bytes([*a, *b])) << 16
                        | u32::from(u16::from_le_bytes([*c, *d]))
                }
                _ => return Err(unreadable()),
            };
            let words = stored
                .layout
                .bulk
                .iter()
                .all(|bulk| bulk.vr != "OB" || !bulk.path.starts_with("7FE000"));
            return Ok(Self {
                changes: None,
                tag,
                length: u32::try_from(length).map_err(|_| unreadable())?,
                bytes_per_word: if words { 2 } else { 1 },
                value: stored.stream(offset, length).await?,
            });
        }
        let image = Image::open(stored).await?;
        let first = image.native(0).await?;
        let frames = image.frames();
        let whole = u64::try_from(first.data.len())
            .ok()
            .and_then(|bytes| bytes.checked_mul(u64::from(frames)))
            .ok_or_else(unreadable)?;
        // One-bit frames run on without a byte boundary: only together do they
        // make the value, which is rewritten only where each ends on a byte.
        if image.description.bits_allocated == 1
            && frames > 1
            && image.description.native_bits() % 8 != 0
        {
            return Err(unreadable());
        }
        let padded = whole + whole % 2;
        let length = u32::try_from(padded)
            .ok()
            .filter(|length| *length < u32::MAX - 1);
        let changes = first.changes;
        let frame_bytes = first.data.len();
        let bytes_per_word = if image.description.bits_allocated > 8 {
            2
        } else {
            1
        };
        let rest = stream::iter(1..frames).then(move |index| {
            let image = image.clone();
            async move {
                match image.native(index).await {
                    Ok(frame) if frame.data.len() == frame_bytes && frame.changes == changes => {
                        Ok(Bytes::from(frame.data))
                    }
                    _ => Err(ServiceError::internal("A frame can't be decoded.")),
                }
            }
        });
        let padding = if whole % 2 == 1 {
            Bytes::from_static(&[0])
        } else {
            Bytes::new()
        };
        Ok(Self {
            changes: Some(changes),
            tag: 0x7fe0_0010,
            length: length.ok_or_else(unreadable)?,
            bytes_per_word,
            value: stream::iter([Ok(Bytes::from(first.data))])
                .chain(rest)
                .chain(stream::iter([Ok(padding)]))
                .boxed(),
        })
    }

    /// Group, element, VR, two reserved bytes, length (PS3.5 §7.1.2).
    fn header(&self) -> Vec<u8> {
        let mut header = Vec::with_capacity(12);
        let [a, b, c, d] = self.tag.to_be_bytes();
        header.extend_from_slice(&[b, a, d, c]);
        let vr: &[u8; 4] = match (self.tag, self.bytes_per_word) {
            (0x7fe0_0008, _) => b"OF\0\0",
            (0x7fe0_0009, _) => b"OD\0\0",
            (_, 1) => b"OB\0\0",
            _ => b"OW\0\0",
        };
        header.extend_from_slice(vr);
        header.extend_from_slice(&self.length.to_le_bytes());
        header
    }
}

fn unreadable() -> Failure {
    Failure::not_acceptable(
        "this instance can't be rewritten in Explicit VR Little Endian; it is given as stored with transfer-syntax=*",
    )
}

/// Rewrites elements, their values untouched but for those that decoding
/// changed. `None` when they can't be read.
fn rewrite(
    bytes: &[u8],
    encoding: Encoding,
    changes: Option<&AttributeChanges>,
) -> Option<Vec<u8>> {
    if bytes.is_empty() {
        return Some(Vec::new());
    }
    let mut elements = read_elements(bytes, encoding)?;
    if let Some(changes) = changes {
        apply(&mut elements, changes, encoding);
    }
    let mut writer = Writer::new(matches!(encoding, Encoding::ExplicitBig));
    for (_, tokens) in elements {
        for token in tokens {
            writer.write(token)?;
        }
    }
    Some(writer.finish())
}

type Element = (Tag, Vec<DataToken>);

fn read_elements(bytes: &[u8], encoding: Encoding) -> Option<Vec<Element>> {
    let options = DataSetReaderOptions::default().value_read(ValueReadStrategy::Raw);
    let syntax = plain_syntax(encoding);
    let reader = DataSetReader::new_with_ts_options(Cursor::new(bytes), &syntax, options).ok()?;
    let mut elements: Vec<Element> = Vec::new();
    let mut depth = 0_usize;
    for token in reader {
        let token = token.ok()?;
        let begins = match &token {
            DataToken::ElementHeader(header) => Some(header.tag),
            DataToken::SequenceStart { tag, .. } => Some(*tag),
            DataToken::PixelSequenceStart => Some(tags::PIXEL_DATA),
            _ => None,
        };
        if let (0, Some(tag)) = (depth, begins) {
            elements.push((tag, Vec::new()));
        }
        match &token {
            DataToken::SequenceStart { .. }
            | DataToken::PixelSequenceStart
            | DataToken::ItemStart { .. } => depth += 1,
            DataToken::SequenceEnd | DataToken::ItemEnd => depth = depth.saturating_sub(1),
            _ => {}
        }
        elements.last_mut()?.1.push(token);
    }
    // Group lengths are retired (PS3.5 §7.2), and would be wrong; offset
    // tables tell of fragments that are no more.
    elements.retain(|(tag, _)| tag.1 != 0 && !(tag.0 == 0x7fe0 && tag.1 < 8));
    Some(elements)
}

fn apply(elements: &mut Vec<Element>, changes: &AttributeChanges, encoding: Encoding) {
    // In the order of the source, as all else here.
    let number = |number: u16| {
        PrimitiveValue::from(match encoding {
            Encoding::ExplicitBig => number.to_be_bytes(),
            Encoding::ImplicitLittle | Encoding::ExplicitLittle => number.to_le_bytes(),
        })
    };
    let photometric = PrimitiveValue::from(changes.photometric.as_str());
    put(
        elements,
        tags::PHOTOMETRIC_INTERPRETATION,
        VR::CS,
        photometric,
    );
    if let Some(planar) = changes.planar_configuration {
        put(elements, tags::PLANAR_CONFIGURATION, VR::US, number(planar));
    }
    put(
        elements,
        tags::BITS_STORED,
        VR::US,
        number(changes.bits_stored),
    );
    put(elements, tags::HIGH_BIT, VR::US, number(changes.high_bit));
}

fn put(elements: &mut Vec<Element>, tag: Tag, vr: VR, value: PrimitiveValue) {
    let length = u32::try_from(value.calculate_byte_len()).unwrap_or(0);
    let length = Length(length + length % 2);
    let tokens = vec![
        DataToken::ElementHeader(DataElementHeader::new(tag, vr, length)),
        DataToken::PrimitiveValue(value),
    ];
    match elements.binary_search_by_key(&tag, |(tag, _)| *tag) {
        Ok(at) => {
            if let Some(element) = elements.get_mut(at) {
                element.1 = tokens;
            }
        }
        Err(at) => elements.insert(at.min(elements.len()), (tag, tokens)),
    }
}
