//! A-ASSOCIATE-RQ and -AC (PS3.8 §9.3.2, §9.3.3). Items not known here
//! are skipped, as PS3.8 §9.3.1 asks.

use bytes::{BufMut, BytesMut};

use super::{PduError, UserInformation, put_item, take_array, take_item, take_u16, text};
use crate::limits::MAX_PRESENTATION_CONTEXTS;

/// The DICOM application context name (PS3.7 §A.2.1).
pub const APPLICATION_CONTEXT: &str = "1.2.840.10008.3.1.1.1";

/// A presentation context as proposed (PS3.8 §9.3.2.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposedContext {
    /// Odd, 1 to 255.
    pub id: u8,
    /// The SOP Class, as a rule.
    pub abstract_syntax: String,
    /// In the order of the proposal.
    pub transfer_syntaxes: Vec<String>,
}

/// The answer to a proposed context (PS3.8 §9.3.3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextResult {
    /// The id of the proposal.
    pub id: u8,
    /// Accepted, or why not.
    pub reason: ContextResultReason,
    /// Significant only when accepted; some acceptors leave it out otherwise.
    pub transfer_syntax: Option<String>,
}

/// Result/Reason of a presentation context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContextResultReason {
    /// 0
    Acceptance,
    /// 1
    UserRejection,
    /// 2, and every value the standard doesn't know
    NoReason,
    /// 3
    AbstractSyntaxNotSupported,
    /// 4
    TransferSyntaxesNotSupported,
}

impl ContextResultReason {
    fn from_byte(byte: u8) -> Self {
        match byte {
            0 => Self::Acceptance,
            1 => Self::UserRejection,
            3 => Self::AbstractSyntaxNotSupported,
            4 => Self::TransferSyntaxesNotSupported,
            _ => Self::NoReason,
        }
    }

    fn to_byte(self) -> u8 {
        match self {
            Self::Acceptance => 0,
            Self::UserRejection => 1,
            Self::NoReason => 2,
            Self::AbstractSyntaxNotSupported => 3,
            Self::TransferSyntaxesNotSupported => 4,
        }
    }
}

/// The 68 fixed bytes that request and acceptance share.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fixed {
    protocol_version: u16,
    /// Called and calling AE title and the reserved bytes, as they came: an acceptance sends them
    /// back unchanged (PS3.8 Table 9-17).
    echoed: [u8; 64],
}

impl Fixed {
    fn decode(rest: &mut &[u8]) -> Result<Self, PduError> {
        let protocol_version = take_u16(rest)?;
        take_u16(rest)?;
        Ok(Self {
            protocol_version,
            echoed: take_array(rest)?,
        })
    }

    fn new(called: &str, calling: &str) -> Self {
        let mut echoed = [0; 64];
        for (slot, byte) in echoed
            .iter_mut()
            .zip(padded(called).into_iter().chain(padded(calling)))
        {
            *slot = byte;
        }
        Self {
            protocol_version: 1,
            echoed,
        }
    }
}

/// An AE title in its 16 bytes, space-padded.
fn padded(title: &str) -> [u8; 16] {
    let mut out = [b' '; 16];
    for (slot, byte) in out.iter_mut().zip(title.bytes()) {
        *slot = byte;
    }
    out
}

/// Writes a PDU around what `body` appends.
fn framed(pdu_type: u8, body: impl FnOnce(&mut BytesMut)) -> BytesMut {
    let mut inner = BytesMut::new();
    body(&mut inner);
    let mut out = BytesMut::with_capacity(inner.len() + super::HEADER_LENGTH);
    out.put_u8(pdu_type);
    out.put_u8(0);
    out.put_u32(u32::try_from(inner.len()).unwrap_or(u32::MAX));
    out.extend_from_slice(&inner);
    out
}

/// A-ASSOCIATE-RQ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssociateRequest {
    fixed: Fixed,
    /// Application context name.
    pub application_context: String,
    /// Proposed presentation contexts.
    pub contexts: Vec<ProposedContext>,
    /// User information.
    pub user: UserInformation,
}

impl AssociateRequest {
    /// A request of protocol version 1 in the DICOM application context. AE titles are cut at 16
    /// bytes.
    #[must_use]
    pub fn new(
        called: &str,
        calling: &str,
        contexts: Vec<ProposedContext>,
        user: UserInformation,
    ) -> Self {
        Self {
            fixed: Fixed::new(called, calling),
            application_context: APPLICATION_CONTEXT.to_owned(),
            contexts,
            user,
        }
    }

    /// Reads all after the PDU header.
    pub fn decode(mut rest: &[u8]) -> Result<Self, PduError> {
        let fixed = Fixed::decode(&mut rest)?;
        let mut application_context = String::new();
        let mut contexts = Vec::new();
        let mut user = UserInformation::default();
        while !rest.is_empty() {
            match take_item(&mut rest)? {
                (0x10, value) => application_context = text(value),
                (0x20, value) => {
                    if contexts.len() == MAX_PRESENTATION_CONTEXTS {
                        return Err(PduError::TooManyContexts);
                    }
                    contexts.push(decode_proposed(value)?);
                }
                (0x50, value) => user = UserInformation::decode(value)?,
                _ => {}
            }
        }
        Ok(Self {
            fixed,
            application_context,
            contexts,
            user,
        })
    }

