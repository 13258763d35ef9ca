-- A sender that sent nothing: what belongs to the series was changed.
ALTER TABLE senders DROP CONSTRAINT senders_ending_check;
ALTER TABLE senders ADD CONSTRAINT senders_ending_check
    CHECK (ending IN ('released', 'stow-ended', 'aborted', 'changed'));
