/**
 * What is known of a write on the primary. `refused`: a closed list of replies that are known to mean no effect. `unknown`: any
 * other reply; the lane is dirty until it is settled. `not_applied`: it never reached the primary.
 */
export type Outcome = 'applied' | 'refused' | 'unknown' | 'not_applied';

/** What a definition can conclude from a reply. */
export type ReplyOutcome = Exclude<Outcome, 'not_applied'>;
