//! Sends a series as a scanner would: one C-STORE association, one image
//! after the other.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;
use bytes::Bytes;
use hilum_dataset::ScanOptions;
use hilum_dimse::{Client, ClientConfig, StoreOperation};

use crate::terminal;

/// An image of the series, read from its file.
pub(crate) struct Image {
    pub(crate) study_uid: String,
    sop_class_uid: String,
    sop_instance_uid: String,
    transfer_syntax_uid: String,
    data_set: Bytes,
}

/// Reads every DICOM file of a folder, in the order of their names.
pub(crate) fn read_series(folder: &Path) -> anyhow::Result<Vec<Image>> {
    let entries = std::fs::read_dir(folder).with_context(|| {
        format!(
            "there is no folder {}: run the demo from the project's folder, or name one with --series",
            folder.display()
        )
    })?;
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?;
    paths.retain(|path| path.extension().is_some_and(|e| e == "dcm"));
    paths.sort();
    anyhow::ensure!(!paths.is_empty(), "no .dcm file in {}", folder.display());
    paths.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> anyhow::Result<Image> {
    let bytes = Bytes::from(std::fs::read(path)?);
    let (file, scan) = hilum_dataset::scan_file(&bytes.as_ref(), &ScanOptions::default())
        .with_context(|| format!("{} can't be sent", path.display()))?;
    let start = usize::try_from(file.data_set_offset)?;
    Ok(Image {
        study_uid: scan.identity.study_instance_uid.clone(),
        sop_class_uid: scan.identity.sop_class_uid.clone(),
        sop_instance_uid: scan.identity.sop_instance_uid.clone(),
        transfer_syntax_uid: file.transfer_syntax_uid,
        data_set: bytes.slice(start..),
    })
}

/// Sends the images; the seconds that it took.
pub(crate) async fn send(
    address: SocketAddr,
    ae_title: &str,
    images: &[Image],
) -> anyhow::Result<f64> {
    let mut config = ClientConfig::new(ae_title, "DEMO-SCANNER");
    let mut kinds: Vec<_> = images
        .iter()
        .map(|image| (&image.sop_class_uid, &image.transfer_syntax_uid))
        .collect();
    kinds.sort();
    kinds.dedup();
    for (sop_class, transfer_syntax) in kinds {
        config = config.propose(sop_class, &[transfer_syntax]);
    }
    let began = Instant::now();
    let bar = terminal::bar(u64::try_from(images.len())?, "sending");
    let mut association = Client::connect(address, config).await?;
    for image in images {
        let operation = StoreOperation {
            sop_class_uid: image.sop_class_uid.clone(),
            sop_instance_uid: image.sop_instance_uid.clone(),
            transfer_syntax_uid: image.transfer_syntax_uid.clone(),
        };
        let data = futures::stream::iter([Ok(image.data_set.clone())]);
        let response = association.c_store(&operation, data).await?;
        anyhow::ensure!(
            response.status.is_accepted(),
            "an image was refused with status {}",
            response.status
        );
        bar.inc(1);
    }
    association.release().await?;
    bar.finish_and_clear();
    terminal::note(format_args!(
        "Sent {} images over one C-STORE association; each was durable before it was acknowledged.",
        images.len()
    ));
    Ok(began.elapsed().as_secs_f64())
}
