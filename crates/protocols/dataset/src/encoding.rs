//! Transfer syntaxes as far as walking the elements needs them: implicit or
//! explicit VR, byte order, deflated or not. Never decodes pixels.

use dicom_core::VR;

/// How elements are encoded (PS3.5 §7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// Implicit VR, little endian.
    ImplicitLittle,
    /// Explicit VR, little endian; every encapsulated syntax.
    ExplicitLittle,
    /// Explicit VR, big endian (retired).
    ExplicitBig,
}

impl Encoding {
    /// The encoding of a transfer syntax. A UID that is not known, private or
    /// tomorrow's, is taken as explicit little endian: PS3.5 §10 allows
    /// nothing else to new syntaxes.
    #[must_use]
    pub fn of(transfer_syntax_uid: &str) -> Self {
        match trim_uid(transfer_syntax_uid) {
            // The second is GE's private syntax: big endian in pixels only;
            // the third is Papyrus 3.
            "1.2.840.10008.1.2" | "1.2.840.113619.5.2" | "1.2.840.10008.1.20" => {
                Self::ImplicitLittle
            }
            "1.2.840.10008.1.2.2" => Self::ExplicitBig,
            _ => Self::ExplicitLittle,
        }
    }

    pub(crate) fn is_big(self) -> bool {
        self == Self::ExplicitBig
    }

    pub(crate) fn u16(self, bytes: &[u8]) -> u16 {
        let pair = match bytes {
            [a, b, ..] => [*a, *b],
            _ => [0, 0],
        };
        if self.is_big() {
            u16::from_be_bytes(pair)
        } else {
            u16::from_le_bytes(pair)
        }
    }

    pub(crate) fn u32(self, bytes: &[u8]) -> u32 {
        let four = match bytes {
            [a, b, c, d, ..] => [*a, *b, *c, *d],
            _ => [0; 4],
        };
        if self.is_big() {
            u32::from_be_bytes(four)
        } else {
            u32::from_le_bytes(four)
        }
    }
}

/// Whether the whole data set is a deflated stream (PS3.5 §A.5 and the JPIP
/// referenced deflate syntaxes).
#[must_use]
pub fn is_deflated(transfer_syntax_uid: &str) -> bool {
    matches!(
        trim_uid(transfer_syntax_uid),
        "1.2.840.10008.1.2.1.99" | "1.2.840.10008.1.2.4.95" | "1.2.840.10008.1.2.4.205"
    )
}

/// A UID without its padding.
#[must_use]
pub fn trim_uid(uid: &str) -> &str {
    uid.trim_matches(|c: char| c == '\0' || c.is_ascii_whitespace())
}

/// Whether an explicit element of this VR has a 32-bit length (PS3.5 §7.1.2).
pub(crate) fn has_long_length(vr: VR) -> bool {
    matches!(
        vr,
        VR::OB
            | VR::OD
            | VR::OF
            | VR::OL
            | VR::OV
            | VR::OW
            | VR::SQ
            | VR::SV
            | VR::UC
            | VR::UN
            | VR::UR
            | VR::UT
            | VR::UV
    )
}

/// The VR of two bytes. A `match`, because it is asked once per element.
pub(crate) fn vr_of(bytes: [u8; 2]) -> Option<VR> {
    Some(match &bytes {
        b"AE" => VR::AE,
        b"AS" => VR::AS,
        b"AT" => VR::AT,
        b"CS" => VR::CS,
        b"DA" => VR::DA,
        b"DS" => VR::DS,
        b"DT" => VR::DT,
        b"FD" => VR::FD,
        b"FL" => VR::FL,
        b"IS" => VR::IS,
        b"LO" => VR::LO,
        b"LT" => VR::LT,
        b"OB" => VR::OB,
        b"OD" => VR::OD,
        b"OF" => VR::OF,
        b"OL" => VR::OL,
        b"OV" => VR::OV,
        b"OW" => VR::OW,
        b"PN" => VR::PN,
        b"SH" => VR::SH,
        b"SL" => VR::SL,
        b"SQ" => VR::SQ,
        b"SS" => VR::SS,
        b"ST" => VR::ST,
        b"SV" => VR::SV,
        b"TM" => VR::TM,
        b"UC" => VR::UC,
        b"UI" => VR::UI,
        b"UL" => VR::UL,
        b"UN" => VR::UN,
        b"UR" => VR::UR,
        b"US" => VR::US,
        b"UT" => VR::UT,
        b"UV" => VR::UV,
        _ => return None,
    })
}
