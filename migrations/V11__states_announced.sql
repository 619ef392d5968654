-- Whoever waits for a branch to be settled need not look at it while it is only on its way. Earlier versions listen to the first of the two.
create or replace function notify_branch() returns trigger language plpgsql as $$
begin
    perform pg_notify('offshoot_branches', new.repository || '#' || new.pull_request);
    perform pg_notify('offshoot_states', new.repository || '#' || new.pull_request || ' ' || new.state);
    return null;
end $$;
