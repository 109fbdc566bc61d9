/**
 * A backend, by name. The name never changes its meaning. Its part in an operation, `primary` or `secondary`, is a separate
 * question.
 */
export type Backend = 'legacy' | 'orchestrator';

/** The backend that follows this primary, and against which a difference between both counts. */
export function secondaryOf(primary: Backend): Backend {
  return primary === 'legacy' ? 'orchestrator' : 'legacy';
}

/** Why a backend is called. Each purpose has its own sockets or pool, so that live traffic never waits for the others. */
export type Purpose = 'live' | 'shadow' | 'probe';
