//! Unique identifiers of result objects. Owns the one rule that turns a run into UIDs; it never
//! draws a random number, so that a run repeated after a crash names its objects as before and a
//! new run (late images, another model) never does.

use uuid::Uuid;

/// What a UID of a run is for. The names enter the digest: they never change once released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Series that holds the Segmentation.
    SegmentationSeries,
    /// SOP Instance UID of the Segmentation.
    SegmentationInstance,
    /// Series that holds the measurement report.
    ReportSeries,
    /// SOP Instance UID of the measurement report.
    ReportInstance,
    /// Series that holds the rejection note.
    RejectionSeries,
    /// SOP Instance UID of the rejection note.
    RejectionInstance,
    /// Dimension Organization UID (0020,9164) of the Segmentation.
    DimensionOrganization,
    /// Tracking UID (0062,0021) of the segment whose number is the ordinal.
    SegmentTracking,
    /// Frame of Reference UID (0020,0052), only where the source has none.
    FrameOfReference,
}

impl Purpose {
    fn name(self) -> &'static str {
        match self {
            Self::SegmentationSeries => "segmentation-series",
            Self::SegmentationInstance => "segmentation-instance",
            Self::ReportSeries => "report-series",
            Self::ReportInstance => "report-instance",
            Self::RejectionSeries => "rejection-series",
            Self::RejectionInstance => "rejection-instance",
            Self::DimensionOrganization => "dimension-organization",
            Self::SegmentTracking => "segment-tracking",
            Self::FrameOfReference => "frame-of-reference",
        }
    }
}

/// Namespace of device UIDs. Random once, then fixed for ever.
const DEVICE_NAMESPACE: Uuid = Uuid::from_u128(0x3f0e_6c1b_5d0a_4f7e_9a42_7c61_b8e5_2d10);

/// The UID of `purpose` and `ordinal` in run `run`: a name-based UUID (RFC 9562 §5.5) whose
/// namespace is the run's own UUID, written under the 2.25 arc (PS3.5 §B.2). At most 44 characters.
#[must_use]
pub fn derive(run: Uuid, purpose: Purpose, ordinal: u32) -> String {
    let name = format!("{}/{ordinal}", purpose.name());
    from_uuid(Uuid::new_v5(&run, name.as_bytes()))
}

/// Device Observer UID (121012, DCM) of the software that is described by these parts: the same
/// product, model and version is the same device, whichever run it carries out.
#[must_use]
pub fn device(parts: &[&str]) -> String {
    // NUL cannot be part of any of them, so no two lists share a name.
    from_uuid(Uuid::new_v5(&DEVICE_NAMESPACE, parts.join("\0").as_bytes()))
}

fn from_uuid(uuid: Uuid) -> String {
    format!("2.25.{}", uuid.as_u128())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const PURPOSES: [Purpose; 9] = [
        Purpose::SegmentationSeries,
        Purpose::SegmentationInstance,
        Purpose::ReportSeries,
        Purpose::ReportInstance,
        Purpose::RejectionSeries,
        Purpose::RejectionInstance,
        Purpose::DimensionOrganization,
        Purpose::SegmentTracking,
        Purpose::FrameOfReference,
    ];

    #[test]
    fn every_purpose_ordinal_and_run_has_a_uid_of_its_own() {
        let mut seen = BTreeSet::new();
        for run in [Uuid::from_u128(1), Uuid::from_u128(2)] {
            for purpose in PURPOSES {
                for ordinal in 0..3 {
                    let uid = derive(run, purpose, ordinal);
                    assert!(uid.len() <= 64 && uid.starts_with("2.25."));
                    assert!(seen.insert(uid));
                }
            }
        }
    }

    #[test]
    fn a_repeated_run_names_its_objects_as_before() {
        // Pinned: delivered objects carry these names, so the rule may never change.
        assert_eq!(
            derive(Uuid::from_u128(7), Purpose::SegmentationInstance, 0),
            "2.25.107770951954781860299829337757472996621"
        );
    }

    #[test]
    fn parts_of_a_device_do_not_run_into_each_other() {
        assert_ne!(device(&["ab", "c"]), device(&["a", "bc"]));
    }
}
