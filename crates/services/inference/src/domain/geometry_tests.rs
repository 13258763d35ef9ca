use super::*;

const OBLIQUE: [f64; 6] = [1.0, 0.0, 0.0, 0.0, 0.990_960, 0.134_158];

fn stack(n: usize, gap: f64, orientation: [f64; 6]) -> Vec<Header> {
    let [a, b, c, d, e, f] = orientation;
    let normal = cross([a, b, c], [d, e, f]);
    (0..n)
        .map(|i| Header {
            modality: "MR".into(),
            rows: 32,
            columns: 40,
            samples_per_pixel: 1,
            frames: 1,
            photometric_interpretation: "MONOCHROME2".into(),
            position: Some(scale(normal, gap * real(i))),
            orientation: Some(orientation),
            pixel_spacing: Some([0.8, 0.9]),
            echo_time: Some(22.0),
            echo_numbers: "1".into(),
            ..Header::default()
        })
        .collect()
}

fn check(headers: &[Header], expect: &str) {
    let refusal = assemble(headers, &Wanted::default()).expect_err(expect);
    assert_eq!(refusal.code(), expect, "{refusal}");
    assert!(refusal.to_string().ends_with('.'), "{refusal}");
}

#[test]
fn order_of_arrival_does_not_matter() {
    let mut headers = stack(7, 5.0, OBLIQUE);
    headers.reverse();
    headers.swap(1, 4);
    let g = assemble(&headers, &Wanted::default()).unwrap();
    assert_eq!(g.order, [6, 5, 1, 3, 2, 4, 0]);
    assert_eq!(g.dims, [7, 32, 40]);
    assert!((g.spacing[0] - 5.0).abs() < 1e-4 && g.spacing[1..] == [0.8, 0.9]);
    assert_eq!(
        g.to_ras,
        Reorientation {
            axes: [2, 1, 0],
            flipped: [true, true, false]
        }
    );
}

#[test]
fn the_distance_is_the_mean_projection_on_the_normal() {
    let mut headers = stack(20, 7.0, OBLIQUE);
    for (i, h) in headers.iter_mut().enumerate() {
        // Rounded to 0.1 mm, as the sample is.
        let p = h.position.unwrap();
        h.position = Some(p.map(|v| (v * 10.0).round() / 10.0));
        h.echo_time = Some(22.0 + 0.01 * real(i % 2));
    }
    let g = assemble(&headers, &Wanted::default()).unwrap();
    assert!((g.spacing[0] - 7.0).abs() < 0.01, "{:?}", g.spacing);
}

#[test]
fn what_is_not_one_volume_is_refused() {
    let good = stack(10, 5.0, OBLIQUE);
    let change = |f: &dyn Fn(&mut Vec<Header>)| {
        let mut headers = good.clone();
        f(&mut headers);
        headers
    };
    check(&[], "too-few-slices");
    check(&good[..2], "too-few-slices");
    check(&change(&|h| drop(h.remove(4))), "missing-slices");
    check(&change(&|h| h.push(h[3].clone())), "duplicate-positions");
    check(&change(&|h| h.extend(h.clone())), "duplicate-positions");
    check(
        &change(&|h| h[5].position.as_mut().unwrap()[2] += 1.0),
        "uneven-spacing",
    );
    check(&change(&|h| h[5].position = None), "no-geometry");
    check(&change(&|h| h[5].rows = 64), "mixed-sizes");
    check(
        &change(&|h| h[5].pixel_spacing = Some([0.9, 0.9])),
        "mixed-sizes",
    );
    check(
        &change(&|h| h[5].orientation = Some([0.0, 1.0, 0.0, 0.0, 0.0, -1.0])),
        "mixed-orientations",
    );
    check(
        &change(&|h| h[5].frame_of_reference_uid = "1.2".into()),
        "mixed-frames-of-reference",
    );
    check(&change(&|h| h[5].series_uid = "1.2".into()), "mixed-series");
    check(&change(&|h| h[5].echo_time = Some(80.0)), "multiple-echoes");
    check(
        &change(&|h| h[5].echo_numbers = "2".into()),
        "multiple-echoes",
    );
    check(&change(&|h| h[5].samples_per_pixel = 3), "colour");
    check(&change(&|h| h[5].frames = 12), "multi-frame");
    check(
        &change(&|h| {
            h.iter_mut()
                .for_each(|h| h.image_type = vec!["DERIVED".into(), "LOCALIZER".into()])
        }),
        "only-localizers",
    );
    check(
        &change(&|h| {
            h.iter_mut()
                .for_each(|h| h.orientation = Some([1.0, 0.0, 0.0, 0.7, 0.7, 0.0]))
        }),
        "impossible-geometry",
    );
    check(
        &change(&|h| {
            h.iter_mut()
                .for_each(|h| h.pixel_spacing = Some([0.0, 0.0]))
        }),
        "impossible-geometry",
    );
    check(
        &change(&|h| {
            h.iter_mut()
                .for_each(|h| (h.rows, h.columns) = (65535, 65535))
        }),
        "too-large",
    );
    check(
        &change(&|h| h[5].position.as_mut().unwrap()[0] += 4.0),
        "shifted-slices",
    );
}

#[test]
fn a_tilted_gantry_is_refused_and_a_tilted_patient_is_not() {
    let mut headers = stack(10, 5.0, [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
    for (i, h) in headers.iter_mut().enumerate() {
        h.position = Some([0.0, real(i) * 5.0 * 0.2, real(i) * 5.0]);
    }
    match assemble(&headers, &Wanted::default()) {
        Err(Refusal::GantryTilt { degrees }) => assert!((degrees - 11.3).abs() < 0.1, "{degrees}"),
        other => panic!("{other:?}"),
    }
    assert!(assemble(&stack(10, 5.0, OBLIQUE), &Wanted::default()).is_ok());
}

#[test]
fn localizers_among_slices_are_left_out_and_said() {
    let mut headers = stack(10, 5.0, OBLIQUE);
    let mut scout = headers[0].clone();
    scout.image_type = vec!["ORIGINAL".into(), "PRIMARY".into(), "LOCALIZER".into()];
    scout.rows = 512;
    headers.insert(3, scout);
    let g = assemble(&headers, &Wanted::default()).unwrap();
    assert!(!g.order.contains(&3) && g.order.len() == 10);
    assert_eq!(g.warnings[0].code, "localizer-left-out");
}

#[test]
fn a_model_may_want_more() {
    let headers = stack(10, 5.0, OBLIQUE);
    let with = |f: &dyn Fn(&mut Wanted)| {
        let mut wanted = Wanted::default();
        f(&mut wanted);
        assemble(&headers, &wanted).expect_err("refused").code()
    };
    assert_eq!(with(&|w| w.min_slices = 11), "too-few-slices");
    assert_eq!(with(&|w| w.max_slices = 9), "too-many-slices");
    assert_eq!(
        with(&|w| w.max_slice_distance = Some(3.0)),
        "slices-too-far-apart"
    );
    assert_eq!(with(&|w| w.min_extent = Some(60.0)), "field-of-view");
}
