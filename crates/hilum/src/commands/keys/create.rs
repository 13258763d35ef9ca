//! `hilum keys create`

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use hilum_contracts::access::{Action, Role};
use hilum_contracts::ids::TenantId;
use hilum_platform::clock;
use serde::{Deserialize, Serialize};
use time::Duration;
use time::format_description::well_known::Rfc3339;

use crate::commands::door::Door;
use crate::commands::{Doors, Installation, tenant, tenant_name};
use crate::terminal;

#[derive(Args)]
pub(super) struct Create {
    /// The tenant [default: the first].
    #[arg(long, value_name = "NAME", value_parser = tenant_name)]
    tenant: Option<TenantId>,
    /// What the key may do: administrator, radiologist, technologist, auditor
    /// or integration (see `hilum roles`).
    #[arg(long, value_name = "ROLE", value_parser = role_of_a_key)]
    role: Role,
    /// What people call it.
    #[arg(long, default_value = "made on the command line")]
    name: String,
    /// Days after which it ends; none: when it is revoked.
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u16).range(1..))]
    expires: Option<u16>,
    /// Only this action of its role's; repeat it for more.
    #[arg(long = "only", value_name = "ACTION")]
    limited_to: Vec<Action>,
    #[command(flatten)]
    installation: Installation,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct KeyRequest<'a> {
    name: &'a str,
    role: Role,
    limited_to: Option<&'a [Action]>,
    expires_at: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct KeyMade {
    id: String,
    key: String,
}

fn role_of_a_key(text: &str) -> Result<Role, String> {
    let role = Role::OF_KEYS.into_iter().find(|role| role.name() == text);
    role.ok_or_else(|| {
        let names = Role::OF_KEYS.map(Role::name).join(", ");
        format!("a key has one of these roles: {names}")
    })
}

impl Create {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let config = self.installation.load(&Doors::default())?;
        let tenant = tenant(&config, self.tenant.as_ref())?;
        let expires_at = match self.expires {
            Some(days) => {
                let at = clock::system().now() + Duration::days(i64::from(days));
                Some(at.format(&Rfc3339)?)
            }
            None => None,
        };
        let asked = KeyRequest {
            name: &self.name,
            role: self.role,
            limited_to: (!self.limited_to.is_empty()).then_some(self.limited_to.as_slice()),
            expires_at,
        };
        let door = Door::make_all(&config, &tenant).await?;
        let made = door
            .ask(http::Method::POST, "/api/v1/keys", Some(&asked))
            .await;
        door.close().await;
        let made: KeyMade = made?.context("there is no such tenant")?;
        if self.json {
            terminal::line(serde_json::to_string(&made)?);
        } else {
            terminal::line(&made.key);
            terminal::note(
                "Send it as `Authorization: Bearer …`. It can't be shown again; revoke it under \
                 Administration, API keys.",
            );
        }
        Ok(ExitCode::SUCCESS)
    }
}
