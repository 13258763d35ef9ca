//! The hospital that the index is filled with: who comes, when, and for what.
//! Everything of a study follows from its number.

use std::time::Duration;

pub(crate) const SEED: u64 = 20_260_101;
/// 2016-11-01 and ten years, in days since 1970.
pub(crate) const FIRST_DAY: u64 = 17_106;
pub(crate) const DAYS: u64 = 3_652;
pub(crate) const DAY_MS: u64 = 86_400_000;

/// Family names with their share in 10,000; the rest gets made-up ones.
const FAMILIES: &[(&str, u64)] = &[
    ("smith", 100),
    ("johnson", 80),
    ("williams", 65),
    ("brown", 60),
    ("jones", 60),
    ("garcia", 50),
    ("miller", 50),
    ("davis", 45),
    ("rodriguez", 45),
    ("martinez", 40),
    ("anderson", 35),
    ("wilson", 35),
    ("thompson", 30),
    ("jackson", 30),
    ("robinson", 25),
    ("nelson", 20),
    ("simpson", 10),
    ("schmidt", 30),
    ("müller", 40),
    ("nguyen", 40),
    ("kim", 60),
    ("lee", 60),
    ("chen", 50),
    ("yamada", 10),
];
const GIVEN: &[&str] = &[
    "anna", "james", "maria", "john", "li", "robert", "elena", "michael", "sofia", "david",
    "fatima", "thomas", "julia", "daniel", "emma", "peter", "laura", "ahmed", "ingrid", "paul",
    "jason", "allison", "nora", "ivan",
];
const SYLLABLES: &[&str] = &[
    "ba", "ker", "lo", "mann", "ri", "stein", "to", "va", "sen", "ka", "du", "mor", "el", "fi",
    "gra", "hol", "in", "ja", "ku", "wel",
];
/// Modalities and their share in 1,000 studies.
const MODALITIES: &[(&str, u64)] = &[
    ("DX", 260),
    ("CT", 220),
    ("MR", 150),
    ("US", 140),
    ("MG", 100),
    ("CR", 80),
    ("NM", 20),
    ("PT", 15),
    ("XA", 10),
    ("RF", 5),
];

/// SplitMix64: the same hospital for every run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    pub(crate) fn of<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        let at = usize::try_from(self.below(list.len() as u64)).ok()?;
        list.get(at)
    }

    fn shared<'a>(&mut self, shares: &[(&'a str, u64)], whole: u64) -> Option<&'a str> {
        let mut at = self.below(whole);
        for (value, share) in shares {
            match at.checked_sub(*share) {
                None => return Some(value),
                Some(rest) => at = rest,
            }
        }
        None
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        for part in bytes.chunks_mut(8) {
            for (to, from) in part.iter_mut().zip(self.next().to_le_bytes()) {
                *to = from;
            }
        }
        bytes
    }
}

/// The same for every study of a patient.
fn patient_name(patient: u64) -> String {
    let mut random = Random(SEED ^ patient.wrapping_mul(0x00A5_A5A5));
    let family = match random.shared(FAMILIES, 10_000) {
        Some(family) => family.to_owned(),
        None => (0..3)
            .filter_map(|_| random.of(SYLLABLES))
            .copied()
            .collect(),
    };
    format!("{family}^{}", random.of(GIVEN).unwrap_or(&"x"))
}

pub(crate) fn patient_id(patient: u64) -> String {
    format!("P{patient:07}")
}

pub(crate) fn study_uid(study: u64) -> String {
    format!("1.2.826.0.1.3680043.9.7777.1.{:010}", study + 1_000_000_000)
}

/// `YYYYMMDD` of a day since 1970.
pub(crate) fn day(days: u64) -> String {
    let date = time::OffsetDateTime::UNIX_EPOCH + Duration::from_secs(days * 86_400);
    format!(
        "{:04}{:02}{:02}",
        date.year(),
        u8::from(date.month()),
        date.day()
    )
}

/// One study, as its images would tell of it.
pub(crate) struct Study {
    pub(crate) uid: String,
    pub(crate) patient_id: String,
    pub(crate) patient_name: String,
    pub(crate) birth_date: String,
    pub(crate) sex: &'static str,
    pub(crate) date: String,
    pub(crate) time: String,
    pub(crate) accession: String,
    pub(crate) id: String,
    /// Of its last series.
    pub(crate) modality: &'static str,
    /// Milliseconds since 1970.
    pub(crate) received: u64,
}

impl Study {
    /// Studies come in the order of their days; a tenth was imported later.
    pub(crate) fn new(number: u64, studies: u64) -> Self {
        let mut random = Random(SEED ^ number.wrapping_mul(0x00C3_C3C3_C3C3));
        let at = number * DAYS / studies;
        let second = 25_000 + random.below(50_000);
        let mut received = (FIRST_DAY + at) * DAY_MS + second * 1_000 + random.below(600_000);
        if random.below(10) == 0 {
            received += random.below((DAYS - at) * DAY_MS + 1);
        }
        let patient = number / 3;
        Self {
            uid: study_uid(number),
            patient_id: patient_id(patient),
            patient_name: patient_name(patient),
            birth_date: day(patient * 31 % 30_000),
            sex: if patient.is_multiple_of(2) { "F" } else { "M" },
            date: day(FIRST_DAY + at),
            time: format!(
                "{:02}{:02}{:02}",
                second / 3_600,
                second / 60 % 60,
                second % 60
            ),
            accession: format!("A{number:07}"),
            id: (number % 100_000).to_string(),
            modality: random.shared(MODALITIES, 1_000).unwrap_or("OT"),
            received,
        }
    }

    /// Of series 1 or 2: a PET study has a CT series.
    pub(crate) fn modality_of(&self, series: u64) -> &'static str {
        if self.modality == "PT" && series == 1 {
            "CT"
        } else {
            self.modality
        }
    }

    /// Instances in series 1 or 2 of a study that has so many.
    pub(crate) fn instances_of(series: u64, instances: u64) -> u64 {
        if series == 1 {
            instances.div_ceil(2)
        } else {
            instances / 2
        }
    }
}
