CREATE TABLE deliveries (
    id TEXT COLLATE "C" PRIMARY KEY,
    tenant TEXT COLLATE "C" NOT NULL,
    run_id TEXT COLLATE "C" NOT NULL,
    study_uid TEXT COLLATE "C" NOT NULL,
    destination TEXT COLLATE "C" NOT NULL,
    correlation_id TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL CHECK (state IN ('waiting', 'sending', 'delivered', 'held', 'given-up')),
    reason TEXT COLLATE "C",
    attempts BIGINT NOT NULL DEFAULT 0,
    next_attempt_at BIGINT,
    created_at BIGINT NOT NULL,
    delivered_at BIGINT,
    UNIQUE (tenant, run_id, destination)
);
CREATE INDEX deliveries_of_study ON deliveries (tenant, study_uid, created_at);
CREATE INDEX deliveries_by_state ON deliveries (tenant, state, created_at);
CREATE TABLE delivery_instances (
    delivery TEXT COLLATE "C" NOT NULL REFERENCES deliveries (id) ON DELETE CASCADE DEFERRABLE,
    ordinal BIGINT NOT NULL,
    sop_class_uid TEXT COLLATE "C" NOT NULL,
    sop_instance_uid TEXT COLLATE "C" NOT NULL,
    series_uid TEXT COLLATE "C" NOT NULL,
    transfer_syntax_uid TEXT COLLATE "C" NOT NULL,
    length BIGINT NOT NULL,
    sent_at BIGINT,
    PRIMARY KEY (delivery, ordinal)
);
-- Held to the tenant of their delivery.
ALTER TABLE delivery_instances ENABLE ROW LEVEL SECURITY;
ALTER TABLE delivery_instances FORCE ROW LEVEL SECURITY;
CREATE POLICY of_delivery ON delivery_instances
    USING (EXISTS (SELECT 1 FROM deliveries d WHERE d.id = delivery));