    /// The whole PDU.
    #[must_use]
    pub fn encode(&self) -> BytesMut {
        framed(1, |out| {
            out.put_u16(self.fixed.protocol_version);
            out.put_u16(0);
            out.extend_from_slice(&self.fixed.echoed);
            put_item(out, 0x10, self.application_context.as_bytes());
            for context in &self.contexts {
                let mut value = BytesMut::new();
                value.extend_from_slice(&[context.id, 0, 0, 0]);
                put_item(&mut value, 0x30, context.abstract_syntax.as_bytes());
                for syntax in &context.transfer_syntaxes {
                    put_item(&mut value, 0x40, syntax.as_bytes());
                }
                put_item(out, 0x20, &value);
            }
            self.user.encode(out);
        })
    }

    /// Bit 0 says version 1 (PS3.8 §9.3.2).
    #[must_use]
    pub fn speaks_version_1(&self) -> bool {
        self.fixed.protocol_version & 1 == 1
    }

    /// Called AE title without padding.
    #[must_use]
    pub fn called_ae_title(&self) -> String {
        text(self.fixed.echoed.get(..16).unwrap_or_default())
    }

    /// Calling AE title without padding.
    #[must_use]
    pub fn calling_ae_title(&self) -> String {
        text(self.fixed.echoed.get(16..32).unwrap_or_default())
    }

    /// The acceptance of this request.
    #[must_use]
    pub fn accept(&self, contexts: Vec<ContextResult>, user: UserInformation) -> AssociateAccept {
        let fixed = Fixed {
            protocol_version: 1,
            echoed: self.fixed.echoed,
        };
        AssociateAccept {
            fixed,
            application_context: self.application_context.clone(),
            contexts,
            user,
        }
    }
}

fn decode_proposed(mut rest: &[u8]) -> Result<ProposedContext, PduError> {
    let [id, _, _, _] = take_array(&mut rest)?;
    let mut context = ProposedContext {
        id,
        abstract_syntax: String::new(),
        transfer_syntaxes: Vec::new(),
    };
    while !rest.is_empty() {
        match take_item(&mut rest)? {
            (0x30, value) => context.abstract_syntax = text(value),
            (0x40, value) => context.transfer_syntaxes.push(text(value)),
            _ => {}
        }
    }
    Ok(context)
}

/// A-ASSOCIATE-AC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssociateAccept {
    fixed: Fixed,
    /// Application context name.
    pub application_context: String,
    /// An answer for each proposed context.
    pub contexts: Vec<ContextResult>,
    /// User information.
    pub user: UserInformation,
}

impl AssociateAccept {
    /// Reads all after the PDU header.
    pub fn decode(mut rest: &[u8]) -> Result<Self, PduError> {
        let fixed = Fixed::decode(&mut rest)?;
        let mut application_context = String::new();
        let mut contexts = Vec::new();
        let mut user = UserInformation::default();
        while !rest.is_empty() {
            match take_item(&mut rest)? {
                (0x10, value) => application_context = text(value),
                (0x21, value) => {
                    if contexts.len() == MAX_PRESENTATION_CONTEXTS {
                        return Err(PduError::TooManyContexts);
                    }
                    contexts.push(decode_result(value)?);
                }
                (0x50, value) => user = UserInformation::decode(value)?,
                _ => {}
            }
        }
        Ok(Self {
            fixed,
            application_context,
            contexts,
            user,
        })
    }

    /// The whole PDU.
    #[must_use]
    pub fn encode(&self) -> BytesMut {
        framed(2, |out| {
            out.put_u16(self.fixed.protocol_version);
            out.put_u16(0);
            out.extend_from_slice(&self.fixed.echoed);
            put_item(out, 0x10, self.application_context.as_bytes());
            for context in &self.contexts {
                let mut value = BytesMut::new();
                value.extend_from_slice(&[context.id, 0, context.reason.to_byte(), 0]);
                let syntax = context.transfer_syntax.as_deref().unwrap_or_default();
                put_item(&mut value, 0x40, syntax.as_bytes());
                put_item(out, 0x21, &value);
            }
            self.user.encode(out);
        })
    }
}

fn decode_result(mut rest: &[u8]) -> Result<ContextResult, PduError> {
    let [id, _, reason, _] = take_array(&mut rest)?;
    let mut transfer_syntax = None;
    while !rest.is_empty() {
        // Not significant when refused; some acceptors then send garbage or nothing.
        match take_item(&mut rest) {
            Ok((0x40, value)) => transfer_syntax = Some(text(value)),
            Ok(_) => {}
            Err(_) if reason != 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(ContextResult {
        id,
        reason: ContextResultReason::from_byte(reason),
        transfer_syntax,
    })
}
