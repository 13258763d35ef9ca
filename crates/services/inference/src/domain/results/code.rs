//! Coded concepts: how one is held, how it is written as a code sequence item (PS3.3 §8.8), and
//! the constants of PS3.16 that results use. Owns no vocabulary of a model: those come with it.

use std::borrow::Cow;

use dicom_core::VR;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::element::Item;

/// A coded concept: value, coding scheme designator and meaning.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Code {
    /// Code value, e.g. `118565006`.
    pub value: Cow<'static, str>,
    /// Coding scheme designator, e.g. `SCT`.
    pub scheme: Cow<'static, str>,
    /// Code meaning in English, e.g. `Volume`.
    pub meaning: Cow<'static, str>,
}

/// Code Value is SH: longer ones go into Long Code Value (PS3.3 §8.1).
const CODE_VALUE_CHARS: usize = 16;

impl Code {
    /// A concept from text known only at run time, e.g. from a model's manifest.
    #[must_use]
    pub fn new(
        value: impl Into<String>,
        scheme: impl Into<String>,
        meaning: impl Into<String>,
    ) -> Self {
        Self {
            value: Cow::Owned(value.into()),
            scheme: Cow::Owned(scheme.into()),
            meaning: Cow::Owned(meaning.into()),
        }
    }

    /// A concept of the standard.
    pub(super) const fn of(
        value: &'static str,
        scheme: &'static str,
        meaning: &'static str,
    ) -> Self {
        Self {
            value: Cow::Borrowed(value),
            scheme: Cow::Borrowed(scheme),
            meaning: Cow::Borrowed(meaning),
        }
    }

    /// Whether all three parts hold something.
    pub(super) fn is_complete(&self) -> bool {
        [&self.value, &self.scheme, &self.meaning]
            .iter()
            .all(|part| !part.trim().is_empty())
    }

    /// The item of a code sequence (PS3.3 table 8.8-1).
    pub(super) fn item(&self) -> InMemDicomObject {
        let item = if self.value.chars().count() > CODE_VALUE_CHARS {
            Item::new().text(tags::LONG_CODE_VALUE, VR::UC, &self.value)
        } else {
            Item::new().text(tags::CODE_VALUE, VR::SH, &self.value)
        };
        item.text(tags::CODING_SCHEME_DESIGNATOR, VR::SH, &self.scheme)
            .text(tags::CODE_MEANING, VR::LO, &self.meaning)
            .build()
    }
}

/// Unit of volumes, cubic centimetres (UCUM).
pub const CUBIC_CENTIMETRE: Code = Code::of("cm3", "UCUM", "cubic centimeter");
/// Volume as a measurement (CID 7471).
pub const VOLUME: Code = Code::of("118565006", "SCT", "Volume");

/// Measurement method: voxels of the segment, counted, times their volume (CID 7473).
pub const VOXEL_SUM: Code = Code::of("126030", "DCM", "Sum of segmented voxel method for volume");

