/** Which system. Never changes its meaning; what part it plays in an operation, `primary` or `secondary`, is another question. */
export type Backend = 'legacy' | 'orchestrator';

/** Why a backend is called. Each purpose has its own sockets or pool: live traffic never waits behind the others. */
export type Purpose = 'live' | 'shadow' | 'probe';
