import type {
  Comparison,
  Difference,
  DifferenceClass,
  Hint,
  NotComparable,
} from '../../domain/comparison.ts';
import { messageOf } from '../../domain/errors.ts';
import type { Owner } from '../../domain/ids.ts';
import { isReadable } from '../../domain/service-definition.ts';
import type { MappedOperation } from '../calls/ask-orchestrator.ts';
import type { Verdicts } from '../compare/verdicts.ts';
import type { ComparedOperation } from '../compare/signature-book.ts';
import type { Backend } from '../../domain/backend.ts';
import type { Emit } from '../ports/events.ts';
import type { Clock } from '../../shared/clock.ts';
import { inParallel } from '../runs/run-work.ts';
import type { ServiceRuntime } from '../ports/service-runtime.ts';
import type { DifferenceStore } from '../compare/comparison-stores.ts';
import type { LostItemStore } from '../ports/lost-items.ts';
import type { ComparedLane, LaneComparer, LaneDifference } from '../runs/lane-comparer.ts';
import { lostAs } from '../items/lane-contents.ts';
import type { LaneFilter } from '../runs/lane-filter.ts';
import type { ItemFinding } from '../runs/attribute.ts';

/** If such reads are rare, at least one in this time queues its lane. */
const LEAST_EVERY_MS = 1_000;
/** Most lanes of a service that wait. Further ones are dropped and counted. */
const WAITING_LIMIT = 500;
const LANES_AT_ONCE = 100;
/** Pause between two readings of a service's store. */
const PAUSE_MS = 1_000;
/** A store is read at most a tenth of the time, by all replicas together, based on the measured duration. */
const MOST_READ = 0.1;
/** Lanes that are compared one by one at the same time. */
const WIDTH = 2;
/** Longest hold of a lane in use, because such lanes are compared all day. */
const HELD_MS = 250;

const FAILED = notComparable('shadow_error');

export interface LaneSampleParts {
  readonly laneFilter: Pick<LaneFilter, 'sift'>;
  readonly comparer: Pick<LaneComparer, 'compare'>;
  readonly verdicts: Pick<Verdicts, 'concludeLane' | 'concludeFlipped'>;
  readonly differences: DifferenceStore;
  readonly lostItems: LostItemStore;
  readonly random: () => number;
  readonly clock: Clock;
  readonly emit: Emit;
  /** Percent of the reads with side effects on legacy that queue their lane. 0: none. */
  readonly percentage: number;
  /** Live replicas, including this one, because each of them samples. */
  readonly replicas: () => number;
}

/** Lanes of one service that wait for a comparison. */
interface Queue {
  readonly service: ServiceRuntime;
  /** By owner: the read that queued it. */
  readonly waiting: Map<Owner, MappedOperation>;
  sampledAtMs: number;
  /** How long the last batch used the legacy store. */
  readMs: number;
  work: Promise<void> | undefined;
}

/**
 * Evidence for reads with side effects on legacy, which must not be repeated. Some of them queue their lane, and the whole lane
 * is compared on the service's own store. The result counts for every read action of the service. Bounded, and agents never wait
 * for it.
 */
export class LaneSamples {
  readonly #parts: LaneSampleParts;
  readonly #queues = new Map<ServiceRuntime, Queue>();
  readonly #stopping = new AbortController();

  constructor(parts: LaneSampleParts) {
    this.#parts = parts;
  }

  /** A read was answered. For some reads the lane is queued. Never waits. */
  sample(operation: MappedOperation): void {
    const { clock, random, percentage } = this.#parts;
    const queue = this.#queueFor(operation);
    if (queue === undefined) return;
    const isDue = clock.now() - queue.sampledAtMs >= LEAST_EVERY_MS;
    if (isDue || random() * 100 < percentage) this.#enqueue(queue, operation);
  }

  /** Its answers could not be compared because the lane changed, but the lane itself can be compared. Never waits. */
  doubt(operation: MappedOperation): void {
    const queue = this.#queueFor(operation);
    if (queue !== undefined) this.#enqueue(queue, operation);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    for (const { work } of this.#queues.values()) await work;
  }

