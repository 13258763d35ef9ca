//! Every image of pydicom and pydicom-data decodes to the stored values that pydicom or GDCM find.

use crate::support::{Case, corpus, files};
use hilum_pixels::{
    EncodedFrame, ImageDescription, PixelError, decode_frame, decode_frame_f32, transcode_frame,
};

/// What the corpus holds that is refused, and why.
const REFUSED: &[(&str, PixelError)] = &[(
    "MR_truncated.dcm",
    PixelError::Truncated {
        expected: 8192,
        actual: 8130,
    },
)];

#[expect(
    clippy::cast_possible_truncation,
    reason = "stored values are integers of 32 bits"
)]
fn decode(
    case: &Case,
    description: &ImageDescription,
    number: u32,
) -> Result<Vec<i32>, PixelError> {
    let frame = case.with_frame(description, number, |frame| {
        decode_frame(description, frame)
    })?;
    let mut values = Vec::new();
    frame.for_each_value(|value| values.push((value as i64) as i32));
    Ok(values)
}

#[test]
fn stored_values_are_those_of_pydicom_and_gdcm() {
    let judged = corpus();
    let mut failures = Vec::new();
    let mut compared = 0;
    for case in &judged.cases {
        let (description, _) = case.describe();
        let per_frame = case.values.len() / usize::try_from(case.number_of_frames).unwrap();
        for (number, expected) in (0..case.number_of_frames).zip(case.values.chunks(per_frame)) {
            let label = format!(
                "{} frame {number} ({} {})",
                case.title, case.transfer_syntax, case.judge
            );
            match decode(case, &description, number) {
                Err(error) if REFUSED.contains(&(case.title.as_str(), error)) => {}
                Err(error) => failures.push(format!("{label}: {error}")),
                Ok(values) if values.len() != expected.len() => {
                    failures.push(format!(
                        "{label}: {} values instead of {}",
                        values.len(),
                        expected.len()
                    ));
                }
                Ok(values) => {
                    compared += 1;
                    failures.extend(
                        difference(case.lossy, &values, expected)
                            .map(|text| format!("{label}: {text}")),
                    );
                }
            }
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {compared}:\n{}",
        failures.len(),
        failures.join("\n")
    );
    assert!(compared > 150, "only {compared} frames were compared");
}

/// Lossless is equal. Lossy JPEG: two decoders may round each cosine transform and colour conversion by
/// one, and are free in how they interpolate subsampled chrominance (T.81 A.1.1), which shows at edges.
fn difference(lossy: bool, values: &[i32], expected: &[i32]) -> Option<String> {
    let distances: Vec<u32> = std::iter::zip(values, expected)
        .map(|(a, b)| a.abs_diff(*b))
        .collect();
    let worst = distances.iter().copied().max().unwrap_or(0);
    let different = distances
        .iter()
        .filter(|&&distance| distance > if lossy { 3 } else { 0 })
        .count();
    let allowed = if lossy { distances.len() / 20 } else { 0 };
    (different > allowed)
        .then(|| format!("{different} of {} differ, worst {worst}", distances.len()))
}

#[test]
fn transcoded_frames_decode_to_the_same_values() {
    let judged = corpus();
    for case in &judged.cases {
        let (description, _) = case.describe();
        let Ok(values) = decode(case, &description, case.number_of_frames - 1) else {
            continue;
        };
        let native = case
            .with_frame(&description, case.number_of_frames - 1, |frame| {
                transcode_frame(&description, frame)
            })
            .unwrap_or_else(|error| panic!("{}: {error}", case.title));
        assert_eq!(
            u64::try_from(native.data.len()).unwrap(),
            ImageDescription {
                photometric: native.changes.photometric,
                ..description.clone()
            }
            .native_bits()
            .div_ceil(8),
            "{}",
            case.title
        );
        let changed = ImageDescription {
            photometric: native.changes.photometric,
            bits_stored: native.changes.bits_stored,
            high_bit: native.changes.high_bit,
            planar_configuration: match native.changes.planar_configuration {
                Some(1) => hilum_pixels::PlanarConfiguration::ByPlane,
                _ => hilum_pixels::PlanarConfiguration::ByPixel,
            },
            ..description
        };
        let fragments = [native.data.as_slice()];
        let frame = EncodedFrame::new(hilum_pixels::EXPLICIT_VR_LITTLE_ENDIAN, &fragments);
        let decoded = decode_frame(&changed, &frame).unwrap();
        let mut again = Vec::new();
        #[expect(
            clippy::cast_possible_truncation,
            reason = "stored values are integers of 32 bits"
        )]
        decoded.for_each_value(|value| again.push((value as i64) as i32));
        assert_eq!(again, values, "{}", case.title);
    }
}

#[test]
fn measurements_are_rescaled_stored_values() {
    let judged = files(&["693_J2KR.dcm"]);
    let case = judged
        .cases
        .iter()
        .find(|case| case.title == "693_J2KR.dcm")
        .unwrap();
    let (description, display) = case.describe();
    let values = case
        .with_frame(&description, 0, |frame| {
            decode_frame_f32(&description, &display, 0, frame)
        })
        .unwrap();
    let expected: Vec<f32> = case
        .values
        .iter()
        .map(|&value| f32::from(i16::try_from(value).unwrap()) - 1024.0)
        .collect();
    assert_eq!(values, expected);
}
