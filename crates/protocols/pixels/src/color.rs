//! Colour spaces of PS3.3 C.7.6.3.1.2, sample layout, and nothing about files: everything becomes RGB by
//! pixel.

use crate::description::Photometric;

/// Which luminance–chrominance encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ybr {
    Full,
    Partial,
}

impl Ybr {
    /// The conversion that native or codec output of this interpretation still needs.
    pub(crate) fn of(photometric: Photometric) -> Option<Self> {
        match photometric {
            Photometric::YbrFull | Photometric::YbrFull422 => Some(Self::Full),
            Photometric::YbrPartial422 | Photometric::YbrPartial420 => Some(Self::Partial),
            _ => None,
        }
    }
}

/// Coefficients of PS3.3 C.7.6.3.1.2 with 16 fractional bits: luminance, red, green from Cb, green from
/// Cr, blue.
fn coefficients(ybr: Ybr) -> [i64; 5] {
    match ybr {
        Ybr::Full => [65_536, 91_881, -22_554, -46_802, 116_130],
        Ybr::Partial => [76_309, 104_597, -25_675, -53_279, 132_201],
    }
}

fn pixel_to_rgb(ybr: Ybr, [y, cb, cr]: [i64; 3], bits: u32) -> [i64; 3] {
    let half = 1_i64 << (bits - 1);
    let offset = if ybr == Ybr::Partial { half / 8 } else { 0 };
    let [ky, kr, kgb, kgr, kb] = coefficients(ybr);
    let (y, cb, cr) = ((y - offset) * ky + 32_768, cb - half, cr - half);
    let max = (1_i64 << bits) - 1;
    [y + kr * cr, y + kgb * cb + kgr * cr, y + kb * cb].map(|value| (value >> 16).clamp(0, max))
}

/// Converts 8-bit samples by pixel in place.
pub(crate) fn ybr_to_rgb_8(ybr: Ybr, data: &mut [u8]) {
    for pixel in data.as_chunks_mut::<3>().0 {
        let rgb = pixel_to_rgb(ybr, pixel.map(i64::from), 8);
        *pixel = rgb.map(|value| u8::try_from(value).unwrap_or(u8::MAX));
    }
}

/// Converts 16-bit little-endian samples of `bits` significant bits by pixel in place.
pub(crate) fn ybr_to_rgb_16(ybr: Ybr, data: &mut [u8], bits: u16) {
    for pixel in data.as_chunks_mut::<6>().0 {
        let [a, b, c, d, e, f] = *pixel;
        let samples = [[a, b], [c, d], [e, f]].map(|pair| i64::from(u16::from_le_bytes(pair)));
        let rgb = pixel_to_rgb(ybr, samples, u32::from(bits.clamp(2, 16)));
        let [[a, b], [c, d], [e, f]] =
            rgb.map(|value| u16::try_from(value).unwrap_or(u16::MAX).to_le_bytes());
        *pixel = [a, b, c, d, e, f];
    }
}

/// Planes one after another → samples by pixel. `width`: bytes of a sample.
pub(crate) fn interleave_planes(data: &[u8], samples: usize, width: usize) -> Vec<u8> {
    let plane_length = data.len() / samples.max(1);
    let mut out = vec![0; data.len()];
    for (index, plane) in data
        .chunks_exact(plane_length.max(1))
        .take(samples)
        .enumerate()
    {
        let targets = out.chunks_exact_mut(width).skip(index).step_by(samples);
        for (target, sample) in std::iter::zip(targets, plane.chunks_exact(width)) {
            target.copy_from_slice(sample);
        }
    }
    out
}

/// Native 4:2:2 (PS3.3 C.7.6.3.1.2): `Y1 Y2 Cb Cr` for each pair of pixels of a row → `Y Cb Cr` each.
pub(crate) fn expand_422(data: &[u8], columns: usize) -> Vec<u8> {
    let pairs_per_row = columns.div_ceil(2);
    let mut out = Vec::with_capacity(data.len() / 4 * 6);
    for row in data.as_chunks::<4>().0.chunks(pairs_per_row.max(1)) {
        for (index, &[y1, y2, cb, cr]) in row.iter().enumerate() {
            out.extend_from_slice(&[y1, cb, cr]);
            // In a row of odd length the last pair holds one pixel.
            if 2 * index + 1 < columns {
                out.extend_from_slice(&[y2, cb, cr]);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_range_ybr_is_the_equation_of_the_standard() {
        let mut data = vec![
            255, 128, 128, 0, 128, 128, 76, 85, 255, 150, 44, 21, 29, 255, 107,
        ];
        ybr_to_rgb_8(Ybr::Full, &mut data);
        assert_eq!(
            data,
            [255, 255, 255, 0, 0, 0, 254, 0, 0, 0, 255, 1, 0, 0, 254]
        );
    }

    #[test]
    fn partial_range_reaches_black_and_white() {
        let mut data = vec![16, 128, 128, 235, 128, 128];
        ybr_to_rgb_8(Ybr::Partial, &mut data);
        assert_eq!(data, [0, 0, 0, 255, 255, 255]);
    }

    #[test]
    fn layouts_become_samples_by_pixel() {
        assert_eq!(
            interleave_planes(&[1, 2, 3, 4, 5, 6], 3, 1),
            [1, 3, 5, 2, 4, 6]
        );
        assert_eq!(
            expand_422(&[1, 2, 8, 9, 3, 0, 6, 7], 3),
            [1, 8, 9, 2, 8, 9, 3, 6, 7]
        );
    }
}
