-- What schema 10 added: databases that were ended and are asked for again.

update pull_requests set wanted_anew = true where unwanted_sha is not null;
