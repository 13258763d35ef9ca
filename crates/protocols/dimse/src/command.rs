//! Command sets (PS3.7 §6.3, Annex E): implicit little endian elements of group 0000. Owns reading
//! and writing them; knows nothing of associations or services. Bounded, never panicking.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::limits::{MAX_COMMAND_ELEMENTS, MAX_COMMAND_LENGTH, MAX_ERROR_COMMENT, MAX_UID_LENGTH};
use crate::status::Status;

/// Element numbers of group 0000 (PS3.7 §E.1).
pub mod element {
    /// Command Group Length
    pub const GROUP_LENGTH: u16 = 0x0000;
    /// Affected SOP Class UID
    pub const AFFECTED_SOP_CLASS_UID: u16 = 0x0002;
    /// Requested SOP Class UID
    pub const REQUESTED_SOP_CLASS_UID: u16 = 0x0003;
    /// Command Field
    pub const COMMAND_FIELD: u16 = 0x0100;
    /// Message ID
    pub const MESSAGE_ID: u16 = 0x0110;
    /// Message ID Being Responded To
    pub const MESSAGE_ID_BEING_RESPONDED_TO: u16 = 0x0120;
    /// Priority
    pub const PRIORITY: u16 = 0x0700;
    /// Command Data Set Type
    pub const DATA_SET_TYPE: u16 = 0x0800;
    /// Status
    pub const STATUS: u16 = 0x0900;
    /// Error Comment
    pub const ERROR_COMMENT: u16 = 0x0902;
    /// Affected SOP Instance UID
    pub const AFFECTED_SOP_INSTANCE_UID: u16 = 0x1000;
    /// Requested SOP Instance UID
    pub const REQUESTED_SOP_INSTANCE_UID: u16 = 0x1001;
    /// Move Originator Application Entity Title
    pub const MOVE_ORIGINATOR_AE_TITLE: u16 = 0x1030;
    /// Move Originator Message ID
    pub const MOVE_ORIGINATOR_MESSAGE_ID: u16 = 0x1031;
}

/// Values of the Command Field (PS3.7 §E.1).
pub mod field {
    /// C-STORE-RQ
    pub const C_STORE_RQ: u16 = 0x0001;
    /// C-STORE-RSP
    pub const C_STORE_RSP: u16 = 0x8001;
    /// C-ECHO-RQ
    pub const C_ECHO_RQ: u16 = 0x0030;
    /// C-ECHO-RSP
    pub const C_ECHO_RSP: u16 = 0x8030;
    /// C-CANCEL-RQ
    pub const C_CANCEL_RQ: u16 = 0x0FFF;
    /// Set in every response
    pub const RESPONSE: u16 = 0x8000;
}

/// The operations that a provider serves (PS3.7 §9.1, §9.3.2.3); every other one is answered
/// "unrecognized operation".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// C-STORE
    Store,
    /// C-ECHO
    Echo,
    /// C-CANCEL
    Cancel,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Store, Self::Echo, Self::Cancel];

    /// The operation that a Command Field requests, if it is served.
    #[must_use]
    pub fn of(field: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.field() == field)
    }

    /// The Command Field of its request.
    #[must_use]
    pub const fn field(self) -> u16 {
        match self {
            Self::Store => field::C_STORE_RQ,
            Self::Echo => field::C_ECHO_RQ,
            Self::Cancel => field::C_CANCEL_RQ,
        }
    }
}

/// Command Data Set Type: no data set follows. Every other value says that one does.
pub const NO_DATA_SET: u16 = 0x0101;

/// A command set that can't be used. No text of the peer is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// An element is longer than the command set.
    #[error("an element is longer than the command set")]
    Truncated,
    /// An element of another group.
    #[error("an element outside group 0000")]
    ForeignGroup,
    /// Longer or with more elements than any real one.
    #[error("the command set is too large")]
    TooLarge,
    /// Command Field or a message id is missing.
    #[error("a mandatory element is missing")]
    Missing,
}

/// A command set: its elements, in ascending order when it is written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CommandSet {
    elements: Vec<(u16, Bytes)>,
}

