//! HTTP as a test asks it: one request, one whole answer.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::runtime::Runtime;

pub(crate) static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
});

static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(|| {
    reqwest::Client::builder()
        .timeout(Duration::from_secs(60))
        .build()
        .unwrap()
});

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Content-Type.
    pub kind: String,
    /// The cookies that it sets, as a browser sends them back.
    pub cookies: String,
    /// Retry-After, in seconds, where it says one.
    pub retry_after: Option<u64>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON; `null` when it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// As whom a request is sent.
#[derive(Clone, Copy, Debug)]
pub enum As<'a> {
    /// Without anything that says who it is.
    Nobody,
    /// With an API key.
    Key(&'a str),
    /// As the operator, about this tenant.
    Operator(&'a str),
    /// From our own page, with this cookie.
    Browser(&'a str),
}

/// Operator tokens by the address of their server.
static OPERATORS: LazyLock<Mutex<HashMap<SocketAddr, String>>> = LazyLock::new(Mutex::default);

/// An HTTP server's address. A Hilum that the testkit started is asked as its
/// operator, unless said otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Api(pub SocketAddr);

impl Api {
    /// Asks; `None` when nothing answers.
    #[must_use]
    pub fn try_get(self, path: &str) -> Option<Answer> {
        self.request(CLIENT.get(self.url(path)))
    }

    /// Asks for a path.
    #[must_use]
    pub fn get(self, path: &str) -> Answer {
        self.get_as(path, "*/*")
    }

    /// Asks for a path in a media type.
    #[must_use]
    pub fn get_as(self, path: &str, accept: &str) -> Answer {
        self.request(CLIENT.get(self.url(path)).header("accept", accept))
            .unwrap_or_else(|| panic!("nothing answers GET {path}"))
    }

    /// Asks for a path as the local operator of this tenant.
    #[must_use]
    pub fn get_for(self, tenant: &str, path: &str) -> Answer {
        self.request(CLIENT.get(self.url(path)).header("hilum-tenant", tenant))
            .unwrap_or_else(|| panic!("nothing answers GET {path}"))
    }

    /// Asks for a path as a part of another's trace (W3C Trace Context).
    #[must_use]
    pub fn get_within(self, traceparent: &str, path: &str) -> Answer {
        self.request(
            CLIENT
                .get(self.url(path))
                .header("traceparent", traceparent),
        )
        .unwrap_or_else(|| panic!("nothing answers GET {path}"))
    }

    /// The `items` of a list.
    #[must_use]
    pub fn items(self, path: &str) -> Vec<Value> {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()["items"].as_array().cloned().unwrap()
    }

    /// Posts JSON.
    #[must_use]
    pub fn post(self, path: &str, body: &Value) -> Answer {
        let request = CLIENT.post(self.url(path)).json(body);
        self.request(request)
            .unwrap_or_else(|| panic!("nothing answers POST {path}"))
    }

    /// Posts bytes of a type.
    #[must_use]
    pub fn post_bytes(self, path: &str, kind: &str, body: Vec<u8>) -> Answer {
        let request = CLIENT
            .post(self.url(path))
            .header("content-type", kind)
            .header("accept", "application/dicom+json")
            .body(body);
        self.request(request)
            .unwrap_or_else(|| panic!("nothing answers POST {path}"))
    }

    /// Deletes, saying why.
    #[must_use]
    pub fn delete_with(self, path: &str, body: &Value) -> Answer {
        let request = CLIENT.delete(self.url(path)).json(body);
        self.request(request)
            .unwrap_or_else(|| panic!("nothing answers DELETE {path}"))
    }

    /// Deletes.
    #[must_use]
    pub fn delete(self, path: &str) -> Answer {
        self.request(CLIENT.delete(self.url(path)))
            .unwrap_or_else(|| panic!("nothing answers DELETE {path}"))
    }

    /// Sends a request as somebody, with JSON if there is a body.
    #[must_use]
    pub fn send(self, method: &str, path: &str, who: As<'_>, body: Option<&Value>) -> Answer {
        let method = method.parse().unwrap();
        let mut request = CLIENT.request(method, self.url(path));
        if let Some(body) = body {
            request = request.json(body);
        }
        request = match who {
            As::Nobody => request,
            As::Key(key) => request.bearer_auth(key),
            As::Operator(tenant) => request
                .bearer_auth(self.operator_token())
                .header("hilum-tenant", tenant),
            As::Browser(cookie) => request
                .header("cookie", cookie)
                .header("sec-fetch-site", "same-origin"),
        };
        answered(request).unwrap_or_else(|| panic!("nothing answers {path}"))
    }

    /// Asks as nobody, with these header fields.
    #[must_use]
    pub fn get_with(self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = CLIENT.get(self.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answered(request).unwrap_or_else(|| panic!("nothing answers GET {path}"))
    }

    /// STOW-RS of part-10 files in one request.
    #[must_use]
    pub fn stow<P: AsRef<Path>>(self, files: &[P]) -> Answer {
        let mut body = Vec::new();
        for file in files {
            body.extend_from_slice(b"--part\r\nContent-Type: application/dicom\r\n\r\n");
            body.extend_from_slice(&std::fs::read(file).unwrap());
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--part--\r\n");
        let kind = "multipart/related; type=\"application/dicom\"; boundary=part";
        self.post_bytes("/dicomweb/studies", kind, body)
    }

    /// What this server knows its operator by, or who asks it instead, from now on.
    pub fn knows_operator(self, token: &str) {
        let mut operators = OPERATORS.lock().unwrap();
        operators.insert(self.0, token.to_owned());
    }

    /// The bearer token of its operator; empty for a server of others.
    #[must_use]
    pub fn operator_token(self) -> String {
        let operators = OPERATORS.lock().unwrap();
        operators.get(&self.0).cloned().unwrap_or_default()
    }

    fn url(self, path: &str) -> String {
        format!("http://{}{path}", self.0)
    }

    fn request(self, request: reqwest::RequestBuilder) -> Option<Answer> {
        let token = self.operator_token();
        let request = match token.as_str() {
            "" => request,
            token => request.bearer_auth(token),
        };
        answered(request)
    }
}

fn answered(request: reqwest::RequestBuilder) -> Option<Answer> {
    RUNTIME.block_on(async move {
        let response = request.send().await.ok()?;
        let status = response.status().as_u16();
        let text = |name: &str| {
            let value = response.headers().get(name);
            let value = value.and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        let kind = text("content-type");
        let retry_after = text("retry-after").parse().ok();
        let cookies = response
            .headers()
            .get_all("set-cookie")
            .iter()
            .filter_map(|value| value.to_str().ok()?.split(';').next())
            .collect::<Vec<_>>()
            .join("; ");
        let body = response.bytes().await.ok()?.to_vec();
        Some(Answer {
            status,
            kind,
            cookies,
            retry_after,
            body,
        })
    })
}
