//! P-DATA-TF (PS3.8 §9.3.5, Annex E): splitting a received PDU into its presentation data values
//! without copying, and building PDUs that fit the peer's maximum length.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::{HEADER_LENGTH, PduError};

/// Bytes before a fragment: length, context id, message control header.
pub(super) const PDV_HEADER_LENGTH: usize = 6;

/// One presentation data value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pdv {
    /// Presentation context id.
    pub context_id: u8,
    /// A command fragment; otherwise one of the data set.
    pub is_command: bool,
    /// The last fragment of its command or data set.
    pub is_last: bool,
    /// The fragment, sharing the PDU's memory.
    pub data: Bytes,
}

/// The values of one P-DATA-TF, in order.
#[derive(Debug)]
pub struct Pdvs {
    rest: Bytes,
}

/// Splits the variable field of a P-DATA-TF (all after its header).
#[must_use]
pub fn pdvs(body: Bytes) -> Pdvs {
    Pdvs { rest: body }
}

impl Iterator for Pdvs {
    type Item = Result<Pdv, PduError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let pdv = split_pdv(&mut self.rest);
        if pdv.is_err() {
            self.rest.clear();
        }
        Some(pdv)
    }
}

fn split_pdv(rest: &mut Bytes) -> Result<Pdv, PduError> {
    let length = rest.try_get_u32().map_err(|_| PduError::Truncated)?;
    let length = usize::try_from(length).map_err(|_| PduError::Truncated)?;
    if length < 2 {
        return Err(PduError::ShortPdv);
    }
    if rest.len() < length {
        return Err(PduError::Truncated);
    }
    let mut value = rest.split_to(length);
    let context_id = value.try_get_u8().map_err(|_| PduError::ShortPdv)?;
    let control = value.try_get_u8().map_err(|_| PduError::ShortPdv)?;
    Ok(Pdv {
        context_id,
        is_command: control & 1 != 0,
        is_last: control & 2 != 0,
        data: value,
    })
}

/// Appends the header of a P-DATA-TF that holds one value of `length` bytes.
pub(crate) fn put_pdata_header(
    out: &mut BytesMut,
    context_id: u8,
    is_command: bool,
    is_last: bool,
    length: usize,
) {
    // Fragments are cut to MAX_SENT_PDU_LENGTH, so that the length always fits.
    let length = u32::try_from(length).unwrap_or(0);
    out.put_u8(4);
    out.put_u8(0);
    out.put_u32(length.saturating_add(6));
    out.put_u32(length.saturating_add(2));
    out.put_u8(context_id);
    out.put_u8(u8::from(is_command) | (u8::from(is_last) << 1));
}

/// Longest fragment that fits a P-DATA-TF of `max_pdu_length`, even as PS3.8 §9.3.5.1 wants it.
#[must_use]
pub(crate) fn max_fragment(max_pdu_length: u32) -> usize {
    let length = usize::try_from(max_pdu_length).unwrap_or(usize::MAX);
    (length.saturating_sub(PDV_HEADER_LENGTH) & !1).max(2)
}

/// A whole command or data set as P-DATA-TF PDUs, one value each, none longer than
/// `max_pdu_length`.
pub fn write_message(
    out: &mut BytesMut,
    context_id: u8,
    is_command: bool,
    mut data: &[u8],
    max_pdu_length: u32,
) {
    let limit = max_fragment(max_pdu_length);
    out.reserve(data.len() + HEADER_LENGTH + PDV_HEADER_LENGTH);
    loop {
        let (fragment, rest) = data.split_at_checked(limit).unwrap_or((data, &[]));
        put_pdata_header(out, context_id, is_command, rest.is_empty(), fragment.len());
        out.extend_from_slice(fragment);
        data = rest;
        if data.is_empty() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_cut_to_the_peers_length_and_comes_back_whole() {
        let data: Vec<u8> = (0..=255).collect();
        let mut out = BytesMut::new();
        write_message(&mut out, 3, false, &data, 57);
        let mut wire = out.freeze();
        let mut back = Vec::new();
        let mut last = 0;
        while wire.has_remaining() {
            assert_eq!(wire.get_u16(), 0x0400);
            let length = wire.get_u32();
            assert!(length <= 57);
            for pdv in pdvs(wire.split_to(length as usize)) {
                let pdv = pdv.unwrap();
                assert_eq!((pdv.context_id, pdv.is_command), (3, false));
                last += u32::from(pdv.is_last);
                back.extend_from_slice(&pdv.data);
            }
        }
        assert_eq!((back, last), (data, 1));
    }

    #[test]
    fn a_value_longer_than_its_pdu_is_refused() {
        let mut values = pdvs(Bytes::from_static(&[0xff, 0xff, 0xff, 0xff, 1, 2, 3]));
        assert_eq!(values.next(), Some(Err(PduError::Truncated)));
        assert_eq!(values.next(), None);
        assert_eq!(
            pdvs(Bytes::from_static(&[0, 0, 0, 1, 1])).next(),
            Some(Err(PduError::ShortPdv))
        );
        assert_eq!(
            pdvs(Bytes::from_static(&[0, 0])).next(),
            Some(Err(PduError::Truncated))
        );
    }
}
