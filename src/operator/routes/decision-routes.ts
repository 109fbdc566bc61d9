import type { FastifyInstance } from 'fastify';
import { type LaneKey, operationId, type OperationId, type ServiceName } from '../../domain/ids.ts';
import type {
  ByPerson,
  DeadLetterStore,
  Decided,
  LedgerQuery,
  StoredDeadLetter,
  StoredUnknown,
  UnknownLedger,
} from '../../engine/ports/decision-ports.ts';
import type { HaltedSend, ReverseDecision, ReverseLedger } from '../../engine/ports/reverse-ports.ts';
import type { AuditStore } from '../../engine/guard/guard-ports.ts';
import type { LaneCommands, NoCopy } from '../../engine/runs/lane-commands.ts';
import { type Answered, type Asked, ENDPOINTS } from '../api/endpoints.ts';
import type { DeadLetter, LedgerQuery as LedgerFilter, PrintedHalt, UnknownOutcome } from '../api/ledgers.ts';
import { knownService } from '../known-service.ts';
import { Refusal } from '../refusal.ts';
import { parseTolerantly } from '../../domain/json.ts';
import { nameOf, shapeOf } from '../../engine/compare/reply-values.ts';
import { serve } from './serve.ts';

export interface DecisionRouteParts {
  readonly services: readonly ServiceName[];
  readonly letters: DeadLetterStore;
  readonly unknowns: UnknownLedger;
  readonly reverse: Pick<ReverseLedger, 'list' | 'decide'>;
  readonly desk: Pick<LaneCommands, 'isReadable' | 'changed' | 'whyNotCopied' | 'copy'>;
  readonly audit: Pick<AuditStore, 'add'>;
  readonly nowMs: () => number;
}

const DEFAULT_LIMIT = 50;

type Settled = Answered<'assumeOutcome'>;
type Assumed = Asked<'assumeOutcome'>['body'];

/** What waits for a person: dead letters, writes whose outcome only a person can decide, and halted sends to legacy. */
export function registerDecisionRoutes(app: FastifyInstance, parts: DecisionRouteParts): void {
  const routes = new DecisionRoutes(parts);
  serve(app, ENDPOINTS.listDeadLetters, ({ query }) => routes.letters(query));
  serve(app, ENDPOINTS.showDeadLetter, ({ params }) => routes.letter(idOf(params)));
  serve(app, ENDPOINTS.redriveDeadLetter, ({ params, body }) =>
    routes.resolve(idOf(params), 'redriven', body),
  );
  serve(app, ENDPOINTS.skipDeadLetter, ({ params, body }) => routes.resolve(idOf(params), 'skipped', body));
  serve(app, ENDPOINTS.copyLaneOfDeadLetter, ({ params, body }) => routes.copy(idOf(params), body));
  serve(app, ENDPOINTS.listUnknownOutcomes, ({ query }) => routes.unknowns(query));
  serve(app, ENDPOINTS.assumeOutcome, ({ params, body }) => routes.assume(idOf(params), body));
  serve(app, ENDPOINTS.listReverse, ({ query }) => routes.halted(query));
  serve(app, ENDPOINTS.retryReverse, ({ params, body }) => routes.reverse(idOf(params), 'retry', body));
  serve(app, ENDPOINTS.skipReverse, ({ params, body }) => routes.reverse(idOf(params), 'skip', body));
  serve(app, ENDPOINTS.assumeReverse, ({ params, body }) =>
    routes.reverse(idOf(params), 'assume_applied', body),
  );
}

function idOf({ operation }: { readonly operation: string }): OperationId {
  return operationId(operation.toLowerCase());
}

const NO_COPY: Readonly<Record<NoCopy, string>> = {
  unreadable: 'its store is not configured: redrive or skip the dead letter',
  uncovered: 'dual writes of the service are off',
  unknown_lane: 'its owner is unknown to the journal and to legacy',
  undone:
    'its repair was undone: compare and repair it again (crossfade reconcile --owner OWNER --repair apply)',
  stopped: 'legacy lost items of it: decide about each of them first (crossfade lost list)',
  flipped: 'the orchestrator is primary for its writes, and nothing is copied over a primary',
};

