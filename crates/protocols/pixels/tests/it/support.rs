//! Runs the judges and reads what they wrote.

use dicom_object::{InMemDicomObject, OpenFileOptions};
use hilum_pixels::{
    Display, EncodedFrame, ImageDescription, PixelVr, is_native, native_frame_location,
};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Runs a program that the tests need; a missing one fails with the command that installs it.
pub(crate) fn run(command: &mut Command) -> Output {
    let name = command.get_program().to_string_lossy().into_owned();
    command.output().unwrap_or_else(|error| {
        panic!("{name} cannot be run ({error}); `make test-deps` installs what the tests need")
    })
}

fn python() -> PathBuf {
    match std::env::var_os("HILUM_TEST_PYTHON") {
        Some(path) => path.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../.cache/venv/bin/python"),
    }
}

/// One image with what the judges say about it.
pub(crate) struct Case {
    pub(crate) path: String,
    pub(crate) title: String,
    pub(crate) judge: String,
    pub(crate) transfer_syntax: String,
    pub(crate) lossy: bool,
    /// Options for dcmj2pnm that ask for what our defaults are.
    pub(crate) dcmtk: Option<Vec<String>>,
    pub(crate) number_of_frames: u32,
    /// The stored values of all frames, as pydicom or GDCM decode them.
    pub(crate) values: Vec<i32>,
    /// 8-bit levels as pydicom renders them.
    pub(crate) rendered: Option<Vec<u8>>,
    vr: PixelVr,
    frames: Vec<Vec<u8>>,
}

/// Cases live as long as their directory, which holds the constructed files.
pub(crate) struct Cases {
    pub(crate) cases: Vec<Case>,
    pub(crate) directory: tempfile::TempDir,
}

/// All readable images of pydicom and pydicom-data.
pub(crate) fn corpus() -> Cases {
    let mut judged = judge("corpus", &[]);
    // dicom-object cannot read the one, and the deflated one only with a feature that decoding frames
    // does not need: nothing to describe.
    judged
        .cases
        .retain(|case| !matches!(case.title.as_str(), "SC_rgb_jpeg.dcm" | "image_dfl.dcm"));
    judged
}

/// Some images of the corpus, by file name.
pub(crate) fn files(names: &[&str]) -> Cases {
    judge("corpus", names)
}

/// Images that no corpus has.
pub(crate) fn constructed() -> Cases {
    judge("constructed", &[])
}

fn judge(command: &str, names: &[&str]) -> Cases {
    let directory = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/judge.py");
    let output = run(Command::new(python())
        .arg(script)
        .arg(command)
        .arg(directory.path())
        .args(names));
    assert!(
        output.status.success(),
        "judge.py failed (`make test-deps` installs what it needs): {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let read = |name: String| std::fs::read(directory.path().join(name)).unwrap();
    let manifest: Value = serde_json::from_slice(&read("manifest.json".into())).unwrap();
    let cases = manifest.as_array().unwrap().iter().map(|entry| {
        let text = |key: &str| entry[key].as_str().unwrap().to_owned();
        let name = text("name");
        let bytes = read(format!("{name}.frames"));
        let mut rest = bytes.as_slice();
        let frames = entry["frame_lengths"]
            .as_array()
            .unwrap()
            .iter()
            .map(|length| {
                let (frame, after) =
                    rest.split_at(usize::try_from(length.as_u64().unwrap()).unwrap());
                rest = after;
                frame.to_vec()
            });
        Case {
            frames: frames.collect(),
            title: Path::new(&text("path"))
                .file_name()
                .unwrap()
                .to_string_lossy()
                .into_owned(),
            path: text("path"),
            judge: text("judge"),
            transfer_syntax: text("transfer_syntax"),
            lossy: entry["lossy"].as_bool().unwrap(),
            dcmtk: entry["dcmtk"].as_array().map(|options| {
                options
                    .iter()
                    .map(|o| o.as_str().unwrap().to_owned())
                    .collect()
            }),
            number_of_frames: u32::try_from(entry["number_of_frames"].as_u64().unwrap()).unwrap(),
            values: read(format!("{name}.values"))
                .as_chunks::<4>()
                .0
                .iter()
                .map(|b| i32::from_le_bytes(*b))
                .collect(),
            rendered: entry["rendered"]
                .as_bool()
                .unwrap_or(false)
                .then(|| read(format!("{name}.rendered"))),
            vr: if text("vr") == "OB" {
                PixelVr::Ob
            } else {
                PixelVr::Ow
            },
        }
    });
    let cases = cases.collect();
    Cases { cases, directory }
}

impl Case {
    /// The data set before its pixel data.
    pub(crate) fn data_set(&self) -> InMemDicomObject {
        let file = OpenFileOptions::new()
            .read_until(dicom_dictionary_std::tags::PIXEL_DATA)
            .open_file(&self.path)
            .unwrap_or_else(|error| panic!("{}: {error}", self.title));
        file.into_inner()
    }

    pub(crate) fn describe(&self) -> (ImageDescription, Display) {
        let data_set = self.data_set();
        let description = ImageDescription::from_dataset(&data_set)
            .unwrap_or_else(|error| panic!("{}: {error}", self.title));
        let display = Display::from_dataset(&data_set, &description);
        (description, display)
    }

    /// Hands one frame's bytes over, as a server would.
    pub(crate) fn with_frame<R>(
        &self,
        description: &ImageDescription,
        number: u32,
        take: impl FnOnce(&EncodedFrame<'_>) -> R,
    ) -> R {
        let index = usize::try_from(number).unwrap();
        let (bytes, bit_offset) = if is_native(&self.transfer_syntax) {
            let location = native_frame_location(description, number).unwrap();
            let range = usize::try_from(location.bytes.start).unwrap()
                ..usize::try_from(location.bytes.end).unwrap();
            let value = &self.frames[0];
            // Words of OW are given whole, so that they can be swapped.
            let range = range.start..range.end.next_multiple_of(2);
            (
                &value[range.start.min(value.len())..range.end.min(value.len())],
                location.bit_offset,
            )
        } else {
            (self.frames[index].as_slice(), 0)
        };
        // Two fragments, to show that they are joined.
        let (first, second) = bytes.split_at(if is_native(&self.transfer_syntax) {
            bytes.len()
        } else {
            bytes.len() / 2
        });
        let fragments = [first, second];
        take(&EncodedFrame {
            bit_offset,
            vr: self.vr,
            ..EncodedFrame::new(&self.transfer_syntax, &fragments)
        })
    }
}
