//! What the Image Pixel Module says about a frame (PS3.3 C.7.6.3), checked once so that decoding can
//! trust it. It owns the sizes and their limits; it never sees pixel data.

mod attributes;
mod photometric;

pub(crate) use attributes::{
    Words, first_item, float, floats, integer, integers, items, text, unsigned_words,
};
pub use photometric::Photometric;

use crate::error::PixelError;
use crate::limits::MAX_FRAME_BYTES;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

/// How a sample's bits are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleKind {
    /// Pixel Data (7FE0,0010).
    Integer,
    /// Float Pixel Data (7FE0,0008): IEEE 754 binary32.
    Float32,
    /// Double Float Pixel Data (7FE0,0009): IEEE 754 binary64.
    Float64,
}

/// Planar Configuration (0028,0006), PS3.3 C.7.6.3.1.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanarConfiguration {
    /// 0: R G B R G B …
    ByPixel,
    /// 1: R R … G G … B B …
    ByPlane,
}

/// Stored values that are no measurement (PS3.3 C.7.5.1.1.2), both ends included.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PaddingRange {
    /// Lowest padding value.
    pub low: f64,
    /// Highest padding value.
    pub high: f64,
}

impl PaddingRange {
    /// Is this stored value padding?
    pub fn contains(&self, value: f64) -> bool {
        value >= self.low && value <= self.high
    }
}

/// The Image Pixel Module of one instance.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageDescription {
    /// Rows (0028,0010): height in pixels.
    pub rows: u32,
    /// Columns (0028,0011): width in pixels.
    pub columns: u32,
    /// Samples per Pixel (0028,0002).
    pub samples_per_pixel: u16,
    /// Photometric Interpretation (0028,0004) of the stored bytes.
    pub photometric: Photometric,
    /// Bits Allocated (0028,0100).
    pub bits_allocated: u16,
    /// Bits Stored (0028,0101).
    pub bits_stored: u16,
    /// High Bit (0028,0102).
    pub high_bit: u16,
    /// Pixel Representation (0028,0103) is 1.
    pub signed: bool,
    /// Planar Configuration of native colour data.
    pub planar_configuration: PlanarConfiguration,
    /// Number of Frames (0028,0008), 1 where absent.
    pub number_of_frames: u32,
    /// Integer or floating point.
    pub kind: SampleKind,
    /// Pixel Padding Value and Range Limit, as stored values.
    pub padding: Option<PaddingRange>,
}

impl ImageDescription {
    /// Reads the module from a data set, which needs no pixel data, and checks it.
    ///
    /// # Errors
    /// [`PixelError::Missing`], [`PixelError::Lie`], [`PixelError::Unsupported`] or
    /// [`PixelError::TooLarge`]; whatever passes can be decoded within the limits.
    pub fn from_dataset(data_set: &InMemDicomObject) -> Result<Self, PixelError> {
        let number = |tag, name| integer(data_set, tag).ok_or(PixelError::Missing(name));
        let short = |value: i64, attribute| {
            u16::try_from(value).map_err(|_| PixelError::Lie {
                attribute,
                reason: "outside 16 bits",
            })
        };
        let rows = short(number(tags::ROWS, "Rows")?, "Rows")?;
        let columns = short(number(tags::COLUMNS, "Columns")?, "Columns")?;
        let samples_per_pixel = short(
            integer(data_set, tags::SAMPLES_PER_PIXEL).unwrap_or(1),
            "Samples per Pixel",
        )?;
        let bits_allocated = short(
            number(tags::BITS_ALLOCATED, "Bits Allocated")?,
            "Bits Allocated",
        )?;
        let kind = sample_kind(data_set, bits_allocated);
        let bits_stored = match kind {
            SampleKind::Integer => short(
                integer(data_set, tags::BITS_STORED).unwrap_or_else(|| i64::from(bits_allocated)),
                "Bits Stored",
            )?,
            _ => bits_allocated,
        };
        let high_bit = integer(data_set, tags::HIGH_BIT)
            .filter(|_| kind == SampleKind::Integer)
            .unwrap_or_else(|| i64::from(bits_stored) - 1);
        let frames = integer(data_set, tags::NUMBER_OF_FRAMES).unwrap_or(1);
        let signed = integer(data_set, tags::PIXEL_REPRESENTATION) == Some(1);
        let description = Self {
            rows: rows.into(),
            columns: columns.into(),
            samples_per_pixel,
            photometric: Photometric::parse(
                text(data_set, tags::PHOTOMETRIC_INTERPRETATION).as_deref(),
                samples_per_pixel,
            )?,
            bits_allocated,
            bits_stored,
            high_bit: short(high_bit, "High Bit")?,
            signed,
            planar_configuration: match integer(data_set, tags::PLANAR_CONFIGURATION) {
                Some(1) => PlanarConfiguration::ByPlane,
                _ => PlanarConfiguration::ByPixel,
            },
            number_of_frames: u32::try_from(frames).map_err(|_| PixelError::Lie {
                attribute: "Number of Frames",
                reason: "not a count",
            })?,
            kind,
            padding: padding(data_set, signed),
        };
        description.validate()?;
        Ok(description)
    }