  /** Undefined if legacy may be asked again, or if its store cannot be read. */
  #queueFor({ service, action, message }: MappedOperation): Queue | undefined {
    const { percentage } = this.#parts;
    if (percentage === 0 || this.#stopping.signal.aborted) return undefined;
    if (action.onLegacy(message) === 'nothing' || !isReadable(service)) return undefined;
    let queue = this.#queues.get(service);
    if (queue === undefined) {
      queue = { service, waiting: new Map(), sampledAtMs: -Infinity, readMs: 0, work: undefined };
      this.#queues.set(service, queue);
    }
    return queue;
  }

  #enqueue(queue: Queue, operation: MappedOperation): void {
    const { waiting } = queue;
    queue.sampledAtMs = this.#parts.clock.now();
    if (waiting.size >= WAITING_LIMIT && !waiting.has(operation.owner)) return this.#dropped(operation);
    waiting.set(operation.owner, operation);
    queue.work ??= this.#work(queue);
  }

  async #work(queue: Queue): Promise<void> {
    const { clock, replicas } = this.#parts;
    const { signal } = this.#stopping;
    while (queue.waiting.size > 0) {
      await clock.sleep(Math.max(PAUSE_MS, queue.readMs * (replicas() / MOST_READ - 1)), signal);
      if (signal.aborted) break;
      queue.readMs = 0;
      const batch = new Map([...queue.waiting].slice(0, LANES_AT_ONCE));
      for (const owner of batch.keys()) queue.waiting.delete(owner);
      await this.#compareAll(queue, batch);
    }
    queue.work = undefined;
  }

  async #compareAll(queue: Queue, batch: ReadonlyMap<Owner, MappedOperation>): Promise<void> {
    try {
      const { equal, doubtful, readingMs } = await this.#parts.laneFilter.sift(queue.service, [
        ...batch.keys(),
      ]);
      queue.readMs += readingMs;
      for (const { owner, ...at } of equal) this.#conclude(batch.get(owner), LANE_MATCHES, at);
      const control = { isStopped: () => this.#stopping.signal.aborted, width: () => WIDTH };
      await inParallel(doubtful, control, (owner) => this.#compareOne(queue, owner, batch.get(owner)));
    } catch {
      for (const operation of batch.values()) this.#conclude(operation, FAILED);
    }
  }

  /** Never throws. A side that does not answer makes no comparison. */
  async #compareOne(queue: Queue, owner: Owner, operation: MappedOperation | undefined): Promise<void> {
    const { comparer, lostItems } = this.#parts;
    const { name } = queue.service;
    const onRead = (ms: number): void => {
      queue.readMs += ms;
    };
    try {
      const patience = { signal: this.#stopping.signal, catchUpMs: HELD_MS, holdMs: HELD_MS, onRead };
      const compared = await comparer.compare(name, owner, patience);
      if (compared.verdict === 'different' && compared.lost.length > 0)
        await lostItems.found(name, owner, compared.lost.map(lostAs));
      this.#conclude(operation, judgementOf(compared), compared);
    } catch {
      this.#conclude(operation, FAILED);
    }
  }

  #conclude(operation: MappedOperation | undefined, found: Comparison, at: ComparedAt = {}): void {
    if (operation === undefined || this.#stopping.signal.aborted) return;
    const { clock, differences, emit } = this.#parts;
    const { id, lane, name: action, service } = operation;
    const facts = { operationId: id, service: service.name, action, lane };
    const isFlipped = at.secondary === 'legacy';
    const judged = { ...facts, found };
    const comparison = isFlipped ? this.#legacyJudged(judged) : this.#judged(service, judged, at);
    if (comparison.verdict !== 'mismatch') return;
    differences
      .add({
        ...facts,
        primary: isFlipped ? 'orchestrator' : 'legacy',
        comparison,
        atMs: clock.wallMs(),
      })
      .catch((error: unknown) => emit('journal:failed', { reason: messageOf(error) }));
  }

  /** Evidence for every read action of the service. */
  #judged(
    service: ServiceRuntime,
    { found, ...facts }: ComparedOperation & { readonly found: Comparison },
    { sequence }: ComparedAt,
  ): Comparison {
    const comparison = this.#parts.verdicts.concludeLane(facts, found, sequence);
    this.#parts.emit('lane:compared', { ...facts, countsFor: readActionsOf(service), comparison });
    return comparison;
  }

  #legacyJudged({ found, ...facts }: ComparedOperation & { readonly found: Comparison }): Comparison {
    const judgement = { comparison: found, accepted: [], gapsSeconds: [] };
    const comparison = this.#parts.verdicts.concludeFlipped(facts, judgement);
    this.#parts.emit('flipped:compared', { ...facts, by: 'lane', comparison });
    return comparison;
  }

  #dropped({ id, name: action, service }: MappedOperation): void {
    const reason = 'lanes_full';
    this.#parts.emit('shadow:dropped', { operationId: id, service: service.name, action, reason });
  }
}

