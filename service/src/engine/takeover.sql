-- REASSIGN OWNED would do most of this object by object, each with its own locks and its own new versions of the same rows. Nobody else is in a
-- clone that is being handed over, so each catalogue is brought up to date in one statement instead. Whatever a later PostgreSQL may keep
-- elsewhere is left to REASSIGN OWNED at the end.
DO $takeover$
DECLARE
    old_name constant text := $FROM;
    new_name constant text := $TO;
    readers constant text := $READERS;
    old_role constant oid := (SELECT oid FROM pg_authid WHERE rolname = old_name);
    new_role constant oid := (SELECT oid FROM pg_authid WHERE rolname = new_name);
    here constant oid := (SELECT oid FROM pg_database WHERE datname = current_database());
    -- The catalogues in which something is the old role's, or speaks of it.
    concerned constant oid[] := ARRAY(
        SELECT DISTINCT classid FROM pg_shdepend
        WHERE dbid = here AND refclassid = 'pg_authid'::regclass AND refobjid = old_role
    );
    settled oid[] := ARRAY['pg_policy'::regclass];
    item record;
BEGIN
    -- Names that an access list writes without quotes.
    IF old_name !~ '^[a-z0-9_]+$' OR new_name !~ '^[a-z0-9_]+$' THEN
        RAISE EXCEPTION '% and % are not names of roles that own a layer or an instance', old_name, new_name;
    END IF;

    FOR item IN
        SELECT * FROM (VALUES
            -- What dependencies name, and where the owner and the access list are kept.
            ('{pg_class}'::regclass[], 'pg_class', 'relowner', 'relacl'),
            ('{pg_class}', 'pg_attribute', NULL, 'attacl'),
            -- Each table has a type that no dependency names.
            ('{pg_class,pg_type}', 'pg_type', 'typowner', 'typacl'),
            ('{pg_namespace}', 'pg_namespace', 'nspowner', 'nspacl'),
            ('{pg_proc}', 'pg_proc', 'proowner', 'proacl'),
            ('{pg_default_acl}', 'pg_default_acl', 'defaclrole', 'defaclacl'),
            ('{pg_largeobject}', 'pg_largeobject_metadata', 'lomowner', 'lomacl'),
            ('{pg_language}', 'pg_language', 'lanowner', 'lanacl'),
            ('{pg_foreign_data_wrapper}', 'pg_foreign_data_wrapper', 'fdwowner', 'fdwacl'),
            ('{pg_foreign_server}', 'pg_foreign_server', 'srvowner', 'srvacl'),
            ('{pg_user_mapping}', 'pg_user_mapping', 'umuser', NULL),
            ('{pg_operator}', 'pg_operator', 'oprowner', NULL),
            ('{pg_opclass}', 'pg_opclass', 'opcowner', NULL),
            ('{pg_opfamily}', 'pg_opfamily', 'opfowner', NULL),
            ('{pg_collation}', 'pg_collation', 'collowner', NULL),
            ('{pg_conversion}', 'pg_conversion', 'conowner', NULL),
            ('{pg_statistic_ext}', 'pg_statistic_ext', 'stxowner', NULL),
            ('{pg_ts_config}', 'pg_ts_config', 'cfgowner', NULL),
            ('{pg_ts_dict}', 'pg_ts_dict', 'dictowner', NULL),
            ('{pg_extension}', 'pg_extension', 'extowner', NULL),
            ('{pg_publication}', 'pg_publication', 'pubowner', NULL)
        ) AS kept (named, catalogue, owner, access)
        WHERE named::oid[] && concerned
    LOOP
        IF item.access IS NOT NULL THEN
            -- Few lists are alike for many objects: each is written once.
            EXECUTE format(
                $q$WITH lists AS MATERIALIZED (
                    SELECT list, (
                        SELECT array_agg(
                            regexp_replace(regexp_replace(entry::text, '^' || $3 || '=', $4 || '='), '/' || $3 || '$', '/' || $4)::aclitem
                            ORDER BY place)
                        FROM unnest(list) WITH ORDINALITY AS entries (entry, place)) AS anew
                    FROM (SELECT DISTINCT %2$I AS list FROM pg_catalog.%1$I WHERE strpos(%2$I::text, $3) > 0) AS found
                )
                UPDATE pg_catalog.%1$I AS thing SET %2$I = lists.anew %3$s
                FROM lists WHERE thing.%2$I = lists.list$q$,
                item.catalogue, item.access,
                CASE WHEN item.owner IS NULL THEN ''
                     ELSE format(', %1$I = CASE thing.%1$I WHEN $1 THEN $2 ELSE thing.%1$I END', item.owner) END)
            USING old_role, new_role, old_name, new_name;
        END IF;
        IF item.owner IS NOT NULL THEN
            EXECUTE format('UPDATE pg_catalog.%I SET %2$I = $2 WHERE %2$I = $1', item.catalogue, item.owner)
            USING old_role, new_role;
        END IF;
        settled := settled || item.named::oid[];
    END LOOP;

    UPDATE pg_policy SET polroles = array_replace(polroles, old_role, new_role) WHERE old_role = ANY (polroles);
    UPDATE pg_shdepend SET refobjid = new_role
    WHERE dbid = here AND refclassid = 'pg_authid'::regclass AND refobjid = old_role AND deptype IN ('o', 'a', 'r')
        AND classid = ANY (settled);

    IF EXISTS (SELECT FROM pg_shdepend
               WHERE dbid = here AND refclassid = 'pg_authid'::regclass AND refobjid = old_role) THEN
        EXECUTE format('REASSIGN OWNED BY %I TO %I', old_name, new_name);
        EXECUTE format('DROP OWNED BY %I', old_name);
    END IF;

    -- A layer that was made before there was the readers' group.
    IF NOT EXISTS (SELECT FROM pg_default_acl d, aclexplode(d.defaclacl) a
                   WHERE d.defaclrole = new_role AND pg_get_userbyid(a.grantee) = readers) THEN
        FOR item IN SELECT n.nspname AS name FROM pg_namespace n WHERE n.nspowner = new_role LOOP
            EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', item.name, readers);
            EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA %I TO %I', item.name, readers);
            EXECUTE format('GRANT SELECT ON ALL SEQUENCES IN SCHEMA %I TO %I', item.name, readers);
        END LOOP;
        EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I GRANT SELECT ON TABLES TO %I', new_name, readers);
        EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I GRANT SELECT ON SEQUENCES TO %I', new_name, readers);
        EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I GRANT USAGE ON SCHEMAS TO %I', new_name, readers);
    END IF;
END
$takeover$
