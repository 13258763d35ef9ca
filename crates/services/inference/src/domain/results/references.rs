//! References to instances by study and series (PS3.3 table C.17-3), as documents list what they
//! refer to and what they replace.

use dicom_core::VR;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::context::InstanceReference;
use super::element::Item;
use super::source::sop_reference;

/// Lists under their keys, in the order of first mention.
type Groups<'k, T> = Vec<(&'k str, Vec<T>)>;

/// Hierarchical SOP Instance Reference Macro (PS3.3 table C.17-3): study, series, instances.
pub(super) fn hierarchical(references: &[InstanceReference]) -> Vec<InMemDicomObject> {
    let mut studies: Groups<'_, (&str, Vec<InMemDicomObject>)> = Vec::new();
    for reference in references {
        let item = sop_reference(&reference.sop_class_uid, &reference.sop_instance_uid).build();
        let series = entry(&mut studies, &reference.study_instance_uid);
        entry(series, &reference.series_instance_uid).push(item);
    }
    studies
        .into_iter()
        .map(|(study, series)| {
            let series = series.into_iter().map(|(uid, instances)| {
                Item::new()
                    .text(tags::SERIES_INSTANCE_UID, VR::UI, uid)
                    .sequence(tags::REFERENCED_SOP_SEQUENCE, instances)
                    .build()
            });
            Item::new()
                .text(tags::STUDY_INSTANCE_UID, VR::UI, study)
                .sequence(tags::REFERENCED_SERIES_SEQUENCE, series.collect())
                .build()
        })
        .collect()
}

/// The group named `key`, made where it is missing; groups keep the order of first mention.
fn entry<'a, 'k, T>(groups: &'a mut Groups<'k, T>, key: &'k str) -> &'a mut Vec<T> {
    let index = match groups.iter().position(|(name, _)| *name == key) {
        Some(index) => index,
        None => {
            groups.push((key, Vec::new()));
            groups.len() - 1
        }
    };
    #[expect(
        clippy::indexing_slicing,
        reason = "the index was found or made just above"
    )]
    &mut groups[index].1
}
