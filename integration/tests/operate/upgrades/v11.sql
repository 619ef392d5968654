-- Schema 11 says more of a branch that changes; each does.

update branches set updated_at = now();
