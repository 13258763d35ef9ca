//! Frames between supervisor and worker: length of the JSON header, length of
//! the raw bytes (both little endian), header, bytes. Both lengths are checked
//! before anything is allocated.

use std::io::{Read, Write};
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::domain::refusal::Refusal;
use crate::limits::{FRAME_BODY_BYTES_MAX, FRAME_HEADER_BYTES_MAX};
use crate::pipeline::{Figures, RunContext};

/// From supervisor to worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "frame", rename_all = "kebab-case")]
pub enum Request {
    /// Begins a run; its instances follow.
    Run {
        /// The model's folder.
        model: PathBuf,
        /// The model's digest when the run was queued.
        digest: String,
        /// The ONNX Runtime library.
        library: PathBuf,
        /// Threads of a network; 0 takes all.
        threads: usize,
        /// What the run row fixes.
        context: Box<RunContext>,
    },
    /// One instance; its data set is the frame's bytes.
    Instance {
        /// Transfer syntax of the bytes.
        transfer_syntax_uid: String,
    },
    /// No more instances: compute.
    Compute,
}

/// From worker to supervisor.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "frame", rename_all = "kebab-case")]
pub enum Response {
    /// It is at this step, with this share of the work done.
    Progress {
        /// The step.
        step: String,
        /// 0 to 1.
        fraction: f64,
    },
    /// Finished; the bytes are the result objects' data sets, one behind the other.
    Done {
        /// The figures.
        figures: Box<Figures>,
        /// The length of each data set.
        lengths: Vec<usize>,
    },
    /// The input must not be computed.
    Refused {
        /// Why.
        refusal: Refusal,
    },
    /// A fault of the model or of ours.
    Failed {
        /// What, without patient data.
        problem: String,
    },
}

/// A frame could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The other side is gone.
    #[error("the other side closed the pipe")]
    Closed,
    /// The pipe failed.
    #[error("pipe: {0}")]
    Io(#[from] std::io::Error),
    /// A length above its limit.
    #[error("a frame of {0} bytes is too large")]
    TooLarge(u64),
    /// A header that is not what was agreed.
    #[error("a frame's header can't be read")]
    Header,
}

const LENGTHS: usize = 12;

fn lengths(bytes: [u8; LENGTHS]) -> Result<(usize, usize), FrameError> {
    let [a, b, c, d, rest @ ..] = bytes;
    let header = u64::from(u32::from_le_bytes([a, b, c, d]));
    let body = u64::from_le_bytes(rest);
    let limited = |n: u64, max: usize| {
        usize::try_from(n)
            .ok()
            .filter(|&n| n <= max)
            .ok_or(FrameError::TooLarge(n))
    };
    Ok((
        limited(header, FRAME_HEADER_BYTES_MAX)?,
        limited(body, FRAME_BODY_BYTES_MAX)?,
    ))
}

fn head<T: Serialize>(header: &T, body: usize) -> Result<Vec<u8>, FrameError> {
    let json = serde_json::to_vec(header).map_err(|_| FrameError::Header)?;
    let length = u32::try_from(json.len()).map_err(|_| FrameError::Header)?;
    let body = u64::try_from(body).map_err(|_| FrameError::Header)?;
    let mut bytes = Vec::with_capacity(LENGTHS + json.len());
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&body.to_le_bytes());
    bytes.extend_from_slice(&json);
    // What the other side would refuse is not sent.
    let mut first = [0u8; LENGTHS];
    first.copy_from_slice(bytes.get(..LENGTHS).ok_or(FrameError::Header)?);
    lengths(first)?;
    Ok(bytes)
}

/// Writes one frame.
///
/// # Errors
/// [`FrameError`].
pub(super) fn write<T: Serialize>(
    to: &mut impl Write,
    header: &T,
    body: &[u8],
) -> Result<(), FrameError> {
    to.write_all(&head(header, body.len())?)?;
    to.write_all(body)?;
    Ok(to.flush()?)
}

/// Reads one frame.
///
/// # Errors
/// [`FrameError`]; `Closed` at its very beginning only.
pub(super) fn read<T: DeserializeOwned>(from: &mut impl Read) -> Result<(T, Vec<u8>), FrameError> {
    let mut first = [0u8; LENGTHS];
    match from.read_exact(&mut first) {
        Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => return Err(FrameError::Closed),
        other => other?,
    }
    let (header, body) = lengths(first)?;
    let mut json = vec![0u8; header];
    from.read_exact(&mut json)?;
    let mut bytes = vec![0u8; body];
    from.read_exact(&mut bytes)?;
    Ok((
        serde_json::from_slice(&json).map_err(|_| FrameError::Header)?,
        bytes,
    ))
}

/// Writes one frame.
///
/// # Errors
/// [`FrameError`].
pub(super) async fn write_async<T: Serialize>(
    to: &mut (impl AsyncWrite + Unpin),
    header: &T,
    body: &[u8],
) -> Result<(), FrameError> {
    to.write_all(&head(header, body.len())?).await?;
    to.write_all(body).await?;
    Ok(to.flush().await?)
}

/// Reads one frame. Not cancellation-safe: after a drop in the middle the pipe is of no more use.
///
/// # Errors
/// [`FrameError`].
pub(super) async fn read_async<T: DeserializeOwned>(
    from: &mut (impl AsyncRead + Unpin),
) -> Result<(T, Vec<u8>), FrameError> {
    let mut first = [0u8; LENGTHS];
    match from.read_exact(&mut first).await {
        Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => return Err(FrameError::Closed),
        other => other?,
    };
    let (header, body) = lengths(first)?;
    let mut json = vec![0u8; header];
    from.read_exact(&mut json).await?;
    let mut bytes = vec![0u8; body];
    from.read_exact(&mut bytes).await?;
    Ok((
        serde_json::from_slice(&json).map_err(|_| FrameError::Header)?,
        bytes,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_comes_back_as_it_was_written() {
        let mut pipe = Vec::new();
        let request = Request::Instance {
            transfer_syntax_uid: "1.2.840.10008.1.2.1".into(),
        };
        write(&mut pipe, &request, b"data set").unwrap();
        let (header, body): (Request, _) = read(&mut pipe.as_slice()).unwrap();
        assert!(matches!(header, Request::Instance { .. }));
        assert_eq!(body, b"data set");
        assert!(matches!(
            read::<Request>(&mut [].as_slice()),
            Err(FrameError::Closed)
        ));
    }

    #[test]
    fn a_lie_about_a_length_allocates_nothing() {
        let mut lie = vec![0xff; LENGTHS];
        assert!(matches!(
            read::<Request>(&mut lie.as_slice()),
            Err(FrameError::TooLarge(_))
        ));
        lie = vec![2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        lie.extend_from_slice(b"[]");
        assert!(matches!(
            read::<Request>(&mut lie.as_slice()),
            Err(FrameError::Header)
        ));
    }
}
