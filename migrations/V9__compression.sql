-- What is large here is written while somebody waits: LZ4 takes a fraction of the time of PostgreSQL's own method.
-- Values that are there stay as they are. A server that was built without LZ4 goes on as before.

do $$ begin
    alter table branches alter column applied set compression lz4;
    alter table git_trees alter column tree set compression lz4;
    alter table git_blobs alter column bytes set compression lz4;
    alter table deliveries alter column payload set compression lz4;
exception when feature_not_supported then null;
end $$;
