//! Lies and broken streams: an error, never a panic, never more memory than the limits allow.

use dicom_core::value::PrimitiveValue;
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use hilum_pixels::{
    Display, EncodedFrame, ImageDescription, OutputFormat, PixelError, RenderRequest, decode_frame,
    render_frame,
};
use proptest::prelude::*;

fn put(data_set: &mut InMemDicomObject, tag: Tag, vr: VR, value: impl Into<PrimitiveValue>) {
    data_set.put(DataElement::new(tag, vr, value.into()));
}

fn object(rows: u16, columns: u16, bits: [u16; 3]) -> InMemDicomObject {
    let mut data_set = InMemDicomObject::new_empty();
    put(&mut data_set, tags::ROWS, VR::US, rows);
    put(&mut data_set, tags::COLUMNS, VR::US, columns);
    put(&mut data_set, tags::SAMPLES_PER_PIXEL, VR::US, 1_u16);
    put(
        &mut data_set,
        tags::PHOTOMETRIC_INTERPRETATION,
        VR::CS,
        "MONOCHROME2",
    );
    for (tag, value) in std::iter::zip(
        [tags::BITS_ALLOCATED, tags::BITS_STORED, tags::HIGH_BIT],
        bits,
    ) {
        put(&mut data_set, tag, VR::US, value);
    }
    data_set
}

fn refused(data_set: &InMemDicomObject) -> PixelError {
    ImageDescription::from_dataset(data_set).expect_err("a lie")
}

#[test]
fn lies_in_the_description_are_named() {
    assert!(matches!(
        refused(&object(65_535, 65_535, [16, 12, 11])),
        PixelError::TooLarge { .. }
    ));
    assert!(matches!(
        refused(&object(0, 512, [16, 12, 11])),
        PixelError::Lie {
            attribute: "Rows",
            ..
        }
    ));
    assert!(matches!(
        refused(&object(512, 0, [16, 12, 11])),
        PixelError::Lie {
            attribute: "Columns",
            ..
        }
    ));
    assert!(matches!(
        refused(&object(4, 4, [8, 12, 11])),
        PixelError::Lie {
            attribute: "Bits Stored",
            ..
        }
    ));
    assert!(matches!(
        refused(&object(4, 4, [16, 0, 0])),
        PixelError::Lie {
            attribute: "Bits Stored",
            ..
        }
    ));
    assert!(matches!(
        refused(&object(4, 4, [16, 12, 16])),
        PixelError::Lie {
            attribute: "High Bit",
            ..
        }
    ));
    assert!(matches!(
        refused(&object(4, 4, [12, 12, 11])),
        PixelError::Unsupported(_)
    ));
    let mut samples = object(4, 4, [8, 8, 7]);
    put(&mut samples, tags::SAMPLES_PER_PIXEL, VR::US, 3_u16);
    assert!(matches!(
        refused(&samples),
        PixelError::Lie {
            attribute: "Samples per Pixel",
            ..
        }
    ));
    assert!(matches!(
        refused(&InMemDicomObject::new_empty()),
        PixelError::Missing("Rows")
    ));
}

#[test]
fn a_palette_that_lies_is_refused_when_it_is_needed() {
    let mut data_set = object(2, 2, [8, 8, 7]);
    put(
        &mut data_set,
        tags::PHOTOMETRIC_INTERPRETATION,
        VR::CS,
        "PALETTE COLOR",
    );
    for (descriptor, data) in [
        (
            tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
            tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        ),
        (
            tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
            tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        ),
        (
            tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
            tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        ),
    ] {
        put(
            &mut data_set,
            descriptor,
            VR::US,
            PrimitiveValue::U16([0, 0, 16].into_iter().collect()),
        );
        put(
            &mut data_set,
            data,
            VR::OW,
            PrimitiveValue::U16([1, 2, 3].into_iter().collect()),
        );
    }
    let description = ImageDescription::from_dataset(&data_set).unwrap();
    let display = Display::from_dataset(&data_set, &description);
    let fragments = [&[0_u8, 1, 2, 3][..]];
    let frame = EncodedFrame::new("1.2.840.10008.1.2.1", &fragments);
    assert!(
        decode_frame(&description, &frame).is_ok(),
        "indices need no palette"
    );
    let rendered = render_frame(
        &description,
        &display,
        0,
        &frame,
        &RenderRequest::new(OutputFormat::Png),
    );
    assert!(
        matches!(rendered, Err(PixelError::Lie { .. })),
        "{rendered:?}"
    );
}

#[test]
fn a_frame_that_ends_early_is_truncated() {
    let description = ImageDescription::from_dataset(&object(512, 512, [16, 12, 11])).unwrap();
    let fragments = [&[0_u8; 100][..]];
    let error = decode_frame(
        &description,
        &EncodedFrame::new("1.2.840.10008.1.2.1", &fragments),
    )
    .unwrap_err();
    assert_eq!(
        error,
        PixelError::Truncated {
            expected: 524_288,
            actual: 100
        }
    );
    let unknown = decode_frame(&description, &EncodedFrame::new("1.2.3", &fragments)).unwrap_err();
    assert_eq!(unknown, PixelError::UnsupportedTransferSyntax);
}