impl CommandSet {
    /// Reads a command set. The group length is not needed and not trusted; the order is not
    /// checked; of a repeated element the first counts.
    pub fn decode(mut bytes: Bytes) -> Result<Self, CommandError> {
        if bytes.len() > MAX_COMMAND_LENGTH {
            return Err(CommandError::TooLarge);
        }
        let mut elements = Vec::with_capacity(12);
        while bytes.has_remaining() {
            let group = bytes
                .try_get_u16_le()
                .map_err(|_| CommandError::Truncated)?;
            let element = bytes
                .try_get_u16_le()
                .map_err(|_| CommandError::Truncated)?;
            let length = bytes
                .try_get_u32_le()
                .map_err(|_| CommandError::Truncated)?;
            let length = usize::try_from(length).map_err(|_| CommandError::Truncated)?;
            if group != 0 {
                return Err(CommandError::ForeignGroup);
            }
            if length > bytes.len() {
                return Err(CommandError::Truncated);
            }
            if elements.len() == MAX_COMMAND_ELEMENTS {
                return Err(CommandError::TooLarge);
            }
            elements.push((element, bytes.split_to(length)));
        }
        Ok(Self { elements })
    }

    /// The command set with its group length first.
    #[must_use]
    pub fn encode(&self) -> BytesMut {
        let mut elements: Vec<_> = self.elements.iter().collect();
        elements.sort_by_key(|(element, _)| *element);
        elements.retain(|(element, _)| *element != element::GROUP_LENGTH);
        let length: usize = elements.iter().map(|(_, value)| 8 + value.len()).sum();
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        let mut out = BytesMut::with_capacity(256);
        put_element(&mut out, element::GROUP_LENGTH, &length.to_le_bytes());
        for (element, value) in elements {
            put_element(&mut out, *element, value);
        }
        out
    }

    /// The same with another US element.
    #[must_use]
    pub fn with_us(mut self, element: u16, value: u16) -> Self {
        self.elements
            .push((element, Bytes::copy_from_slice(&value.to_le_bytes())));
        self
    }

    /// The same with another UID element, NUL-padded (PS3.5 §9.1).
    #[must_use]
    pub fn with_uid(self, element: u16, value: &str) -> Self {
        self.with_padded(element, value, 0)
    }

    /// The same with another text element, space-padded.
    #[must_use]
    pub fn with_text(self, element: u16, value: &str) -> Self {
        self.with_padded(element, value, b' ')
    }

    fn with_padded(mut self, element: u16, value: &str, padding: u8) -> Self {
        let mut bytes = BytesMut::from(value.as_bytes());
        if !bytes.len().is_multiple_of(2) {
            bytes.put_u8(padding);
        }
        self.elements.push((element, bytes.freeze()));
        self
    }

    fn get(&self, element: u16) -> Option<&Bytes> {
        self.elements
            .iter()
            .find(|(found, _)| *found == element)
            .map(|(_, value)| value)
    }

    /// A US value.
    #[must_use]
    pub fn us(&self, element: u16) -> Option<u16> {
        self.get(element)?
            .first_chunk::<2>()
            .map(|bytes| u16::from_le_bytes(*bytes))
    }

    /// A UID without padding: at most 64 printable ASCII characters. More lenient than PS3.5 §9.1,
    /// for real senders break its rules on components.
    #[must_use]
    pub fn uid(&self, element: u16) -> Option<String> {
        let uid = self.text(element)?;
        let sound = !uid.is_empty()
            && uid.len() <= MAX_UID_LENGTH
            && uid.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
        sound.then_some(uid)
    }

    /// Text without padding, if it is UTF-8.
    #[must_use]
    pub fn text(&self, element: u16) -> Option<String> {
        let text = std::str::from_utf8(self.get(element)?).ok()?;
        Some(text.trim_matches([' ', '\0']).to_owned())
    }

    /// Whether a data set follows.
    #[must_use]
    pub fn has_data_set(&self) -> bool {
        self.us(element::DATA_SET_TYPE)
            .is_some_and(|kind| kind != NO_DATA_SET)
    }

    /// The header of a request: its Command Field and Message ID.
    pub fn request(&self) -> Result<(u16, u16), CommandError> {
        let field = self
            .us(element::COMMAND_FIELD)
            .ok_or(CommandError::Missing)?;
        let id = match field {
            field::C_CANCEL_RQ => self.us(element::MESSAGE_ID_BEING_RESPONDED_TO),
            _ => self.us(element::MESSAGE_ID),
        };
        Ok((field, id.ok_or(CommandError::Missing)?))
    }

