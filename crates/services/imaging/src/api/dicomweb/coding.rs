//! Content codings of metadata (RFC 9110 §8.4.1). Pieces of an answer are
//! compressed one by one, so that each is compressed once and kept, and joined
//! to one JSON array. Bytes in memory only.

use std::io;

use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress};
use http::{HeaderMap, header};

/// A page's worth of zstd's and deflate's work: fast, and metadata is so much
/// alike that higher levels gain little.
const ZSTD_LEVEL: i32 = 3;
const DEFLATE_LEVEL: u32 = 4;

/// How the bytes of an answer are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Identity,
    Gzip,
    Zstd,
}

impl Coding {
    /// The one that a request prefers; of those that it likes the same, the
    /// smallest. What accepts nothing that we have gets the bytes as they are.
    pub(super) fn chosen(headers: &HeaderMap) -> Self {
        let mut weights = [None; 3];
        let [zstd, gzip, identity] = &mut weights;
        let mut others = None;
        let values = headers.get_all(header::ACCEPT_ENCODING);
        let values = values.iter().filter_map(|value| value.to_str().ok());
        for item in values.flat_map(|value| value.split(',')) {
            let mut parts = item.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let weight = parts
                .find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")))
                .map_or(Some(1.0), |weight| weight.trim().parse::<f32>().ok());
            // A weight that can't be read is no wish.
            let Some(weight) = weight.filter(|weight| (0.0..=1.0).contains(weight)) else {
                continue;
            };
            if name.eq_ignore_ascii_case("zstd") {
                *zstd = Some(weight);
            } else if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") {
                *gzip = Some(weight);
            } else if name.eq_ignore_ascii_case("identity") {
                *identity = Some(weight);
            } else if name == "*" {
                others = Some(weight);
            }
        }
        let of = |weight: Option<f32>| weight.or(others).unwrap_or(0.0);
        let (zstd, gzip, identity) = (of(*zstd), of(*gzip), identity.unwrap_or(0.0));
        if zstd > 0.0 && zstd >= gzip && zstd >= identity {
            Self::Zstd
        } else if gzip > 0.0 && gzip >= identity {
            Self::Gzip
        } else {
            Self::Identity
        }
    }

    /// As Content-Encoding names it.
    pub(super) fn name(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Zstd => Some("zstd"),
        }
    }

    /// A piece of an answer, to be joined with others. Of zstd a frame; of gzip
    /// whole blocks of deflate that need nothing before them, then CRC-32 and
    /// length of what is in them.
    pub(super) fn encode(self, plain: Vec<u8>) -> io::Result<Bytes> {
        match self {
            Self::Identity => Ok(plain.into()),
            Self::Zstd => Ok(zstd::bulk::compress(&plain, ZSTD_LEVEL)?.into()),
            Self::Gzip => {
                let mut blocks = Vec::with_capacity(plain.len() / 4 + 64);
                let mut compress = Compress::new(Compression::new(DEFLATE_LEVEL), false);
                loop {
                    let done = usize::try_from(compress.total_in()).unwrap_or(usize::MAX);
                    let rest = plain.get(done..).unwrap_or_default();
                    compress
                        .compress_vec(rest, &mut blocks, FlushCompress::Full)
                        .map_err(io::Error::other)?;
                    let all = compress.total_in() >= plain.len() as u64;
                    if all && blocks.len() < blocks.capacity() {
                        break;
                    }
                    blocks.reserve(blocks.capacity().max(64));
                }
                let length = u32::try_from(plain.len()).map_err(io::Error::other)?;
                blocks.extend_from_slice(&crc32fast::hash(&plain).to_le_bytes());
                blocks.extend_from_slice(&length.to_le_bytes());
                Ok(blocks.into())
            }
        }
    }
}

/// Joins pieces, each some JSON objects with commas between, to an array.
pub(super) struct Joiner {
    coding: Coding,
    begun: bool,
    /// Of the whole array in the clear, for gzip.
    sum: crc32fast::Hasher,
    length: u32,
}

/// What follows the blocks of a piece for gzip.
const FOOTER: usize = 8;

impl Joiner {
    pub(super) fn new(coding: Coding) -> Self {
        Self {
            coding,
            begun: false,
            sum: crc32fast::Hasher::new(),
            length: 0,
        }
    }

    /// The next pieces of the answer, as they are sent.
    pub(super) fn join(&mut self, pieces: Vec<Bytes>) -> Vec<Bytes> {
        let mut out = Vec::with_capacity(2 * pieces.len());
        for piece in pieces {
            out.push(if self.begun {
                self.one(b',')
            } else {
                self.begin()
            });
            out.push(match self.coding {
                Coding::Identity | Coding::Zstd => piece,
                Coding::Gzip => self.blocks(piece),
            });
        }
        out
    }

