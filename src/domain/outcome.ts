/**
 * What is known of a write on the primary. `refused` is a closed list of replies known to mean no effect; `unknown` is
 * everything the definition does not know: its lane is dirty until it is settled. `not_applied`: it never reached the primary.
 */
export type Outcome = 'applied' | 'refused' | 'unknown' | 'not_applied';

/** What a definition can say of a reply. */
export type ReplyOutcome = Exclude<Outcome, 'not_applied'>;
