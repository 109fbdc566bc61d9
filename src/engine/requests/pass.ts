import { randomUUID } from 'node:crypto';
import { operationId, type ServiceName } from '../../domain/ids.ts';
import { type MessageLimits, parseRequest, readReply } from '../../domain/request.ts';
import type { Emit, ReplyStatus } from '../ports/events.ts';
import {
  type AgentRequest,
  type Answer,
  classify,
  labelsOf,
  meaningOf,
  type Operation,
  OTHER,
  type Passage,
} from '../ports/operation.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Flags } from '../ports/ports.ts';
import type { Coverage, ServiceRuntime } from '../ports/service-runtime.ts';
import type { Unjournaled } from '../coverage/unjournaled.ts';
import { CrossfadeError } from '../../domain/errors.ts';
import type { WritesState } from '../../domain/stage.ts';
import type { ReplyOutcome } from '../../domain/outcome.ts';
import type { CallLegacy } from '../calls/call-legacy.ts';
import type { Lanes } from '../lane/lanes.ts';
import { legacyIsReadOnly } from '../writes/not-sent.ts';
import type { Settler } from '../writes/settle.ts';
import { decide } from './decide.ts';

interface PassParts {
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  readonly coverage: ReadonlyMap<ServiceName, Coverage>;
  readonly flags: Flags;
  readonly unjournaled: Unjournaled;
  /** Whether this replica knows what the others do. */
  readonly mayPass: () => boolean;
  /** Whether legacy still takes writes of a service. @defaultValue open */
  readonly writesStateOf?: (service: ServiceName) => WritesState;
  readonly limits: MessageLimits;
  readonly clock: Clock;
  readonly emit: Emit;
}

/** The members of the events about a passing request. */
interface Passing {
  readonly labels: ReturnType<typeof labelsOf>;
  readonly kind: Operation['action']['kind'];
  readonly receivedAtMs: number;
  readonly startedAtMs: number;
}

/**
 * Lets requests of uncovered services pass the engine, so that a frontend may stream them. In stage `off` nothing is journaled,
 * compared or kept, and only bad input must be detected. The first copies wait for the writes among these requests.
 */
export class PassPath {
  readonly #parts: PassParts;

  constructor(parts: PassParts) {
    this.#parts = parts;
  }

  /** Undefined if the engine must handle the request: a covered service, bad input, or an owner that the proxy generates. */
  pass(request: AgentRequest): Passage | undefined {
    const service = this.#parts.services.get(request.service);
    const coverage = this.#parts.coverage.get(request.service);
    if (service === undefined || coverage === undefined || coverage.number !== 0) return undefined;
    if (!this.#parts.mayPass()) return undefined;
    if (request.problem !== undefined) return undefined;
    const parsed = parseRequest(meaningOf(service, request), this.#parts.limits);
    if (!parsed.ok) return undefined;
    const operation = classify(service, request, parsed.message);
    if (operation.body !== request.body) return undefined;
    return this.#begin(operation);
  }

  /** Counted like an unknown action of a ZeroMQ service, so that people see how many there are. It may be a write. */
  passUnknown({
    service,
    receivedAtMs,
    agent,
  }: Pick<AgentRequest, 'service' | 'receivedAtMs' | 'agent'>): ((status: ReplyStatus) => void) | undefined {
    if (agent !== undefined) this.#parts.emit('agent:asked', { service, agent });
    const labels = { operationId: operationId(randomUUID()), service, action: OTHER };
    const passing = { labels, kind: 'passthrough', receivedAtMs, startedAtMs: receivedAtMs } as const;
    this.#parts.emit('operation:received', { ...labels, kind: passing.kind, atMs: receivedAtMs });
    const { writesStateOf } = this.#parts;
    if (writesStateOf !== undefined && writesStateOf(service) !== 'open') return undefined;
    return (status) => this.#ended(passing, status);
  }

  #begin(operation: Operation): Passage {
    const { emit, clock, flags } = this.#parts;
    const { kind } = operation.action;
    const { receivedAtMs, agent, service } = operation.request;
    if (agent !== undefined) emit('agent:asked', { service, agent });
    const lane = operation.lane !== undefined && { lane: operation.lane };
    emit('operation:received', { ...labelsOf(operation), kind, atMs: receivedAtMs, ...lane });
    const context = { service: operation.service.name };
    if (operation.lane !== undefined)
      emit('operation:decided', {
        ...labelsOf(operation),
        decision: decide(operation.action, false, { flags, context }),
      });
    const passing = { labels: labelsOf(operation), kind, receivedAtMs, startedAtMs: clock.now() };
    const end = kind === 'write' ? this.#parts.unjournaled.begin(operation.service) : undefined;
    return {
      deadlineAtMs: operation.deadlineAtMs,
      end: (status) => {
        // A request that broke off after it was sent may still take effect.
        end?.(status === 'answered' ? 'certain' : 'unknown');
        this.#ended(passing, status);
      },
    };
  }

  #ended({ labels, kind, receivedAtMs, startedAtMs }: Passing, status: ReplyStatus): void {
    const { emit, clock } = this.#parts;
    const now = clock.now();
    const durationMs = now - startedAtMs;
    emit('backend:called', {
      ...labels,
      backend: 'legacy',
      purpose: 'live',
      startedAtMs,
      durationMs,
      result: RESULTS[status],
    });
    emit('operation:replied', {
      ...labels,
      kind,
      backend: 'legacy',
      status,
      durationMs: now - receivedAtMs,
      primaryMs: durationMs,
    });
  }
}

