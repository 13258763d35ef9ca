//! Text of a data set: the character sets of Specific Character Set (PS3.3
//! C.12.1.1.2) decoded to UTF-8, and the folding of names for matching. Never
//! fails: what cannot be decoded becomes U+FFFD and is reported.

mod charset;
mod fold;
mod iso2022;

pub use charset::{CharacterSet, Decoded};
pub use fold::fold;