    /// Checks every relation that decoding relies on. [`crate::decode_frame`] calls it again, because the
    /// fields are public.
    ///
    /// # Errors
    /// As [`ImageDescription::from_dataset`].
    pub fn validate(&self) -> Result<(), PixelError> {
        let lie = |attribute, reason| Err(PixelError::Lie { attribute, reason });
        if self.rows == 0 || self.rows > 65_535 {
            return lie("Rows", "not within 1 to 65535");
        }
        if self.columns == 0 || self.columns > 65_535 {
            return lie("Columns", "not within 1 to 65535");
        }
        if self.number_of_frames == 0 {
            return lie("Number of Frames", "zero");
        }
        if self.samples_per_pixel != self.photometric.samples_per_pixel() {
            return lie(
                "Samples per Pixel",
                "not what the photometric interpretation needs",
            );
        }
        let sizes: &[u16] = match self.kind {
            SampleKind::Integer => &[1, 8, 16, 32],
            SampleKind::Float32 => &[32],
            SampleKind::Float64 => &[64],
        };
        if !sizes.contains(&self.bits_allocated) {
            return Err(PixelError::Unsupported("this number of bits allocated"));
        }
        if self.bits_stored == 0 || self.bits_stored > self.bits_allocated {
            return lie("Bits Stored", "zero, or more than Bits Allocated");
        }
        if self.high_bit >= self.bits_allocated || self.high_bit + 1 < self.bits_stored {
            return lie(
                "High Bit",
                "leaves no room for Bits Stored in Bits Allocated",
            );
        }
        if self.samples_per_pixel > 1
            && (self.bits_allocated == 1 || self.kind != SampleKind::Integer)
        {
            return lie("Bits Allocated", "not possible for colour");
        }
        if self.photometric.is_subsampled() && self.bits_allocated != 8 {
            return Err(PixelError::Unsupported(
                "subsampled chrominance of more than 8 bits",
            ));
        }
        let bytes = self.decoded_bytes();
        if bytes > MAX_FRAME_BYTES {
            return Err(PixelError::TooLarge {
                bytes,
                limit: MAX_FRAME_BYTES,
            });
        }
        Ok(())
    }

    /// Pixels of one frame.
    pub fn pixel_count(&self) -> u64 {
        u64::from(self.rows) * u64::from(self.columns)
    }

    /// Bytes of one frame after decoding, full chrominance resolution, one byte per 1-bit sample.
    pub fn decoded_bytes(&self) -> u64 {
        self.pixel_count()
            * u64::from(self.samples_per_pixel)
            * u64::from(self.bits_allocated.div_ceil(8))
    }

    /// Bits of one frame in native form (PS3.5 §8.1.1 and PS3.3 C.7.6.3.1.2 for 4:2:2).
    pub fn native_bits(&self) -> u64 {
        let samples = if self.photometric.is_subsampled() {
            // Two luminance and two chrominance samples for each pair of pixels of a row.
            u64::from(self.rows) * u64::from(self.columns.div_ceil(2)) * 4
        } else {
            self.pixel_count() * u64::from(self.samples_per_pixel)
        };
        samples * u64::from(self.bits_allocated)
    }
}

/// Without its pixel data an instance shows that they are floating point by lacking what only integers
/// have (PS3.3 C.7.6.24 has neither Bits Stored nor Pixel Representation).
fn sample_kind(data_set: &InMemDicomObject, bits_allocated: u16) -> SampleKind {
    let has = |tag| data_set.get(tag).is_some();
    let integer_attributes =
        has(tags::BITS_STORED) || has(tags::PIXEL_REPRESENTATION) || has(tags::PIXEL_DATA);
    match bits_allocated {
        32 if !integer_attributes => SampleKind::Float32,
        64 if !integer_attributes => SampleKind::Float64,
        _ => SampleKind::Integer,
    }
}

fn padding(data_set: &InMemDicomObject, signed: bool) -> Option<PaddingRange> {
    let word = |tag| {
        let value = integer(data_set, tag)?;
        // With implicit VR the value is read as US whatever it is.
        Some(f64::from(if signed && value > 32_767 {
            i32::try_from(value - 65_536).ok()?
        } else {
            i32::try_from(value).ok()?
        }))
    };
    let float_of = |tag| float(data_set, tag).filter(|value| value.is_finite());
    let value = word(tags::PIXEL_PADDING_VALUE)
        .or_else(|| float_of(tags::FLOAT_PIXEL_PADDING_VALUE))
        .or_else(|| float_of(tags::DOUBLE_FLOAT_PIXEL_PADDING_VALUE))?;
    let limit = word(tags::PIXEL_PADDING_RANGE_LIMIT)
        .or_else(|| float_of(tags::FLOAT_PIXEL_PADDING_RANGE_LIMIT))
        .or_else(|| float_of(tags::DOUBLE_FLOAT_PIXEL_PADDING_RANGE_LIMIT))
        .unwrap_or(value);
    Some(PaddingRange {
        low: value.min(limit),
        high: value.max(limit),
    })
}
