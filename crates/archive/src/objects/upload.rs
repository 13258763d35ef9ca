//! An object on its way into a bucket: one PUT where it is small, else parts of
//! one size, which the bucket makes an object of at the end.

use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path as Key;
use object_store::{MultipartUpload, ObjectStoreExt as _, PutPayload};

use super::ObjectName;
use super::bucket::Bucket;
use crate::error::Result;
use crate::limits::BUCKET_PART;

pub(crate) struct Upload {
    bucket: Arc<Bucket>,
    key: Key,
    waiting: Vec<u8>,
    parts: Option<Box<dyn MultipartUpload>>,
}

impl Upload {
    pub(super) fn new(bucket: &Arc<Bucket>, tenant: &str, name: &ObjectName) -> Self {
        Self {
            bucket: Arc::clone(bucket),
            key: bucket.key(tenant, name),
            waiting: Vec::new(),
            parts: None,
        }
    }

    pub(super) fn append(&mut self, parts: &[&[u8]]) -> Result<()> {
        for part in parts {
            self.waiting.extend_from_slice(part);
        }
        while self.waiting.len() > BUCKET_PART {
            let rest = self.waiting.split_off(BUCKET_PART);
            let part = std::mem::replace(&mut self.waiting, rest);
            self.send(part)?;
        }
        Ok(())
    }

    fn send(&mut self, part: Vec<u8>) -> Result<()> {
        let mut parts = match self.parts.take() {
            Some(parts) => parts,
            None => {
                let (store, key) = (self.bucket.store(), self.key.clone());
                self.bucket
                    .wait(async move { store.put_multipart(&key).await })?
            }
        };
        self.parts = Some(self.bucket.wait(async move {
            parts.put_part(PutPayload::from(Bytes::from(part))).await?;
            Ok(parts)
        })?);
        Ok(())
    }

    pub(super) fn finish(&mut self) -> Result<()> {
        let rest = std::mem::take(&mut self.waiting);
        if self.parts.is_none() {
            let (store, key) = (self.bucket.store(), self.key.clone());
            let put = async move { store.put(&key, PutPayload::from(Bytes::from(rest))).await };
            return self.bucket.wait(put).map(drop);
        }
        self.send(rest)?;
        let Some(mut parts) = self.parts.take() else {
            return Ok(());
        };
        self.bucket
            .wait(async move { parts.complete().await })
            .map(drop)
    }

    /// What is not told so here, the bucket's own rule for unfinished uploads ends.
    pub(super) fn release(&mut self) {
        self.waiting = Vec::new();
        if let Some(mut parts) = self.parts.take() {
            let _given_up = self.bucket.wait(async move { parts.abort().await });
        }
    }
}
