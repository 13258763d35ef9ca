//! Rendered images and thumbnails (PS3.18 §10.4.1.1.3, §10.4.1.1.5). A study
//! or series is represented by its first image, an image by its first frame.

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use futures::StreamExt as _;
use hilum_archive::MetadataScope;
use hilum_contracts::access::doors;
use hilum_dicomweb::accept::RenderedForm;
use hilum_dicomweb::{Refusal, frames, rendered::Rendered};
use hilum_pixels::{OutputFormat, RenderRequest};
use http::header;

use super::error::Failure;
use super::pixels::Image;
use super::qido;
use super::stored::{First, Stored};
use super::validator::Validator;
use super::wado_instances::accepted;

type Asked = qido::Asked<doors::RetrieveImages>;
type InstancePath = Path<(String, String, String)>;
type FramePath = Path<(String, String, String, String)>;

/// How large the answer is.
#[derive(Clone, Copy)]
enum Size {
    Full,
    Thumbnail,
}

/// `GET /studies/{study}/rendered`
pub(super) async fn study(Path(study): Path<String>, asked: Asked) -> Result<Response, Failure> {
    represent(&asked, MetadataScope::Study(study), Size::Full).await
}

/// `GET /studies/{study}/thumbnail`
pub(super) async fn study_thumbnail(
    Path(study): Path<String>,
    asked: Asked,
) -> Result<Response, Failure> {
    represent(&asked, MetadataScope::Study(study), Size::Thumbnail).await
}

/// `GET …/series/{series}/rendered`
pub(super) async fn series(
    Path((study, series)): Path<(String, String)>,
    asked: Asked,
) -> Result<Response, Failure> {
    represent(&asked, MetadataScope::Series { study, series }, Size::Full).await
}

/// `GET …/series/{series}/thumbnail`
pub(super) async fn series_thumbnail(
    Path((study, series)): Path<(String, String)>,
    asked: Asked,
) -> Result<Response, Failure> {
    represent(
        &asked,
        MetadataScope::Series { study, series },
        Size::Thumbnail,
    )
    .await
}

/// `GET …/instances/{instance}/rendered`
pub(super) async fn instance(Path(path): InstancePath, asked: Asked) -> Result<Response, Failure> {
    let stored = found(&asked, path).await?;
    render(&asked, stored, 1, Size::Full).await
}

/// `GET …/instances/{instance}/thumbnail`
pub(super) async fn instance_thumbnail(
    Path(path): InstancePath,
    asked: Asked,
) -> Result<Response, Failure> {
    let stored = found(&asked, path).await?;
    render(&asked, stored, 1, Size::Thumbnail).await
}

/// `GET …/frames/{frame}/rendered`
pub(super) async fn frame(Path(path): FramePath, asked: Asked) -> Result<Response, Failure> {
    one_frame(&asked, path, Size::Full).await
}

/// `GET …/frames/{frame}/thumbnail`
pub(super) async fn frame_thumbnail(
    Path(path): FramePath,
    asked: Asked,
) -> Result<Response, Failure> {
    one_frame(&asked, path, Size::Thumbnail).await
}

async fn one_frame(
    asked: &Asked,
    (study, series, instance, list): (String, String, String, String),
    size: Size,
) -> Result<Response, Failure> {
    let [number] = frames::parse(&list)?[..] else {
        return Err(Failure::Refused(Refusal::BadRequest(
            "one frame is rendered at a time".into(),
        )));
    };
    let stored = found(asked, (study, series, instance)).await?;
    render(asked, stored, number, size).await
}

/// An instance to render, read at once where it is small.
async fn found(asked: &Asked, address: (String, String, String)) -> Result<Stored, Failure> {
    let first = if asked.headers.contains_key(header::IF_NONE_MATCH) {
        First::Nothing
    } else {
        First::Whole
    };
    Stored::find(&asked.service, &asked.scope, address, first).await
}

/// Instances looked at for one with pixels: reports and the like come first in
/// few studies.
const REPRESENTATIVES: usize = 64;

async fn represent(asked: &Asked, of: MetadataScope, size: Size) -> Result<Response, Failure> {
    let mut found = asked.service.archive.instance_metadata(&asked.scope, of);
    let mut seen = 0;
    while let Some(next) = found.next().await.transpose()? {
        seen += 1;
        let stored = Stored::of(&asked.service, &asked.scope, next.row, &next.layout).await?;
        if stored.layout.pixels.is_some() {
            return render(asked, stored, 1, size).await;
        }
        if seen == REPRESENTATIVES {
            break;
        }
    }
    match seen {
        0 => Err(Failure::not_found()),
        _ => Err(Failure::not_acceptable("no image was found to render")),
    }
}

async fn render(
    asked: &Asked,
    stored: Stored,
    number: u32,
    size: Size,
) -> Result<Response, Failure> {
    let form = accepted(&asked.headers, Some(&asked.query))?.rendered()?;
    let parameters = Rendered::parse(&asked.query)?;
    let format = match form {
        RenderedForm::Jpeg => OutputFormat::Jpeg,
        RenderedForm::Png => OutputFormat::Png,
    };
    let mut request = RenderRequest::new(format);
    if let Some(window) = &parameters.window {
        request = request.with_window(window)?;
    }
    if let Some(viewport) = &parameters.viewport {
        request = request.with_viewport(viewport)?;
    }
    if let Some(quality) = &parameters.quality {
        request = request.with_quality(quality)?;
    }
    let kind = match size {
        Size::Full => "rendered",
        Size::Thumbnail => "thumbnail",
    };
    let (frame, query) = (number.to_string(), &asked.query);
    let validator = Validator::of_bytes(&stored.row, &[kind, &frame, form.media_type(), query]);
    if let Some(answer) = validator.not_modified(&asked.headers) {
        return Ok(answer);
    }
    let index = number.checked_sub(1).ok_or_else(Failure::not_found)?;
    // A thumbnail with parameters is a rendered image of its own size.
    let small = matches!(size, Size::Thumbnail) && parameters == Rendered::default();
    let bytes = Image::of_frame(stored, index, move |description, display, frame| {
        if small {
            hilum_pixels::thumbnail_frame(description, display, index, frame, format)
        } else {
            hilum_pixels::render_frame(description, display, index, frame, &request)
        }
    })
    .await?;
    let answer = ([(header::CONTENT_TYPE, form.media_type())], bytes).into_response();
    Ok(validator.mark(answer))
}
