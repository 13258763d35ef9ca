//! The images that a result was computed from, as far as the result repeats or references them.
//! Owns reading that from data set headers, classic (one instance per slice) or enhanced (one
//! frame per slice). It never decides whether slices make a volume: geometry did, before.

use dicom_core::header::Header;
use dicom_core::value::Value;
use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::element::{Item, decimal_string};
use super::error::ResultError;
use super::received::{first_text, texts};

/// A slice as the caller has it.
#[derive(Debug, Clone, Copy)]
pub struct SliceHeader<'a> {
    /// Data set of the instance, without pixel data, text decoded.
    pub header: &'a InMemDicomObject,
    /// Frame number from 1, for an instance of several frames.
    pub frame: Option<u32>,
}

impl<'a> From<&'a InMemDicomObject> for SliceHeader<'a> {
    fn from(header: &'a InMemDicomObject) -> Self {
        Self {
            header,
            frame: None,
        }
    }
}

/// One slice of the source.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Slice {
    pub(super) series_instance_uid: String,
    pub(super) sop_class_uid: String,
    pub(super) sop_instance_uid: String,
    pub(super) frame: Option<u32>,
    /// Image Position (Patient) as received.
    pub(super) position: [String; 3],
    position_mm: [f64; 3],
}

/// The source of a result: its slices in the order of the mask, and what they share.
#[derive(Debug, Clone)]
pub struct SourceSeries {
    pub(super) slices: Vec<Slice>,
    /// Header of the first slice: patient, study and equipment are taken from it.
    pub(super) header: InMemDicomObject,
    pub(super) study_instance_uid: String,
    pub(super) frame_of_reference_uid: Option<String>,
    pub(super) modality: String,
    pub(super) rows: u16,
    pub(super) columns: u16,
    pub(super) orientation: [String; 6],
    pub(super) pixel_spacing: [String; 2],
    pub(super) slice_thickness: Option<String>,
    normal: [f64; 3],
}

/// Slices whose direction cosines or spacings differ by more than this are no one grid. Well
/// above the rounding of decimal strings, and geometry has its own, narrower rule.
const SAME_GRID: f64 = 1e-2;

