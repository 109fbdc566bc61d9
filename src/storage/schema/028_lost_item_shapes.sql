-- When a lost item was stored, and its fields redacted, so that a person can tell items apart. Null for those found before.
alter table lost_items add column stored_at timestamptz, add column shape text;
