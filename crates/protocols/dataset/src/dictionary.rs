//! The VR that the data dictionary (PS3.6) gives an attribute.

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry, VirtualVr};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::StandardDataDictionary;

/// The dictionary's VR; `None` for private and unknown attributes.
pub(crate) fn vr_of(tag: Tag) -> Option<VirtualVr> {
    if tag.1 == 0 {
        return Some(VirtualVr::Exact(VR::UL));
    }
    if tag.0 & 1 == 1 {
        return (0x10..=0xFF)
            .contains(&tag.1)
            .then_some(VirtualVr::Exact(VR::LO));
    }
    StandardDataDictionary.by_tag(tag).map(|entry| entry.vr())
}

/// The VR of an implicit element. `signed` is Pixel Representation, which
/// decides between US and SS (PS3.5 §A.1).
pub(crate) fn implicit_vr(known: Option<VirtualVr>, signed: bool) -> VR {
    match known {
        Some(VirtualVr::Exact(vr)) => vr,
        Some(VirtualVr::Xs) => {
            if signed {
                VR::SS
            } else {
                VR::US
            }
        }
        Some(_) => VR::OW,
        None => VR::UN,
    }
}

/// Whether an explicit VR is one that the dictionary allows. UN is always
/// allowed (PS3.5 §6.2.2), and so is any VR where the dictionary is silent.
pub(crate) fn allows(known: Option<VirtualVr>, vr: VR) -> bool {
    match known {
        _ if vr == VR::UN => true,
        None => true,
        Some(VirtualVr::Exact(expected)) => expected == vr,
        Some(VirtualVr::Xs) => matches!(vr, VR::US | VR::SS),
        Some(VirtualVr::Ox | VirtualVr::Px) => matches!(vr, VR::OB | VR::OW),
        Some(VirtualVr::Lt) => matches!(vr, VR::US | VR::SS | VR::OW),
        Some(_) => true,
    }
}