class DecisionRoutes {
  readonly #parts: DecisionRouteParts;

  constructor(parts: DecisionRouteParts) {
    this.#parts = parts;
  }

  async letters(query: LedgerFilter): Promise<Answered<'listDeadLetters'>> {
    const found = await this.#parts.letters.list(this.#queryOf(query));
    return { dead_letters: found.map(printedLetter) };
  }

  async letter(operation: OperationId): Promise<Answered<'showDeadLetter'>> {
    const letter = await this.#known(operation);
    const request = await this.#parts.letters.requestOf(operation);
    return { ...printedLetter(letter), request: request === undefined ? null : redacted(request) };
  }

  async resolve(operation: OperationId, as: 'redriven' | 'skipped', body: ByPerson): Promise<Settled> {
    const lane = decided(await this.#parts.letters.resolve(operation, as, trimmed(body)), operation);
    this.#parts.desk.changed(lane);
    return { operation_id: operation, lane, state: as };
  }

  async copy(operation: OperationId, body: ByPerson): Promise<Settled> {
    const { desk, audit } = this.#parts;
    const { lane, service, sequence, standing } = await this.#known(operation);
    if (standing !== 'open')
      throw new Refusal(409, 'ended', `dead letter ${operation} is already closed (${standing})`);
    const why = await desk.whyNotCopied(lane);
    if (why !== undefined)
      throw new Refusal(409, why, `the lane of ${operation} cannot be copied: ${NO_COPY[why]}`);
    const details = { operation_id: operation, lane, sequence };
    await audit.add({ ...trimmed(body), command: 'dead-letters copy', service, details });
    await desk.copy(lane);
    return { operation_id: operation, lane, state: 'copying' };
  }

  async unknowns(query: LedgerFilter): Promise<Answered<'listUnknownOutcomes'>> {
    const { unknowns, desk, nowMs } = this.#parts;
    const found = await unknowns.list(this.#queryOf(query));
    return {
      unknown_outcomes: found.map((each) =>
        printedUnknown(each, { isReadable: desk.isReadable(each.service), nowMs: nowMs() }),
      ),
    };
  }

  async assume(operation: OperationId, body: Assumed): Promise<Settled> {
    const { unknowns, desk } = this.#parts;
    const { outcome } = body;
    const lane = decided(await unknowns.assume(operation, { ...trimmed(body), outcome }), operation);
    desk.changed(lane);
    return { operation_id: operation, lane, state: `assumed_${outcome}` };
  }

  async halted(query: LedgerFilter): Promise<Answered<'listReverse'>> {
    const found = await this.#parts.reverse.list(this.#queryOf(query));
    return { reverse: found.map(printedHalt) };
  }

  async reverse(operation: OperationId, as: ReverseDecision, body: ByPerson): Promise<Settled> {
    const lane = decided(await this.#parts.reverse.decide(operation, as, trimmed(body)), operation);
    this.#parts.desk.changed(lane);
    return { operation_id: operation, lane, state: DECIDED[as] };
  }

  async #known(operation: OperationId): Promise<StoredDeadLetter> {
    const letter = await this.#parts.letters.find(operation);
    if (letter === undefined)
      throw new Refusal(
        404,
        'operation_not_found',
        `unknown dead letter ${operation}: see the list of dead letters`,
      );
    return letter;
  }

  #queryOf({ service, state = 'open', limit }: LedgerFilter): LedgerQuery {
    return {
      limit: Number(limit ?? DEFAULT_LIMIT),
      ...(service !== undefined && { service: knownService(service, this.#parts.services) }),
      ...(state !== 'all' && { standing: state }),
    };
  }
}

const DECIDED = { retry: 'retried', skip: 'skipped', assume_applied: 'assumed_applied' } as const;

function trimmed({ person, reason }: ByPerson): ByPerson {
  return { person: person.trim(), reason: reason.trim() };
}

/** The lane of the decision. @throws Refusal */
function decided(answer: Decided, operation: OperationId): LaneKey {
  switch (answer.result) {
    case 'decided':
      return answer.lane;
    case 'unknown_operation':
      throw new Refusal(
        404,
        'operation_not_found',
        `unknown operation ${operation}: see the lists of unknown outcomes and of halted sends`,
      );
    case 'ended':
      throw new Refusal(409, 'ended', `${operation} is already settled (${answer.by})`);
    case 'too_early':
      throw new Refusal(
        409,
        'too_early',
        `a late reply may still settle ${operation}: decide after ${new Date(answer.untilMs).toISOString()}`,
      );
  }
}

/** A late reply is awaited for this long. */
const LISTENED_MS = 60_000;

function at(ms: number | undefined): string | null {
  return ms === undefined ? null : new Date(ms).toISOString();
}

/** A dead letter as people see it, without the content of the write. */
function printedLetter(letter: StoredDeadLetter): DeadLetter {
  return {
    operation_id: letter.operationId,
    service: letter.service,
    lane: letter.lane,
    sequence: letter.sequence,
    action: letter.action,
    code: letter.code,
    reason: letter.reason,
    refused_at: at(letter.refusedAtMs),
    attempts: letter.attempts,
    state: letter.standing,
    resolved_at: at(letter.resolvedAtMs),
    resolved_by: letter.resolvedBy?.person ?? null,
    resolved_reason: letter.resolvedBy?.reason ?? null,
    through: letter.isThrough,
    waiting_behind: letter.waiting,
  };
}

/** A halted send as people see it, without the content of the write. */
function printedHalt(halted: HaltedSend): PrintedHalt {
  return {
    operation_id: halted.operationId,
    service: halted.service,
    lane: halted.lane,
    sequence: halted.sequence,
    action: halted.action,
    reason: halted.because,
    halted_at: at(halted.haltedAtMs),
    attempts: halted.attempts,
    state: halted.standing,
    decided_at: at(halted.decidedAtMs),
    decided_by: halted.decidedBy?.person ?? null,
    decided_reason: halted.decidedBy?.reason ?? null,
    waiting_behind: halted.waiting,
  };
}

interface Circumstances {
  readonly isReadable: boolean;
  readonly nowMs: number;
}

/** A write of unknown outcome, and what may still settle it. */
function printedUnknown(unknown: StoredUnknown, circumstances: Circumstances): UnknownOutcome {
  return {
    ...printedEnd(unknown),
    ...waitingOf(unknown, circumstances),
  };
}

/** What it waits for, and what a person may choose. */
function waitingOf(
  { ending, foundAtMs }: StoredUnknown,
  { isReadable, nowMs }: Circumstances,
): Pick<UnknownOutcome, 'waits_for' | 'choices'> {
  if (ending !== undefined) return { waits_for: null, choices: [] };
  const isYoung = nowMs - foundAtMs < LISTENED_MS;
  const otherwise = isYoung ? 'late_reply' : 'person';
  return {
    waits_for: isReadable ? 'copy' : otherwise,
    choices: isYoung ? [] : ['assume-applied', 'assume-lost'],
  };
}

function printedEnd(unknown: StoredUnknown): Omit<UnknownOutcome, 'waits_for' | 'choices'> {
  return {
    operation_id: unknown.operationId,
    service: unknown.service,
    lane: unknown.lane,
    sequence: unknown.sequence,
    action: unknown.action,
    accepted_at: at(unknown.acceptedAtMs),
    found_at: at(unknown.foundAtMs),
    end: unknown.ending ?? null,
    ended_at: at(unknown.endedAtMs),
    closed_at: at(unknown.closedAtMs),
    decided_by: unknown.decidedBy?.person ?? null,
    decided_reason: unknown.decidedBy?.reason ?? null,
  };
}

/** Nested values below this depth are shown as a shape only. */
const DEEPEST = 4;

/** A request as people may see it: the names of its members, and of each value its kind, its size and, for text, a digest. */
function redacted(text: string): unknown {
  try {
    return shapesOf(parseTolerantly(text), 0);
  } catch {
    return shapeOf(text);
  }
}

function shapesOf(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null || depth >= DEEPEST) return shapeOf(value);
  if (Array.isArray(value)) return value.map((member) => shapesOf(member, depth + 1));
  const members = Object.entries(value).map(([key, member]) => [nameOf(key), shapesOf(member, depth + 1)]);
  return Object.fromEntries(members) as object;
}
