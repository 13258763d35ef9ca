//! Addresses of servers: one that is reached in clear is on this machine.

use std::net::IpAddr;

use http::Uri;

/// Whether a host is this machine, whatever a resolver says.
pub(crate) fn is_here(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Checks the address of a server that speaks HTTP: by `https://`, or by `http://` on
/// this machine. `setting` and `example` are for the refusal.
pub(super) fn check_http(setting: &str, address: &str, example: &str) -> Result<(), String> {
    let form = || format!("{setting} = {address:?} is no address: {example}");
    let uri: Uri = address.parse().map_err(|_| form())?;
    let host = uri.host().ok_or_else(form)?;
    match uri.scheme_str() {
        Some("https") => Ok(()),
        Some("http") if is_here(host) => Ok(()),
        Some("http") => Err(format!(
            "{setting}: http:// is for a server on this machine only; another one is reached \
             by https://"
        )),
        _ => Err(form()),
    }
}
