-- What schema 7 added: sessions of the dashboard, one of them over, and since when a head is one.

insert into sessions (hash, token, expires_at) values
    (sha256('a cookie'), '\x015f76e2b0b4a7a7f9117f6122dbad5bb50c27cdb095d889f20832bdceff1015fb80825d7e5dccd1c4174f5f847bc90b17e08affb34f01a26d432420d7049edb361e3cffa4cd84b6e1041c589c8b00212e24d5f876cb86abc248', now() + interval '1 day'),
    (sha256('an old cookie'), '\xd28be9b2ec99f4401accd03dc23a9232bb713db76d0e917407dd19d3e18689641274ebcf11eefb8f5a02268d8442f7a71857c0f51f11953d35f7baa2a5c43a129ff5a8611b51971353d99c05c20729830f', now() - interval '1 day');
update pull_requests set head_since = '2026-01-02 03:04:05+00' where number <= 3;
