//! The user information item of A-ASSOCIATE (PS3.8 Annex D; PS3.7 Annex D.3.3).

use bytes::{BufMut, BytesMut};

use super::{PduError, put_item, take, take_array, take_item, take_u16, text};
use crate::limits::MAX_PRESENTATION_CONTEXTS;

/// SCP/SCU role selection (PS3.7 §D.3.3.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleSelection {
    /// The abstract syntax it is for.
    pub sop_class_uid: String,
    /// The requester may be SCU.
    pub scu: bool,
    /// The requester may be SCP.
    pub scp: bool,
}

/// What of the user information item matters here. Asynchronous operations window, extended
/// negotiation and user identity are read over: leaving them unanswered declines them (PS3.7
/// §D.3.3.3, §D.3.3.5, §D.3.3.7).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UserInformation {
    /// Longest P-DATA-TF that the sender of this item takes; 0 is without limit.
    pub max_pdu_length: u32,
    /// Implementation Class UID.
    pub implementation_class_uid: String,
    /// Implementation Version Name; empty when absent.
    pub implementation_version_name: String,
    /// Roles proposed or answered.
    pub roles: Vec<RoleSelection>,
}

impl UserInformation {
    pub(super) fn decode(mut rest: &[u8]) -> Result<Self, PduError> {
        let mut info = Self::default();
        while !rest.is_empty() {
            let (kind, mut value) = take_item(&mut rest)?;
            match kind {
                0x51 => info.max_pdu_length = u32::from_be_bytes(take_array(&mut value)?),
                0x52 => info.implementation_class_uid = text(value),
                0x54 if info.roles.len() < MAX_PRESENTATION_CONTEXTS => {
                    let length = take_u16(&mut value)?;
                    let sop_class_uid = text(take(&mut value, usize::from(length))?);
                    let [scu, scp] = take_array(&mut value)?;
                    info.roles.push(RoleSelection {
                        sop_class_uid,
                        scu: scu != 0,
                        scp: scp != 0,
                    });
                }
                0x55 => info.implementation_version_name = text(value),
                _ => {}
            }
        }
        Ok(info)
    }

    pub(super) fn encode(&self, out: &mut BytesMut) {
        let mut value = BytesMut::new();
        put_item(&mut value, 0x51, &self.max_pdu_length.to_be_bytes());
        put_item(&mut value, 0x52, self.implementation_class_uid.as_bytes());
        for role in &self.roles {
            let mut item = BytesMut::new();
            let uid = role.sop_class_uid.as_bytes();
            item.put_u16(u16::try_from(uid.len()).unwrap_or(0));
            item.extend_from_slice(uid);
            item.put_u8(u8::from(role.scu));
            item.put_u8(u8::from(role.scp));
            put_item(&mut value, 0x54, &item);
        }
        if !self.implementation_version_name.is_empty() {
            put_item(
                &mut value,
                0x55,
                self.implementation_version_name.as_bytes(),
            );
        }
        put_item(out, 0x50, &value);
    }
}
