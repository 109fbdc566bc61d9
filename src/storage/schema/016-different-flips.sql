-- The few flips that left a lane different are asked for every second.
create index flips_different on flips (lane_id) where comparison = 'different';
