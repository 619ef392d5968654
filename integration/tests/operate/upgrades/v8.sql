-- What schema 8 added: branches that wait for room, that were used, and that were told of their end.

update branches set room_wanted_at = now() - interval '1 minute', room_needed = 8000000 where state = 'blocked';
update branches set room_wanted_at = now(), room_needed = 0 where state = 'preparing';
update branches set expiry_told_from = now() + interval '6 days' where pull_request = 2;
update branches set active_at = now() - interval '1 hour', sessions_seen = 12 where state = 'ready';
insert into jobs (kind, subject, priority) values ('make_room', '', 12);
