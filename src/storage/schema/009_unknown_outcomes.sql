-- What a start or a takeover looks for among the outcomes: a few rows, however many there are.
create index outcomes_unknown on outcomes (lane_id, sequence) where outcome = 'unknown';
