-- Who keeps something at hand for a repository, by its name, hears where that leads somewhere else.
create function notify_repository() returns trigger language plpgsql as $$
begin
    perform pg_notify('offshoot_repositories', new.github_id::text);
    return null;
end $$;
create trigger repositories_notify after insert or update of owner, name, removed_at on repositories
    for each row execute function notify_repository();
