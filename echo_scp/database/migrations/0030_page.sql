-- The status page lists the newest studies first.

CREATE INDEX study_newest ON study (last_received_at DESC, study_instance_uid);
