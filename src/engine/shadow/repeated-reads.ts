import { createHash } from 'node:crypto';
import { messageOf } from '../../domain/errors.ts';
import { type LaneKey, type ServiceName, sessionIdOf } from '../../domain/ids.ts';
import { encodeJson } from '../../domain/json.ts';
import { type MessageLimits, parseRequest } from '../../domain/request.ts';
import { isMapped, type MappedOperation } from '../calls/ask-orchestrator.ts';
import type { CallLegacy } from '../calls/call-legacy.ts';
import type { Emit } from '../ports/events.ts';
import { type Lanes, Snapshot } from '../lane/lanes.ts';
import { classify, type Operation, type OwnedOperation } from '../ports/operation.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Flags } from '../ports/ports.ts';
import type { Coverage, ServiceRuntime } from '../ports/service-runtime.ts';
import type { ShadowReads } from './shadow-reads.ts';

const MINUTE_MS = 60_000;
const WRITE_EVERY_MS = 10_000;
/** Reads that wait to be stored. Others are kept when they are sent again. */
const MOST_WAITING = 500;
/** Longer requests are not kept. */
const LONGEST = 65_536;

interface RepeatedReadParts {
  readonly store: KeptReadStore;
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  readonly coverage: ReadonlyMap<ServiceName, Coverage>;
  readonly flags: Pick<Flags, 'percentage'>;
  readonly shadows: Pick<ShadowReads, 'offer' | 'size'>;
  readonly lanes: Pick<Lanes, 'load'>;
  readonly callLegacy: CallLegacy;
  /** Everything on which the evidence of an action depends: definition, rules, versions. */
  readonly versionOf: (service: ServiceName, action: string) => string;
  readonly limits: MessageLimits;
  readonly clock: Clock;
  readonly emit: Emit;
  /** Most reads per minute that this replica repeats. */
  readonly perMinute: number;
  readonly timeoutMs: number;
}

/**
 * Evidence for services with few users. Distinct reads without side effects on legacy are kept, and slowly sent to both backends
 * again, once per state of their lane. Agents are not involved, and a busy service is not used.
 */
export class RepeatedReads {
  readonly #parts: RepeatedReadParts;
  readonly #stopping = new AbortController();
  #waiting = new Map<string, KeptRead>();
  #writtenAtMs = 0;
  #turn = 0;
  #loop: Promise<void> = Promise.resolve();

  constructor(parts: RepeatedReadParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#loop;
    await this.#write().catch(() => undefined);
  }

  /** An agent has sent the read. Never waits. */
  keep(operation: MappedOperation): void {
    const { message, request, service, lane, name: action } = operation;
    // Path and headers of an HTTP request are part of the read, and may hold secrets.
    if (request.http !== undefined || message.text.length > LONGEST || !isHarmless(operation)) return;
    const digest = digestOf(operation);
    if (this.#waiting.size >= MOST_WAITING && !this.#waiting.has(digest)) return;
    this.#waiting.set(digest, { service: service.name, lane, action, digest, request: message.text });
  }

  async #run(): Promise<void> {
    const { clock, emit, perMinute } = this.#parts;
    const { signal } = this.#stopping;
    for (;;) {
      await clock.sleep(MINUTE_MS / perMinute, signal);
      if (signal.aborted) return;
      try {
        await this.#writeInTime();
        await this.#repeatOne();
      } catch (error) {
        emit('journal:failed', { reason: messageOf(error) });
      }
    }
  }

  async #writeInTime(): Promise<void> {
    const nowMs = this.#parts.clock.now();
    if (nowMs - this.#writtenAtMs < WRITE_EVERY_MS) return;
    this.#writtenAtMs = nowMs;
    await this.#write();
  }

