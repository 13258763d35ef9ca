//! Messages of one association as SCP (PS3.7 §6.3, §9.3): puts command sets together from their
//! fragments, answers C-ECHO, hands C-STORE data sets to a sink as they arrive, and refuses every
//! other operation.

use bytes::{Bytes, BytesMut};

use super::association::End;
use super::handler::{
    AbortCause, AssociationCounts, AssociationHandler, MoveOriginator, StoreRequest, StoreSink,
};
use crate::association::AssociationInfo;
use crate::command::{CommandSet, Operation, element, field};
use crate::limits::{MAX_COMMAND_LENGTH, MAX_DISCARDED};
use crate::negotiation::VERIFICATION;
use crate::pdu::{Abort, Pdv, write_message};
use crate::status::{Status, StoreStatus};
use crate::transport::Connection;

/// The messages of one association; at most one is in progress (PS3.7 §D.3.3.3, window 1).
pub(super) struct Messages<'a> {
    info: &'a AssociationInfo,
    handler: &'a dyn AssociationHandler,
    counts: AssociationCounts,
    state: State,
    /// Between a C-STORE-RQ and its answer.
    storing: bool,
}

enum State {
    /// Waiting for a command set, or in the middle of one.
    Command {
        context_id: Option<u8>,
        bytes: BytesMut,
    },
    /// A data set follows.
    DataSet {
        context_id: u8,
        command: CommandSet,
        target: Target,
    },
}

enum Target {
    Sink(Box<dyn StoreSink>),
    /// The outcome is known; the rest is read over.
    Discard {
        outcome: StoreStatus,
        bytes: u64,
    },
}

impl State {
    fn idle() -> Self {
        Self::Command {
            context_id: None,
            bytes: BytesMut::new(),
        }
    }
}

impl<'a> Messages<'a> {
    pub(super) fn new(info: &'a AssociationInfo, handler: &'a dyn AssociationHandler) -> Self {
        Self {
            info,
            handler,
            counts: AssociationCounts::default(),
            state: State::idle(),
            storing: false,
        }
    }

    /// Whether a message has begun and not ended.
    pub(super) fn is_within(&self) -> bool {
        !matches!(
            self.state,
            State::Command {
                context_id: None,
                ..
            }
        )
    }

    /// What was done. A C-STORE that was not answered counts as incomplete; its sink is dropped.
    pub(super) fn into_counts(mut self) -> AssociationCounts {
        self.counts.incomplete += u64::from(self.storing);
        self.counts
    }

    /// Takes one fragment.
    pub(super) async fn take(&mut self, pdv: Pdv, connection: &mut Connection) -> Result<(), End> {
        match std::mem::replace(&mut self.state, State::idle()) {
            State::Command { context_id, bytes } => {
                self.take_command(context_id, bytes, pdv, connection).await
            }
            State::DataSet {
                context_id,
                command,
                target,
            } => {
                if pdv.is_command || pdv.context_id != context_id {
                    self.state = State::DataSet {
                        context_id,
                        command,
                        target,
                    };
                    return Err(out_of_order());
                }
                self.take_data(context_id, command, target, pdv, connection)
                    .await
            }
        }
    }

    async fn take_command(
        &mut self,
        context_id: Option<u8>,
        mut bytes: BytesMut,
        pdv: Pdv,
        connection: &mut Connection,
    ) -> Result<(), End> {
        if !pdv.is_command || context_id.is_some_and(|id| id != pdv.context_id) {
            return Err(out_of_order());
        }
        if bytes.len() + pdv.data.len() > MAX_COMMAND_LENGTH {
            return Err(End::abort(AbortCause::InvalidCommand, Abort::USER));
        }
        if !pdv.is_last {
            bytes.extend_from_slice(&pdv.data);
            self.state = State::Command {
                context_id: Some(pdv.context_id),
                bytes,
            };
            return Ok(());
        }
        let whole = if bytes.is_empty() {
            pdv.data
        } else {
            bytes.extend_from_slice(&pdv.data);
            bytes.freeze()
        };
        self.begin(pdv.context_id, whole, connection).await
    }

    /// A command set is complete.
    async fn begin(
        &mut self,
        context_id: u8,
        bytes: Bytes,
        connection: &mut Connection,
    ) -> Result<(), End> {
        let unreadable = |_| End::abort(AbortCause::InvalidCommand, Abort::USER);
        let command = CommandSet::decode(bytes).map_err(unreadable)?;
        let (operation, _) = command.request().map_err(unreadable)?;
        if self.info.context(context_id).is_none() {
            return Err(End::abort(AbortCause::Unexpected, Abort::INVALID_PARAMETER));
        }
        if operation & field::RESPONSE != 0 {
            return Err(out_of_order());
        }
        let outcome = match Operation::of(operation) {
            // Nothing that could be cancelled is ever in progress.
            Some(Operation::Cancel) => return Ok(()),
            Some(Operation::Echo) => {
                self.counts.echoed += 1;
                Err(StoreStatus::SUCCESS)
            }
            Some(Operation::Store) => {
                self.storing = true;
                self.begin_store(context_id, &command).await
            }
            None => Err(Status::UNRECOGNIZED_OPERATION.into()),
        };
        let target = match outcome {
            Ok(sink) => Target::Sink(sink),
            Err(outcome) if command.has_data_set() => Target::Discard { outcome, bytes: 0 },
            Err(outcome) => return self.answer(context_id, &command, outcome, connection).await,
        };
        self.state = State::DataSet {
            context_id,
            command,
            target,
        };
        Ok(())
    }

