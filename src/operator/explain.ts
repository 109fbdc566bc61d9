import { NotFoundError } from '../domain/errors.ts';
import {
  type LaneKey,
  laneKeyOf,
  memoryIdOf,
  operationId,
  type OperationId,
  type Owner,
  parseLaneKey,
  parseOwner,
  type ServiceName,
  sessionIdOf,
} from '../domain/ids.ts';
import type {
  ExplainedLane,
  ExplainedMoves,
  ExplainedOperation,
  ExplainedWrite,
  ExplainStore,
} from '../engine/ports/explain-ports.ts';
import type { CutoverLimit, Decision, ReadLimits } from '../engine/ports/decision.ts';
import { decide } from '../engine/requests/decide.ts';
import { fenceOf } from '../engine/lane/fence.ts';
import type { FlipFact } from '../engine/flips/eligibility.ts';
import type { FirstLane, PastFlip } from '../engine/ports/flip-ports.ts';
import type { InterlockReason } from '../engine/guard/reason.ts';
import type { Clock } from '../shared/clock.ts';
import type { FlagContext, Flags, Orchestrator } from '../engine/ports/ports.ts';
import type { ServiceRuntime } from '../engine/ports/service-runtime.ts';
import type {
  ExplainedDecision,
  ExplainedInputs,
  ExplainedOperation as PrintedOperation,
  ExplainedWrite as PrintedWrite,
  Explanation,
  LaneFlips,
  Standing,
} from './api/explain.ts';
import { type GuardSource, guardStatus } from './guard-status.ts';
import { printedComparison } from './printed-comparison.ts';
import { printedInterlocks } from './printed-interlocks.ts';
import { Refusal } from './refusal.ts';
import { shownFact, shownFirst } from './shown-flips.ts';

export interface ExplainParts {
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  readonly store: ExplainStore;
  readonly flags: Flags;
  readonly limits: ReadLimits;
  readonly guarding: GuardSource;
  readonly coverageOf: (service: ServiceName) => number;
  /** Absent: no lane is flipped. */
  readonly flips: FlipSource | undefined;
  readonly orchestrator: Pick<Orchestrator, 'read'>;
  readonly clock: Clock;
}

/** What is known of the flips of a lane. @throws StorageError */
export interface FlipSource {
  history(lane: LaneKey): Promise<readonly PastFlip[]>;
  /** What the lane needs to be flipped. Without its own facts, if the orchestrator is primary. */
  facts(lane: LaneKey): Promise<readonly FlipFact[]>;
  /** The person who lets this lane go first. */
  first(lane: LaneKey): Promise<FirstLane | undefined>;
}

const WRITES = 20;
const DIFFERENCES = 5;
const ASK_TIMEOUT_MS = 1_000;
const ABSENT =
  ': the write makes no item, a later write removed it, or a copy stored it again under another id';
/** Why the item of a delivered or copied write may be absent. */
const ABSENCES: Partial<Record<Standing, string>> = { delivered: ABSENT, copied: ABSENT };
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** What is explained. */
interface Subject {
  readonly owner: Owner;
  /** Present if the subject is a journaled write. */
  readonly write?: ExplainedOperation;
  /** Present if the subject is an operation of any kind. */
  readonly operation?: OperationId;
}

/**
 * Explains where an owner's requests go and every fact that decides it. For an operation it adds what is known of it on both
 * backends.
 * @param subject an owner, or the id of a journaled write, or of a read that found a difference
 * @throws Refusal if the owner is not valid, or the operation belongs to another service; StorageError
 */
export async function explain(
  parts: ExplainParts,
  service: ServiceRuntime,
  subject: string,
): Promise<Explanation> {
  const { owner, write, operation } = await subjectOf(parts, service, subject);
  const key = laneKeyOf(service.name, owner);
  const { store } = parts;
  const writes = await store.writes(key, WRITES);
  const differences = await store.differences(operation ?? key, DIFFERENCES);
  const lane = await store.lane(key);
  const fence = fencedBy(lane, parts.coverageOf(service.name));
  return {
    service: service.name,
    owner,
    asked_about: operation === undefined ? 'owner' : 'operation',
    ...(write !== undefined && { operation: await operationOf(parts, service, { write, owner }) }),
    decisions: decisionsOf(parts, service, { owner, fence }),
    inputs: inputsOf(parts, service, { key, lane, fence }),
    ...(parts.flips !== undefined && {
      flips: await flipsOf(parts.flips, key, { lane, moves: await store.moves(key) }),
    }),
    writes: writes.map(printedWrite),
    differences: differences.map(({ comparison, ...one }) => ({
      ...one,
      at: one.at.toISOString(),
      ...printedComparison(comparison),
    })),
  };
}

