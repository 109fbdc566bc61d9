-- Two states of a lane that were once found to be the same list: while both sides show them, nothing of it is gone through again.
alter table lane_baselines add column equal_legacy text, add column equal_orchestrator text;
