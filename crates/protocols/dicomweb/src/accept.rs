//! Content negotiation (PS3.18 §8.7): what a client takes, in its order of
//! preference, for each kind of resource. Owns the standard's pairs of media
//! type and transfer syntax; whether a frame can be decoded is not its matter,
//! so answers are candidates to try in order.

use crate::Refusal;
use crate::media_type::{MediaType, parse_list};
use crate::parameters;

/// Explicit VR Little Endian, the default of `application/dicom` and of
/// uncompressed bulk data (PS3.18 §8.7.3).
pub const EXPLICIT_VR_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2.1";

/// A transfer syntax as a client may ask for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// `transfer-syntax=*`, or a range that takes anything: as stored.
    Original,
    /// None named: the media type's default.
    Default,
    /// This one.
    Uid(String),
}

/// A way to give an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceForm {
    /// In `multipart/related`, or as the body itself.
    pub multipart: bool,
    /// Bytes as stored, or rewritten in Explicit VR Little Endian.
    pub original: bool,
}

/// A way to give frames or bulk data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameForm {
    /// In `multipart/related`, or as the body itself (one frame only).
    pub multipart: bool,
    /// The media type of each part.
    pub media_type: &'static str,
    /// Bytes as stored, or decoded to native little endian.
    pub original: bool,
}

/// The media type of a rendered image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenderedForm {
    /// `image/jpeg`, the default.
    Jpeg,
    /// `image/png`.
    Png,
}

impl RenderedForm {
    /// Its media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
        }
    }
}

/// What a client takes, best first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accept(Vec<MediaType>);

/// One wish: `None` as media type is anything.
struct Wish<'a> {
    multipart: Option<bool>,
    essence: &'a str,
    syntax: Syntax,
}

impl Accept {
    /// From the Accept header's value, if any, and the query string, whose
    /// `accept` parameter is preferred to the header (PS3.18 §8.3.3.1).
    ///
    /// # Errors
    /// [`Refusal::BadRequest`] when either is malformed.
    pub fn new(header: Option<&str>, query: Option<&str>) -> Result<Self, Refusal> {
        let pairs = parameters::parse(query.unwrap_or_default())?;
        let mut ranges = match parameters::single(&pairs, "accept")? {
            Some(parameter) => parse_list(parameter)?,
            None => parse_list(header.unwrap_or_default())?,
        };
        if ranges.is_empty() {
            ranges = parse_list("*/*")?;
        }
        ranges.retain(|range| range.q > 0);
        // Stable: among equals the client's own order is kept.
        ranges.sort_by_key(|range| std::cmp::Reverse(range.q));
        Ok(Self(ranges))
    }