    async fn begin_store(
        &mut self,
        context_id: u8,
        command: &CommandSet,
    ) -> Result<Box<dyn StoreSink>, StoreStatus> {
        let context = self
            .info
            .context(context_id)
            .ok_or(Status::PROCESSING_FAILURE)?;
        if context.abstract_syntax == VERIFICATION {
            return Err(Status::SOP_CLASS_NOT_SUPPORTED.into());
        }
        if !command.has_data_set() {
            return Err(StoreStatus::with_comment(
                Status::CANNOT_UNDERSTAND,
                "The request has no data set",
            ));
        }
        let sop_class_uid =
            command
                .uid(element::AFFECTED_SOP_CLASS_UID)
                .ok_or(StoreStatus::with_comment(
                    Status::MISTYPED_ARGUMENT,
                    "Affected SOP Class UID is missing or malformed",
                ))?;
        let sop_instance_uid =
            command
                .uid(element::AFFECTED_SOP_INSTANCE_UID)
                .ok_or(StoreStatus::with_comment(
                    Status::INVALID_SOP_INSTANCE,
                    "Affected SOP Instance UID is missing or malformed",
                ))?;
        let move_originator = command
            .text(element::MOVE_ORIGINATOR_AE_TITLE)
            .filter(|title| !title.is_empty() && title.len() <= 16)
            .map(|ae_title| MoveOriginator {
                ae_title,
                message_id: command.us(element::MOVE_ORIGINATOR_MESSAGE_ID),
            });
        let request = StoreRequest {
            message_id: command.us(element::MESSAGE_ID).unwrap_or_default(),
            sop_class_uid,
            sop_instance_uid,
            transfer_syntax_uid: context.transfer_syntax.clone(),
            move_originator,
        };
        self.handler.begin_store(self.info, request).await
    }

    async fn take_data(
        &mut self,
        context_id: u8,
        command: CommandSet,
        target: Target,
        pdv: Pdv,
        connection: &mut Connection,
    ) -> Result<(), End> {
        let length = u64::try_from(pdv.data.len()).unwrap_or(u64::MAX);
        self.counts.bytes += length;
        metrics::counter!("hilum_dimse_received_bytes_total").increment(length);
        let target = match target {
            Target::Sink(mut sink) => {
                let written = if pdv.data.is_empty() {
                    Ok(())
                } else {
                    sink.write(pdv.data).await
                };
                match written {
                    Ok(()) => Target::Sink(sink),
                    Err(outcome) => Target::Discard { outcome, bytes: 0 },
                }
            }
            Target::Discard { outcome, bytes } => Target::Discard {
                outcome,
                bytes: bytes.saturating_add(length),
            },
        };
        if !pdv.is_last {
            let endless = matches!(target, Target::Discard { bytes, .. } if bytes > MAX_DISCARDED);
            self.state = State::DataSet {
                context_id,
                command,
                target,
            };
            return if endless {
                Err(End::abort(AbortCause::Endless, Abort::USER))
            } else {
                Ok(())
            };
        }
        let outcome = match target {
            Target::Sink(sink) => sink.finish().await,
            Target::Discard { outcome, .. } => outcome,
        };
        self.answer(context_id, &command, outcome, connection).await
    }

    async fn answer(
        &mut self,
        context_id: u8,
        command: &CommandSet,
        outcome: StoreStatus,
        connection: &mut Connection,
    ) -> Result<(), End> {
        if command.us(element::COMMAND_FIELD) == Some(field::C_STORE_RQ) {
            self.storing = false;
            let class = if outcome.status.is_accepted() {
                self.counts.stored += 1;
                "accepted"
            } else {
                self.counts.failed += 1;
                tracing::info!(status = %outcome.status, comment = outcome.comment, "C-STORE failed");
                "failed"
            };
            metrics::counter!("hilum_dimse_c_store_total", "outcome" => class).increment(1);
        }
        let response = command.response(outcome.status, outcome.comment).encode();
        let mut out = BytesMut::new();
        write_message(
            &mut out,
            context_id,
            true,
            &response,
            self.info.peer_max_pdu_length,
        );
        connection.send(&out).await?;
        Ok(())
    }
}

fn out_of_order() -> End {
    End::abort(AbortCause::Unexpected, Abort::USER)
}
