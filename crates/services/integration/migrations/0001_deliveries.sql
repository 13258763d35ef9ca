CREATE TABLE deliveries (
    id TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    run_id TEXT NOT NULL,
    study_uid TEXT NOT NULL,
    destination TEXT NOT NULL,
    correlation_id TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'sending', 'delivered', 'held', 'given-up')),
    reason TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    next_attempt_at INTEGER,
    created_at INTEGER NOT NULL,
    delivered_at INTEGER,
    UNIQUE (tenant, run_id, destination)
);
CREATE INDEX deliveries_of_study ON deliveries (tenant, study_uid, created_at);
CREATE INDEX deliveries_by_state ON deliveries (tenant, state, created_at);
CREATE TABLE delivery_instances (
    delivery TEXT NOT NULL REFERENCES deliveries (id) ON DELETE CASCADE,
    ordinal INTEGER NOT NULL,
    sop_class_uid TEXT NOT NULL,
    sop_instance_uid TEXT NOT NULL,
    series_uid TEXT NOT NULL,
    transfer_syntax_uid TEXT NOT NULL,
    length INTEGER NOT NULL,
    sent_at INTEGER,
    PRIMARY KEY (delivery, ordinal)
);
