-- Databases that were ended before their pull request may be asked for again: from then until they are looked at, nothing else of the pull request
-- stands for them. An earlier version clears unwanted_sha at once, as it always did.

alter table pull_requests add column wanted_anew boolean not null default false;

-- The commit that a branch was ready for, kept when it goes: its verdict stands. None while it is anything else, and of branches of before.

alter table branches add column ready_sha text;
