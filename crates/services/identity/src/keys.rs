//! API keys: made here, shown once, kept as a hash.

use hilum_contracts::access::{Action, Role, allows};
use hilum_contracts::audit::{Act, Detail, Entry};
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_contracts::ids::ApiKeyId;
use hilum_contracts::scope::{Right, TenantScope};
use hilum_platform::clock::to_millis;
use hilum_platform::http::database_error;
use time::OffsetDateTime;

use crate::IdentityService;
use crate::domain::text;
use crate::limits::KEYS;
use crate::secret::{Token, bearer_of};
use crate::store::keys::{self, KeyRow};

/// A key to be made.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// What people call it.
    pub name: String,
    /// One of [`Role::OF_KEYS`].
    pub role: Role,
    /// The actions that it may do of its role's; none: all of them.
    pub limited_to: Option<Vec<Action>>,
    /// When it ends; none: when it is revoked.
    pub expires_at: Option<OffsetDateTime>,
}

/// A key that was made.
pub struct MadeKey {
    /// Its id, which is no secret.
    pub id: ApiKeyId,
    /// What its program sends as a bearer token. Nobody can show it again.
    pub bearer: String,
}

impl IdentityService {
    /// Makes a key of the scope's tenant.
    ///
    /// # Errors
    /// `Invalid` or `Forbidden` for a role that a key or its maker can't have.
    pub async fn create_key(
        &self,
        scope: &TenantScope,
        new: NewKey,
    ) -> Result<MadeKey, ServiceError> {
        scope.require(Action::ManageKeys)?;
        let failed = |error| database_error(&error);
        let row = self.key_row(scope, new)?;
        let secret = Token::new()?;
        let mut tx = self.store.begin().await.map_err(failed)?;
        let kept = keys::insert(&mut tx, scope, &row, &secret.hash(), KEYS)
            .await
            .map_err(failed)?;
        if !kept {
            let text = format!("There are {KEYS} keys: revoke one that is not used.");
            return Err(ServiceError::new(ErrorCode::Exhausted, text));
        }
        let entry = Entry::new(Act::ChangeKey)
            .with(Detail::Key, row.id)
            .with(Detail::Role, row.role)
            .with(Detail::Change, "made");
        self.tell(&mut tx, scope, entry).await?;
        tx.commit().await.map_err(failed)?;
        Ok(MadeKey {
            id: row.id,
            bearer: bearer_of(row.id, &secret),
        })
    }

    fn key_row(&self, scope: &TenantScope, new: NewKey) -> Result<KeyRow, ServiceError> {
        if !Role::OF_KEYS.contains(&new.role) {
            return Err(ServiceError::invalid("A key can't have that role."));
        }
        if let Right::Role(by) | Right::BreakGlass { role: by, .. } = scope.right()
            && new.role == Role::Administrator
            && !matches!(by, Role::Owner | Role::Administrator | Role::Operator)
        {
            let text = "Nobody makes a key that may do more than they may.";
            return Err(ServiceError::new(ErrorCode::Forbidden, text));
        }
        let now = self.clock.now();
        if new.expires_at.is_some_and(|at| at <= now) {
            return Err(ServiceError::invalid("A key ends in the future."));
        }
        if let Some(actions) = &new.limited_to {
            let beyond = actions.iter().find(|action| !allows(new.role, **action));
            if let Some(action) = beyond {
                let text = format!("The role {} does not include \"{action}\".", new.role);
                return Err(ServiceError::invalid(text));
            }
        }
        Ok(KeyRow {
            id: ApiKeyId::new(),
            name: text::name(&new.name, "A key's name")?,
            role: new.role,
            limited_to: new.limited_to,
            created_by: scope.principal().to_string(),
            created_at: to_millis(now),
            expires_at: new.expires_at.map(to_millis),
            used_at: None,
            used_from: None,
        })
    }
}
