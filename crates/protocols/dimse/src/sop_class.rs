//! Which SOP classes of the standard are something other than storage (PS3.6 Table A-1). Everything
//! not listed is storage: that list grows with every edition, and private classes are in none.

/// UIDs under the standard's root that name something else; an entry ending in a dot stands for all
/// below it.
const NOT_STORAGE: &[&str] = &[
    "1.1",             // Verification
    "1.3.10",          // Media Storage Directory: a file, never sent
    "1.9",             // Basic Study Content Notification (retired)
    "1.20.",           // Storage Commitment
    "1.40",            // Procedural Event Logging
    "1.42",            // Substance Administration Logging
    "3.1.2.",          // MPPS and the detached management classes (retired)
    "4.2",             // Storage Service Class
    "5.1.1.",          // Print, Media Creation, Display System
    "5.1.4.1.1.200.4", // Protocol Approval FIND, MOVE, GET
    "5.1.4.1.1.200.5",
    "5.1.4.1.1.200.6",
    "5.1.4.1.1.201.2", // Inventory FIND, MOVE, GET, Creation; Repository Query
    "5.1.4.1.1.201.3",
    "5.1.4.1.1.201.4",
    "5.1.4.1.1.201.5",
    "5.1.4.1.1.201.6",
    "5.1.4.1.2.", // Query/Retrieve
    "5.1.4.20.",  // Defined Procedure Protocol Query/Retrieve
    "5.1.4.31",   // Modality Worklist
    "5.1.4.32",   // General Purpose Worklist (retired)
    "5.1.4.32.",
    "5.1.4.33",   // Instance Availability Notification
    "5.1.4.34.2", // RT Machine Verification - Trial (retired)
    "5.1.4.34.3",
    "5.1.4.34.4.", // Unified Procedure Step - Trial (retired)
    "5.1.4.34.5.", // Unified Procedure Step instance
    "5.1.4.34.6.", // Unified Procedure Step
    "5.1.4.34.8",  // RT Machine Verification
    "5.1.4.34.9",
    "5.1.4.37.",  // Relevant Patient Information Query
    "5.1.4.38.2", // Hanging Protocol Query/Retrieve
    "5.1.4.38.3",
    "5.1.4.38.4",
    "5.1.4.39.2", // Color Palette Query/Retrieve
    "5.1.4.39.3",
    "5.1.4.39.4",
    "5.1.4.41",   // Product Characteristics Query
    "5.1.4.42",   // Substance Approval Query
    "5.1.4.43.2", // Implant Template Query/Retrieve
    "5.1.4.43.3",
    "5.1.4.43.4",
    "5.1.4.44.2",
    "5.1.4.44.3",
    "5.1.4.44.4",
    "5.1.4.45.2",
    "5.1.4.45.3",
    "5.1.4.45.4",
    "10.", // Real-Time Communication
];

/// Storage classes below an entry of [`NOT_STORAGE`], all retired.
const STORAGE_AFTER_ALL: &[&str] = &[
    "5.1.1.27", // Stored Print Storage
    "5.1.1.29", // Hardcopy Grayscale Image Storage
    "5.1.1.30", // Hardcopy Color Image Storage
];

const STANDARD_ROOT: &str = "1.2.840.10008.";

/// Whether instances of this class are stored: false only for what the standard knows as something
/// else (query/retrieve, worklist, MPPS, print, storage commitment, media directory, verification).
#[must_use]
pub fn is_storage(abstract_syntax: &str) -> bool {
    let Some(arc) = abstract_syntax.strip_prefix(STANDARD_ROOT) else {
        return !abstract_syntax.is_empty();
    };
    STORAGE_AFTER_ALL.contains(&arc)
        || !NOT_STORAGE.iter().any(|entry| {
            if entry.ends_with('.') {
                arc.starts_with(entry)
            } else {
                arc == *entry
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_not_known_as_something_else_is_storage() {
        for uid in [
            "1.2.840.10008.5.1.4.1.1.2",        // CT Image Storage
            "1.2.840.10008.5.1.4.1.1.66.4",     // Segmentation Storage
            "1.2.840.10008.5.1.4.1.1.88.1",     // Text SR Storage - Trial (retired)
            "1.2.840.10008.5.1.4.1.1.200.2",    // CT Performed Procedure Protocol Storage
            "1.2.840.10008.5.1.4.34.7",         // RT Beams Delivery Instruction Storage
            "1.2.840.10008.5.1.4.1.1.9999.1.2", // tomorrow's
            "1.2.840.113619.4.27",              // private, GE
            "1.3.12.2.1107.5.9.1",              // private, Siemens CSA Non-Image Storage
        ] {
            assert!(is_storage(uid), "{uid}");
        }
    }

    #[test]
    fn query_worklist_mpps_print_and_commitment_are_not_storage() {
        for uid in [
            "",
            "1.2.840.10008.1.1",             // Verification
            "1.2.840.10008.1.3.10",          // Media Storage Directory Storage
            "1.2.840.10008.1.20.1",          // Storage Commitment Push Model
            "1.2.840.10008.5.1.4.1.2.2.1",   // Study Root Q/R FIND
            "1.2.840.10008.5.1.4.31",        // Modality Worklist FIND
            "1.2.840.10008.3.1.2.3.3",       // MPPS
            "1.2.840.10008.5.1.1.9",         // Basic Grayscale Print Management Meta
            "1.2.840.10008.5.1.4.34.6.1",    // UPS Push
            "1.2.840.10008.5.1.4.1.1.201.2", // Inventory FIND
            "1.2.840.10008.5.1.4.33",        // Instance Availability Notification
        ] {
            assert!(!is_storage(uid), "{uid}");
        }
    }
}
