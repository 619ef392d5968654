-- What schema 10 added: databases that were ended and are asked for again, and what branches were ready for.

update pull_requests set wanted_anew = true where unwanted_sha is not null;
update branches set ready_sha = head_sha where state in ('ready', 'deleted');
