/**
 * A backend, by name. The name never changes its meaning. Its part in an operation, `primary` or `secondary`, is a separate
 * question.
 */
export type Backend = 'legacy' | 'orchestrator';

/** Why a backend is called. Each purpose has its own sockets or pool, so that live traffic never waits for the others. */
export type Purpose = 'live' | 'shadow' | 'probe';
