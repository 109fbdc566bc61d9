/** What a key may do at all. Kept with the key. */
export const ROLES = ['agent', 'migration', 'admin'] as const;

export type Role = (typeof ROLES)[number];

/** In the place of a list of users: every user, those to come included. */
export const ALL_USERS = '*';

/** Who sent a request, as its key says. */
export interface Identity {
  /** The agent's name: what idempotency and the access log know a caller by. Several keys of one agent are one caller. */
  readonly id: string;
  /** Empty where keys are off. */
  readonly keyId: string;
  readonly role: Role;
  /** Whose sessions an agent may see beside its own; {@link ALL_USERS} stands for everybody's. */
  readonly users: ReadonlySet<string>;
  /** Overrides the installation's rate; null keeps it. */
  readonly requestsPerSecond: number | null;
}

/** Everybody, where keys are off: nobody is told from anybody, and nothing is refused. */
export const ANYBODY: Identity = {
  id: '',
  keyId: '',
  role: 'admin',
  users: new Set([ALL_USERS]),
  requestsPerSecond: null,
};

/** Whoever asks for health without a key, where keys are on. All of them share one rate. */
export const STRANGER: Identity = { ...ANYBODY, keyId: 'stranger', role: 'agent', users: new Set() };

export function seesUser({ users }: Identity, user: string | null): boolean {
  return users.has(ALL_USERS) || (user !== null && users.has(user));
}
