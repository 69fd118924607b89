-- Files whose rows are gone: to be removed.

CREATE TABLE purged_file (
    path text PRIMARY KEY,
    sop_instance_uid text NOT NULL
);
CREATE INDEX instance_path ON instance (path);
