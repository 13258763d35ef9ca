//! Frame lists (PS3.18 §10.4.1.1.3): `1,4,5`.

use crate::Refusal;
use crate::limits;

/// The frame numbers of a list in the order asked, the first frame being 1.
///
/// # Errors
/// [`Refusal::BadRequest`] when it is no such list or too long.
pub fn parse(list: &str) -> Result<Vec<u32>, Refusal> {
    let mut frames = Vec::new();
    // `%2C` reaches some routers undecoded; a comma has no other meaning here.
    for number in list.replace("%2C", ",").replace("%2c", ",").split(',') {
        if frames.len() == limits::FRAMES {
            return Err(Refusal::bad(format!(
                "more than {} frames in one request",
                limits::FRAMES
            )));
        }
        match number.trim().parse::<u32>() {
            Ok(number) if number > 0 => frames.push(number),
            _ => {
                return Err(Refusal::bad(
                    "a frame list is numbers from 1 on, separated by commas",
                ));
            }
        }
    }
    Ok(frames)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn frames_are_counted_from_one() {
        assert_eq!(parse("3,1,1").unwrap(), [3, 1, 1]);
        for bad in ["", "0", "1,", "-1", "a", "4294967296"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(parse(&"1,".repeat(limits::FRAMES + 1)).is_err());
    }

    proptest! {
        #[test]
        fn no_list_makes_it_panic(text in ".{0,100}") {
            let _ = parse(&text);
        }
    }
}
