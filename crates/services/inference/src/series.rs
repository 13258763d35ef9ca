//! A series on its way into a volume: each data set is decoded as it arrives
//! and let go; what stays is its header and its grey values. Nothing is
//! written to disk.

use dicom_core::value::Value;
use dicom_dictionary_std::tags;
use dicom_encoding::TransferSyntax;
use dicom_object::InMemDicomObject;
use dicom_transfer_syntax_registry::{TransferSyntaxIndex, TransferSyntaxRegistry};
use hilum_pixels::{Display, EncodedFrame, ImageDescription};
use ndarray::Array3;

use crate::domain::geometry::{Geometry, assemble};
use crate::domain::header::Header;
use crate::domain::manifest::Input;
use crate::domain::refusal::Refusal;
use crate::domain::volume::{Volume, voxels};
use crate::limits::{SLICES_MAX, VOXELS_MAX};

/// One instance, read.
pub struct Slice {
    /// Its header.
    pub header: Header,
    /// Its data set without pixel data.
    pub data_set: InMemDicomObject,
    pixels: Result<Vec<f32>, Refusal>,
}

/// The instances of a run so far.
pub struct Series {
    slices: Vec<Slice>,
    decoded_bytes: u64,
    max_bytes: u64,
}

impl Series {
    /// An empty one whose grey values may take this many bytes.
    #[must_use]
    pub fn new(max_bytes: u64) -> Self {
        Self {
            slices: Vec::new(),
            decoded_bytes: 0,
            max_bytes,
        }
    }

    /// Reads one instance's data set, in the transfer syntax it was stored in.
    /// Its pixels are decoded now; whether that matters is decided once the geometry is known.
    ///
    /// # Errors
    /// [`Refusal`] when it is no data set, or there are too many.
    pub fn add(&mut self, transfer_syntax_uid: &str, bytes: &[u8]) -> Result<(), Refusal> {
        if self.slices.len() >= SLICES_MAX {
            return Err(Refusal::TooManySlices {
                found: self.slices.len() + 1,
                maximum: SLICES_MAX,
            });
        }
        let undecodable = |problem: &str| Refusal::Undecodable {
            problem: problem.to_owned(),
        };
        let syntax = TransferSyntaxRegistry
            .get(transfer_syntax_uid.trim_end_matches(['\0', ' ']))
            .ok_or_else(|| undecodable("its transfer syntax is not known"))?;
        let mut data_set =
            read(bytes, syntax).ok_or_else(|| undecodable("its data set can't be read"))?;
        let header = Header::read(&data_set);
        let pixels = if header.is_localizer() {
            Ok(Vec::new())
        } else {
            decode(&data_set, transfer_syntax_uid)
        };
        for pixel_data in [
            tags::PIXEL_DATA,
            tags::FLOAT_PIXEL_DATA,
            tags::DOUBLE_FLOAT_PIXEL_DATA,
        ] {
            data_set.remove_element(pixel_data);
        }
        let bytes = pixels
            .as_ref()
            .map_or(0, |p| p.len().saturating_mul(size_of::<f32>()));
        self.decoded_bytes = self
            .decoded_bytes
            .saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        if self.decoded_bytes > self.max_bytes {
            const MB: u64 = 1024 * 1024;
            return Err(Refusal::TooMuchMemory {
                needed_mb: self.decoded_bytes / MB,
                allowed_mb: self.max_bytes / MB,
            });
        }
        self.slices.push(Slice {
            header,
            data_set,
            pixels,
        });
        Ok(())
    }

