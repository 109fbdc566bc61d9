/** Each stage by the flags that bring it about. */
export const STAGES = {
  off: { dualWrite: false, shadowRead: 0, readCutover: 0 },
  dual_write: { dualWrite: true, shadowRead: 0, readCutover: 0 },
  shadow_read: { dualWrite: true, shadowRead: 100, readCutover: 0 },
  read_cutover: { dualWrite: true, shadowRead: 100, readCutover: 100 },
} as const;

export type Stage = keyof typeof STAGES;
export type Primary = 'ok' | 'refused' | 'timeout';
export type Secondary = 'ok' | 'refused' | 'hang';

/** What an agent gets: the backend's own reply, word for word, or why there is none, in session-memory's words. */
export type Gets = 'its reply' | 'its refusal' | 'a timeout' | 'unavailable';
/** What is on both sides afterwards: W1 to W7 of src/engine/README.md. */
export type Then =
  | 'W1 delivered'
  | 'W2 delivered later'
  | 'W3 dead letter'
  | 'W5 not sent'
  | 'W7 settled'
  | 'W7 settled later'
  | 'W8 left out';

export const PRIMARIES: readonly Primary[] = ['ok', 'refused', 'timeout'];
export const SECONDARIES: readonly Secondary[] = ['ok', 'refused', 'hang'];

/** A write is legacy's to answer, in every stage. */
export const WRITE_GETS: Readonly<Record<Primary, Gets>> = {
  ok: 'its reply',
  refused: 'its refusal',
  timeout: 'a timeout',
};

export const WRITE_THEN: Readonly<Record<Primary, Readonly<Record<Secondary, Then>>>> = {
  ok: { ok: 'W1 delivered', refused: 'W3 dead letter', hang: 'W2 delivered later' },
  refused: { ok: 'W5 not sent', refused: 'W5 not sent', hang: 'W5 not sent' },
  timeout: { ok: 'W7 settled', refused: 'W8 left out', hang: 'W7 settled later' },
};

/** Below the cutover legacy alone decides. */
export const LEGACY_READ_GETS: Readonly<Record<Primary, Gets>> = {
  ok: 'its reply',
  refused: 'unavailable',
  timeout: 'a timeout',
};

/** After the cutover the orchestrator is the primary of reads, and legacy is asked where it fails. */
export const CUTOVER_READ_GETS: Readonly<Record<Primary, Readonly<Record<Secondary, Gets>>>> = {
  ok: { ok: 'its reply', refused: 'its reply', hang: 'its reply' },
  refused: { ok: 'its reply', refused: 'unavailable', hang: 'a timeout' },
  timeout: { ok: 'its reply', refused: 'unavailable', hang: 'a timeout' },
};