    fn wishes(&self) -> impl Iterator<Item = Wish<'_>> {
        self.0.iter().map(|range| {
            let (multipart, essence) = match range.essence.as_str() {
                "multipart/related" => (Some(true), range.parameter("type").unwrap_or("*/*")),
                "multipart/*" => (Some(true), "*/*"),
                "*/*" => (None, "*/*"),
                other => (Some(false), other),
            };
            let syntax = match range.parameter("transfer-syntax") {
                Some("*") => Syntax::Original,
                Some(uid) => Syntax::Uid(uid.to_owned()),
                None if essence == "*/*" => Syntax::Original,
                None => Syntax::Default,
            };
            Wish {
                multipart,
                essence,
                syntax,
            }
        })
    }

    /// Ways to give an instance stored in `stored` (a transfer syntax UID).
    ///
    /// # Errors
    /// [`Refusal::NotAcceptable`] when there is none.
    pub fn instance(&self, stored: &str) -> Result<Vec<InstanceForm>, Refusal> {
        let mut forms = Vec::new();
        for wish in self.wishes() {
            if !crate::media_type::range_takes(
                &wish.essence.to_ascii_lowercase(),
                "application/dicom",
            ) {
                continue;
            }
            let original = match &wish.syntax {
                Syntax::Original => true,
                Syntax::Uid(uid) if uid == stored => true,
                Syntax::Default | Syntax::Uid(_) if stored == EXPLICIT_VR_LITTLE_ENDIAN => {
                    match &wish.syntax {
                        Syntax::Default => true,
                        _ => continue,
                    }
                }
                Syntax::Default => false,
                Syntax::Uid(uid) if uid == EXPLICIT_VR_LITTLE_ENDIAN => false,
                Syntax::Uid(_) => continue,
            };
            push(
                &mut forms,
                InstanceForm {
                    multipart: wish.multipart.unwrap_or(true),
                    original,
                },
            );
        }
        found(
            forms,
            "instances are given as application/dicom, as stored (transfer-syntax=*) or in Explicit VR Little Endian",
        )
    }

    /// Ways to give frames of pixel data stored in `stored`.
    ///
    /// # Errors
    /// [`Refusal::NotAcceptable`] when there is none.
    pub fn frames(&self, stored: &str) -> Result<Vec<FrameForm>, Refusal> {
        let compressed = compressed_media_type(stored);
        let mut forms = Vec::new();
        for wish in self.wishes() {
            let essence = wish.essence.to_ascii_lowercase();
            let multipart = wish.multipart.unwrap_or(true);
            let takes = |media_type: &str| crate::media_type::range_takes(&essence, media_type);
            let wants_stored = match &wish.syntax {
                Syntax::Original => true,
                // Lenient: a media type names all of its transfer syntaxes, not
                // only its default one.
                Syntax::Default => true,
                Syntax::Uid(uid) => uid == stored,
            };
            if let Some(media_type) = compressed
                && takes(media_type)
                && wants_stored
            {
                push(
                    &mut forms,
                    FrameForm {
                        multipart,
                        media_type,
                        original: true,
                    },
                );
            }
            if !takes(OCTET_STREAM) {
                continue;
            }
            let media_type = OCTET_STREAM;
            match &wish.syntax {
                // Viewers ask for `application/octet-stream;
                // transfer-syntax=*` and take compressed frames in it.
                Syntax::Original => {
                    push(
                        &mut forms,
                        FrameForm {
                            multipart,
                            media_type,
                            original: true,
                        },
                    );
                }
                Syntax::Uid(uid) if uid == stored => {
                    push(
                        &mut forms,
                        FrameForm {
                            multipart,
                            media_type,
                            original: true,
                        },
                    );
                }
                Syntax::Default => {
                    push(
                        &mut forms,
                        FrameForm {
                            multipart,
                            media_type,
                            original: false,
                        },
                    );
                }
                Syntax::Uid(uid) if uid == EXPLICIT_VR_LITTLE_ENDIAN => {
                    push(
                        &mut forms,
                        FrameForm {
                            multipart,
                            media_type,
                            original: false,
                        },
                    );
                }
                Syntax::Uid(_) => {}
            }
        }
        found(
            forms,
            "frames are given as application/octet-stream in Explicit VR Little Endian, or as stored",
        )
    }

    /// Whether bulk data that is no image goes in `multipart/related`.
    ///
    /// # Errors
    /// [`Refusal::NotAcceptable`] when `application/octet-stream` is not taken.
    pub fn bulk_data(&self) -> Result<bool, Refusal> {
        self.wishes()
            .find(|wish| crate::media_type::range_takes(wish.essence, OCTET_STREAM))
            .map(|wish| wish.multipart.unwrap_or(true))
            .ok_or_else(|| {
                Refusal::NotAcceptable("bulk data is given as application/octet-stream".into())
            })
    }

    /// Whether DICOM JSON is taken.
    ///
    /// # Errors
    /// [`Refusal::NotAcceptable`] when it is not; DICOM XML is not made.
    pub fn dicom_json(&self) -> Result<(), Refusal> {
        let takes = |range: &MediaType| range.takes(DICOM_JSON) || range.takes("application/json");
        if self.0.iter().any(takes) {
            Ok(())
        } else {
            Err(Refusal::NotAcceptable(
                "answers are given as application/dicom+json; XML is not supported".into(),
            ))
        }
    }

    /// The kind of rendered image.
    ///
    /// # Errors
    /// [`Refusal::NotAcceptable`] when neither JPEG nor PNG is taken.
    pub fn rendered(&self) -> Result<RenderedForm, Refusal> {
        self.0
            .iter()
            .find_map(|range| {
                [RenderedForm::Jpeg, RenderedForm::Png]
                    .into_iter()
                    .find(|form| range.takes(form.media_type()))
            })
            .ok_or_else(|| {
                Refusal::NotAcceptable(
                    "rendered images are given as image/jpeg or image/png".into(),
                )
            })
    }
}

/// `application/dicom+json`.
pub const DICOM_JSON: &str = "application/dicom+json";
/// `application/octet-stream`.
pub const OCTET_STREAM: &str = "application/octet-stream";
/// `application/dicom`.
pub const DICOM: &str = "application/dicom";

/// The media type of compressed pixel data (PS3.18 tables 8.7.3-2 to -5);
/// `None` for native transfer syntaxes and unknown ones.
#[must_use]
pub fn compressed_media_type(transfer_syntax: &str) -> Option<&'static str> {
    let suffix = transfer_syntax.strip_prefix("1.2.840.10008.1.2.")?;
    Some(match suffix {
        "4.50" | "4.51" | "4.57" | "4.70" => "image/jpeg",
        "4.80" | "4.81" => "image/jls",
        "4.90" | "4.91" => "image/jp2",
        "4.92" | "4.93" => "image/jpx",
        "4.201" | "4.202" | "4.203" => "image/jphc",
        "4.110" | "4.111" | "4.112" => "image/jxl",
        "5" => "image/dicom-rle",
        "4.100" | "4.100.1" | "4.101" | "4.101.1" => "video/mpeg2",
        "4.102" | "4.102.1" | "4.103" | "4.103.1" | "4.104" | "4.104.1" | "4.105" | "4.105.1"
        | "4.106" | "4.106.1" => "video/mp4",
        "4.107" | "4.108" => "video/H265",
        _ => return None,
    })
}

