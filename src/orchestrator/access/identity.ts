/** The role of a key determines its permissions. Stored with the key. */
export const ROLES = ['agent', 'migration', 'admin'] as const;

export type Role = (typeof ROLES)[number];

/** Stands for all users, including future ones. */
export const ALL_USERS = '*';

/** The sender of a request, according to its key. */
export interface Identity {
  /** The agent's name, used by idempotency and the access log. Several keys of one agent are one caller. */
  readonly id: string;
  /** Empty if keys are off. */
  readonly keyId: string;
  readonly role: Role;
  /** Further users whose sessions an agent may see; {@link ALL_USERS} for all. */
  readonly users: ReadonlySet<string>;
  /** Overrides the configured rate; null uses it. */
  readonly requestsPerSecond: number | null;
}

/** The identity of every caller if keys are off. Callers are not distinguished, and nothing is refused. */
export const ANYBODY: Identity = {
  id: '',
  keyId: '',
  role: 'admin',
  users: new Set([ALL_USERS]),
  requestsPerSecond: null,
};

/** The identity of health probes without a key if keys are on. All of them share one rate. */
export const STRANGER: Identity = { ...ANYBODY, keyId: 'stranger', role: 'agent', users: new Set() };

export function seesUser({ users }: Identity, user: string | null): boolean {
  return users.has(ALL_USERS) || (user !== null && users.has(user));
}
