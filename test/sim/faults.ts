import { Random } from './random.ts';

/** What can go wrong. Each has a rate in a run's profile; names are those of `--without`. */
export const FAULTS = [
  'crash',
  'pause',
  'leave',
  'request_lost',
  'request_late',
  'request_doubled',
  'reply_lost',
  'reply_late',
  'reply_doubled',
  'hang',
  'server_crash',
  'journal_slow',
  'journal_error',
  'journal_outage',
  'database_crash',
  'file_error',
  'spill_full',
  'spill_damaged',
  'flags',
  'kill_switch',
  'poison',
  'idle',
  'clock',
  'prune',
  'loss',
  'crowd',
  'locked',
  'flip',
  'rollback',
  'read_only',
  'restore_orchestrator',
] as const;

export type Fault = (typeof FAULTS)[number];

interface Apart {
  /** Makes another seed of a run's. */
  readonly seed: number;
  readonly share: number;
  readonly strengths: readonly number[];
  /** It is drawn only in the runs that know this one. */
  readonly needs?: Fault;
}

/** What is drawn by itself: without it every seed lives as it did before. */
const APART: Readonly<Partial<Record<Fault, Apart>>> = {
  loss: { seed: 0x105e, share: 0.25, strengths: [1, 2] },
  crowd: { seed: 0xc0de, share: 0.2, strengths: [1] },
  locked: { seed: 0x10c4, share: 0.2, strengths: [1, 3] },
  flip: { seed: 0xf11b, share: 0.4, strengths: [0.5, 1, 3] },
  rollback: { seed: 0xbac4, share: 0.5, strengths: [0.5, 1, 2], needs: 'flip' },
  read_only: { seed: 0x4ead, share: 0.4, strengths: [1, 3], needs: 'flip' },
  restore_orchestrator: { seed: 0x4e57, share: 0.25, strengths: [0.5, 1], needs: 'flip' },
};

/** What becomes of one message. */
export interface Fate {
  readonly kind: 'fine' | 'request_lost' | 'request_doubled' | 'reply_lost' | 'reply_doubled';
  readonly requestMs: number;
  readonly replyMs: number;
  readonly againMs: number;
}

/** How one statement of a database goes. `unknown`: it may have been committed, and its caller is not told. */
export interface StatementFate {
  readonly end: 'fine' | 'not_applied' | 'unknown_applied' | 'unknown_late' | 'unknown_lost';
  readonly beforeMs: number;
  readonly afterMs: number;
  /** So long after its caller was told of a failure it takes effect all the same. */
  readonly lateMs?: number;
}

/** A server ends a statement that has waited for so long. */
const LATEST_MS = 8_000;

/** Rates of one run: some runs are calm, some know one trouble only, some all of them. */
export type Profile = Readonly<Partial<Record<Fault, number>>>;

export function drawProfile(random: Random, without: ReadonlySet<string>): Profile {
  const share = random.pick([0.15, 0.5, 1]);
  const strength = random.pick([0.3, 1, 2]);
  const chosen = FAULTS.filter(
    (fault) => APART[fault] === undefined && random.chance(share) && !without.has(fault),
  );
  return Object.fromEntries(chosen.map((fault) => [fault, strength]));
}

/** Troubles that only some of the runs know, each drawn by itself. */
export function drawApart(seed: number, without: ReadonlySet<string>): Profile {
  const drawn: Partial<Record<string, number>> = {};
  for (const [fault, { seed: own, share, strengths, needs }] of Object.entries(APART)) {
    const random = new Random(seed ^ own);
    const isPossible = needs === undefined || drawn[needs] !== undefined;
    if (random.chance(share) && isPossible && !without.has(fault)) drawn[fault] = random.pick(strengths);
  }
  return drawn;
}

/** Decides what goes wrong, by the seed, while it is allowed to. */
export class Faults {
  readonly #random: Random;
  readonly #profile: Profile;
  readonly #now: () => number;
  isActive = true;
  /** Servers that are hanging until an instant. */
  readonly #hangs = new Map<string, number>();
  #journalOutUntilMs = 0;
  /** Last trouble of each kind of edge, for the question whether a call may have failed: `legacy:<name>`, `journal`. */
  readonly troubles = new Map<string, number>();

