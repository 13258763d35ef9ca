//! The order of slices (PS3.3 §C.7.6.2.1.1): along the normal of the image
//! planes where all of a series are parallel and say where they are, by
//! instance number otherwise.

use serde::Deserialize;
use serde_json::Value;

/// Cosine above which two normals are those of parallel planes.
const PARALLEL: f64 = 0.999;

/// Image Position (Patient) and Image Orientation (Patient).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Plane {
    position: [f64; 3],
    normal: [f64; 3],
}

#[derive(Deserialize)]
struct Attributes {
    #[serde(rename = "00200032")]
    position: Option<Value>,
    #[serde(rename = "00200037")]
    orientation: Option<Value>,
}

impl Plane {
    /// Of an instance's DICOM JSON.
    pub(super) fn of(metadata: &[u8]) -> Option<Self> {
        let attributes: Attributes = serde_json::from_slice(metadata).ok()?;
        let position = numbers::<3>(attributes.position.as_ref()?)?;
        let [a, b, c, d, e, f] = numbers::<6>(attributes.orientation.as_ref()?)?;
        let normal = [b * f - c * e, c * d - a * f, a * e - b * d];
        let length = dot(normal, normal).sqrt();
        (length > 0.5 && length.is_finite()).then(|| Self {
            position,
            normal: normal.map(|part| part / length),
        })
    }
}

fn numbers<const N: usize>(attribute: &Value) -> Option<[f64; N]> {
    let values = attribute.get("Value")?.as_array()?;
    let numbers: Vec<f64> = values
        .iter()
        .map(|value| match value {
            Value::String(text) => text.trim().parse().ok(),
            other => other.as_f64(),
        })
        .collect::<Option<_>>()?;
    let numbers: [f64; N] = numbers.try_into().ok()?;
    numbers
        .iter()
        .all(|part| part.is_finite())
        .then_some(numbers)
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// How far each plane is along the normal of the first; `None` when they are
/// not parallel or one says nothing.
pub(super) fn along_normal(planes: &[Option<Plane>]) -> Option<Vec<f64>> {
    let first = (*planes.first()?)?;
    planes
        .iter()
        .map(|plane| {
            let plane = (*plane)?;
            let parallel = dot(plane.normal, first.normal) > PARALLEL;
            parallel.then(|| dot(plane.position, first.normal))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(position: &str, orientation: &str) -> Vec<u8> {
        format!(
            r#"{{"00080018":{{"vr":"UI"}},"00200032":{{"vr":"DS","Value":[{position}]}},
            "00200037":{{"vr":"DS","Value":[{orientation}]}}}}"#
        )
        .into_bytes()
    }

    #[test]
    fn slices_lie_along_their_normal_and_others_have_no_order_of_their_own() {
        let axial = "1,0,0,0,1,0";
        let plane = |z: &str| Plane::of(&json(&format!("0,0,{z}"), axial));
        assert_eq!(
            along_normal(&[plane("3"), plane("\"-2.5\""), plane("1")]),
            Some(vec![3.0, -2.5, 1.0])
        );
        let sagittal = Plane::of(&json("0,0,0", "0,1,0,0,0,-1"));
        assert!(sagittal.is_some());
        assert_eq!(along_normal(&[plane("3"), sagittal]), None);
        assert_eq!(along_normal(&[plane("3"), None]), None);
        for odd in ["", "{}", "[]", r#"{"00200032":3,"00200037":{"Value":[1]}}"#] {
            assert_eq!(Plane::of(odd.as_bytes()), None, "{odd}");
        }
        assert_eq!(Plane::of(&json("0,0", axial)), None);
        assert_eq!(Plane::of(&json("0,0,0", "0,0,0,0,0,0")), None);
    }
}