const RESULTS = {
  answered: 'answered',
  refused: 'answered',
  timeout: 'timeout',
  unavailable: 'unreachable',
  bad_input: 'error',
} as const satisfies Record<ReplyStatus, string>;

interface PassThroughParts {
  readonly callLegacy: CallLegacy;
  readonly lanes: Lanes;
  readonly settler: Settler;
  readonly coverage: ReadonlyMap<ServiceName, Coverage>;
  /** Whether legacy still takes writes of a service. */
  readonly writesStateOf: (service: ServiceName) => WritesState;
  readonly emit: Emit;
}

/** Relays a request unchanged that the definition does not know, or that has no owner. */
export async function passThrough(operation: Operation, parts: PassThroughParts): Promise<Answer> {
  if (parts.writesStateOf(operation.service.name) === 'read_only' && mayChange(operation))
    throw legacyIsReadOnly();
  const isTouched = touchedLane(operation, parts);
  // It may be a write of any lane, so it waits while an unknown outcome is being probed.
  if (isTouched !== undefined) await parts.settler.gate(operation.service.name, operation.deadlineAtMs);
  try {
    const { reply, durationMs } = await parts.callLegacy(operation, 'live');
    isTouched?.('answered');
    count(operation, parts, operation.unmapped?.outcome(readReply(reply.body), operation.message));
    return { reply, backend: 'legacy', primaryMs: durationMs };
  } catch (error) {
    if (error instanceof CrossfadeError && error.effect === 'unknown') {
      isTouched?.('unknown');
      count(operation, parts, 'unknown');
    }
    throw error;
  }
}

/** Whether the request may change something on legacy, as far as its definition says. */
function mayChange({ action, message }: Operation): boolean {
  if (action.kind === 'read') return ['loads', 'cuts'].includes(action.onLegacy(message));
  return action.kind === 'write' || action.changesNothing !== true;
}

/** Reports a write that no lane holds. One that changed a known lane is not missing, because that lane is copied. */
function count(
  operation: Operation,
  { coverage, emit }: PassThroughParts,
  outcome: ReplyOutcome | undefined,
): void {
  const { service, unmapped, touched } = operation;
  if (unmapped === undefined || touched !== undefined || outcome === undefined || outcome === 'refused')
    return;
  if ((coverage.get(service.name)?.number ?? 0) === 0) return;
  emit('write:unmapped', { ...labelsOf(operation), outcome });
}

/**
 * For a write without an owner that may have changed another lane. The returned function records how the write ended, and that
 * lane is then copied.
 */
function touchedLane(
  { service, touched }: Operation,
  { lanes, settler, coverage }: PassThroughParts,
): ((end: 'answered' | 'unknown') => void) | undefined {
  if (touched === undefined) return undefined;
  // The lane's row must be loaded before the mark. No agent waits for this.
  const loaded = lanes.load(service.name, touched).catch(() => lanes.of(service.name, touched));
  return (end) =>
    void loaded.then((lane) => {
      // Without coverage no lane is seeded, so each is copied before any read uses it.
      if ((coverage.get(service.name)?.number ?? 0) === 0) return;
      if (end === 'answered') settler.copyAnew(lane, 'unmapped_write');
      else settler.settle(lane, service);
    });
}
