-- Schema 12 says which repositories change; one is called something else for a moment.

update repositories set name = name || '-renamed';
update repositories set name = regexp_replace(name, '-renamed$', '');
