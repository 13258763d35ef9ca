//! Observation context of documents that a device makes (PS3.16 TID 1002, 1004).

use dicom_object::InMemDicomObject;

use super::code;
use super::content::{self, Relation};
use super::context::ResultContext;
use super::uid;

/// The device observer: the product with the model that it ran. The same software and model have
/// the same Device Observer UID, whichever run they carry out.
pub(super) fn device(context: &ResultContext) -> Vec<InMemDicomObject> {
    let (equipment, model) = (&context.equipment, &context.model);
    let observed = Relation::HasObsContext;
    let uid = uid::device(&[
        &equipment.manufacturer,
        &equipment.model_name,
        &equipment.serial_number,
        &equipment.software_version,
        &model.name,
        &model.version,
    ]);
    let name = format!("{} {}", model.name, model.version);
    let mut items = vec![
        content::code(observed, &code::OBSERVER_TYPE, &code::DEVICE, Vec::new()),
        content::uid_reference(observed, &code::DEVICE_UID, &uid),
    ];
    items.extend(
        [
            (code::DEVICE_NAME, name.as_str()),
            (code::DEVICE_MANUFACTURER, &equipment.manufacturer),
            (code::DEVICE_MODEL, &equipment.model_name),
            (code::DEVICE_SERIAL, &equipment.serial_number),
        ]
        .into_iter()
        .filter_map(|(name, value)| content::optional_text(observed, &name, value)),
    );
    items
}