fn push<T: PartialEq>(forms: &mut Vec<T>, form: T) {
    if !forms.contains(&form) {
        forms.push(form);
    }
}

fn found<T>(forms: Vec<T>, otherwise: &str) -> Result<Vec<T>, Refusal> {
    if forms.is_empty() {
        Err(Refusal::NotAcceptable(otherwise.to_owned()))
    } else {
        Ok(forms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const J2K: &str = "1.2.840.10008.1.2.4.90";
    const JPEG: &str = "1.2.840.10008.1.2.4.50";
    const EXPLICIT: &str = EXPLICIT_VR_LITTLE_ENDIAN;

    fn accept(header: &str) -> Accept {
        Accept::new(Some(header), None).unwrap()
    }

    fn instance(header: &str, stored: &str) -> Option<(bool, bool)> {
        let forms = accept(header).instance(stored).ok()?;
        Some((forms[0].multipart, forms[0].original))
    }

    #[test]
    fn an_instance_goes_as_stored_when_any_syntax_is_taken() {
        for header in [
            "",
            "*/*",
            "multipart/related; type=\"application/dicom\"; transfer-syntax=*",
        ] {
            assert_eq!(instance(header, J2K), Some((true, true)), "{header}");
        }
        assert_eq!(
            instance("application/dicom; transfer-syntax=*", J2K),
            Some((false, true))
        );
    }

    #[test]
    fn the_default_is_explicit_little_endian() {
        let header = "multipart/related; type=\"application/dicom\"";
        assert_eq!(instance(header, J2K), Some((true, false)));
        assert_eq!(instance(header, EXPLICIT), Some((true, true)));
        let other = format!("multipart/related; type=application/dicom; transfer-syntax={JPEG}");
        assert_eq!(instance(&other, J2K), None);
        assert_eq!(instance(&other, EXPLICIT), None);
        assert_eq!(instance("application/dicom+xml", J2K), None);
    }

    #[test]
    fn weights_decide() {
        let header =
            "application/dicom; q=0.5, multipart/related; type=application/dicom, image/png; q=0";
        let forms = accept(header).instance(EXPLICIT).unwrap();
        assert_eq!(
            forms.iter().map(|form| form.multipart).collect::<Vec<_>>(),
            [true, false]
        );
        assert!(accept("image/png;q=0").rendered().is_err());
    }

    #[test]
    fn frames_go_decoded_or_in_their_own_type() {
        let first = |header: &str, stored: &str| {
            accept(header)
                .frames(stored)
                .ok()
                .map(|forms| (forms[0].media_type, forms[0].original))
        };
        let octets = "multipart/related; type=\"application/octet-stream\"";
        assert_eq!(first(octets, J2K), Some((OCTET_STREAM, false)));
        assert_eq!(first(octets, EXPLICIT), Some((OCTET_STREAM, false)));
        assert_eq!(
            first("multipart/related; type=\"image/jp2\"", J2K),
            Some(("image/jp2", true))
        );
        assert_eq!(first("multipart/related; type=\"image/jp2\"", JPEG), None);
        assert_eq!(
            first("multipart/related; type=\"image/*\"", JPEG),
            Some(("image/jpeg", true))
        );
        assert_eq!(first("*/*", JPEG), Some(("image/jpeg", true)));
        assert_eq!(first("*/*", EXPLICIT), Some((OCTET_STREAM, true)));
        let any = format!("{octets}; transfer-syntax=*");
        assert_eq!(first(&any, J2K), Some((OCTET_STREAM, true)));
    }

    #[test]
    fn the_parameter_is_preferred_to_the_header() {
        let accept = Accept::new(Some("image/jpeg"), Some("accept=image%2Fpng")).unwrap();
        assert_eq!(accept.rendered().unwrap(), RenderedForm::Png);
    }

    #[test]
    fn json_is_taken_in_each_of_its_names_and_xml_is_refused() {
        for header in [
            "application/dicom+json, application/json",
            "application/json",
            "*/*",
            "",
        ] {
            assert!(accept(header).dicom_json().is_ok(), "{header}");
        }
        let xml = "multipart/related; type=\"application/dicom+xml\"";
        assert_eq!(accept(xml).dicom_json().unwrap_err().status(), 406);
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(text in ".{0,200}") {
            if let Ok(accept) = Accept::new(Some(&text), None) {
                let _ = (accept.instance(J2K), accept.frames(J2K), accept.rendered());
            }
        }
    }
}
