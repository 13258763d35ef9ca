//! Which presentation contexts are accepted, and with which transfer syntax. Pure rules: everything
//! that isn't known to be something other than storage is storage, private SOP classes and those of
//! tomorrow included; every transfer syntax is taken, for instances are kept as they come.

use crate::pdu::{ContextResult, ContextResultReason, ProposedContext, RoleSelection};
pub use crate::sop_class::is_storage;

/// Verification SOP Class (PS3.4 Annex A).
pub const VERIFICATION: &str = "1.2.840.10008.1.1";
/// Implicit VR Little Endian, the default transfer syntax (PS3.5 §10.1).
pub const IMPLICIT_VR_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2";
/// Explicit VR Little Endian.
pub const EXPLICIT_VR_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2.1";
/// Explicit VR Big Endian (retired).
pub const EXPLICIT_VR_BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";

/// An accepted presentation context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedContext {
    /// Its id.
    pub id: u8,
    /// Verification, or a storage SOP class.
    pub abstract_syntax: String,
    /// The one transfer syntax of its data sets.
    pub transfer_syntax: String,
}

/// The transfer syntax for a storage context that offers several. Senders put what they hold first,
/// so the first is kept, with two exceptions: where the first is uncompressed, explicit little
/// endian wins if offered (implicit loses the VR of private elements, big endian is retired), and a
/// private syntax yields to any of the standard's.
#[must_use]
pub fn choose_transfer_syntax(offered: &[String]) -> Option<&str> {
    let standard = |uid: &&String| {
        uid.as_str() == IMPLICIT_VR_LITTLE_ENDIAN || uid.starts_with("1.2.840.10008.1.2.")
    };
    let first = offered
        .iter()
        .find(standard)
        .or_else(|| offered.first())?
        .as_str();
    let uncompressed = [
        IMPLICIT_VR_LITTLE_ENDIAN,
        EXPLICIT_VR_LITTLE_ENDIAN,
        EXPLICIT_VR_BIG_ENDIAN,
    ];
    let explicit = offered
        .iter()
        .find(|uid| uid.as_str() == EXPLICIT_VR_LITTLE_ENDIAN);
    match explicit {
        Some(explicit) if uncompressed.contains(&first) => Some(explicit),
        _ => Some(first),
    }
}

/// The default answer to one proposed context.
pub fn answer(proposed: &ProposedContext) -> Result<String, ContextResultReason> {
    let storage = is_storage(&proposed.abstract_syntax);
    if !storage && proposed.abstract_syntax != VERIFICATION {
        return Err(ContextResultReason::AbstractSyntaxNotSupported);
    }
    choose_transfer_syntax(&proposed.transfer_syntaxes)
        .filter(|uid| !uid.is_empty())
        .map(str::to_owned)
        .ok_or(ContextResultReason::TransferSyntaxesNotSupported)
}

/// Answers all contexts with `answer`. Ids that are even or come twice are refused: a later P-DATA
/// could not tell them apart.
pub fn negotiate(
    proposed: &[ProposedContext],
    mut answer: impl FnMut(&ProposedContext) -> Result<String, ContextResultReason>,
) -> (Vec<AcceptedContext>, Vec<ContextResult>) {
    let mut accepted: Vec<AcceptedContext> = Vec::new();
    let mut results = Vec::with_capacity(proposed.len());
    for context in proposed {
        let known = accepted.iter().any(|other| other.id == context.id);
        let outcome = if context.id % 2 == 0 || known {
            Err(ContextResultReason::NoReason)
        } else {
            answer(context)
        };
        let (reason, transfer_syntax) = match outcome {
            Ok(syntax) => {
                accepted.push(AcceptedContext {
                    id: context.id,
                    abstract_syntax: context.abstract_syntax.clone(),
                    transfer_syntax: syntax.clone(),
                });
                (ContextResultReason::Acceptance, syntax)
            }
            // Not significant (PS3.8 §9.3.3.2), but expected by some requesters.
            Err(reason) => (
                reason,
                context
                    .transfer_syntaxes
                    .first()
                    .cloned()
                    .unwrap_or_default(),
            ),
        };
        results.push(ContextResult {
            id: context.id,
            reason,
            transfer_syntax: Some(transfer_syntax),
        });
    }
    (accepted, results)
}

/// The roles granted: the requester is SCU, never SCP (PS3.7 §D.3.3.4). Proposals for SCP alone stay
/// unanswered, which means the default roles.
#[must_use]
pub fn answer_roles(
    proposed: &[RoleSelection],
    accepted: &[AcceptedContext],
) -> Vec<RoleSelection> {
    let granted = |role: &&RoleSelection| {
        role.scu
            && accepted
                .iter()
                .any(|context| context.abstract_syntax == role.sop_class_uid)
    };
    proposed
        .iter()
        .filter(granted)
        .map(|role| RoleSelection {
            scp: false,
            ..role.clone()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(offered: &[&str]) -> String {
        let offered: Vec<_> = offered.iter().map(|uid| (*uid).to_owned()).collect();
        choose_transfer_syntax(&offered)
            .unwrap_or("none")
            .to_owned()
    }

    #[test]
    fn the_sender_keeps_what_it_put_first() {
        let jpeg2000 = "1.2.840.10008.1.2.4.90";
        let private = "1.2.840.113619.5.2";
        let (implicit, explicit) = (IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN);
        assert_eq!(chosen(&[]), "none");
        assert_eq!(chosen(&[implicit]), implicit);
        assert_eq!(chosen(&[implicit, explicit]), explicit);
        assert_eq!(
            chosen(&[EXPLICIT_VR_BIG_ENDIAN, implicit]),
            EXPLICIT_VR_BIG_ENDIAN
        );
        assert_eq!(chosen(&[EXPLICIT_VR_BIG_ENDIAN, explicit]), explicit);
        assert_eq!(chosen(&[jpeg2000, implicit, explicit]), jpeg2000);
        assert_eq!(chosen(&[implicit, jpeg2000]), implicit);
        assert_eq!(chosen(&[private, implicit]), implicit);
        assert_eq!(chosen(&[private]), private);
    }

    #[test]
    fn even_and_repeated_context_ids_are_refused() {
        let context = |id| ProposedContext {
            id,
            abstract_syntax: VERIFICATION.to_owned(),
            transfer_syntaxes: vec![IMPLICIT_VR_LITTLE_ENDIAN.to_owned()],
        };
        let (accepted, results) = negotiate(&[context(1), context(2), context(1)], answer);
        assert_eq!(accepted.len(), 1);
        let reasons: Vec<_> = results.iter().map(|result| result.reason).collect();
        use ContextResultReason::{Acceptance, NoReason};
        assert_eq!(reasons, [Acceptance, NoReason, NoReason]);
    }
}
