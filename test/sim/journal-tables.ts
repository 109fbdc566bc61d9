import type { LaneKey, ServiceName } from '../../src/domain/ids.ts';
import type { LaneState } from '../../src/domain/lane.ts';
import type { Outcome } from '../../src/domain/outcome.ts';
import type {
  DeadLetter,
  FinishedCopy,
  Intent,
  LaneCounts,
  PendingWrite,
  Recovery,
} from '../../src/migration/ports.ts';

type Mutable<Row> = { -readonly [Column in keyof Row]: Row[Column] };

interface LaneRow extends Mutable<LaneState> {
  readonly key: LaneKey;
  readonly service: ServiceName;
  /** Outcomes up to here are certain, whatever they say: a copy has looked. */
  settledSequence: number;
  readonly writes: Map<number, PendingWrite>;
  readonly outcomes: Map<number, Outcome>;
  readonly deadLetters: Map<number, DeadLetter>;
}

export interface Outcomes {
  readonly laneId: number;
  readonly sequence: number;
  readonly outcome: Outcome;
}

export interface Step {
  readonly laneId: number;
  readonly delivered?: number;
  readonly seeded?: number;
}

/**
 * What the journal's tables hold, statement by statement as `storage/journal-sql.ts` has them. All of it survives a crash of the
 * proxy; a crash of the database takes back what no synchronous commit has followed (`synchronous_commit off`).
 */
export class JournalTables {
  readonly #lanes = new Map<LaneKey, LaneRow>();
  readonly #byId: LaneRow[] = [];
  readonly #coverage: { readonly number: number; readonly service: ServiceName; isOpen: boolean }[] = [];
  #unsynced: (() => void)[] = [];

