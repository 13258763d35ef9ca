//! Vectors in patient coordinates, mm or unit vectors. Pure arithmetic; it knows
//! neither slices nor orientations.

/// Right to left, anterior to posterior, inferior to superior.
pub type Vector = [f64; 3];

pub(crate) fn dot(a: Vector, b: Vector) -> f64 {
    a.iter().zip(&b).map(|(x, y)| x * y).sum()
}

pub(crate) fn cross([a, b, c]: Vector, [d, e, f]: Vector) -> Vector {
    [b * f - c * e, c * d - a * f, a * e - b * d]
}

pub(crate) fn scale(v: Vector, by: f64) -> Vector {
    v.map(|x| x * by)
}

pub(crate) fn minus([a, b, c]: Vector, [d, e, f]: Vector) -> Vector {
    [a - d, b - e, c - f]
}

/// The same direction with length 1; `None` where there is none.
pub(crate) fn unit(v: Vector) -> Option<Vector> {
    let length = dot(v, v).sqrt();
    (length > 0.5 && length.is_finite()).then(|| scale(v, 1.0 / length))
}
