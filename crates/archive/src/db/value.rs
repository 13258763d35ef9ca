//! Values of PostgreSQL as those that the index knows, and the other way round.

use rusqlite::types::Value;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgTypeInfo, PgValueRef};
use sqlx::{Decode, Encode, Postgres, Type, TypeInfo as _, ValueRef as _};

/// A value on its way into a statement.
pub(super) struct Bound(pub(super) Value);

impl Type<Postgres> for Bound {
    fn type_info() -> PgTypeInfo {
        // The server finds out what is meant.
        PgTypeInfo::with_oid(Oid(0))
    }
}

impl Encode<'_, Postgres> for Bound {
    fn encode_by_ref(&self, to: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        match &self.0 {
            Value::Null => Ok(IsNull::Yes),
            Value::Integer(value) => <i64 as Encode<Postgres>>::encode_by_ref(value, to),
            Value::Real(value) => <f64 as Encode<Postgres>>::encode_by_ref(value, to),
            // A text of PostgreSQL has no NUL.
            Value::Text(value) if value.contains('\0') => {
                <String as Encode<Postgres>>::encode_by_ref(&value.replace('\0', "\u{fffd}"), to)
            }
            Value::Text(value) => <String as Encode<Postgres>>::encode_by_ref(value, to),
            Value::Blob(value) => <Vec<u8> as Encode<Postgres>>::encode_by_ref(value, to),
        }
    }

    fn produces(&self) -> Option<PgTypeInfo> {
        match &self.0 {
            Value::Null => None,
            Value::Integer(_) => Some(<i64 as Type<Postgres>>::type_info()),
            Value::Real(_) => Some(<f64 as Type<Postgres>>::type_info()),
            Value::Text(_) => Some(<String as Type<Postgres>>::type_info()),
            Value::Blob(_) => Some(<Vec<u8> as Type<Postgres>>::type_info()),
        }
    }
}

/// A value of a row.
pub(super) fn read(value: PgValueRef<'_>) -> sqlx::Result<Value> {
    let read = || -> Result<Value, BoxDynError> {
        if value.is_null() {
            return Ok(Value::Null);
        }
        let kind = value.type_info().into_owned();
        Ok(match kind.name() {
            "INT8" => Value::Integer(decoded::<i64>(value)?),
            "INT4" => Value::Integer(decoded::<i32>(value)?.into()),
            "BOOL" => Value::Integer(decoded::<bool>(value)?.into()),
            "NUMERIC" => Value::Integer(whole(value.as_bytes()?).ok_or("no whole number")?),
            "FLOAT8" => Value::Real(decoded::<f64>(value)?),
            "BYTEA" => Value::Blob(decoded::<Vec<u8>>(value)?),
            "VOID" => Value::Null,
            _ => Value::Text(value.as_str()?.to_owned()),
        })
    };
    read().map_err(sqlx::Error::Decode)
}

fn decoded<'r, T: Decode<'r, Postgres>>(value: PgValueRef<'r>) -> Result<T, BoxDynError> {
    T::decode(value)
}

/// A sum of whole numbers: count of digits, weight of the first, sign, scale, and
/// digits of four decimal places each, in 16 bits (the server's `numeric_send`).
fn whole(bytes: &[u8]) -> Option<i64> {
    const MINUS: i64 = 0x4000;
    let (words, rest) = bytes.as_chunks::<2>();
    let mut words = words
        .iter()
        .map(|word| i64::from(u16::from_be_bytes(*word)));
    let (count, weight, sign) = (words.next()?, words.next()?, words.next()?);
    words.next()?;
    let weight = if count == 0 { -1 } else { weight };
    let mut sum: i64 = 0;
    for _ in 0..=weight {
        let digit = words.next().unwrap_or(0);
        sum = sum.checked_mul(10_000)?.checked_add(digit)?;
    }
    let is_whole = rest.is_empty() && words.all(|digit| digit == 0);
    is_whole.then_some(if sign == MINUS { -sum } else { sum })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_read_as_the_server_sends_them() {
        let sent = |words: &[u16]| words.iter().flat_map(|word| word.to_be_bytes()).collect();
        let read = |words: &[u16]| -> Option<i64> {
            let bytes: Vec<u8> = sent(words);
            whole(&bytes)
        };
        assert_eq!(read(&[0, 0, 0, 0]), Some(0));
        assert_eq!(read(&[1, 0, 0, 0, 7]), Some(7));
        assert_eq!(read(&[1, 0, 0x4000, 0, 7]), Some(-7));
        assert_eq!(read(&[2, 1, 0, 0, 12, 3456]), Some(123_456));
        // Digits that are none at the end are not sent.
        assert_eq!(read(&[1, 2, 0, 0, 5]), Some(500_000_000));
        assert_eq!(read(&[2, 0, 0, 1, 1, 5000]), None);
        assert_eq!(read(&[1]), None);
    }
}
