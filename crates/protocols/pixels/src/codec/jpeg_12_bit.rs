//! JPEG extended with 12-bit samples (ITU-T T.81 process 4), decoded by libjpeg-turbo through its C
//! interface: no Rust decoder does it, and the safe bindings have no call for it. This crate's only unsafe
//! code. Grey only: no encoder is known that writes 12-bit colour.
#![expect(unsafe_code, reason = "the C interface of libjpeg-turbo")]

use super::marker::JpegHeader;
use crate::description::ImageDescription;
use crate::error::PixelError;
use crate::limits::{MAX_12_BIT_JPEG_MEGABYTES, MAX_12_BIT_JPEG_SCANS};
use turbojpeg_sys as sys;

const REFUSED: PixelError = PixelError::Codec("JPEG");

/// Samples as little-endian 16-bit words.
pub(super) fn decode(
    description: &ImageDescription,
    header: &JpegHeader,
    bytes: &[u8],
) -> Result<Vec<u8>, PixelError> {
    if description.samples_per_pixel != 1 {
        return Err(PixelError::Unsupported("12-bit lossy JPEG in colour"));
    }
    let decoder = Decoder::new()?;
    // What is damaged is no image: libjpeg-turbo would go on with grey.
    decoder.set(sys::TJPARAM_TJPARAM_STOPONWARNING, 1)?;
    decoder.set(sys::TJPARAM_TJPARAM_SCANLIMIT, MAX_12_BIT_JPEG_SCANS)?;
    decoder.set(sys::TJPARAM_TJPARAM_MAXMEMORY, MAX_12_BIT_JPEG_MEGABYTES)?;
    let samples = match header.start_of_frame {
        0xC2 => decoder.samples(description, bytes)?,
        _ => decoder.samples(description, &sequential(header, bytes))?,
    };
    Ok(samples.into_iter().flat_map(i16::to_le_bytes).collect())
}

/// The stream with what a sequential scan's header must say (T.81 table B.3): encoders in use write
/// something else, and mean this.
fn sequential(header: &JpegHeader, bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let start = header.spectral_selection;
    if let Some(parameters) = bytes.get_mut(start..start.saturating_add(3)) {
        parameters.copy_from_slice(&[0, 63, 0]);
    }
    bytes
}

/// A decompressor of libjpeg-turbo; never null.
struct Decoder(sys::tjhandle);

impl Decoder {
    fn new() -> Result<Self, PixelError> {
        let kind = libc_int(sys::TJINIT_TJINIT_DECOMPRESS)?;
        // SAFETY: takes a plain number and gives a handle or null.
        let handle = unsafe { sys::tj3Init(kind) };
        if handle.is_null() {
            return Err(REFUSED);
        }
        Ok(Self(handle))
    }

    fn set(&self, parameter: sys::TJPARAM, value: i32) -> Result<(), PixelError> {
        let parameter = libc_int(parameter)?;
        // SAFETY: the handle is live; the other arguments are plain numbers.
        done(unsafe { sys::tj3Set(self.0, parameter, value) })
    }

    fn get(&self, parameter: sys::TJPARAM) -> Result<i32, PixelError> {
        let parameter = libc_int(parameter)?;
        // SAFETY: as in `set`.
        Ok(unsafe { sys::tj3Get(self.0, parameter) })
    }

    fn samples(
        &self,
        description: &ImageDescription,
        bytes: &[u8],
    ) -> Result<Vec<i16>, PixelError> {
        let length = sys::size_t::try_from(bytes.len()).map_err(|_| REFUSED)?;
        // SAFETY: reads `length` bytes from a slice of that length and keeps no pointer into it.
        done(unsafe { sys::tj3DecompressHeader(self.0, bytes.as_ptr(), length) })?;
        // Our own reading of the header was checked; the library's decides how much it writes.
        let same = |parameter, expected: u32| -> Result<bool, PixelError> {
            Ok(u32::try_from(self.get(parameter)?) == Ok(expected))
        };
        if !same(sys::TJPARAM_TJPARAM_JPEGWIDTH, description.columns)?
            || !same(sys::TJPARAM_TJPARAM_JPEGHEIGHT, description.rows)?
            || !same(sys::TJPARAM_TJPARAM_PRECISION, 12)?
        {
            return Err(REFUSED);
        }
        let count = usize::try_from(description.pixel_count()).map_err(|_| REFUSED)?;
        let mut samples = vec![0_i16; count];
        let grey = libc_int(sys::TJPF_TJPF_GRAY)?;
        // SAFETY: a grey image of the width and height just checked takes `count` samples; pitch 0 means
        // rows without padding, and no scaling or cropping is set.
        done(unsafe {
            sys::tj3Decompress12(
                self.0,
                bytes.as_ptr(),
                length,
                samples.as_mut_ptr(),
                0,
                grey,
            )
        })?;
        Ok(samples)
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: the handle came from `tj3Init` and is destroyed once.
        unsafe { sys::tj3Destroy(self.0) }
    }
}

fn libc_int(number: impl TryInto<i32>) -> Result<i32, PixelError> {
    number.try_into().map_err(|_| REFUSED)
}

fn done(status: i32) -> Result<(), PixelError> {
    if status == 0 { Ok(()) } else { Err(REFUSED) }
}