  /** One group commit: outcomes of past writes, and new intents, each with its lane's next sequence. */
  commit(intents: readonly Intent[], outcomes: readonly Outcomes[]): Map<LaneKey, LaneState> {
    this.#unsynced = [];
    for (const { laneId, sequence, outcome } of outcomes) {
      const known = this.#byId[laneId - 1]?.outcomes;
      if (known !== undefined && !known.has(sequence)) known.set(sequence, outcome);
    }
    return new Map(intents.map((intent) => [intent.lane, this.#store(intent)]));
  }

  #store({ operationId, lane: key, action, request, acceptedAtMs }: Intent): LaneState {
    const lane = this.#laneOf(key);
    lane.sequence += 1;
    const place = { laneId: lane.id, lane: key, sequence: lane.sequence };
    lane.writes.set(lane.sequence, { ...place, operationId, action, request, acceptedAtMs });
    return stateOf(lane);
  }

  advance(steps: readonly Step[]): void {
    for (const { laneId, delivered = 0, seeded = 0 } of steps) {
      const lane = this.#byId[laneId - 1];
      if (lane === undefined) continue;
      const { deliveredSequence, seededCoverage } = lane;
      this.#unsynced.push(() => Object.assign(lane, { deliveredSequence, seededCoverage }));
      lane.deliveredSequence = Math.max(deliveredSequence, delivered);
      lane.seededCoverage = Math.max(seededCoverage, seeded);
    }
  }

  /** The database falls and comes back: what it had not written to its log is gone. */
  crash(): void {
    for (const undo of this.#unsynced.splice(0).toReversed()) undo();
  }

  markDirty(key: LaneKey, reason: string): void {
    this.#unsynced = [];
    const lane = this.#lanes.get(key);
    if (lane !== undefined && lane.condition !== 'stopped')
      Object.assign(lane, { condition: 'dirty', reason });
  }

  stopLane(key: LaneKey, reason: string): void {
    this.#unsynced = [];
    const lane = this.#lanes.get(key);
    if (lane !== undefined) Object.assign(lane, { condition: 'stopped', reason });
  }

  deadLetter(letter: DeadLetter): void {
    this.#unsynced = [];
    const letters = this.#byId[letter.ref.laneId - 1]?.deadLetters;
    if (letters?.has(letter.ref.sequence) === false) letters.set(letter.ref.sequence, letter);
  }

  lanes(keys: readonly LaneKey[]): Map<LaneKey, LaneState> {
    return new Map(keys.flatMap((key) => this.#known(key).map((lane) => [key, stateOf(lane)])));
  }

  pending(key: LaneKey, after: number, limit: number): PendingWrite[] {
    return this.#known(key).flatMap((lane) =>
      writesAbove(lane, Math.max(lane.deliveredSequence, after))
        .filter(({ sequence }) => lane.outcomes.get(sequence) === 'applied')
        .slice(0, limit),
    );
  }

  undelivered(key: LaneKey, through: number): PendingWrite[] {
    return this.#known(key).flatMap((lane) =>
      writesAbove(lane, lane.deliveredSequence).filter(({ sequence }) => {
        const outcome = lane.outcomes.get(sequence) ?? 'unknown';
        return sequence <= through && (outcome === 'applied' || outcome === 'unknown');
      }),
    );
  }

  beginCopy(key: LaneKey): LaneState {
    this.#unsynced = [];
    const lane = this.#laneOf(key);
    return stateOf(
      Object.assign(lane, { generation: lane.generation + 1, condition: 'copying' as const, reason: '' }),
    );
  }

  /** Nobody accepts exceptions here: those of the last copy are all there are. */
  finishCopy(key: LaneKey, facts: FinishedCopy): LaneState | undefined {
    this.#unsynced = [];
    const lane = this.#lanes.get(key);
    if (lane?.generation !== facts.generation) return undefined;
    if (lane.condition === 'copying') lane.condition = 'clean';
    lane.seededCoverage = Math.max(lane.seededCoverage, facts.coverage);
    lane.deliveredSequence = Math.max(lane.deliveredSequence, facts.sequence);
    lane.settledSequence = Math.max(lane.settledSequence, facts.sequence);
    lane.exceptions = new Set(facts.exceptions.map(({ item }) => item)).size;
    return stateOf(lane);
  }

  recover(): Recovery {
    this.#unsynced = [];
    for (const lane of this.#lanes.values()) {
      const wasCopying = lane.condition === 'copying';
      if (wasCopying || (lane.condition === 'clean' && hasUnsettled(lane)))
        Object.assign(lane, { condition: 'dirty', reason: wasCopying ? 'copy_interrupted' : 'unsettled' });
    }
    const lanes = [...this.#lanes.values()].toSorted((a, b) => (a.key < b.key ? -1 : 1));
    return {
      dirty: lanes.filter(({ condition }) => condition === 'dirty').map(({ key }) => key),
      pending: lanes.filter(({ key }) => this.pending(key, 0, 1).length > 0).map(({ key }) => key),
    };
  }

  counts(service: ServiceName): LaneCounts {
    const lanes = [...this.#lanes.values()].filter((lane) => lane.service === service);
    const open = this.current(service);
    const count = (test: (lane: LaneRow) => boolean): number => lanes.filter(test).length;
    return {
      lanes: lanes.length,
      seeded: count(({ seededCoverage }) => seededCoverage === open && open > 0),
      dirty: count(({ condition }) => condition === 'dirty'),
      copying: count(({ condition }) => condition === 'copying'),
      stopped: count(({ condition }) => condition === 'stopped'),
      excepted: count(({ exceptions }) => exceptions > 0),
      deadLetters: lanes.reduce((sum, { deadLetters }) => sum + deadLetters.size, 0),
    };
  }

  /** The open coverage row's number, or 0. */
  current(service: ServiceName): number {
    return this.#coverage.find((row) => row.service === service && row.isOpen)?.number ?? 0;
  }

  beginCoverage(service: ServiceName): number {
    this.#unsynced = [];
    if (this.current(service) === 0)
      this.#coverage.push({ number: this.#coverage.length + 1, service, isOpen: true });
    return this.current(service);
  }

  endCoverage(service: ServiceName): void {
    this.#unsynced = [];
    for (const row of this.#coverage) if (row.service === service) row.isOpen = false;
  }

  /** Whether an intent of an agent's numbered write is there. */
  holds(key: LaneKey, number: number): boolean {
    return this.#known(key).some(({ writes }) =>
      [...writes.values()].some(({ request }) => numberOf(request) === number),
    );
  }

  /** For who looks at everything in the end. */
  *rows(): Generator<LaneRow> {
    yield* this.#lanes.values();
  }

  #known(key: LaneKey): LaneRow[] {
    const lane = this.#lanes.get(key);
    return lane === undefined ? [] : [lane];
  }

  #laneOf(key: LaneKey): LaneRow {
    const known = this.#lanes.get(key);
    if (known !== undefined) return known;
    const lane = newLane(key, this.#byId.length + 1);
    this.#lanes.set(key, lane);
    this.#byId.push(lane);
    return lane;
  }
}

/** Every simulated request carries its number. */
export function numberOf(request: string): number {
  return Number(/"number":(\d+)/.exec(request)?.[1] ?? 0);
}

function newLane(key: LaneKey, id: number): LaneRow {
  return {
    key,
    service: key.slice(0, key.indexOf('/')) as ServiceName,
    id,
    sequence: 0,
    generation: 0,
    epoch: 0,
    primary: 'legacy',
    condition: 'clean',
    reason: '',
    seededCoverage: 0,
    exceptions: 0,
    deliveredSequence: 0,
    settledSequence: 0,
    writes: new Map(),
    outcomes: new Map(),
    deadLetters: new Map(),
  };
}

/** Rows as they are now: whoever reads one keeps what it read. */
function stateOf(lane: LaneRow): LaneState {
  const { key: _key, service: _service, settledSequence: _settled, ...rest } = lane;
  const { writes: _writes, outcomes: _outcomes, deadLetters: _letters, ...state } = rest;
  return state;
}

function writesAbove(lane: LaneRow, sequence: number): PendingWrite[] {
  return [...lane.writes.values()].filter((write) => write.sequence > sequence);
}

function hasUnsettled(lane: LaneRow): boolean {
  return writesAbove(lane, lane.settledSequence).some(
    ({ sequence }) => (lane.outcomes.get(sequence) ?? 'unknown') === 'unknown',
  );
}
