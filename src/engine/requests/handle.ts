import type { Backend } from '../../domain/backend.ts';
import { ConnectionError, CrossfadeError, messageOf, StorageError } from '../../domain/errors.ts';
import type { ServiceName } from '../../domain/ids.ts';
import { type BadInput, type Message, type MessageLimits, parseRequest } from '../../domain/request.ts';
import type { WritesState } from '../../domain/stage.ts';
import type { FailureKind } from '../../domain/service-definition.ts';
import type { Decision, ReadLimits } from '../ports/decision.ts';
import type { Emit, ReplyStatus } from '../ports/events.ts';
import {
  type AgentReply,
  type AgentRequest,
  type Answer,
  classify,
  labelsOf,
  meaningOf,
  type Operation,
  type OwnedOperation,
  type RequestHandler,
} from '../ports/operation.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Primaries, SeenPrimary } from '../lane/primaries.ts';
import type { Flags, Reply } from '../ports/ports.ts';
import type { Coverage, ServiceRuntime } from '../ports/service-runtime.ts';
import { decide } from './decide.ts';

/** The paths of an operation. Each throws a CrossfadeError if there is no reply. */
export interface Paths {
  write(operation: OwnedOperation, decision: Decision): Promise<Answer>;
  /** @param seen what has just been learned of the lane */
  read(operation: OwnedOperation, decision: Decision, seen: SeenPrimary): Promise<Answer>;
  passThrough(operation: Operation): Promise<Answer>;
}

interface HandlerParts {
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  readonly coverage: ReadonlyMap<ServiceName, Coverage>;
  readonly paths: Paths;
  readonly primaries: Pick<Primaries, 'of'>;
  readonly flags: Flags;
  /** What latches and interlocks permit of the flags. @defaultValue everything */
  readonly readLimits?: ReadLimits | undefined;
  /** Whether legacy still takes writes of a service. @defaultValue open */
  readonly writesStateOf?: ((service: ServiceName) => WritesState) | undefined;
  readonly limits: MessageLimits;
  readonly clock: Clock;
  readonly emit: Emit;
}

const HTTP_STATUS: Readonly<Record<FailureKind, number>> = { bad_input: 400, timeout: 504, unavailable: 503 };

const FAILURE_STATUS: Readonly<Record<FailureKind, ReplyStatus>> = {
  bad_input: 'bad_input',
  timeout: 'timeout',
  unavailable: 'unavailable',
};

function failureOf(error: unknown): FailureKind {
  return error instanceof CrossfadeError && error.reason === 'timeout' ? 'timeout' : 'unavailable';
}

const NO_JOURNAL = 'the journal cannot be written';

/** Messages for agents by the reason of a failed connection: reasons of the lane and the journal, and reasons of the service. */
const ON_THE_WAY: Readonly<Record<string, string>> = {
  lane_busy: 'other writes of the same owner took too long',
  lane_open: 'the outcome of an earlier write of the same owner is not known yet',
  restored: 'a restored database lacks something of the same owner, and a person must decide',
  not_compared: 'what a database holds of the same owner is being checked',
  primary_unknown: 'it is not known which store has the newest writes of the owner',
  other_version: 'another version of the proxy answers this owner now',
  read_only: 'the service takes no more such requests',
  legacy_ended: 'the service does not answer this request any more',
  unsettled_twin: 'the outcome of the same request, sent before, is not known yet',
  no_lease: NO_JOURNAL,
  slow: NO_JOURNAL,
};
const TOO_BUSY = 'is too busy';
const AT_THE_SERVICE: Readonly<Record<string, string>> = {
  timeout: 'did not answer within its deadline',
  queue_full: TOO_BUSY,
  deadline: TOO_BUSY,
  late: TOO_BUSY,
};

/** Agents get what failed. The details, with addresses and SQL, are in the log. */
function textFor(error: unknown, service: ServiceName): string {
  if (error instanceof StorageError) return NO_JOURNAL;
  if (!(error instanceof ConnectionError)) return messageOf(error);
  // If late replies opened the breaker, the connection itself may be fine.
  const after = error.reason === 'breaker_open' ? error.details['after'] : undefined;
  const reason = after === 'timeout' ? 'late' : (error.reason ?? '');
  return ON_THE_WAY[reason] ?? `${service} ${AT_THE_SERVICE[reason] ?? 'cannot be reached'}`;
}

/** A write learns the primary from the commit of its intent, whatever is assumed before. */
const OF_THE_INTENT: SeenPrimary = { primary: 'legacy' };

function hasLane(operation: Operation): operation is OwnedOperation {
  return operation.lane !== undefined;
}

