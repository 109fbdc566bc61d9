/** What agents were told was stored: the measure that both stores are held against, independent of what is under test. */
export interface SessionLedger {
  readonly sessionId: string;
  readonly userId: string;
  /** The interactions that must be there, in order. */
  items: { role: string; content: string }[];
  /** What an agent has deleted, as `role\ncontent`. */
  readonly removed: string[];
  /** False after an acknowledged delete_session. */
  isOpen: boolean;
}

export interface JarvisLedger {
  readonly userId: string;
  /** JSON text of each memory that must be there. In order where one agent alone writes to the user. */
  memories: string[];
  /** What an agent has deleted. */
  readonly removed: string[];
  /** What may be there: the write got an error, and its effect cannot be seen. */
  readonly maybe: string[];
  readonly isShared: boolean;
}

export interface ContextualLedger {
  readonly sessionId: string;
  /** `type\ncontent` of every acknowledged entry; several agents write to one session, so without an order. */
  readonly entries: string[];
  /** How many of them, at the beginning, were written while dual writes were not in effect yet: legacy may forget these before they are copied. */
  uncovered: number;
  readonly decisions: string[];
  /** What may be there, of both: the write got an error, and its effect cannot be seen. */
  readonly maybe: { readonly entries: string[]; readonly decisions: string[] };
}

/** Everything acknowledged, by store. */
export class Ledger {
  readonly sessions = new Map<string, SessionLedger>();
  readonly jarvis = new Map<string, JarvisLedger>();
  readonly contextual = new Map<string, ContextualLedger>();
  operations = 0;
  acknowledgedWrites = 0;
  /** Requests that were refused while a backend was away on purpose, and were sent again. */
  refused = 0;
  /** Writes with an error that are not sent again successfully yet. */
  unsettled = 0;
  /** Every call: when it ended, and how long it took. */
  readonly calls: { readonly atMs: number; readonly tookMs: number }[] = [];
  readonly agentErrors: string[] = [];
  /** The step of the walk that the flags are at. */
  step = '';
  /** How long agents waited for the context of a session, by step. */
  readonly readsMs = new Map<string, number[]>();
  /** Whether dual writes of every service are in effect. */
  isCovered = false;

  readTook(durationMs: number): void {
    getOrMake(this.readsMs, this.step, () => []).push(durationMs);
  }

  session(sessionId: string, userId: string): SessionLedger {
    return getOrMake(this.sessions, sessionId, () => ({
      sessionId,
      userId,
      items: [],
      removed: [],
      isOpen: true,
    }));
  }

  jarvisUser(userId: string, isShared: boolean): JarvisLedger {
    return getOrMake(this.jarvis, userId, () => ({
      userId,
      memories: [],
      removed: [],
      maybe: [],
      isShared,
    }));
  }

  contextualSession(sessionId: string): ContextualLedger {
    return getOrMake(this.contextual, sessionId, () => ({
      sessionId,
      entries: [],
      uncovered: 0,
      decisions: [],
      maybe: { entries: [], decisions: [] },
    }));
  }

  failed(what: string): void {
    this.agentErrors.push(this.step === '' ? what : `${this.step}: ${what}`);
  }
}

function getOrMake<Value>(map: Map<string, Value>, key: string, make: () => Value): Value {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}