/** Every flip of the lane, step by step, what the next one needs, and what moves or keeps its primary now. */
async function flipsOf(
  flips: FlipSource,
  key: LaneKey,
  { lane, moves }: { readonly lane: ExplainedLane | undefined; readonly moves: ExplainedMoves },
): Promise<LaneFlips> {
  const { failures, hold, held, returns } = moves;
  return {
    primary: lane?.primary_backend ?? 'legacy',
    epoch: lane?.epoch ?? 0,
    facts: (await flips.facts(key)).map(shownFact),
    goes_first: shownFirst(await flips.first(key)),
    held: held && { ...held, at: held.at.toISOString() },
    hold: hold && { ...hold, until: hold.until.toISOString() },
    failures: failures && {
      ...failures,
      first_at: failures.first_at.toISOString(),
      last_at: failures.last_at.toISOString(),
    },
    history: (await flips.history(key)).map(({ at, compared_at: compared, ...flip }) => ({
      ...flip,
      at: at.toISOString(),
      compared_at: compared?.toISOString() ?? null,
    })),
    returns: returns.map(({ began_at: began, returned_at: returned, ...one }) => ({
      ...one,
      began_at: began.toISOString(),
      returned_at: returned?.toISOString() ?? null,
    })),
  };
}

function printedWrite(write: ExplainedWrite): PrintedWrite {
  return {
    ...write,
    accepted_at: write.accepted_at.toISOString(),
    outcome_at: write.outcome_at?.toISOString() ?? null,
    through_at: write.through_at?.toISOString() ?? null,
    dead_letter_at: write.dead_letter_at?.toISOString() ?? null,
    standing: standingOf(write),
  };
}

async function subjectOf(
  { store }: ExplainParts,
  { name }: ServiceRuntime,
  subject: string,
): Promise<Subject> {
  const operation = UUID.test(subject) ? operationId(subject.toLowerCase()) : undefined;
  const write = operation && (await store.write(operation));
  const lane = write?.lane ?? (operation && (await store.laneOfRead(operation)));
  if (operation === undefined || lane === undefined) return { owner: ownerOf(subject) };
  const { service, owner } = parseLaneKey(lane as LaneKey);
  if (service !== name)
    throw new Refusal(
      404,
      'operation_not_found',
      `${operation} is an operation of ${service}, not of ${name}`,
    );
  return { owner, operation, ...(write !== undefined && { write }) };
}

/** An id that no store knows may be an owner. */
function ownerOf(subject: string): Owner {
  const owner = parseOwner(subject);
  if (owner === undefined) throw new Refusal(404, 'lane_not_found', 'invalid owner');
  return owner;
}

/** The decision that would be made now, for each action that has an owner. */
function decisionsOf(
  parts: ExplainParts,
  { name, definition }: ServiceRuntime,
  { owner, fence }: { readonly owner: Owner; readonly fence: string },
): Explanation['decisions'] {
  const { flags, limits, coverageOf } = parts;
  const isCovered = coverageOf(name) > 0;
  const lane = laneKeyOf(name, owner);
  const owned = Object.entries(definition.actions).filter(([, { kind }]) => kind !== 'passthrough');
  return Object.fromEntries(
    owned.map(([action, is]): [string, ExplainedDecision] => {
      const context = { service: name, owner, lane, action };
      const sources = {
        flags,
        context,
        limits,
        primary: fence === FLIPPED ? 'orchestrator' : 'legacy',
      } as const;
      const { primary, dualWrite, shadowRead, reason } = decide(is, isCovered, sources);
      const decision = { primary, dual_write: dualWrite, shadow_read: shadowRead, reason };
      if (is.kind !== 'read') return [action, decision];
      // The flag lets the orchestrator answer, and the lane does not.
      const fenced =
        primary === 'orchestrator' && reason !== 'flipped' && fence !== 'open'
          ? { primary: 'legacy' as const, reason: `lane_${fence}` }
          : {};
      const because = parts.guarding.judged(name)?.verdict.actions[action]?.reasons ?? [];
      const isLegacyOnly = is.legacyOnly !== undefined;
      const shadow = shadowReason(
        parts,
        { shadowRead, reason: isLegacyOnly ? 'legacy_only' : reason },
        context,
      );
      return [
        action,
        { ...decision, ...fenced, shadow_reason: shadow, ...limitOf(limits.cutover(name, action), because) },
      ];
    }),
  );
}

