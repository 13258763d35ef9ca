-- The keys that seals of a tenant are signed with, by each shard that it has lived on,
-- with a proof under a key of the tenant: whoever has the tables only can't add one.
CREATE TABLE seal_key (
    tenant TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    proof BYTEA NOT NULL,
    PRIMARY KEY (tenant, key));