/// A compressed frame of each codec with the description it belongs to.
fn streams() -> Vec<(&'static str, ImageDescription, Vec<u8>)> {
    let titles = [
        "SC_rgb_jpeg_dcmtk.dcm",
        "SC_rgb_jpeg_gdcm.dcm",
        "MR_small_RLE.dcm",
        "MR_small_jpeg_ls_lossless.dcm",
        "MR_small_jp2klossless.dcm",
        "SC_rgb_gdcm_KY.dcm",
    ];
    let judged = crate::support::files(&titles);
    titles
        .into_iter()
        .map(|title| {
            let case = judged
                .cases
                .iter()
                .find(|case| case.title == title)
                .unwrap();
            let (description, _) = case.describe();
            let bytes = case.with_frame(&description, 0, |frame| frame.fragments.concat());
            let syntax: &'static str = case.transfer_syntax.clone().leak();
            (syntax, description, bytes)
        })
        .collect()
}

#[test]
fn streams_cut_anywhere_or_with_any_flipped_byte_never_panic() {
    for (syntax, description, bytes) in streams() {
        let step = bytes.len() / 100 + 1;
        for length in (0..100.min(bytes.len())).chain((0..bytes.len()).step_by(step)) {
            let fragments = [&bytes[..length]];
            let _ = decode_frame(&description, &EncodedFrame::new(syntax, &fragments));
        }
        for position in (0..100.min(bytes.len())).chain((0..bytes.len()).step_by(step)) {
            for flip in [0xFF, 0x01] {
                let mut broken = bytes.clone();
                broken[position] ^= flip;
                let fragments = [broken.as_slice()];
                let _ = decode_frame(&description, &EncodedFrame::new(syntax, &fragments));
            }
        }
    }
}

#[test]
fn a_stream_larger_than_the_data_set_says_is_refused_before_it_is_decoded() {
    for (syntax, description, bytes) in streams() {
        let small = ImageDescription {
            rows: 8,
            columns: 8,
            ..description
        };
        let fragments = [bytes.as_slice()];
        let result = decode_frame(&small, &EncodedFrame::new(syntax, &fragments));
        // RLE has no size of its own: surplus is not looked at.
        assert!(
            result.is_err() || syntax == "1.2.840.10008.1.2.5",
            "{syntax}"
        );
    }
}

const SYNTAXES: &[&str] = &[
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.4.80",
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.201",
    "1.2.840.10008.1.2.4.110",
    "1.2.840.10008.1.2.8.1",
];

fn number() -> impl Strategy<Value = u16> {
    prop_oneof![0_u16..40, any::<u16>(), Just(65_535_u16), Just(8), Just(16)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn hostile_descriptions_never_panic(
        sizes in (number(), number()),
        bits in (number(), number(), number()),
        rest in (number(), number(), number(), any::<[u16; 3]>()),
        photometric in prop::sample::select(vec!["MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "", "XYZ"]),
        texts in prop::collection::vec("[-+0-9.eEnaif\\\\]{0,8}", 4),
        syntax in prop::sample::select(SYNTAXES.to_vec()),
        bytes in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let mut data_set = object(sizes.0, sizes.1, [bits.0, bits.1, bits.2]);
        put(&mut data_set, tags::SAMPLES_PER_PIXEL, VR::US, rest.0);
        put(&mut data_set, tags::PIXEL_REPRESENTATION, VR::US, rest.1);
        put(&mut data_set, tags::PLANAR_CONFIGURATION, VR::US, rest.2 & 1);
        put(&mut data_set, tags::PHOTOMETRIC_INTERPRETATION, VR::CS, photometric);
        put(&mut data_set, tags::PIXEL_PADDING_VALUE, VR::US, rest.2);
        for (tag, text) in std::iter::zip([tags::WINDOW_CENTER, tags::WINDOW_WIDTH, tags::RESCALE_SLOPE, tags::RESCALE_INTERCEPT], &texts) {
            put(&mut data_set, tag, VR::DS, text.as_str());
        }
        put(&mut data_set, tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR, VR::US, PrimitiveValue::U16(rest.3.into_iter().collect()));
        put(&mut data_set, tags::SEGMENTED_RED_PALETTE_COLOR_LOOKUP_TABLE_DATA, VR::OW, PrimitiveValue::U8(bytes.iter().copied().collect()));
        if let Ok(description) = ImageDescription::from_dataset(&data_set) {
            prop_assert!(description.decoded_bytes() <= hilum_pixels::limits::MAX_FRAME_BYTES);
            let display = Display::from_dataset(&data_set, &description);
            let fragments = [bytes.as_slice()];
            let frame = EncodedFrame::new(syntax, &fragments);
            let _ = render_frame(&description, &display, 0, &frame, &RenderRequest::new(OutputFormat::Png));
        }
    }

    #[test]
    fn request_parameters_never_panic(text in "[-0-9.,a-z ]{0,24}") {
        let request = || RenderRequest::new(OutputFormat::Jpeg);
        let _ = request().with_window(&text);
        let _ = request().with_viewport(&text);
        let _ = request().with_quality(&text);
    }
}
