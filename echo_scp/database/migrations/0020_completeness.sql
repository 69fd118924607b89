-- What says that a study is complete, or that there is more to come.

ALTER TABLE study ADD COLUMN committed_at timestamptz; -- commitment was asked for every instance that was here then
ALTER TABLE study ADD COLUMN held_until timestamptz; -- the association that brought the last instance is open
CREATE INDEX instance_calling_ae_title ON instance (calling_ae_title, id);

CREATE TABLE procedure_step (
    sop_instance_uid text PRIMARY KEY,
    state text NOT NULL CHECK (state IN ('IN PROGRESS', 'COMPLETED', 'DISCONTINUED')),
    study_instance_uids text[] NOT NULL,
    instance_uids text[] NOT NULL, -- that its performed series name
    changed_at timestamptz NOT NULL
);
CREATE INDEX procedure_step_study ON procedure_step USING gin (study_instance_uids);
