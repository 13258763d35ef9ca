//! Attributes that every instance of the patient-study-series model must hold:
//! type 1 and 2 of the Patient, General Study and General Series modules
//! (PS3.3 C.7.1.1, C.7.2.1, C.7.3.1). Missing ones are flagged, never refused.

use crate::error::{Flag, Flags};

/// Type 2: present, perhaps empty. Modality is type 1.
const REQUIRED: [u32; 11] = [
    0x0008_0020,
    0x0008_0030,
    0x0008_0050,
    MODALITY,
    0x0008_0090,
    0x0010_0010,
    0x0010_0020,
    0x0010_0030,
    0x0010_0040,
    0x0020_0010,
    0x0020_0011,
];
const MODALITY: u32 = 0x0008_0060;

/// Which of them the walk met at the top level.
#[derive(Default)]
pub(crate) struct Seen {
    met: [bool; REQUIRED.len()],
    empty_modality: bool,
}

impl Seen {
    pub(crate) fn met(&mut self, tag: u32, length: u32) {
        if let Ok(index) = REQUIRED.binary_search(&tag) {
            if let Some(met) = self.met.get_mut(index) {
                *met = true;
            }
            self.empty_modality |= tag == MODALITY && length == 0;
        }
    }

    pub(crate) fn flag_missing(&self, flags: &mut Flags) {
        for (tag, met) in REQUIRED.into_iter().zip(self.met) {
            if !met {
                flags.add(Flag::Missing { tag });
            }
        }
        if self.empty_modality {
            flags.add(Flag::Empty { tag: MODALITY });
        }
    }
}
