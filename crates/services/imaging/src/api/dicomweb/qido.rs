//! Search (PS3.18 §10.6): studies, series and instances.

use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use futures::StreamExt as _;
use hilum_archive::{InstanceFilter, MetadataScope, Page, SeriesFilter, StudyFilter};
use hilum_contracts::access::{Allowed, doors};
use hilum_dicomweb::accept::{Accept, DICOM_JSON};
use hilum_dicomweb::json::DataSet;
use hilum_dicomweb::query::{FUZZY_WARNING, Level, Query};
use hilum_platform::http::May;
use hilum_platform::scope::TenantScope;
use http::{HeaderMap, HeaderValue, header};
use std::collections::HashMap;
use std::marker::PhantomData;

use super::base::Base;
use super::error::Failure;
use super::{limits, qido_answer as answer, qido_filter as filter};
use crate::ImagingService;

/// What a handler is given besides its path, when it may do `A`.
pub(super) struct Asked<A: Allowed = doors::ViewStudies> {
    pub(super) service: ImagingService,
    pub(super) scope: TenantScope,
    pub(super) base: Base,
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    may: PhantomData<A>,
}

impl<A: Allowed> axum::extract::FromRequestParts<ImagingService> for Asked<A> {
    type Rejection = Response;

    async fn from_request_parts(
        parts: &mut http::request::Parts,
        service: &ImagingService,
    ) -> Result<Self, Response> {
        let May(scope, may) = May::<A>::from_request_parts(parts, service)
            .await
            .map_err(IntoResponse::into_response)?;
        let Ok(base) = Base::from_request_parts(parts, service).await;
        let Ok(RawQuery(query)) = RawQuery::from_request_parts(parts, service).await;
        let State(service) = State::<ImagingService>::from_request_parts(parts, service)
            .await
            .map_err(IntoResponse::into_response)?;
        Ok(Self {
            service,
            scope,
            base,
            query: query.unwrap_or_default(),
            headers: parts.headers.clone(),
            may,
        })
    }
}

/// `GET /studies`
pub(super) async fn studies(asked: Asked) -> Result<Response, Failure> {
    let search = Search::begin(&asked, Level::Study)?;
    let filter = filter::of(&search.query).series.study;
    let rows = search.studies(&filter).await?;
    let mut results = Vec::with_capacity(rows.len());
    for row in rows.iter().take(search.limit()) {
        let result = answer::study(row, &asked.base);
        let of = MetadataScope::Study(row.uid.clone());
        results.push(search.complete(result, of).await?);
    }
    Ok(search.answer(results, rows.len()))
}

/// `GET /series`
pub(super) async fn all_series(asked: Asked) -> Result<Response, Failure> {
    series(&asked, None).await
}

/// `GET /studies/{study}/series`
pub(super) async fn series_of_study(
    Path(study): Path<String>,
    asked: Asked,
) -> Result<Response, Failure> {
    series(&asked, Some(&study)).await
}

async fn series(asked: &Asked, study: Option<&str>) -> Result<Response, Failure> {
    let search = Search::begin(asked, Level::Series)?;
    let mut filter = filter::of(&search.query).series;
    let possible = filter::within(&mut filter.study.uids, study);
    let rows = if possible {
        search.series(&filter).await?
    } else {
        Vec::new()
    };
    let mut results = Vec::with_capacity(rows.len());
    for (row, study) in rows.iter().take(search.limit()) {
        let result = answer::series(row, study, &asked.base);
        let of = MetadataScope::Series {
            study: row.study.clone(),
            series: row.uid.clone(),
        };
        results.push(search.complete(result, of).await?);
    }
    Ok(search.answer(results, rows.len()))
}

/// `GET /instances`
pub(super) async fn all_instances(asked: Asked) -> Result<Response, Failure> {
    instances(&asked, None, None).await
}

/// `GET /studies/{study}/instances`
pub(super) async fn instances_of_study(
    Path(study): Path<String>,
    asked: Asked,
) -> Result<Response, Failure> {
    instances(&asked, Some(&study), None).await
}

/// `GET /studies/{study}/series/{series}/instances`
pub(super) async fn instances_of_series(
    Path((study, series)): Path<(String, String)>,
    asked: Asked,
) -> Result<Response, Failure> {
    instances(&asked, Some(&study), Some(&series)).await
}