/** Absent members are unknown, as after a failure. */
interface ComparedAt {
  readonly secondary?: Backend;
  readonly sequence?: number;
}

function readActionsOf({ definition: { actions } }: ServiceRuntime): readonly string[] {
  return Object.entries(actions)
    .filter(([, action]) => action.kind === 'read' && action.legacyOnly === undefined)
    .map(([name]) => name);
}

/** The path of a difference between whole lanes. Answers have no such path. */
const PATH = 'whole_lane[]';
/** Characters of a digest that identify an item. */
const DIGEST_CHARACTERS = 8;

const NOT_COMPARABLE: Readonly<Record<string, NotComparable>> = {
  racy: 'racy',
  behind: 'racy',
  not_seeded: 'not_seeded',
};

const CLASSES = {
  altered: 'value',
  added: 'extra_in_orchestrator',
  removed: 'missing_in_orchestrator',
  reordered: 'order',
  resurrected: 'extra_in_orchestrator',
  lost: 'extra_in_orchestrator',
} as const satisfies Partial<Record<ItemFinding['kind'], DifferenceClass>>;

const LANE_MATCHES: Comparison = { verdict: 'match', differences: [], suppressed: 0 };

/**
 * What a comparison of whole lanes proves about agents' reads. A lost item waits for a person and is not an error of the
 * orchestrator. In a flipped lane it is an error of legacy. A lane that was never copied proves nothing.
 */
export function judgementOf(compared: ComparedLane): Comparison {
  if (compared.verdict === 'not_comparable') return notComparable(reasonOf(compared.reason));
  if (isUnknown(compared)) return notComparable('unknown_lane');
  if (compared.findings.some(({ kind }) => kind === 'not_seeded')) return notComparable('not_seeded');
  if (compared.verdict === 'equal') return LANE_MATCHES;
  const isCounted = (finding: ItemFinding): boolean =>
    finding.kind !== 'lost' || compared.secondary === 'legacy';
  const differences = compared.findings.filter(isCounted).flatMap((finding) => differenceOf(finding) ?? []);
  if (differences.length === 0) return notComparable('lost');
  return { verdict: 'mismatch', differences, suppressed: 0 };
}

/** An owner that neither side has. */
function isUnknown({ findings, source, sequence }: LaneDifference): boolean {
  return !source.exists && sequence === 0 && findings.length === 0;
}

function reasonOf(reason: string): NotComparable {
  if (reason.startsWith('unreadable')) return 'unreadable';
  return NOT_COMPARABLE[reason] ?? 'dirty';
}

function notComparable(reason: NotComparable): Comparison {
  return { verdict: 'not_comparable', reason, differences: [], suppressed: 0 };
}

/** The cause that the class alone shows. An item that was written to legacy without the proxy is not on the orchestrator either. */
const HINTS: Partial<Record<DifferenceClass, Hint>> = {
  missing_in_orchestrator: 'missing_backfill',
  order: 'order',
};

function differenceOf(finding: ItemFinding): Difference | undefined {
  const { kind, side, before, after } = finding;
  if (kind === 'not_seeded') return undefined;
  const isOnlyOnLegacy = kind === 'added' && side === 'legacy';
  const found = isOnlyOnLegacy ? 'missing_in_orchestrator' : CLASSES[kind];
  const hint = finding.hint ?? HINTS[found];
  return {
    path: PATH,
    class: found,
    legacy: shapeOf(after),
    orchestrator: shapeOf(before),
    ...(hint !== undefined && { hint }),
  };
}

function shapeOf(digest: string | undefined): string {
  return digest === undefined ? 'absent' : `item#${digest.slice(0, DIGEST_CHARACTERS)}`;
}