/** Answers every request exactly once, in the dialect of its service. */
export class Handler implements RequestHandler {
  readonly #parts: HandlerParts;

  constructor(parts: HandlerParts) {
    this.#parts = parts;
  }

  async handle(request: AgentRequest): Promise<AgentReply> {
    const service = this.#parts.services.get(request.service);
    if (service === undefined) throw new Error(`Unknown service "${request.service}"`);
    const { agent } = request;
    if (agent !== undefined) this.#parts.emit('agent:asked', { service: service.name, agent });
    if (request.problem !== undefined)
      return this.#refuse(service, request.problem.kind, request.problem.detail);
    const parsed = parseRequest(meaningOf(service, request), this.#parts.limits);
    if (!parsed.ok) return this.#refuse(service, parsed.problem, parsed.detail);
    return this.#run(classify(service, request, parsed.message));
  }

  async #run(operation: Operation): Promise<AgentReply> {
    this.#parts.emit('operation:received', {
      operationId: operation.id,
      service: operation.service.name,
      action: operation.name,
      kind: operation.action.kind,
      atMs: operation.request.receivedAtMs,
      lane: operation.lane,
    });
    let decision: Decision | undefined;
    try {
      const known = this.#primaryOf(operation);
      const seen = known instanceof Promise ? await known : known;
      decision = hasLane(operation) ? this.#decide(operation, seen) : undefined;
      const answer = await this.#follow(operation, decision, seen);
      this.#replied(operation, decision, answer);
      return answer.reply;
    } catch (error) {
      const kind = failureOf(error);
      this.#replied(operation, decision, { status: FAILURE_STATUS[kind], primaryMs: 0 });
      const text = textFor(error, operation.service.name);
      return inDialect(operation.service, kind, { text, message: operation.message });
    }
  }

  #primaryOf(operation: Operation): SeenPrimary | Promise<SeenPrimary> {
    const isRead = hasLane(operation) && operation.action.kind === 'read';
    return isRead ? this.#parts.primaries.of(operation) : OF_THE_INTENT;
  }

  #follow(operation: Operation, decision: Decision | undefined, seen: SeenPrimary): Promise<Answer> {
    const { paths, emit } = this.#parts;
    if (operation.action.kind === 'passthrough' || decision === undefined || !hasLane(operation))
      return paths.passThrough(operation);
    emit('operation:decided', { ...labelsOf(operation), decision });
    return operation.action.kind === 'write'
      ? paths.write(operation, decision)
      : paths.read(operation, decision, seen);
  }

  #decide(operation: OwnedOperation, { primary }: SeenPrimary): Decision {
    const context = {
      service: operation.service.name,
      owner: operation.owner,
      lane: operation.lane,
      action: operation.name,
      agent: operation.request.agent?.name,
    };
    const isCovered = (this.#parts.coverage.get(operation.service.name)?.number ?? 0) !== 0;
    const { flags, readLimits: limits, writesStateOf } = this.#parts;
    const writes = writesStateOf?.(operation.service.name);
    return decide(operation.action, isCovered, { flags, context, limits, primary, writes });
  }

  #refuse(service: ServiceRuntime, problem: BadInput, detail: string): Reply {
    this.#parts.emit('operation:refused', { service: service.name, problem });
    return inDialect(service, 'bad_input', { text: detail });
  }

  #replied(
    operation: Operation,
    decision: Decision | undefined,
    answer: Partial<Answer> & { readonly primaryMs: number },
  ): void {
    this.#parts.emit('operation:replied', {
      operationId: operation.id,
      service: operation.service.name,
      action: operation.name,
      kind: operation.action.kind,
      status: answer.status ?? 'answered',
      durationMs: this.#parts.clock.now() - operation.request.receivedAtMs,
      primaryMs: answer.primaryMs,
      backend: answer.backend,
      lane: operation.lane,
      assigned: assignedTo(operation, decision),
      isFlipped: decision?.reason === 'flipped',
    });
  }
}

/** Undefined for what only one backend can answer, because there is nothing to compare it with. */
function assignedTo({ action }: Operation, decision: Decision | undefined): Backend | undefined {
  const isEither = action.kind === 'read' && action.legacyOnly === undefined;
  return isEither && decision?.reason !== 'not_covered' ? decision?.primary : undefined;
}

function inDialect(
  service: ServiceRuntime,
  kind: FailureKind,
  told: { text: string; message?: Message },
): Reply {
  return {
    body: Buffer.from(service.definition.dialect.error(kind, told.text, told.message)),
    http: { status: HTTP_STATUS[kind], headers: { 'content-type': 'application/json' } },
  };
}
