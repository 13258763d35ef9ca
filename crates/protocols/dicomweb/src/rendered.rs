//! The parameters of rendered resources (PS3.18 §8.3.5.1, §10.4.1.1.5): which
//! there are, and which are refused. What their values mean for pixels is the
//! matter of whoever renders.

use crate::{Refusal, parameters};

/// The values of the parameters that shape a rendered answer, as sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rendered {
    /// `window`: `center,width[,function]`.
    pub window: Option<String>,
    /// `viewport`: `vw,vh[,sx,sy[,sw,sh]]`.
    pub viewport: Option<String>,
    /// `quality`: 1 to 100.
    pub quality: Option<String>,
}

impl Rendered {
    /// Sorts out the parameters of a query string. `accept` is left to
    /// negotiation; `charset` has no text to act on.
    ///
    /// # Errors
    /// [`Refusal::BadRequest`] when one is repeated, unknown, or asks for what
    /// is not done: burnt-in annotation, colour profiles.
    pub fn parse(query: &str) -> Result<Self, Refusal> {
        let pairs = parameters::parse(query)?;
        let mut rendered = Self::default();
        for (name, value) in &pairs {
            parameters::single(&pairs, name)?;
            let value = || Some(value.clone());
            match name.to_ascii_lowercase().as_str() {
                "window" => rendered.window = value(),
                "viewport" => rendered.viewport = value(),
                "quality" => rendered.quality = value(),
                "accept" | "charset" => {}
                "iccprofile" if value().as_deref() == Some("no") => {}
                "iccprofile" => {
                    return Err(Refusal::bad("`iccprofile`: only `no` is supported"));
                }
                "annotation" => {
                    return Err(Refusal::bad("`annotation` is not supported"));
                }
                _ => {
                    return Err(Refusal::bad(
                        "a parameter is unknown; window, viewport, quality, iccprofile and accept are supported",
                    ));
                }
            }
        }
        Ok(rendered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn all_parameters_are_sorted_out() {
        let got =
            Rendered::parse("window=40,400,sigmoid&viewport=100%2C200&quality=90&iccprofile=no");
        assert_eq!(
            got.unwrap(),
            Rendered {
                window: Some("40,400,sigmoid".into()),
                viewport: Some("100,200".into()),
                quality: Some("90".into()),
            }
        );
    }

    #[test]
    fn what_is_not_done_is_refused() {
        for bad in [
            "quality=1&quality=2",
            "annotation=patient",
            "iccprofile=srgb",
            "other=1",
        ] {
            assert!(Rendered::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_parameters_make_it_panic(text in "(window|viewport|quality)=.{0,60}") {
            let _ = Rendered::parse(&text);
        }
    }
}
