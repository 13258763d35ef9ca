//! The headers of JPEG and JPEG-LS streams (ITU-T T.81 annex B, T.87 annex C): just what must be known
//! before a decoder may run.

use crate::description::ImageDescription;
use crate::error::PixelError;

/// What a JPEG or JPEG-LS header says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct JpegHeader {
    /// The frame header's marker: 0xC0 to 0xCF, 0xF7 for JPEG-LS.
    pub(super) start_of_frame: u8,
    pub(super) precision: u16,
    rows: u32,
    columns: u32,
    pub(super) component_ids: Vec<u8>,
    /// An APP0 "JFIF" segment: three components are YCbCr.
    pub(super) jfif: bool,
    /// The transform of an APP14 "Adobe" segment.
    pub(super) adobe_transform: Option<u8>,
    /// Where Ss, Se, Ah and Al of the first scan stand (T.81 B.2.3).
    pub(super) spectral_selection: usize,
    /// JPEG-LS interleave mode of the first scan: 0 planes, 1 lines, 2 samples.
    pub(super) interleave: u8,
}

const BROKEN: PixelError = PixelError::Codec("JPEG header");

impl JpegHeader {
    /// Reads up to the first scan.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, PixelError> {
        let mut header = Self::default();
        let mut rest = bytes.strip_prefix(&[0xFF, 0xD8]).ok_or(BROKEN)?;
        loop {
            // Any number of fill bytes may come before a marker.
            let start = rest
                .iter()
                .position(|&byte| byte != 0xFF)
                .filter(|&fill| fill > 0)
                .ok_or(BROKEN)?;
            let (&marker, after) = rest
                .get(start..)
                .and_then(<[u8]>::split_first)
                .ok_or(BROKEN)?;
            let (length, _) = after.split_first_chunk::<2>().ok_or(BROKEN)?;
            let length = usize::from(u16::from_be_bytes(*length));
            let segment = after.get(2..length).ok_or(BROKEN)?;
            rest = after.get(length..).ok_or(BROKEN)?;
            match marker {
                0xC4 | 0xC8 | 0xCC => {}
                0xC0..=0xCF | 0xF7 => header.read_frame(marker, segment)?,
                0xE0 => header.jfif |= segment.starts_with(b"JFIF\0"),
                0xEE if segment.starts_with(b"Adobe") => {
                    header.adobe_transform = segment.get(11).copied()
                }
                0xDA => {
                    let count = usize::from(*segment.first().ok_or(BROKEN)?);
                    header.spectral_selection = bytes.len() - after.len() + 2 + 1 + 2 * count;
                    header.interleave = segment.get(1 + 2 * count + 1).copied().unwrap_or(0);
                    return if header.start_of_frame == 0 {
                        Err(BROKEN)
                    } else {
                        Ok(header)
                    };
                }
                _ => {}
            }
        }
    }

    fn read_frame(&mut self, marker: u8, segment: &[u8]) -> Result<(), PixelError> {
        let (&[precision, r1, r0, c1, c0, count], components) =
            segment.split_first_chunk::<6>().ok_or(BROKEN)?;
        self.start_of_frame = marker;
        self.precision = precision.into();
        self.rows = u16::from_be_bytes([r1, r0]).into();
        self.columns = u16::from_be_bytes([c1, c0]).into();
        self.component_ids = components
            .as_chunks::<3>()
            .0
            .iter()
            .map(|[id, ..]| *id)
            .collect();
        if self.component_ids.len() == usize::from(count) {
            Ok(())
        } else {
            Err(BROKEN)
        }
    }

    /// The stream must be the image that the data set describes: decoders allocate by the stream, limits
    /// are checked by the data set.
    pub(super) fn check(&self, description: &ImageDescription) -> Result<(), PixelError> {
        if self.rows != description.rows || self.columns != description.columns {
            return Err(PixelError::Disagrees("rows or columns"));
        }
        if self.component_ids.len() != usize::from(description.samples_per_pixel) {
            return Err(PixelError::Disagrees("samples per pixel"));
        }
        if !(2..=16).contains(&self.precision) {
            return Err(BROKEN);
        }
        if self.precision > description.bits_allocated {
            return Err(PixelError::Disagrees("more bits than allocated"));
        }
        Ok(())
    }
}
