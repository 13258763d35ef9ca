//! Turns the pixel data of a DICOM instance into samples and images, one frame at a time.
//!
//! It owns what PS3.3 C.7.6.3 (pixels), C.11.1–C.11.6 (lookup tables and windows) and PS3.18 §8.3.5
//! (rendering parameters) say, and the codecs behind the transfer syntaxes. It does no input or output,
//! keeps no state, knows nothing of studies, tenants or requests, and never allocates for a frame before
//! its size was checked against [`limits`].
//!
//! ```no_run
//! # fn main() -> Result<(), hilum_pixels::PixelError> {
//! # let data_set = dicom_object::InMemDicomObject::new_empty();
//! # let (jpeg_bytes, transfer_syntax) = (vec![], "1.2.840.10008.1.2.4.70");
//! use hilum_pixels::{Display, EncodedFrame, ImageDescription, OutputFormat, RenderRequest};
//!
//! let description = ImageDescription::from_dataset(&data_set)?; // no pixel data needed
//! let display = Display::from_dataset(&data_set, &description);
//! let fragments = [jpeg_bytes.as_slice()]; // that one frame's bytes
//! let frame = EncodedFrame::new(transfer_syntax, &fragments);
//! let request = RenderRequest::new(OutputFormat::Jpeg);
//! let jpeg: Vec<u8> = hilum_pixels::render_frame(&description, &display, 0, &frame, &request)?;
//! # Ok(()) }
//! ```

mod codec;
mod color;
mod description;
mod display;
mod encode;
mod error;
mod frame;
pub mod limits;
mod lut;
mod palette;
mod render;
mod request;
mod transcode;
mod values;
mod viewport;
mod voi;

pub use codec::{
    EncodedFrame, FrameLocation, PixelVr, can_decode, decode_frame, is_native,
    native_frame_location,
};
pub use description::{
    ImageDescription, PaddingRange, Photometric, PlanarConfiguration, SampleKind,
};
pub use display::{Display, Modality, PresentationShape, Transform};
pub use error::PixelError;
pub use frame::DecodedFrame;
pub use lut::Lut;
pub use palette::Palette;
pub use render::{RenderedImage, render_frame, render_pixels, thumbnail_frame};
pub use request::{OutputFormat, RenderRequest};
pub use transcode::{AttributeChanges, EXPLICIT_VR_LITTLE_ENDIAN, NativeFrame, transcode_frame};
pub use values::decode_frame_f32;
pub use viewport::Viewport;
pub use voi::{VoiFunction, Window};
