//! What can go wrong between a frame's bytes and its image: a small closed set. No variant carries text
//! from the data set, so an error can be logged and answered as it is.

/// Why a frame could not be decoded or rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PixelError {
    /// An attribute that decoding cannot do without is absent or unreadable.
    #[error("{0} is missing or unreadable")]
    Missing(&'static str),
    /// An attribute contradicts the standard or another attribute.
    #[error("{attribute} is not credible: {reason}")]
    Lie {
        /// The attribute's name.
        attribute: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The description asks for more memory than any frame may take.
    #[error("a frame of {bytes} bytes exceeds the limit of {limit}")]
    TooLarge {
        /// Bytes that the frame would take.
        bytes: u64,
        /// The limit that it exceeds.
        limit: u64,
    },
    /// The transfer syntax is unknown or has no decoder here.
    #[error("the transfer syntax cannot be decoded")]
    UnsupportedTransferSyntax,
    /// Valid, but not something that this crate turns into pixels.
    #[error("not supported: {0}")]
    Unsupported(&'static str),
    /// The frame's bytes end before its last pixel.
    #[error("the frame has {actual} bytes where {expected} are needed")]
    Truncated {
        /// Bytes that the description asks for.
        expected: u64,
        /// Bytes that there are.
        actual: u64,
    },
    /// The compressed stream's own header disagrees with the data set.
    #[error("the compressed frame disagrees with the data set: {0}")]
    Disagrees(&'static str),
    /// The codec refused the compressed stream.
    #[error("the {0} decoder refused the frame")]
    Codec(&'static str),
    /// There is no frame of this number.
    #[error("there is no such frame")]
    NoSuchFrame,
    /// A parameter of the request cannot be read or carried out (PS3.18 §8.3.5).
    #[error("parameter {parameter}: {reason}")]
    Parameter {
        /// The parameter's name.
        parameter: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The rendered image could not be written.
    #[error("the image could not be encoded")]
    Encode,
}
