-- Every table with a column `tenant` shows and takes rows of the transaction's tenant
-- only, also to its owner, unless the transaction is about several tenants'. The
-- number of a tenant's row is known; the trail goes by its name.
DO $$
DECLARE
    held RECORD;
    ours TEXT := 'nullif(current_setting(''hilum.tenant'', true), '''')';
BEGIN
    FOR held IN SELECT c.relname AS name, a.atttypid = 'text'::regtype AS by_name
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
        WHERE c.relnamespace = current_schema::regnamespace AND c.relkind = 'r'
            AND a.attname = 'tenant' AND NOT a.attisdropped
            AND NOT EXISTS (SELECT 1 FROM pg_policy p WHERE p.polrelid = c.oid)
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', held.name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', held.name);
        EXECUTE format('CREATE POLICY of_tenant ON %I USING (tenant = %s
            OR current_setting(''hilum.across'', true) = ''on'')', held.name,
            CASE WHEN held.by_name
                THEN format('(SELECT name FROM tenant WHERE id = %s::bigint)', ours)
                ELSE ours || '::bigint' END);
    END LOOP;
END $$;
