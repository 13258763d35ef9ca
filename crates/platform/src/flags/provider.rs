//! Flags of OpenFeature, decided by definitions as flagd has them
//! (<https://flagd.dev/reference/flag-definitions/>). Hilum's are true or false.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use flagd_evaluation_engine::{FeatureFlag, Operator};
use open_feature::provider::{FeatureProvider, ProviderMetadata, ResolutionDetails};
use open_feature::{
    EvaluationContext, EvaluationError, EvaluationErrorCode, EvaluationReason, EvaluationResult,
    StructValue,
};
use tokio::sync::watch;

/// A state of flagd: the definition counts.
const ENABLED: &str = "ENABLED";
/// A state of flagd: as if the flag were not defined.
const DISABLED: &str = "DISABLED";

/// The flags of a file, checked.
#[derive(Default, PartialEq)]
pub(super) struct Definitions(HashMap<String, FeatureFlag>);

impl Definitions {
    /// What can be used of these; else what is wrong with one of them.
    pub(super) fn new(flags: HashMap<String, FeatureFlag>) -> Result<Self, String> {
        let anyone = EvaluationContext::default()
            .with_targeting_key("1")
            .with_custom_field("tenant", "default")
            .with_custom_field("version", "1.0.0");
        for (name, flag) in &flags {
            let wrong = |what: &str| Err(format!("{name}: {what}"));
            if ![ENABLED, DISABLED].contains(&flag.state.as_str()) {
                return wrong("its state is ENABLED or DISABLED");
            }
            if flag.variants.values().any(|value| !value.is_boolean()) {
                return wrong("its variants are true or false");
            }
            if !flag.variants.contains_key(&flag.default_variant) {
                return wrong("its defaultVariant is none of its variants");
            }
            if let Err(error) = decided(name, flag, &anyone) {
                return wrong(&error);
            }
        }
        Ok(Self(flags))
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// The variant and its value for who is asked about.
fn decided(
    name: &str,
    flag: &FeatureFlag,
    about: &EvaluationContext,
) -> Result<(String, bool, EvaluationReason), String> {
    let rule = flag.targeting.as_ref().filter(|rule| !is_empty(rule));
    let (variant, reason) = match rule {
        None => (None, EvaluationReason::Static),
        Some(rule) => {
            let applied = Operator::new().apply(name, &rule.to_string(), about);
            let variant = applied.map_err(|error| format!("its targeting: {error}"))?;
            (variant, EvaluationReason::TargetingMatch)
        }
    };
    let (variant, reason) = match variant {
        Some(variant) => (variant, reason),
        // No rule, or one that says nothing about this.
        None => (flag.default_variant.clone(), EvaluationReason::Default),
    };
    let value = flag
        .variants
        .get(&variant)
        .and_then(|value| value.as_bool());
    match value {
        Some(value) => Ok((variant, value, reason)),
        None => Err(format!(
            "its targeting names {variant:?}, which is none of its variants"
        )),
    }
}

fn is_empty(rule: &serde_json::Value) -> bool {
    rule.is_null() || rule.as_object().is_some_and(serde_json::Map::is_empty)
}

/// What holds where a flag has no value: on where nobody defined it, off where its
/// definition can't decide.
pub(super) fn is_on_without_a_value(flag: &str, error: &EvaluationError) -> bool {
    let is_undefined = error.code == EvaluationErrorCode::FlagNotFound;
    if !is_undefined {
        tracing::error!(flag, error = ?error.message, "a flag that can't be decided is off");
    }
    is_undefined
}

/// Answers from what is held at the moment.
pub(super) struct FileProvider {
    about: ProviderMetadata,
    held: Arc<watch::Sender<Arc<Definitions>>>,
}

impl FileProvider {
    pub(super) fn new(held: Arc<watch::Sender<Arc<Definitions>>>) -> Self {
        Self {
            about: ProviderMetadata::new("hilum-file"),
            held,
        }
    }
}

/// Flags of another type than true or false.
fn other<T>() -> EvaluationResult<T> {
    Err(EvaluationError::builder()
        .code(EvaluationErrorCode::TypeMismatch)
        .build())
}

#[async_trait]
impl FeatureProvider for FileProvider {
    fn metadata(&self) -> &ProviderMetadata {
        &self.about
    }

    async fn resolve_bool_value(
        &self,
        flag_key: &str,
        evaluation_context: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<bool>> {
        let definitions = Arc::clone(&self.held.borrow());
        let defined = definitions.0.get(flag_key);
        let Some(flag) = defined.filter(|flag| flag.state == ENABLED) else {
            return Err(EvaluationError::builder()
                .code(EvaluationErrorCode::FlagNotFound)
                .build());
        };
        match decided(flag_key, flag, evaluation_context) {
            Ok((variant, value, reason)) => Ok(ResolutionDetails::builder()
                .value(value)
                .variant(variant)
                .reason(reason)
                .build()),
            Err(problem) => Err(EvaluationError::builder()
                .code(EvaluationErrorCode::ParseError)
                .message(problem)
                .build()),
        }
    }

    async fn resolve_int_value(
        &self,
        _: &str,
        _: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<i64>> {
        other()
    }

    async fn resolve_float_value(
        &self,
        _: &str,
        _: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<f64>> {
        other()
    }

    async fn resolve_string_value(
        &self,
        _: &str,
        _: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<String>> {
        other()
    }

    async fn resolve_struct_value(
        &self,
        _: &str,
        _: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<StructValue>> {
        other()
    }
}
