//! Judged by others: pydicom, GDCM and dcmtk say what each pixel must be.

mod decoding;
mod hostile;
mod rendering;
mod support;
