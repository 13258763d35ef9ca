//! Who may give and take which role.

use hilum_contracts::access::Role;
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_contracts::scope::{Right, TenantScope};

/// Whether somebody with the role `by` may make somebody `role`, or change or
/// remove somebody who is. Nobody gives a role above their own.
pub(crate) fn may_give(by: Role, role: Role) -> bool {
    match by {
        Role::Owner | Role::Operator => Role::OF_PEOPLE.contains(&role),
        Role::Administrator => Role::OF_PEOPLE.contains(&role) && role != Role::Owner,
        _ => false,
    }
}

/// Refuses what [`may_give`] does not allow to who acts.
pub(crate) fn require_may_give(scope: &TenantScope, role: Role) -> Result<(), ServiceError> {
    let by = match scope.right() {
        Right::Role(role) | Right::BreakGlass { role, .. } => role,
        // An invitation that its inviter was allowed to write.
        Right::Continuation => return Ok(()),
    };
    if may_give(by, role) {
        return Ok(());
    }
    let text = if Role::OF_PEOPLE.contains(&role) {
        "An owner alone makes, changes and removes owners."
    } else {
        "A person can't have that role."
    };
    Err(ServiceError::new(ErrorCode::Forbidden, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_gives_a_role_above_their_own() {
        assert!(may_give(Role::Owner, Role::Owner));
        assert!(!may_give(Role::Administrator, Role::Owner));
        assert!(may_give(Role::Administrator, Role::Administrator));
        for by in [
            Role::Radiologist,
            Role::Technologist,
            Role::Auditor,
            Role::Integration,
        ] {
            for role in Role::ALL {
                assert!(!may_give(by, role), "{by} {role}");
            }
        }
        for by in Role::ALL {
            for machine in [Role::Operator, Role::Device, Role::Integration] {
                assert!(!may_give(by, machine), "{by} {machine}");
            }
        }
    }
}
