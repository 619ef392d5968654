-- Schema 9 says how what is large is stored; a value long enough to be.

insert into git_blobs (oid, bytes) values (repeat('d', 40), convert_to(repeat('select 1; ', 10000), 'utf8'));