  async #write(): Promise<void> {
    if (this.#waiting.size === 0) return;
    const reads = [...this.#waiting.values()];
    this.#waiting = new Map();
    await this.#parts.store.keep(reads);
  }

  /** Services take turns. Within a service, the read that has waited longest is next. */
  async #repeatOne(): Promise<void> {
    const { store, services, clock } = this.#parts;
    const all = [...services.values()];
    this.#turn = (this.#turn + 1) % all.length;
    for (const service of [...all.slice(this.#turn), ...all.slice(0, this.#turn)]) {
      if (!this.#isIdle(service)) continue;
      const kept = await store.next(service.name, this.#versionsOf(service));
      if (kept === undefined) continue;
      const operation = this.#operationOf(service, kept.request, clock.now());
      if (operation !== undefined) return this.#ask(operation);
    }
  }

  /** Shadow reads are requested, every write is journaled, and no agent waits. */
  #isIdle({ name, legacy }: ServiceRuntime): boolean {
    const { flags, coverage, shadows } = this.#parts;
    const isCovered = (coverage.get(name)?.number ?? 0) > 0;
    if (!isCovered || flags.percentage('shadow-read', name) === 0) return false;
    return shadows.size === 0 && legacy.load('live').queued === 0 && legacy.load('live').isConnected;
  }

  #versionsOf({ name, definition }: ServiceRuntime): Record<string, string> {
    const actions = Object.keys(definition.actions);
    return Object.fromEntries(actions.map((action) => [action, this.#parts.versionOf(name, action)]));
  }

  /** Undefined if the definition has changed since, so that it does not know the read, or the read now has side effects. */
  #operationOf(service: ServiceRuntime, text: string, nowMs: number): MappedOperation | undefined {
    const body = Buffer.from(text);
    const parsed = parseRequest(body, this.#parts.limits);
    if (!parsed.ok) return undefined;
    const request = { service: service.name, body, receivedAtMs: nowMs };
    const operation = classify(service, request, parsed.message);
    return hasLane(operation) && isMapped(operation) && isHarmless(operation) ? operation : undefined;
  }

  /**
   * Handles the read as if an agent had sent it, and compares the answers afterwards. A side that does not answer proves nothing.
   */
  async #ask(operation: MappedOperation): Promise<void> {
    const { lanes, clock, callLegacy, shadows, timeoutMs } = this.#parts;
    const before = new Snapshot(await lanes.load(operation.service.name, operation.owner));
    const asked = await callLegacy(operation, 'shadow', { deadlineAtMs: clock.now() + timeoutMs }).catch(
      () => undefined,
    );
    if (asked === undefined || this.#stopping.signal.aborted) return;
    const text = asked.reply.body.toString('utf8');
    shadows.offer({
      operation,
      primary: 'legacy',
      text,
      primaryMs: asked.durationMs,
      before,
      isCompared: true,
    });
  }
}

function hasLane(operation: Operation): operation is OwnedOperation {
  return operation.lane !== undefined;
}

/** Whether a repeat has no side effect on legacy. */
function isHarmless({ action, message }: MappedOperation): boolean {
  return action.onLegacy(message) === 'nothing';
}

/** Keyed by the request to the orchestrator, because agents use a new request id for each equal read. */
function digestOf({ action, message, service, owner, lane, name }: MappedOperation): string {
  const asked = action.toOrchestrator(message, sessionIdOf(service.definition.lanes.sessionPrefix, owner));
  return createHash('sha256')
    .update(`${lane} ${name} ${encodeJson(asked)}`)
    .digest('hex');
}

/** A read that an agent has sent. */
export interface KeptRead {
  readonly service: ServiceName;
  readonly lane: LaneKey;
  readonly action: string;
  /** A digest of the lane and of the request to the orchestrator. Two reads with the same digest get the same answer. */
  readonly digest: string;
  /** The request's text. */
  readonly request: string;
}

/** Distinct reads of the last days, over all replicas. @throws StorageError */
export interface KeptReadStore {
  /** Adds reads, or records that they were sent again. Removes what is too old or too much. */
  keep(reads: readonly KeptRead[]): Promise<void>;
  /**
   * The kept read that has waited longest. No agent has sent it for a minute. It was not repeated yet in the present state of its
   * lane, and the lane is clean, delivered, and not flipped. The read then counts as repeated.
   * @param versions by action: with another version, the same state proves something again
   */
  next(
    service: ServiceName,
    versions: Readonly<Record<string, string>>,
  ): Promise<Pick<KeptRead, 'request'> | undefined>;
}
