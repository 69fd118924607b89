-- An operator has decided between the versions of an instance: this one is kept beside the other, and asks for nothing.

ALTER TABLE instance ADD COLUMN settled boolean NOT NULL DEFAULT false;
CREATE INDEX instance_conflict ON instance (sop_instance_uid) WHERE conflicting AND NOT settled;
