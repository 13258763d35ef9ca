//! Rendered levels are dcmtk's and pydicom's, within one: both and we round in different places.

use crate::support::{Case, constructed, corpus, files, run};
use hilum_pixels::{
    OutputFormat, Photometric, RenderRequest, RenderedImage, decode_frame, render_frame,
    render_pixels, thumbnail_frame,
};
use std::path::Path;
use std::process::Command;

fn render(case: &Case, number: u32, request: &RenderRequest) -> RenderedImage {
    let (description, display) = case.describe();
    let decoded = case
        .with_frame(&description, number, |frame| {
            decode_frame(&description, frame)
        })
        .unwrap();
    render_pixels(&description, &display, number, &decoded, request).unwrap()
}

fn defaults() -> RenderRequest {
    RenderRequest::new(OutputFormat::Png)
}

/// Levels as dcmtk renders them: the body of a binary PGM or PPM, or nothing where it can't.
fn by_dcmtk(path: &Path, frame: u32, options: &[String]) -> Option<Vec<u8>> {
    let output = run(Command::new("dcmj2pnm")
        .args(["-q", "-O", "+F", &(frame + 1).to_string()])
        .args(options)
        .arg("+op")
        .arg(path));
    // P5 or P6, width, height, 255, one newline.
    let header = output
        .stdout
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'\n')
        .nth(2)?
        .0;
    Some(output.stdout[header + 1..].to_vec())
}

fn compare(label: &str, image: &RenderedImage, expected: &[u8], tolerance: u8) -> Option<String> {
    // dcmtk writes grey images of its colour pipeline as colour only when they are.
    if image.data.len() != expected.len() {
        return Some(format!(
            "{label}: {} bytes instead of {}",
            image.data.len(),
            expected.len()
        ));
    }
    let distances: Vec<u8> = std::iter::zip(&image.data, expected)
        .map(|(a, b)| a.abs_diff(*b))
        .collect();
    let count = distances
        .iter()
        .filter(|&&distance| distance > tolerance)
        .count();
    let first = distances
        .iter()
        .position(|&distance| distance > tolerance)?;
    let worst = distances.iter().max().unwrap();
    Some(format!(
        "{label}: {count} of {} differ, worst {worst}, first at {first}: {} instead of {}",
        distances.len(),
        image.data[first],
        expected[first]
    ))
}