  constructor(random: Random, profile: Profile, now: () => number) {
    this.#random = random;
    this.#profile = profile;
    this.#now = now;
  }

  /** How strong a kind of trouble is in this run; 0 where there is none. */
  rate(fault: Fault): number {
    return this.isActive ? (this.#profile[fault] ?? 0) : 0;
  }

  happens(fault: Fault, probability: number): boolean {
    const rate = this.rate(fault);
    return rate > 0 && this.#random.chance(probability * rate);
  }

  trouble(edge: string, forMs = 0): void {
    this.troubles.set(edge, Math.max(this.troubles.get(edge) ?? 0, this.#now() + forMs));
  }

  fateOf(server: string, channel: string): Fate {
    const kind = this.#kindOfFate(server);
    const isRequestLate = kind === 'fine' && this.happens('request_late', 0.01);
    const isReplyLate = this.happens('reply_late', 0.02);
    const fate = {
      kind,
      requestMs: isRequestLate ? this.#random.whole(1_000, 20_000) : this.#random.whole(0, 2),
      replyMs: isReplyLate ? this.#random.whole(500, 30_000) : this.#random.whole(0, 2),
      againMs: this.#random.whole(1, 20_000),
    };
    if (kind !== 'fine' || isRequestLate || isReplyLate) this.trouble(server, 60_000);
    return channel === '' ? { ...fate, kind: 'fine' } : fate;
  }

  #kindOfFate(server: string): Fate['kind'] {
    if (this.happens('request_lost', 0.02)) return 'request_lost';
    if (this.happens('reply_lost', 0.02)) return 'reply_lost';
    if (this.happens('reply_doubled', 0.02)) return 'reply_doubled';
    // No network doubles what goes over TCP; a client that sends a delivery again does.
    return server === 'orchestrator' && this.happens('request_doubled', 0.05) ? 'request_doubled' : 'fine';
  }

  serviceTimesOf(server: string): { readonly beforeMs: number; readonly afterMs: number } {
    const now = this.#now();
    if (this.happens('hang', 0.01)) {
      const forMs = this.#random.whole(500, 15_000);
      this.#hangs.set(server, now + forMs);
      this.trouble(server, forMs + 10_000);
    }
    const hangMs = Math.max(0, (this.#hangs.get(server) ?? 0) - now);
    const isBefore = this.#random.chance(0.5);
    return {
      beforeMs: this.#random.whole(0, 3) + (isBefore ? hangMs : 0),
      afterMs: this.#random.whole(0, 2) + (isBefore ? 0 : hangMs),
    };
  }

  journalGoesOut(forMs: number): void {
    this.#journalOutUntilMs = this.#now() + forMs;
    this.trouble('journal', forMs);
  }

  /** @param mayComeLate whether it may take effect after its caller was told that it has failed */
  statement(mayComeLate: boolean): StatementFate {
    const beforeMs = this.#random.next() * 2;
    const afterMs = this.#random.next() * 2;
    if (this.#now() < this.#journalOutUntilMs && this.isActive)
      return { end: 'not_applied', beforeMs, afterMs };
    if (mayComeLate && this.happens('journal_error', 0.1)) {
      this.trouble('journal');
      return { end: 'unknown_late', beforeMs, afterMs, lateMs: this.#random.whole(10, LATEST_MS) };
    }
    if (this.happens('journal_error', 0.02)) {
      this.trouble('journal');
      const end = this.#random.pick(['not_applied', 'unknown_applied', 'unknown_lost'] as const);
      return { end, beforeMs, afterMs };
    }
    if (!this.happens('journal_slow', 0.03)) return { end: 'fine', beforeMs, afterMs };
    const slowMs = this.#random.whole(50, 6_000);
    this.trouble('journal', slowMs);
    const isBefore = this.#random.chance(0.5);
    return { end: 'fine', beforeMs: isBefore ? slowMs : beforeMs, afterMs: isBefore ? afterMs : slowMs };
  }

  /** Nothing goes wrong from now on. */
  end(): void {
    this.isActive = false;
    this.#hangs.clear();
  }
}