impl SourceSeries {
    /// Reads what results need from the slices, given in the order of the mask's slices.
    ///
    /// # Errors
    /// [`ResultError::NoSlices`], or an attribute that is missing or differs between slices.
    pub fn from_slices(slices: &[SliceHeader<'_>]) -> Result<Self, ResultError> {
        let first = slices.first().ok_or(ResultError::NoSlices)?;
        let mut series = Self::from_first(*first)?;
        for (index, slice) in slices.iter().enumerate() {
            series.check_same_grid(*slice, index)?;
            series.slices.push(read_slice(*slice, index)?);
        }
        Ok(series)
    }

    /// [`Self::from_slices`] for instances of one frame each.
    ///
    /// # Errors
    /// As [`Self::from_slices`].
    pub fn from_headers(headers: &[InMemDicomObject]) -> Result<Self, ResultError> {
        let slices: Vec<_> = headers.iter().map(SliceHeader::from).collect();
        Self::from_slices(&slices)
    }

    /// Voxels of one slice.
    #[must_use]
    pub fn slice_voxels(&self) -> usize {
        usize::from(self.rows) * usize::from(self.columns)
    }

    /// Voxels of the grid.
    #[must_use]
    pub fn voxels(&self) -> usize {
        self.slice_voxels() * self.slices.len()
    }

    /// Distance between slice centres in mm: first to last position along the slice normal over
    /// the gaps, as positions are rounded. `None` for a single slice.
    pub(super) fn slice_spacing(&self) -> Option<f64> {
        let (first, last) = (self.slices.first()?, self.slices.last()?);
        let along: f64 = (0..3)
            .filter_map(|i| {
                Some((last.position_mm.get(i)? - first.position_mm.get(i)?) * self.normal.get(i)?)
            })
            .sum();
        let gaps = f64::from(u32::try_from(self.slices.len()).ok()?.checked_sub(1)?);
        let spacing = along.abs() / gaps;
        (spacing.is_finite() && spacing > 0.0).then_some(spacing)
    }

    fn from_first(first: SliceHeader<'_>) -> Result<Self, ResultError> {
        let missing = |tag| ResultError::MissingAttribute { tag, slice: 0 };
        let (orientation, cosines) =
            decimals::<6>(first, ORIENTATION).ok_or(missing(tags::IMAGE_ORIENTATION_PATIENT))?;
        let (pixel_spacing, _) = decimals::<2>(first, SPACING)
            .filter(|(_, mm)| mm.iter().all(|v| *v > 0.0))
            .ok_or(missing(tags::PIXEL_SPACING))?;
        let size = |tag| {
            integer(first.header, tag)
                .filter(|n| *n > 0)
                .ok_or(missing(tag))
        };
        Ok(Self {
            slices: Vec::new(),
            study_instance_uid: uid(first.header, tags::STUDY_INSTANCE_UID)
                .ok_or(missing(tags::STUDY_INSTANCE_UID))?,
            frame_of_reference_uid: uid(first.header, tags::FRAME_OF_REFERENCE_UID),
            modality: first_text(first.header, tags::MODALITY).unwrap_or_default(),
            rows: size(tags::ROWS)?,
            columns: size(tags::COLUMNS)?,
            orientation,
            pixel_spacing,
            slice_thickness: decimals::<1>(first, THICKNESS)
                .filter(|([_], [mm])| *mm > 0.0)
                .map(|([text], _)| text),
            normal: cross(cosines),
            header: without_bulk(first.header),
        })
    }

    fn check_same_grid(&self, slice: SliceHeader<'_>, index: usize) -> Result<(), ResultError> {
        let mixed = |tag| ResultError::MixedSlices { tag, slice: index };
        for (tag, expected) in [
            (tags::STUDY_INSTANCE_UID, Some(&self.study_instance_uid)),
            (
                tags::FRAME_OF_REFERENCE_UID,
                self.frame_of_reference_uid.as_ref(),
            ),
        ] {
            if uid(slice.header, tag).as_ref() != expected {
                return Err(mixed(tag));
            }
        }
        for (tag, expected) in [(tags::ROWS, self.rows), (tags::COLUMNS, self.columns)] {
            if integer(slice.header, tag) != Some(expected) {
                return Err(mixed(tag));
            }
        }
        let same = |a: &[String], b: &[f64]| {
            a.iter()
                .zip(b)
                .all(|(a, b)| a.parse::<f64>().is_ok_and(|a| (a - b).abs() <= SAME_GRID))
        };
        let (_, cosines) =
            decimals::<6>(slice, ORIENTATION).ok_or(ResultError::MissingAttribute {
                tag: tags::IMAGE_ORIENTATION_PATIENT,
                slice: index,
            })?;
        if !same(&self.orientation, &cosines) {
            return Err(mixed(tags::IMAGE_ORIENTATION_PATIENT));
        }
        let (_, spacing) = decimals::<2>(slice, SPACING).ok_or(ResultError::MissingAttribute {
            tag: tags::PIXEL_SPACING,
            slice: index,
        })?;
        if !same(&self.pixel_spacing, &spacing) {
            return Err(mixed(tags::PIXEL_SPACING));
        }
        Ok(())
    }

    /// Items of a series-wise reference to all source instances: (series, instances), in the
    /// order of the slices, each instance once.
    pub(super) fn instances_by_series(&self) -> Vec<(String, Vec<InMemDicomObject>)> {
        let mut seen = std::collections::HashSet::new();
        let mut series: Vec<(String, Vec<InMemDicomObject>)> = Vec::new();
        for slice in &self.slices {
            if !seen.insert(slice.sop_instance_uid.as_str()) {
                continue;
            }
            let item = sop_reference(&slice.sop_class_uid, &slice.sop_instance_uid).build();
            match series
                .iter_mut()
                .find(|(uid, _)| *uid == slice.series_instance_uid)
            {
                Some((_, items)) => items.push(item),
                None => series.push((slice.series_instance_uid.clone(), vec![item])),
            }
        }
        series
    }
}

/// Referenced SOP Class and Instance UID (PS3.3 table 10-11).
pub(super) fn sop_reference(sop_class_uid: &str, sop_instance_uid: &str) -> Item {
    Item::new()
        .text(tags::REFERENCED_SOP_CLASS_UID, VR::UI, sop_class_uid)
        .text(tags::REFERENCED_SOP_INSTANCE_UID, VR::UI, sop_instance_uid)
}

fn read_slice(slice: SliceHeader<'_>, index: usize) -> Result<Slice, ResultError> {
    let uid =
        |tag| uid(slice.header, tag).ok_or(ResultError::MissingAttribute { tag, slice: index });
    let (position, position_mm) =
        decimals::<3>(slice, POSITION).ok_or(ResultError::MissingAttribute {
            tag: tags::IMAGE_POSITION_PATIENT,
            slice: index,
        })?;
    Ok(Slice {
        series_instance_uid: uid(tags::SERIES_INSTANCE_UID)?,
        sop_class_uid: uid(tags::SOP_CLASS_UID)?,
        sop_instance_uid: uid(tags::SOP_INSTANCE_UID)?,
        frame: slice.frame,
        position,
        position_mm,
    })
}

/// Where an attribute of the grid is: its tag, and the functional group that holds it in an
/// enhanced object (PS3.3 §C.7.6.16.2).
type GridAttribute = (Tag, Tag);
const ORIENTATION: GridAttribute = (
    tags::IMAGE_ORIENTATION_PATIENT,
    tags::PLANE_ORIENTATION_SEQUENCE,
);
const POSITION: GridAttribute = (tags::IMAGE_POSITION_PATIENT, tags::PLANE_POSITION_SEQUENCE);
const SPACING: GridAttribute = (tags::PIXEL_SPACING, tags::PIXEL_MEASURES_SEQUENCE);
const THICKNESS: GridAttribute = (tags::SLICE_THICKNESS, tags::PIXEL_MEASURES_SEQUENCE);

/// `N` finite decimals: the texts as received (rewritten only where longer than DS allows) and
/// the numbers.
fn decimals<const N: usize>(
    slice: SliceHeader<'_>,
    (tag, group): GridAttribute,
) -> Option<([String; N], [f64; N])> {
    let holder = grid_holder(slice, tag, group)?;
    let texts: [String; N] = texts(holder, tag).try_into().ok()?;
    let mut written = [const { String::new() }; N];
    let mut numbers = [0.0; N];
    for ((text, written), number) in texts.iter().zip(&mut written).zip(&mut numbers) {
        let text = text.trim();
        *number = text.parse::<f64>().ok().filter(|n| n.is_finite())?;
        let allowed = |c: char| c.is_ascii_digit() || "+-.eE".contains(c);
        *written = if text.len() <= 16 && text.chars().all(allowed) {
            text.to_owned()
        } else {
            decimal_string(*number)
        };
    }
    Some((written, numbers))
}

fn grid_holder(slice: SliceHeader<'_>, tag: Tag, group: Tag) -> Option<&InMemDicomObject> {
    let Some(frame) = slice.frame else {
        return Some(slice.header);
    };
    let index = usize::try_from(frame).ok()?.checked_sub(1)?;
    let per_frame = item(
        slice.header,
        tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
        index,
    );
    let shared = item(slice.header, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, 0);
    [per_frame, shared]
        .into_iter()
        .flatten()
        .filter_map(|groups| item(groups, group, 0))
        .chain([slice.header])
        .find(|holder| holder.get(tag).is_some())
}

/// The header without what grows with the number of frames or pixels.
fn without_bulk(header: &InMemDicomObject) -> InMemDicomObject {
    let kept = header.iter().filter(|element| {
        let tag = element.tag();
        tag.group() < 0x5200 && tag.group() % 2 == 0
    });
    InMemDicomObject::from_element_iter(kept.cloned())
}

fn item(source: &InMemDicomObject, tag: Tag, index: usize) -> Option<&InMemDicomObject> {
    source.get(tag)?.value().items()?.get(index)
}

/// A UID as received. Odd ones are repeated (the object must be found beside its source), but not
/// what cannot be written as one.
fn uid(source: &InMemDicomObject, tag: Tag) -> Option<String> {
    first_text(source, tag)
        .filter(|uid| uid.len() <= 64 && uid.bytes().all(|b| b.is_ascii_graphic() && b != b'\\'))
}

fn integer(source: &InMemDicomObject, tag: Tag) -> Option<u16> {
    match source.get(tag)?.value() {
        Value::Primitive(value) => value.to_int().ok(),
        _ => None,
    }
}

/// Unit normal of the slice: row × column direction.
fn cross([a, b, c, d, e, f]: [f64; 6]) -> [f64; 3] {
    let [x, y, z] = [b * f - c * e, c * d - a * f, a * e - b * d];
    let length = (x * x + y * y + z * z).sqrt();
    if length > 0.0 {
        [x / length, y / length, z / length]
    } else {
        [0.0, 0.0, 0.0]
    }
}