/** Why a read is compared after the agent's reply, or is not, as closed words. */
function shadowReason(
  { flags, guarding }: ExplainParts,
  { shadowRead, reason }: Pick<Decision, 'shadowRead' | 'reason'>,
  context: FlagContext & { readonly service: ServiceName },
): string {
  if (shadowRead) return 'flag_on';
  if (reason === 'not_covered' || reason === 'legacy_only') return reason;
  if (!flags.isEnabled('shadow-read', context).enabled) return 'flag_off';
  const triggers = guarding.shadowDroppedFor(context.service);
  return triggers.length === 0 ? 'interlock' : `shadow_load_dropped: ${triggers.join(', ')}`;
}

/**
 * The share of read-cutover that latches and interlocks permit, and why, as closed words. Their numbers are in
 * `inputs.interlocks`.
 */
function limitOf(
  { atMost, loweredBy }: CutoverLimit,
  because: readonly InterlockReason[],
): Pick<ExplainedDecision, 'limit'> {
  const words = loweredBy === 'interlock' ? because.map(({ word }) => word) : [];
  return { limit: { at_most: atMost, lowered_by: loweredBy ?? null, because: words } };
}

function inputsOf(
  parts: ExplainParts,
  { name }: ServiceRuntime,
  {
    key,
    lane,
    fence,
  }: { readonly key: LaneKey; readonly lane: ExplainedLane | undefined; readonly fence: string },
): ExplainedInputs {
  const { flags, guarding, coverageOf } = parts;
  const { owner } = parseLaneKey(key);
  const coverage = coverageOf(name);
  const context = { service: name, owner, lane: key };
  const judged = guarding.judged(name);
  return {
    coverage,
    flags: {
      'dual-write': flags.isEnabled('dual-write', { service: name }),
      'shadow-read': flags.isEnabled('shadow-read', context),
      'read-cutover': flags.isEnabled('read-cutover', context),
      'kill-switch': flags.killSwitch(),
    },
    lane: lane ?? 'never written, never copied',
    fence,
    guard: guardStatus(guarding, name),
    ...(judged !== undefined && { interlocks: printedInterlocks(name, judged) }),
  };
}

/** The orchestrator is primary for the lane's writes, so no fence applies to its reads. */
const FLIPPED = 'flipped';

/** Why the lane's reads stay on legacy, according to the journal. Pending deliveries are only checked at a read. */
function fencedBy(lane: ExplainedLane | undefined, coverage: number): string {
  if (lane === undefined) return 'not_seeded';
  if (lane.primary_backend === 'orchestrator') return FLIPPED;
  return fenceOf({ ...lane, seededCoverage: lane.seeded_coverage }, coverage) ?? 'open';
}

async function operationOf(
  parts: ExplainParts,
  service: ServiceRuntime,
  { write, owner }: { write: ExplainedOperation; owner: Owner },
): Promise<PrintedOperation> {
  return {
    id: write.operation_id,
    lane: write.lane,
    sequence: write.sequence,
    action: write.action,
    timeline: timelineOf(write),
    legacy: write.outcome ?? 'not known yet',
    orchestrator: {
      standing: standingOf(write),
      item: await itemOf(parts, service, { write, owner }),
    },
  };
}

