//! Result objects judged by others' programs: dicom3tools, highdicom, dcmtk.

mod fixture;
mod peers;
mod report;
mod segmentation;