    /// The answer to this request: same identification, this status, no data set.
    #[must_use]
    pub fn response(&self, status: Status, comment: Option<&str>) -> Self {
        let field = self.us(element::COMMAND_FIELD).unwrap_or_default();
        let id = self.us(element::MESSAGE_ID).unwrap_or_default();
        let class = self
            .uid(element::AFFECTED_SOP_CLASS_UID)
            .or_else(|| self.uid(element::REQUESTED_SOP_CLASS_UID));
        let instance = self
            .uid(element::AFFECTED_SOP_INSTANCE_UID)
            .or_else(|| self.uid(element::REQUESTED_SOP_INSTANCE_UID));
        let mut response = Self::default()
            .with_us(element::COMMAND_FIELD, field | field::RESPONSE)
            .with_us(element::MESSAGE_ID_BEING_RESPONDED_TO, id)
            .with_us(element::DATA_SET_TYPE, NO_DATA_SET)
            .with_us(element::STATUS, status.code());
        if let Some(uid) = class {
            response = response.with_uid(element::AFFECTED_SOP_CLASS_UID, &uid);
        }
        if let Some(uid) = instance {
            response = response.with_uid(element::AFFECTED_SOP_INSTANCE_UID, &uid);
        }
        if let Some(comment) = comment.filter(|comment| !comment.is_empty()) {
            let comment: String = comment.chars().take(MAX_ERROR_COMMENT).collect();
            response = response.with_text(element::ERROR_COMMENT, &comment);
        }
        response
    }
}

fn put_element(out: &mut BytesMut, element: u16, value: &[u8]) {
    out.put_u16_le(0);
    out.put_u16_le(element);
    out.put_u32_le(u32::try_from(value.len()).unwrap_or(u32::MAX));
    out.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_response_has_the_bytes_of_the_standard() {
        let request = CommandSet::default()
            .with_uid(element::AFFECTED_SOP_CLASS_UID, "1.2.840.10008.1.1")
            .with_us(element::COMMAND_FIELD, field::C_ECHO_RQ)
            .with_us(element::MESSAGE_ID, 7)
            .with_us(element::DATA_SET_TYPE, NO_DATA_SET);
        let bytes = request.response(Status::SUCCESS, None).encode();
        assert_eq!(&bytes[..12], [0, 0, 0, 0, 4, 0, 0, 0, 66, 0, 0, 0]);
        assert_eq!(&bytes[12..38], b"\0\0\x02\0\x12\0\0\x001.2.840.10008.1.1\0");
        assert_eq!(&bytes[38..48], [0, 0, 0, 1, 2, 0, 0, 0, 0x30, 0x80]);
        assert_eq!(bytes.len(), 78);
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        let lie = Bytes::from_static(&[0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 1, 0]);
        assert_eq!(CommandSet::decode(lie), Err(CommandError::Truncated));
        let group = Bytes::from_static(&[8, 0, 0, 1, 0, 0, 0, 0]);
        assert_eq!(CommandSet::decode(group), Err(CommandError::ForeignGroup));
        let many = Bytes::from(vec![0; 8 * (MAX_COMMAND_ELEMENTS + 1)]);
        assert_eq!(CommandSet::decode(many), Err(CommandError::TooLarge));
    }

    #[test]
    fn a_hostile_uid_is_not_handed_on() {
        for uid in ["", "1.2\\3", "1.2 3", &"1".repeat(65), "1.\u{e9}"] {
            let set = CommandSet::default().with_uid(element::AFFECTED_SOP_INSTANCE_UID, uid);
            assert_eq!(set.uid(element::AFFECTED_SOP_INSTANCE_UID), None, "{uid:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_bytes_never_panic_and_what_is_read_is_written_back(
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..512),
        ) {
            if let Ok(set) = CommandSet::decode(Bytes::from(bytes)) {
                let _ = (set.request(), set.has_data_set(), set.response(Status::SUCCESS, None));
                let again = CommandSet::decode(set.encode().freeze()).unwrap();
                proptest::prop_assert_eq!(again.encode(), set.encode());
            }
        }
    }
}