    /// Checks the model's selection and puts the slices together.
    ///
    /// # Errors
    /// The [`Refusal`].
    pub fn assemble(
        self,
        input: &Input,
    ) -> Result<(Geometry, Volume, Vec<InMemDicomObject>), Refusal> {
        let headers: Vec<Header> = self.slices.iter().map(|s| s.header.clone()).collect();
        check_selection(&headers, input)?;
        let geometry = assemble(&headers, &input.wanted())?;
        let count = voxels(geometry.dims).filter(|&n| n <= VOXELS_MAX);
        let [_, rows, columns] = geometry.dims;
        let count = count.ok_or(Refusal::TooLarge { rows, columns })?;

        let mut slices: Vec<Option<Slice>> = self.slices.into_iter().map(Some).collect();
        let mut values = Vec::with_capacity(count);
        let mut data_sets = Vec::with_capacity(geometry.order.len());
        for &index in &geometry.order {
            let Some(slice) = slices.get_mut(index).and_then(Option::take) else {
                continue;
            };
            let pixels = slice.pixels?;
            if pixels.len() != rows * columns {
                return Err(Refusal::Undecodable {
                    problem: "its pixel data is shorter than it says".to_owned(),
                });
            }
            values.extend_from_slice(&pixels);
            data_sets.push(slice.data_set);
        }
        let volume = Array3::from_shape_vec(geometry.dims, values)
            .map_err(|_| Refusal::ImpossibleGeometry)?;
        Ok((geometry, volume.into_shared(), data_sets))
    }
}

/// Reads a data set; up to seven stray bytes behind the last element are let go,
/// as real devices leave them. Eight would be an element's header (PS3.5 §7.1).
fn read(bytes: &[u8], syntax: &TransferSyntax) -> Option<InMemDicomObject> {
    const HEADER_BYTES: usize = 8;
    (0..HEADER_BYTES).find_map(|stray| {
        let kept = bytes.get(..bytes.len().checked_sub(stray)?)?;
        InMemDicomObject::read_dataset_with_ts(kept, syntax).ok()
    })
}

fn check_selection(headers: &[Header], input: &Input) -> Result<(), Refusal> {
    for h in headers.iter().filter(|h| !h.is_localizer()) {
        if h.modality != input.modality {
            return Err(Refusal::Modality {
                expected: input.modality.clone(),
                found: h.modality.clone(),
            });
        }
        let excluded = h
            .image_type
            .iter()
            .find(|t| input.image_type_excludes.contains(t));
        if let Some(image_type) = excluded {
            return Err(Refusal::ImageType {
                image_type: image_type.clone(),
            });
        }
    }
    Ok(())
}

fn decode(data_set: &InMemDicomObject, transfer_syntax_uid: &str) -> Result<Vec<f32>, Refusal> {
    let refuse = |e: hilum_pixels::PixelError| Refusal::Undecodable {
        problem: e.to_string(),
    };
    let description = ImageDescription::from_dataset(data_set).map_err(refuse)?;
    if !description.photometric.is_monochrome() {
        return Err(Refusal::Colour);
    }
    let display = Display::from_dataset(data_set, &description);
    let missing = || Refusal::Undecodable {
        problem: "it has no pixel data".to_owned(),
    };
    let element = [
        tags::PIXEL_DATA,
        tags::FLOAT_PIXEL_DATA,
        tags::DOUBLE_FLOAT_PIXEL_DATA,
    ]
    .into_iter()
    .find_map(|tag| data_set.get(tag))
    .ok_or_else(missing)?;
    match element.value() {
        Value::PixelSequence(sequence) => {
            let fragments: Vec<&[u8]> = sequence.fragments().iter().map(AsRef::as_ref).collect();
            let frame = EncodedFrame::new(transfer_syntax_uid, &fragments);
            hilum_pixels::decode_frame_f32(&description, &display, 0, &frame).map_err(refuse)
        }
        Value::Primitive(value) => {
            // In memory, words are in this machine's order whatever the stream's was;
            // trailing bytes behind the frame are not looked at.
            let bytes = value.to_bytes();
            let bytes: &[u8] = bytes.as_ref();
            let frame = EncodedFrame::new(
                hilum_pixels::EXPLICIT_VR_LITTLE_ENDIAN,
                std::slice::from_ref(&bytes),
            );
            hilum_pixels::decode_frame_f32(&description, &display, 0, &frame).map_err(refuse)
        }
        Value::Sequence(_) => Err(missing()),
    }
}
