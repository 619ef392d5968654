DO $takeover$
DECLARE
    old_name constant text := $FROM;
    new_name constant text := $TO;
    readers constant text := $READERS;
    old_role constant oid := (SELECT oid FROM pg_authid WHERE rolname = old_name);
    new_role constant oid := (SELECT oid FROM pg_authid WHERE rolname = new_name);
    item record;
    permission record;
BEGIN
    FOR item IN
        SELECT d.defaclacl, d.defaclnamespace = 0 AS everywhere,
               CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS'
                                    WHEN 'T' THEN 'TYPES' WHEN 'n' THEN 'SCHEMAS' ELSE 'LARGE OBJECTS' END AS kind,
               COALESCE((SELECT format('IN SCHEMA %I', n.nspname) FROM pg_namespace n WHERE n.oid = d.defaclnamespace), '') AS place
        FROM pg_default_acl d WHERE d.defaclrole = old_role
    LOOP
        IF item.everywhere THEN
            EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I REVOKE ALL ON %s FROM PUBLIC', new_name, item.kind);
        END IF;
        FOR permission IN SELECT * FROM aclexplode(item.defaclacl) LOOP
            EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I %s GRANT %s ON %s TO %s%s', new_name, item.place,
                permission.privilege_type, item.kind,
                CASE permission.grantee WHEN 0 THEN 'PUBLIC' WHEN old_role THEN quote_ident(new_name)
                     ELSE quote_ident(pg_get_userbyid(permission.grantee)) END,
                CASE WHEN permission.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END);
        END LOOP;
    END LOOP;

    FOR item IN
        SELECT p.polname, p.polrelid::regclass AS place,
               (SELECT string_agg(CASE r WHEN 0 THEN 'PUBLIC' WHEN old_role THEN quote_ident(new_name)
                                         ELSE quote_ident(pg_get_userbyid(r)) END, ', ') FROM unnest(p.polroles) r) AS roles
        FROM pg_policy p WHERE old_role = ANY (p.polroles)
    LOOP
        EXECUTE format('ALTER POLICY %I ON %s TO %s', item.polname, item.place, item.roles);
    END LOOP;

    EXECUTE format('REASSIGN OWNED BY %I TO %I', old_name, new_name);

    FOR item IN
        SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind, c.oid::regclass::text AS name, a.*
        FROM pg_class c, aclexplode(c.relacl) a WHERE a.grantee = old_role
        UNION ALL
        SELECT 'SCHEMA', quote_ident(n.nspname), a.* FROM pg_namespace n, aclexplode(n.nspacl) a WHERE a.grantee = old_role
        UNION ALL
        SELECT 'ROUTINE', p.oid::regprocedure::text, a.* FROM pg_proc p, aclexplode(p.proacl) a WHERE a.grantee = old_role
        UNION ALL
        SELECT 'TYPE', t.oid::regtype::text, a.* FROM pg_type t, aclexplode(t.typacl) a WHERE a.grantee = old_role
    LOOP
        EXECUTE format('GRANT %s ON %s %s TO %I%s', item.privilege_type, item.kind, item.name, new_name,
            CASE WHEN item.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END);
    END LOOP;

    EXECUTE format('DROP OWNED BY %I', old_name);

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