async fn instances(
    asked: &Asked,
    study: Option<&str>,
    series: Option<&str>,
) -> Result<Response, Failure> {
    let search = Search::begin(asked, Level::Instance)?;
    let mut filter = filter::of(&search.query);
    let possible = filter::within(&mut filter.series.study.uids, study)
        && filter::within(&mut filter.series.uids, series);
    let rows = if possible {
        search.instances(&filter).await?
    } else {
        Vec::new()
    };
    // Attributes of study and series where the address does not say them
    // (PS3.18 §10.6.3.3: all instances are told with their series and study).
    let mut parents: HashMap<String, DataSet> = HashMap::new();
    let mut results = Vec::with_capacity(rows.len());
    for row in rows.iter().take(search.limit()) {
        let mut result = answer::instance(row, &asked.base);
        if series.is_none() {
            if !parents.contains_key(&row.series) {
                let parent = search
                    .parent(&row.study, &row.series, study.is_none())
                    .await?;
                parents.insert(row.series.clone(), parent);
            }
            for (key, element) in parents.get(&row.series).into_iter().flatten() {
                if !result.contains_key(key) {
                    result.insert(key.clone(), element.clone());
                }
            }
        }
        let of = MetadataScope::Instance {
            study: row.study.clone(),
            series: row.series.clone(),
            instance: row.sop_instance.clone(),
        };
        results.push(search.complete(result, of).await?);
    }
    Ok(search.answer(results, rows.len()))
}

struct Search<'a> {
    asked: &'a Asked,
    query: Query,
}

impl<'a> Search<'a> {
    fn begin(asked: &'a Asked, level: Level) -> Result<Self, Failure> {
        let header = asked.headers.get(header::ACCEPT);
        let header = header.and_then(|value| value.to_str().ok());
        Accept::new(header, Some(&asked.query))?.dicom_json()?;
        let query = Query::parse(level, &asked.query)?;
        Ok(Self { asked, query })
    }

    fn limit(&self) -> usize {
        let limit = self.query.limit.unwrap_or(limits::RESULTS);
        usize::try_from(limit.min(limits::RESULTS)).unwrap_or(usize::MAX)
    }

    /// One more than will be told, to know whether there are more.
    fn page(&self) -> Page {
        Page {
            limit: u32::try_from(self.limit()).map_or(limits::RESULTS, |limit| limit + 1),
            offset: self.query.offset,
        }
    }

    async fn studies(&self, filter: &StudyFilter) -> Result<Vec<hilum_archive::StudyRow>, Failure> {
        let archive = &self.asked.service.archive;
        Ok(archive
            .studies(&self.asked.scope, filter, self.page())
            .await?)
    }

    async fn series(
        &self,
        filter: &SeriesFilter,
    ) -> Result<Vec<(hilum_archive::SeriesRow, hilum_archive::StudyRow)>, Failure> {
        let archive = &self.asked.service.archive;
        Ok(archive
            .series(&self.asked.scope, filter, self.page())
            .await?)
    }

    async fn instances(
        &self,
        filter: &InstanceFilter,
    ) -> Result<Vec<hilum_archive::InstanceRow>, Failure> {
        let archive = &self.asked.service.archive;
        Ok(archive
            .instances(&self.asked.scope, filter, self.page())
            .await?)
    }

    async fn parent(&self, study: &str, series: &str, whole: bool) -> Result<DataSet, Failure> {
        let mut filter = SeriesFilter::default();
        filter.study.uids = vec![study.to_owned()];
        filter.uids = vec![series.to_owned()];
        let archive = &self.asked.service.archive;
        let rows = archive
            .series(&self.asked.scope, &filter, Page::first(1))
            .await?;
        let mut data = DataSet::new();
        if let Some((series, study)) = rows.first() {
            answer::add_series(&mut data, series);
            if whole {
                answer::add_study(&mut data, study);
            }
        }
        Ok(data)
    }

    /// Adds what was asked for beyond the index, from the first instance's
    /// metadata.
    async fn complete(&self, mut result: DataSet, of: MetadataScope) -> Result<DataSet, Failure> {
        let include = &self.query.include;
        if !answer::needs_metadata(&result, include) {
            return Ok(result);
        }
        let archive = &self.asked.service.archive;
        let mut stream = archive.instance_metadata(&self.asked.scope, of);
        if let Some(first) = stream.next().await.transpose()? {
            // Our own document: it was written as an object.
            let metadata: DataSet =
                serde_json::from_slice(&crate::overlay::metadata(&first)?).unwrap_or_default();
            answer::add_included(&mut result, &metadata, self.query.level, include);
        }
        Ok(result)
    }

    fn answer(&self, mut results: Vec<DataSet>, found: usize) -> Response {
        // DICOM JSON has its attributes in the order of their tags.
        for result in &mut results {
            result.sort_keys();
        }
        let body = serde_json::to_vec(&results).unwrap_or_default();
        let mut response = ([(header::CONTENT_TYPE, DICOM_JSON)], body).into_response();
        let mut warn = |text: &'static str| {
            response
                .headers_mut()
                .append(header::WARNING, HeaderValue::from_static(text));
        };
        if self.query.fuzzy {
            warn(FUZZY_WARNING);
        }
        // PS3.18 §8.3.4.4: the client did not ask for so few.
        let wanted = self.query.limit.map_or(usize::MAX, |limit| {
            usize::try_from(limit).unwrap_or(usize::MAX)
        });
        if found > results.len() && wanted > results.len() {
            warn("299 hilum \"There are additional results that can be requested\"");
        }
        response
    }
}