/** Whether the orchestrator holds the item of the write, without its content. */
async function itemOf(
  { orchestrator, clock }: ExplainParts,
  { definition }: ServiceRuntime,
  { write, owner }: { write: ExplainedOperation; owner: Owner },
): Promise<PrintedOperation['orchestrator']['item']> {
  const id = memoryIdOf(operationId(write.operation_id));
  try {
    const { data } = await orchestrator.read(
      {
        action: 'read',
        sessionId: sessionIdOf(definition.lanes.sessionPrefix, owner),
        payload: { memory_id: id, no_touch: true },
      },
      { purpose: 'probe', deadlineAtMs: clock.now() + ASK_TIMEOUT_MS },
    );
    return { memory_id: id, created_at: data['created_at'], position: data['position'] };
  } catch (error) {
    return error instanceof NotFoundError
      ? `${id} is not there${ABSENCES[standingOf(write)] ?? ''}`
      : 'the orchestrator does not answer';
  }
}

/** One event of an operation. */
interface TimelineStep {
  readonly at: string;
  /** Where it happened: in the journal, on a backend, or on a ledger by a person's decision. */
  readonly where: 'journal' | 'legacy' | 'orchestrator' | 'person';
  readonly what: string;
  readonly [more: string]: unknown;
}

/** The state of a write on the orchestrator, according to the journal. */
function standingOf(write: ExplainedWrite | ExplainedOperation): Standing {
  if (write.outcome === 'refused' || write.outcome === 'not_applied') return 'not_due';
  if (write.dead_letter !== null) return 'refused';
  if (write.letter_resolution === 'skipped') return 'left_out';
  if (write.is_through) return write.via === 'copy' ? 'copied' : 'delivered';
  return write.outcome === 'applied' ? 'waiting' : 'waits_for_outcome';
}

/** Everything that is stored about an operation, in the order it happened. */
export function timelineOf(operation: ExplainedOperation): TimelineStep[] {
  const steps = [
    ...accepted(operation),
    ...outcome(operation),
    ...unknownOutcome(operation),
    ...deadLetter(operation),
    ...through(operation),
  ];
  return steps.toSorted((one, other) => Date.parse(one.at) - Date.parse(other.at));
}

type Step = Pick<TimelineStep, 'where' | 'what'>;

/** No step if it did not happen. */
function at<One extends Step>(time: Date | null, step: One): TimelineStep[] {
  return time === null ? [] : [{ at: time.toISOString(), ...step }];
}

function accepted({ accepted_at: time, sequence, replica }: ExplainedOperation): TimelineStep[] {
  return at(time, { where: 'journal', what: 'accepted', sequence, replica });
}

function outcome({ outcome: what, outcome_at: time }: ExplainedOperation): TimelineStep[] {
  return what === null ? [] : at(time, { where: 'legacy', what });
}

function unknownOutcome(operation: ExplainedOperation): TimelineStep[] {
  const { unknown_ending: ending, unknown_decided_by: person } = operation;
  const decided = person !== null && { person, reason: operation.unknown_decided_reason };
  return [
    ...at(operation.unknown_found_at, { where: 'legacy', what: 'outcome_unknown' }),
    ...at(operation.unknown_ended_at, {
      where: person === null ? 'journal' : 'person',
      what: `settled: ${ending ?? ''}`,
      ...decided,
    }),
    ...at(operation.unknown_closed_at, {
      where: 'journal',
      what: 'no late reply or effect is possible any more',
    }),
  ];
}

function deadLetter(operation: ExplainedOperation): TimelineStep[] {
  const { letter_resolved_by: person, letter_resolution: resolution } = operation;
  return [
    ...at(operation.letter_at, {
      where: 'orchestrator',
      what: 'refused for good',
      code: operation.letter_code,
      attempts: operation.letter_attempts,
    }),
    ...at(operation.letter_resolved_at, {
      where: person === null ? 'journal' : 'person',
      what: `dead letter ${resolution ?? ''}`,
      ...(person !== null && { person, reason: operation.letter_resolved_reason }),
    }),
  ];
}

function through(operation: ExplainedOperation): TimelineStep[] {
  const standing = standingOf(operation);
  if (standing === 'not_due') return [];
  return at(operation.through_at, { where: 'orchestrator', what: standing });
}
