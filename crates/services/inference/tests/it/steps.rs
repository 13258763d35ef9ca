//! Steps against numpy, SciPy and scikit-image.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use hilum_inference::domain::steps::components::{Connectivity, fill_holes, largest_component};
use hilum_inference::domain::steps::intensity::{quantile_window, rescale_window, standardise};
use hilum_inference::domain::steps::{region, resample};
use hilum_inference::domain::volume::Volume;
use ndarray::Array3;
use serde_json::{Value, json};

use crate::models::root;

fn python() -> PathBuf {
    let python = std::env::var_os("HILUM_TEST_PYTHON")
        .map_or_else(|| root().join(".cache/venv/bin/python"), PathBuf::from);
    assert!(
        python.is_file(),
        "Python with numpy, scipy and scikit-image is missing: run `make test-deps`"
    );
    python
}

/// The same generator as in steps.py.
fn volume(shape: [usize; 3], seed: u64) -> Volume {
    let mut state = seed;
    Array3::from_shape_simple_fn(shape, || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((((state >> 33) % 1000) as f64) / 10.0 - 20.0) as f32
    })
    .into_shared()
}

fn check_close(what: &str, found: impl IntoIterator<Item = f32>, expected: &Value, tolerance: f64) {
    let expected = expected.as_array().expect("numbers");
    let found: Vec<f32> = found.into_iter().collect();
    assert_eq!(found.len(), expected.len(), "{what}");
    for (index, (f, e)) in found.iter().zip(expected).enumerate() {
        let e = e.as_f64().unwrap();
        assert!(
            (f64::from(*f) - e).abs() <= tolerance,
            "{what} at {index}: {f} is not {e}"
        );
    }
}

fn check_equal(what: &str, found: &hilum_inference::domain::volume::Mask, expected: &Value) {
    let expected: Vec<bool> = expected
        .as_array()
        .expect("booleans")
        .iter()
        .map(|v| v.as_bool().unwrap())
        .collect();
    assert_eq!(
        found.iter().copied().collect::<Vec<_>>(),
        expected,
        "{what}"
    );
}

#[test]
fn steps_agree_with_numpy_scipy_and_scikit_image() {
    let cases = [
        ([12, 9, 5], [6, 4, 11], 1),
        ([7, 20, 16], [7, 5, 3], 2),
        ([5, 5, 5], [10, 10, 10], 3),
        ([30, 30, 4], [8, 9, 4], 4),
    ];
    let request: Vec<Value> = cases
        .iter()
        .map(|(from, to, seed)| json!({"from": from, "to": to, "seed": seed}))
        .collect();
    let mut child = Command::new(python())
        .arg(root().join("crates/services/inference/tests/it/steps.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python starts");
    child
        .stdin
        .take()
        .unwrap()
        .write_all(&serde_json::to_vec(&request).unwrap())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "steps.py failed: run `make test-deps`"
    );
    let answers: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();

    for ((from, to, seed), answer) in cases.into_iter().zip(&answers) {
        let v = volume(from, seed);
        check_close(
            "anti-aliased",
            resample::linear(v.view(), to, true),
            &answer["anti_aliased"],
            2e-4,
        );
        check_close(
            "linear",
            resample::linear(v.view(), to, false),
            &answer["linear"],
            2e-4,
        );
        // A view that is permuted and flipped is resampled like its copy.
        let turned = v.clone().permuted_axes([2, 0, 1]);
        let there =
            resample::linear(turned.view(), [to[2], to[0], to[1]], true).permuted_axes([1, 2, 0]);
        check_close(
            "permuted",
            there.iter().copied().collect::<Vec<_>>(),
            &answer["anti_aliased"],
            2e-4,
        );

        let window = quantile_window(v.view(), 0.005, 0.995);
        check_close(
            "window",
            [window.low as f32, window.high as f32],
            &answer["window"],
            1e-4,
        );
        check_close(
            "standardised",
            standardise(rescale_window(v.clone(), window)),
            &answer["standardised"],
            1e-4,
        );
        let mask = region::threshold(v.view(), 20.0);
        check_equal(
            "largest",
            &largest_component(mask.clone(), Connectivity::Corners),
            &answer["largest"],
        );
        check_equal("filled", &fill_holes(mask), &answer["filled"]);
    }
}