    fn begin(&mut self) -> Bytes {
        self.begun = true;
        let bracket = self.one(b'[');
        if self.coding != Coding::Gzip {
            return bracket;
        }
        // RFC 1952 §2.3: deflate, no name, no time, any system.
        let mut head = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
        head.extend_from_slice(&bracket);
        head.into()
    }

    fn blocks(&mut self, mut piece: Bytes) -> Bytes {
        let footer = piece.split_off(piece.len().saturating_sub(FOOTER));
        let mut numbers = footer
            .chunks_exact(4)
            .filter_map(|bytes| Some(u32::from_le_bytes(bytes.try_into().ok()?)));
        let (sum, length) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        let of = crc32fast::Hasher::new_with_initial_len(sum, length.into());
        self.sum.combine(&of);
        self.length = self.length.wrapping_add(length);
        piece
    }

    /// One byte of the array.
    fn one(&mut self, byte: u8) -> Bytes {
        match self.coding {
            Coding::Identity => Bytes::from(vec![byte]),
            // RFC 8878 §3.1.1: a frame of one segment and one raw block.
            Coding::Zstd => Bytes::from(vec![
                0x28,
                0xb5,
                0x2f,
                0xfd,
                0x20,
                1,
                0b0000_1001,
                0,
                0,
                byte,
            ]),
            // RFC 1951 §3.2.4: a stored block, not the last one.
            Coding::Gzip => {
                self.sum.update(&[byte]);
                self.length = self.length.wrapping_add(1);
                Bytes::from(vec![0, 1, 0, 0xfe, 0xff, byte])
            }
        }
    }

    /// What ends the answer.
    pub(super) fn end(mut self) -> Bytes {
        let bracket = self.one(b']');
        if self.coding != Coding::Gzip {
            return bracket;
        }
        let mut end = bracket.to_vec();
        // An empty last block, then the check sum and the length modulo 2^32.
        end.extend_from_slice(&[1, 0, 0, 0xff, 0xff]);
        let length = self.length;
        end.extend_from_slice(&self.sum.finalize().to_le_bytes());
        end.extend_from_slice(&length.to_le_bytes());
        end.into()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn asking(value: &'static str) -> Coding {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, value.parse().unwrap());
        Coding::chosen(&headers)
    }

    #[test]
    fn the_coding_that_is_liked_best_is_chosen() {
        assert_eq!(Coding::chosen(&HeaderMap::new()), Coding::Identity);
        assert_eq!(asking("identity"), Coding::Identity);
        assert_eq!(asking("gzip, deflate"), Coding::Gzip);
        assert_eq!(asking("gzip, deflate, br, zstd"), Coding::Zstd);
        assert_eq!(asking("zstd;q=0.5, gzip;q=0.8"), Coding::Gzip);
        assert_eq!(asking("ZSTD;q=0, *"), Coding::Gzip);
        assert_eq!(asking("gzip;q=0.2, identity"), Coding::Identity);
        assert_eq!(asking("br"), Coding::Identity);
        assert_eq!(asking("gzip;q=nan, zstd;q=2"), Coding::Identity);
        assert_eq!(asking("*;q=0"), Coding::Identity);
    }

    #[test]
    fn pieces_of_every_coding_are_one_array() {
        let texts = [
            r#"{"a":1},{"b":2}"#.repeat(9),
            "x".repeat(300_000),
            "{}".into(),
        ];
        for coding in [Coding::Identity, Coding::Gzip, Coding::Zstd] {
            let mut joiner = Joiner::new(coding);
            let mut sent = Vec::new();
            for text in &texts {
                let piece = coding.encode(text.clone().into_bytes()).unwrap();
                sent.extend(joiner.join(vec![piece]));
            }
            sent.push(joiner.end());
            let sent = sent.concat();
            let mut plain = Vec::new();
            match coding {
                Coding::Identity => plain = sent,
                Coding::Zstd => plain = zstd::decode_all(&sent[..]).unwrap(),
                Coding::Gzip => {
                    let mut one = flate2::bufread::GzDecoder::new(&sent[..]);
                    one.read_to_end(&mut plain).unwrap();
                    assert!(one.into_inner().is_empty());
                }
            }
            let all = format!("[{}]", texts.join(","));
            assert!(plain == all.as_bytes(), "{coding:?}");
        }
    }
}