#[test]
fn constructed_images_render_as_dcmtk_and_pydicom_do() {
    let judged = constructed();
    let mut failures = Vec::new();
    let mut judgements = 0;
    for case in &judged.cases {
        let image = render(case, 0, &defaults());
        if let Some(options) = &case.dcmtk {
            let expected = by_dcmtk(Path::new(&case.path), 0, options).unwrap_or_default();
            // dcmtk cuts each term of the YBR equation off before it adds them.
            let tolerance = if case.title.starts_with("ybr") { 2 } else { 1 };
            failures.extend(compare(
                &format!("{} by dcmtk", case.title),
                &image,
                &expected,
                tolerance,
            ));
            judgements += 1;
        }
        if let Some(expected) = &case.rendered {
            failures.extend(compare(
                &format!("{} by pydicom", case.title),
                &image,
                expected,
                1,
            ));
            judgements += 1;
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {judgements}:\n{}",
        failures.len(),
        failures.join("\n")
    );
    assert!(judgements > 35, "only {judgements} judgements");
}

#[test]
fn the_corpus_renders_as_dcmtk_does() {
    let judged = corpus();
    let mut failures = Vec::new();
    let mut compared = 0;
    for case in &judged.cases {
        if case.title.starts_with("rtdose_expb") {
            // dcmtk 3.6.7 swaps 32-bit samples of big endian OW as 16-bit words; pydicom agrees with us.
            continue;
        }
        let (description, display) = case.describe();
        let transform = display.transform(0);
        let valid = transform
            .windows
            .iter()
            .position(|window| window.is_valid());
        let options: Vec<String> = match (valid, transform.voi_luts.len()) {
            _ if !description.photometric.is_monochrome() => vec![],
            (Some(index), _) => vec!["+Wi".into(), (index + 1).to_string()],
            (None, 1..) => vec!["+Wl".into(), "1".into()],
            (None, 0) => vec!["+Wm".into()],
        };
        // dcmtk has no JPEG 2000: GDCM decodes first.
        let raw = judged.directory.path().join("raw.dcm");
        let path = if case.transfer_syntax.starts_with("1.2.840.10008.1.2.4.9") {
            let _ = std::fs::remove_file(&raw);
            run(Command::new("gdcmconv")
                .arg("--raw")
                .arg(&case.path)
                .arg(&raw));
            raw.as_path()
        } else {
            Path::new(&case.path)
        };
        for number in [0, case.number_of_frames - 1] {
            let label = format!(
                "{} frame {number} {:?} {}",
                case.title,
                options,
                description.photometric.as_str()
            );
            let Some(expected) =
                by_dcmtk(path, number, &options).filter(|expected| !expected.is_empty())
            else {
                continue;
            };
            let Ok(decoded) = case.with_frame(&description, number, |frame| {
                decode_frame(&description, frame)
            }) else {
                continue;
            };
            let image =
                render_pixels(&description, &display, number, &decoded, &defaults()).unwrap();
            // Lossy JPEG decoders differ by themselves; decoding tests bound by how much.
            // And dcmtk cuts each term of the YBR equation off before it adds them.
            let tolerance = match description.photometric {
                _ if case.lossy => u8::MAX,
                Photometric::YbrFull => 2,
                _ => 1,
            };
            failures.extend(compare(&label, &image, &expected, tolerance));
            compared += 1;
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {compared}:\n{}",
        failures.len(),
        failures.join("\n")
    );
    assert!(compared > 120, "only {compared} frames were compared");
}

#[test]
fn a_window_in_the_request_takes_the_objects_place() {
    let judged = constructed();
    for (title, window, option) in [
        ("linear_ct.dcm", "300,1500,linear", None),
        ("voi_lut.dcm", "2000,1000,linear", None),
        ("linear.dcm", "900,400,sigmoid", Some("+Wfs")),
    ] {
        let case = judged
            .cases
            .iter()
            .find(|case| case.title == title)
            .unwrap();
        let image = render(case, 0, &defaults().with_window(window).unwrap());
        let numbers: Vec<&str> = window.split(',').collect();
        let mut options: Vec<String> = ["+Ww", numbers[0], numbers[1]].map(str::to_owned).to_vec();
        options.extend(option.map(str::to_owned));
        let expected = by_dcmtk(Path::new(&case.path), 0, &options).unwrap();
        assert_eq!(compare(title, &image, &expected, 1), None);
    }
}

#[test]
fn padding_does_not_stretch_the_grey_scale() {
    let judged = constructed();
    let case = judged
        .cases
        .iter()
        .find(|case| case.title == "padding.dcm")
        .unwrap();
    let image = render(case, 0, &defaults());
    let brightest = case
        .values
        .iter()
        .filter(|&&value| value != 4000)
        .max()
        .unwrap();
    let at = case
        .values
        .iter()
        .position(|value| value == brightest)
        .unwrap();
    assert_eq!(image.data[at], 255);
}

#[test]
fn files_are_what_their_media_type_says() {
    let judged = constructed();
    for title in ["linear.dcm", "ybr_full.dcm", "palette_16_bit.dcm"] {
        let case = judged
            .cases
            .iter()
            .find(|case| case.title == title)
            .unwrap();
        let (description, display) = case.describe();
        let pixels = render(case, 0, &defaults());
        let file = |request: &RenderRequest| {
            case.with_frame(&description, 0, |frame| {
                render_frame(&description, &display, 0, frame, request)
            })
            .unwrap()
        };
        let png = image::load_from_memory_with_format(&file(&defaults()), image::ImageFormat::Png)
            .unwrap();
        assert_eq!(png.into_bytes(), pixels.data, "{title}: PNG is lossless");
        let good = file(
            &RenderRequest::new(OutputFormat::Jpeg)
                .with_quality("100")
                .unwrap(),
        );
        let bad = file(
            &RenderRequest::new(OutputFormat::Jpeg)
                .with_quality("5")
                .unwrap(),
        );
        assert!(bad.len() < good.len(), "{title}");
        let jpeg = image::load_from_memory_with_format(&good, image::ImageFormat::Jpeg).unwrap();
        assert_eq!(
            jpeg.color().channel_count(),
            if description.photometric == Photometric::Monochrome2 {
                1
            } else {
                3
            }
        );
        let error: u64 = std::iter::zip(jpeg.into_bytes(), &pixels.data)
            .map(|(a, b)| u64::from(a.abs_diff(*b)))
            .sum();
        assert!(
            error < 4 * u64::try_from(pixels.data.len()).unwrap(),
            "{title}: {error}"
        );
    }
}

#[test]
fn thumbnails_fit_into_256_pixels_and_never_grow() {
    let judged = files(&["RG1_UNCR.dcm", "US1_J2KR.dcm", "MR_small.dcm"]);
    for (title, width, height) in [
        ("RG1_UNCR.dcm", 241, 256),
        ("US1_J2KR.dcm", 256, 192),
        ("MR_small.dcm", 64, 64),
    ] {
        let case = judged
            .cases
            .iter()
            .find(|case| case.title == title)
            .unwrap();
        let (description, display) = case.describe();
        let file = case
            .with_frame(&description, 0, |frame| {
                thumbnail_frame(&description, &display, 0, frame, OutputFormat::Jpeg)
            })
            .unwrap();
        let image = image::load_from_memory_with_format(&file, image::ImageFormat::Jpeg).unwrap();
        assert_eq!((image.width(), image.height()), (width, height), "{title}");
    }
}
