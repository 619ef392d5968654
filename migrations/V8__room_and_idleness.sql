-- Branches that wait for room on the branch server's disk, and branches that nobody uses.

alter table branches
    -- Since when it waits for room: the queue is in this order. Kept while it is tried again, so that it does not lose its place.
    add column room_wanted_at timestamptz,
    -- Bytes that there was no room for when it was last tried; 0 where it only waits its turn.
    add column room_needed bigint,
    -- From when on the pull request is told that it expires; none where an earlier version set the expiry.
    add column expiry_told_from timestamptz,
    -- When it was last seen in use; a time to come where somebody asked to have it kept until then.
    add column active_at timestamptz,
    -- How many sessions its database had had, by the server's own count, when it was last looked at.
    add column sessions_seen bigint;
create index branches_waiting_for_room on branches (room_wanted_at, id) where room_wanted_at is not null;
