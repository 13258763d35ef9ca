//! From a data set to a DICOM file (PS3.10 §7.1). Owns the file meta information; results are
//! always explicit VR little endian.

use dicom_dictionary_std::uids;
use dicom_object::{FileDicomObject, FileMetaTableBuilder, InMemDicomObject};

use super::context::Equipment;
use super::element::fit;
use super::error::ResultError;

/// A result: data set and file meta information.
pub type ResultObject = FileDicomObject<InMemDicomObject>;

pub(super) fn with_meta(
    object: InMemDicomObject,
    equipment: &Equipment,
) -> Result<ResultObject, ResultError> {
    object
        .with_meta(
            FileMetaTableBuilder::new()
                .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN)
                .implementation_class_uid(&equipment.implementation_class_uid)
                .implementation_version_name(fit(
                    dicom_core::VR::SH,
                    &equipment.implementation_version_name,
                )),
        )
        .map_err(|error| ResultError::Write(error.to_string()))
}

/// The file's bytes: preamble, file meta information, data set.
///
/// # Errors
/// [`ResultError::Write`].
pub fn to_bytes(object: &ResultObject) -> Result<Vec<u8>, ResultError> {
    let mut bytes = Vec::new();
    object
        .write_all(&mut bytes)
        .map_err(|error| ResultError::Write(error.to_string()))?;
    Ok(bytes)
}

/// The data set's bytes alone, as C-STORE sends them.
///
/// # Errors
/// [`ResultError::Write`].
pub fn data_set_to_bytes(object: &ResultObject) -> Result<Vec<u8>, ResultError> {
    let mut bytes = Vec::new();
    object
        .write_dataset(&mut bytes)
        .map_err(|error| ResultError::Write(error.to_string()))?;
    Ok(bytes)
}
