-- The state that an operator asks about, in plain columns. Jobs live in Procrastinate's own tables.

CREATE TABLE study (
    study_instance_uid text PRIMARY KEY,
    state text NOT NULL CHECK (state IN ('receiving', 'analysing', 'reported', 'failed')),
    revision integer NOT NULL DEFAULT 0, -- of the last finished run
    first_received_at timestamptz NOT NULL,
    last_received_at timestamptz NOT NULL,
    quiet_since timestamptz NOT NULL -- when the last new instance was indexed; the quiet period counts from here
);
CREATE INDEX study_state ON study (state);

CREATE TABLE instance (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    study_instance_uid text NOT NULL REFERENCES study,
    series_instance_uid text NOT NULL,
    sop_instance_uid text NOT NULL,
    sop_class_uid text NOT NULL,
    transfer_syntax_uid text NOT NULL,
    dataset_sha256 text NOT NULL,
    byte_count bigint NOT NULL,
    path text NOT NULL,
    calling_ae_title text NOT NULL,
    received_at timestamptz NOT NULL,
    conflicting boolean NOT NULL, -- other bytes came first under this UID: kept, flagged, not analysed
    UNIQUE (sop_instance_uid, dataset_sha256)
);
CREATE INDEX instance_study ON instance (study_instance_uid);
CREATE UNIQUE INDEX instance_first ON instance (sop_instance_uid) WHERE NOT conflicting;

CREATE TABLE quarantined_file (
    path text PRIMARY KEY,
    detail text NOT NULL,
    quarantined_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE run (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    study_instance_uid text NOT NULL REFERENCES study,
    revision integer NOT NULL,
    inputs_sha256 text NOT NULL, -- of the instances, the engines and the software version
    software_version text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    view text,
    method text,
    beat_count integer,
    ef_percent double precision,
    edv_ml double precision,
    esv_ml double precision,
    reason text,
    detail text,
    UNIQUE (study_instance_uid, revision)
);

CREATE TABLE run_engine (
    run_id bigint NOT NULL REFERENCES run ON DELETE CASCADE,
    name text NOT NULL,
    version text NOT NULL,
    sha256 text NOT NULL,
    PRIMARY KEY (run_id, name)
);

CREATE TABLE clip (
    run_id bigint NOT NULL REFERENCES run ON DELETE CASCADE,
    sop_instance_uid text NOT NULL,
    view text,
    confidence double precision,
    reason text,
    detail text,
    calibrated boolean,
    heart_rate_bpm double precision,
    ef_percent double precision,
    ef_sd_percent double precision,
    edv_ml double precision,
    esv_ml double precision,
    flags text[] NOT NULL,
    PRIMARY KEY (run_id, sop_instance_uid)
);

CREATE TABLE measurement (
    run_id bigint NOT NULL REFERENCES run ON DELETE CASCADE,
    sop_instance_uid text NOT NULL,
    beat_number integer NOT NULL,
    ed_frame_number integer NOT NULL,
    es_frame_number integer NOT NULL,
    ef_percent double precision NOT NULL,
    edv_ml double precision,
    esv_ml double precision,
    PRIMARY KEY (run_id, sop_instance_uid, beat_number)
);

CREATE TABLE grade (
    run_id bigint NOT NULL REFERENCES run ON DELETE CASCADE,
    scale text NOT NULL,
    grade text NOT NULL,
    PRIMARY KEY (run_id, scale)
);

CREATE TABLE result_object (
    sop_instance_uid text PRIMARY KEY,
    run_id bigint NOT NULL REFERENCES run,
    series_instance_uid text NOT NULL,
    sop_class_uid text NOT NULL,
    kind text NOT NULL,
    path text NOT NULL
);
CREATE INDEX result_object_run ON result_object (run_id);

CREATE TABLE delivery (
    sop_instance_uid text NOT NULL REFERENCES result_object,
    destination text NOT NULL,
    state text NOT NULL CHECK (state IN ('waiting', 'delivered', 'given_up')),
    attempt_count integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    last_attempt_at timestamptz,
    status integer, -- the DIMSE status of the last answer
    detail text NOT NULL DEFAULT '',
    PRIMARY KEY (sop_instance_uid, destination)
);
CREATE INDEX delivery_waiting ON delivery (created_at) WHERE state = 'waiting';
