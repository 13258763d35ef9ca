//! The attributes by which an instance is filed, found and shown in lists
//! (PS3.18 §10.6), taken from the top level during the walk. Everything else is
//! read from the JSON.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::encoding::trim_uid;
use crate::error::{Flag, Flags, Refusal};
use crate::limits::MAX_UID;

macro_rules! identity {
    ($(text $t:ident = $tt:literal;)* $(number $n:ident = $nt:literal;)*) => {
        /// UTF-8, without padding; empty or `None` when absent. `Debug` shows
        /// UIDs only, so that a log line cannot carry patient data.
        #[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct Identity {
            $(#[doc = concat!("The attribute ", stringify!($tt), ".")] pub $t: String,)*
            $(#[doc = concat!("The attribute ", stringify!($nt), ".")] pub $n: Option<i64>,)*
        }

        impl Identity {
            /// Keeps the whole value (components joined by `\`) of an
            /// attribute that belongs here; the first one counts.
            pub(crate) fn text(&mut self, tag: u32, value: &str) {
                match tag {
                    $($tt if self.$t.is_empty() => self.$t = trim_uid(value).to_owned(),)*
                    $($nt if self.$n.is_none() => self.$n = integer(value),)*
                    _ => {}
                }
            }

            /// Keeps the first number of an attribute that belongs here.
            pub(crate) fn number(&mut self, tag: u32, value: i64) {
                match tag {
                    $($nt if self.$n.is_none() => self.$n = Some(value),)*
                    _ => {}
                }
            }
        }
    };
}

identity! {
    text sop_class_uid = 0x0008_0016;
    text sop_instance_uid = 0x0008_0018;
    text study_instance_uid = 0x0020_000D;
    text series_instance_uid = 0x0020_000E;
    text specific_character_set = 0x0008_0005;
    text image_type = 0x0008_0008;
    text study_date = 0x0008_0020;
    text series_date = 0x0008_0021;
    text acquisition_date = 0x0008_0022;
    text content_date = 0x0008_0023;
    text study_time = 0x0008_0030;
    text series_time = 0x0008_0031;
    text acquisition_time = 0x0008_0032;
    text content_time = 0x0008_0033;
    text accession_number = 0x0008_0050;
    text modality = 0x0008_0060;
    text manufacturer = 0x0008_0070;
    text institution_name = 0x0008_0080;
    text referring_physician_name = 0x0008_0090;
    text timezone_offset = 0x0008_0201;
    text station_name = 0x0008_1010;
    text study_description = 0x0008_1030;
    text series_description = 0x0008_103E;
    text manufacturer_model_name = 0x0008_1090;
    text patient_name = 0x0010_0010;
    text patient_id = 0x0010_0020;
    text issuer_of_patient_id = 0x0010_0021;
    text patient_birth_date = 0x0010_0030;
    text patient_sex = 0x0010_0040;
    text patient_age = 0x0010_1010;
    text body_part_examined = 0x0018_0015;
    text scanning_sequence = 0x0018_0020;
    text sequence_name = 0x0018_0024;
    text slice_thickness = 0x0018_0050;
    text repetition_time = 0x0018_0080;
    text echo_time = 0x0018_0081;
    text spacing_between_slices = 0x0018_0088;
    text protocol_name = 0x0018_1030;
    text study_id = 0x0020_0010;
    text image_position_patient = 0x0020_0032;
    text image_orientation_patient = 0x0020_0037;
    text frame_of_reference_uid = 0x0020_0052;
    text photometric_interpretation = 0x0028_0004;
    text pixel_spacing = 0x0028_0030;
    text performed_procedure_step_start_date = 0x0040_0244;
    text performed_procedure_step_start_time = 0x0040_0245;
    number series_number = 0x0020_0011;
    number acquisition_number = 0x0020_0012;
    number instance_number = 0x0020_0013;
    number echo_number = 0x0018_0086;
    number temporal_position = 0x0020_0100;
    number number_of_temporal_positions = 0x0020_0105;
    number images_in_acquisition = 0x0020_1002;
    number samples_per_pixel = 0x0028_0002;
    number number_of_frames = 0x0028_0008;
    number rows = 0x0028_0010;
    number columns = 0x0028_0011;
    number bits_allocated = 0x0028_0100;
    number bits_stored = 0x0028_0101;
    number pixel_representation = 0x0028_0103;
}

fn integer(text: &str) -> Option<i64> {
    let first = text.split('\\').next().unwrap_or_default().trim();
    if let Ok(number) = first.parse() {
        return Some(number);
    }
    let number: f64 = first.parse().ok()?;
    // Writers put `1.0` into IS; anything beyond 32 bits is no IS at all.
    if number.fract() != 0.0 || number.abs() > f64::from(i32::MAX) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a whole number within 32 bits"
    )]
    Some(number as i64)
}

impl Identity {
    /// Refuses an instance that cannot be filed; flags UIDs of odd form.
    pub(crate) fn check(&self, flags: &mut Flags) -> Result<(), Refusal> {
        let required = [
            (0x0008_0016, &self.sop_class_uid),
            (0x0008_0018, &self.sop_instance_uid),
            (0x0020_000D, &self.study_instance_uid),
            (0x0020_000E, &self.series_instance_uid),
        ];
        for (tag, uid) in required {
            if uid.is_empty() {
                return Err(Refusal::MissingUid { tag });
            }
            if !is_usable(uid) {
                return Err(Refusal::UnusableUid { tag });
            }
            if !is_conformant(uid) {
                flags.add(Flag::InvalidUid { tag });
            }
        }
        Ok(())
    }
}

/// Safe as one component of a path or URL, if not conformant: real data has
/// letters and dashes in UIDs.
fn is_usable(uid: &str) -> bool {
    uid.len() <= MAX_UID
        && uid.starts_with(|c: char| c.is_ascii_alphanumeric())
        && uid
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

/// Of the form of PS3.5 §9.1.
fn is_conformant(uid: &str) -> bool {
    uid.split('.').all(|part| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_digit())
            && (part == "0" || !part.starts_with('0'))
    })
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("sop_class_uid", &self.sop_class_uid)
            .field("sop_instance_uid", &self.sop_instance_uid)
            .finish_non_exhaustive()
    }
}
