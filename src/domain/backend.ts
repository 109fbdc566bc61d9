/** Which system. Never changes its meaning. */
export type Backend = 'legacy' | 'orchestrator';

/** The part a backend plays in one operation. The agent gets the primary's answer. */
export type Role = 'primary' | 'secondary';

/** Why a backend is called. Each purpose has its own sockets or pool: live traffic never waits behind the others. */
export type Purpose = 'live' | 'shadow' | 'probe';

export function secondaryOf(primary: Backend): Backend {
  return primary === 'legacy' ? 'orchestrator' : 'legacy';
}
