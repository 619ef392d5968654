-- Whoever waits for a branch to be settled need not look at it while it is only on its way.
create or replace function notify_branch() returns trigger language plpgsql as $$
begin
    perform pg_notify('offshoot_branches', new.repository || '#' || new.pull_request || ' ' || new.state);
    return null;
end $$;