macro_rules! concepts {
    ($($(#[$doc:meta])* $name:ident = $value:literal $scheme:literal $meaning:literal;)*) => {
        $($(#[$doc])* pub(super) const $name: Code = Code::of($value, $scheme, $meaning);)*
    };
}

concepts! {
    SEGMENTATION = "113076" "DCM" "Segmentation";
    SOURCE_IMAGE = "121322" "DCM" "Source image for image processing operation";
    ARTIFICIAL_INTELLIGENCE = "123110" "DCM" "Artificial Intelligence";
    ACQUISITION_EQUIPMENT = "109101" "DCM" "Acquisition Equipment";

    REPORT = "126000" "DCM" "Imaging Measurement Report";
    LANGUAGE = "121049" "DCM" "Language of Content Item and Descendants";
    ENGLISH = "en" "RFC5646" "English";
    OBSERVER_TYPE = "121005" "DCM" "Observer Type";
    DEVICE = "121007" "DCM" "Device";
    DEVICE_UID = "121012" "DCM" "Device Observer UID";
    DEVICE_NAME = "121013" "DCM" "Device Observer Name";
    DEVICE_MANUFACTURER = "121014" "DCM" "Device Observer Manufacturer";
    DEVICE_MODEL = "121015" "DCM" "Device Observer Model Name";
    DEVICE_SERIAL = "121016" "DCM" "Device Observer Serial Number";
    PROCEDURE_REPORTED = "121058" "DCM" "Procedure reported";
    IMAGING_PROCEDURE = "363679005" "SCT" "Imaging procedure";
    IMAGE_LIBRARY = "111028" "DCM" "Image Library";
    IMAGE_LIBRARY_GROUP = "126200" "DCM" "Image Library Group";
    MODALITY = "121139" "DCM" "Modality";
    FRAME_OF_REFERENCE = "112227" "DCM" "Frame of Reference UID";
    PIXEL_ROWS = "110910" "DCM" "Pixel Data Rows";
    PIXEL_COLUMNS = "110911" "DCM" "Pixel Data Columns";
    PIXELS = "{pixels}" "UCUM" "pixels";
    MEASUREMENTS = "126010" "DCM" "Imaging Measurements";
    MEASUREMENT_GROUP = "125007" "DCM" "Measurement Group";
    TRACKING_ID = "112039" "DCM" "Tracking Identifier";
    TRACKING_UID = "112040" "DCM" "Tracking Unique Identifier";
    FINDING_CATEGORY = "276214006" "SCT" "Finding category";
    FINDING = "121071" "DCM" "Finding";
    FINDING_SITE = "363698007" "SCT" "Finding Site";
    REFERENCED_SEGMENT = "121191" "DCM" "Referenced Segment";
    SOURCE_SERIES = "121232" "DCM" "Source series for segmentation";
    MEASUREMENT_METHOD = "370129005" "SCT" "Measurement Method";
    DERIVATION = "121401" "DCM" "Derivation";
    ALGORITHM_NAME = "111001" "DCM" "Algorithm Name";
    ALGORITHM_VERSION = "111003" "DCM" "Algorithm Version";
    COMMENT = "121106" "DCM" "Comment";

    REJECTED_FOR_QUALITY = "113001" "DCM" "Rejected for Quality Reasons";
    TITLE_MODIFIER = "113011" "DCM" "Document Title Modifier";
    INAPPROPRIATE_PROCESSING = "111219" "DCM" "Inappropriate image processing";
    KEY_OBJECT_DESCRIPTION = "113012" "DCM" "Key Object Description";
}

/// The modality as a concept (CID 29), for the ones that images of a volume come from.
pub(super) fn modality(value: &str) -> Option<Code> {
    Some(match value {
        "CT" => Code::of("CT", "DCM", "Computed Tomography"),
        "MR" => Code::of("MR", "DCM", "Magnetic Resonance"),
        "PT" => Code::of("PT", "DCM", "Positron emission tomography"),
        "NM" => Code::of("NM", "DCM", "Nuclear Medicine"),
        "US" => Code::of("US", "DCM", "Ultrasound"),
        "XA" => Code::of("XA", "DCM", "X-Ray Angiography"),
        "RF" => Code::of("RF", "DCM", "Radiofluoroscopy"),
        "CR" => Code::of("CR", "DCM", "Computed Radiography"),
        "DX" => Code::of("DX", "DCM", "Digital Radiography"),
        "MG" => Code::of("MG", "DCM", "Mammography"),
        "OPT" => Code::of("OPT", "DCM", "Ophthalmic Tomography"),
        "OCT" => Code::of("OCT", "DCM", "Optical Coherence Tomography"),
        _ => return None,
    })
}

/// What was done to obtain images of this modality (CID 100), where the study does not say.
pub(super) fn procedure(modality: &str) -> Code {
    match modality {
        "CT" => Code::of("25045-6", "LN", "CT unspecified body region"),
        "MR" => Code::of("25056-3", "LN", "MRI unspecified body region"),
        "PT" => Code::of("44136-0", "LN", "PET unspecified body region"),
        "NM" => Code::of("49118-3", "LN", "NM unspecified body region"),
        "CR" | "DX" => Code::of("43468-8", "LN", "XR unspecified body region"),
        _ => IMAGING_PROCEDURE,
    }
}
