//! What a run reads from an instance's header: identity, geometry (PS3.3
//! §C.7.6.2), and what tells one acquisition from another. Lenient in form
//! (decimal strings with odd spaces, missing attributes), never in meaning:
//! what can't be read is absent, and whoever needs it refuses.

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

/// One instance, without its pixels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Header {
    /// SOP Class UID (0008,0016).
    pub sop_class_uid: String,
    /// SOP Instance UID (0008,0018).
    pub sop_instance_uid: String,
    /// Study Instance UID (0020,000D).
    pub study_uid: String,
    /// Series Instance UID (0020,000E).
    pub series_uid: String,
    /// Modality (0008,0060).
    pub modality: String,
    /// Image Type (0008,0008).
    pub image_type: Vec<String>,
    /// Rows (0028,0010); 0 when absent.
    pub rows: usize,
    /// Columns (0028,0011); 0 when absent.
    pub columns: usize,
    /// Samples per Pixel (0028,0002); 1 when absent.
    pub samples_per_pixel: usize,
    /// Photometric Interpretation (0028,0004).
    pub photometric_interpretation: String,
    /// Number of Frames (0028,0008); 1 when absent.
    pub frames: usize,
    /// Image Position (Patient) (0020,0032), mm.
    pub position: Option<[f64; 3]>,
    /// Image Orientation (Patient) (0020,0037): row then column direction.
    pub orientation: Option<[f64; 6]>,
    /// Pixel Spacing (0028,0030): between rows, between columns; mm.
    pub pixel_spacing: Option<[f64; 2]>,
    /// Frame of Reference UID (0020,0052).
    pub frame_of_reference_uid: String,
    /// Echo Time (0018,0081), ms.
    pub echo_time: Option<f64>,
    /// Echo Number(s) (0018,0086).
    pub echo_numbers: String,
}

impl Header {
    /// Reads a data set's header.
    #[must_use]
    pub fn read(data_set: &InMemDicomObject) -> Self {
        let number = |tag| {
            let value = numbers(data_set, tag).first().copied();
            value
                .filter(|&v| v >= 0.0)
                .map(|v| crate::domain::volume::whole(v, 1 << 24))
        };
        Self {
            sop_class_uid: text(data_set, tags::SOP_CLASS_UID),
            sop_instance_uid: text(data_set, tags::SOP_INSTANCE_UID),
            study_uid: text(data_set, tags::STUDY_INSTANCE_UID),
            series_uid: text(data_set, tags::SERIES_INSTANCE_UID),
            modality: text(data_set, tags::MODALITY),
            image_type: texts(data_set, tags::IMAGE_TYPE),
            rows: number(tags::ROWS).unwrap_or(0),
            columns: number(tags::COLUMNS).unwrap_or(0),
            samples_per_pixel: number(tags::SAMPLES_PER_PIXEL).unwrap_or(1),
            photometric_interpretation: text(data_set, tags::PHOTOMETRIC_INTERPRETATION),
            frames: number(tags::NUMBER_OF_FRAMES).unwrap_or(1),
            position: fixed(data_set, tags::IMAGE_POSITION_PATIENT),
            orientation: fixed(data_set, tags::IMAGE_ORIENTATION_PATIENT),
            pixel_spacing: fixed(data_set, tags::PIXEL_SPACING),
            frame_of_reference_uid: text(data_set, tags::FRAME_OF_REFERENCE_UID),
            echo_time: numbers(data_set, tags::ECHO_TIME).first().copied(),
            echo_numbers: texts(data_set, tags::ECHO_NUMBERS).join("\\"),
        }
    }

    /// Whether Image Type names it a localizer (value 3, PS3.3 §C.7.6.1.1.2; anywhere, as devices do).
    #[must_use]
    pub fn is_localizer(&self) -> bool {
        self.image_type
            .iter()
            .any(|v| v.eq_ignore_ascii_case("LOCALIZER"))
    }
}

/// The first value as text, without padding; empty when absent.
#[must_use]
pub fn text(data_set: &InMemDicomObject, tag: Tag) -> String {
    texts(data_set, tag).into_iter().next().unwrap_or_default()
}

/// All values as text, without padding.
#[must_use]
pub fn texts(data_set: &InMemDicomObject, tag: Tag) -> Vec<String> {
    let Some(value) = data_set
        .get(tag)
        .and_then(|e| e.value().primitive().cloned())
    else {
        return Vec::new();
    };
    let whole = value.to_str();
    if whole.is_empty() {
        return Vec::new();
    }
    let trim = |v: &str| {
        v.trim_matches(|c: char| c.is_whitespace() || c == '\0')
            .to_owned()
    };
    whole.split('\\').map(trim).collect()
}

/// All values as finite numbers; empty when one of them is none.
#[must_use]
pub fn numbers(data_set: &InMemDicomObject, tag: Tag) -> Vec<f64> {
    let parsed: Option<Vec<f64>> = texts(data_set, tag)
        .iter()
        .map(|v| v.parse::<f64>().ok().filter(|n| n.is_finite()))
        .collect();
    parsed.unwrap_or_default()
}

fn fixed<const N: usize>(data_set: &InMemDicomObject, tag: Tag) -> Option<[f64; N]> {
    numbers(data_set, tag).try_into().ok()
}
