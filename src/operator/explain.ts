import { NotFoundError } from '../domain/errors.ts';
import {
  laneKeyOf,
  memoryIdOf,
  operationId,
  parseLaneKey,
  parseOwner,
  sessionIdOf,
  type LaneKey,
  type OperationId,
  type Owner,
  type ServiceName,
} from '../domain/ids.ts';
import { decide } from '../migration/decide.ts';
import type { ReadLimits } from '../migration/interlocks/read-limits.ts';
import type { Clock, Flags, Orchestrator } from '../migration/ports.ts';
import type { ServiceRuntime } from '../migration/service-runtime.ts';
import { guardStatus, type GuardSource } from './guard-status.ts';

/** A stored write, as the journal shows it; never what it says. */
interface StoredWrite {
  readonly operation_id: string;
  readonly lane: string;
  readonly sequence: number;
  readonly action: string;
  readonly accepted_at: Date;
  readonly outcome: string | null;
  readonly outcome_at: Date | null;
  readonly is_through: boolean;
  readonly dead_letter: string | null;
  readonly dead_letter_at: Date | null;
  readonly replica: string;
}

interface StoredLane {
  readonly condition: string;
  readonly seeded_coverage: number;
  readonly exceptions: number;
}

export interface ExplainParts {
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  readonly store: {
    lane(lane: LaneKey): Promise<StoredLane | undefined>;
    writes(lane: LaneKey, limit: number): Promise<readonly StoredWrite[]>;
    write(operation: OperationId): Promise<StoredWrite | undefined>;
    differences(of: LaneKey | OperationId, limit: number): Promise<readonly object[]>;
  };
  readonly flags: Flags;
  readonly limits: ReadLimits;
  readonly guarding: GuardSource;
  readonly coverageOf: (service: ServiceName) => number;
  readonly orchestrator: Orchestrator;
  readonly clock: Clock;
}

const WRITES = 20;
const DIFFERENCES = 5;
const ASK_TIMEOUT_MS = 1_000;
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/**
 * Why an owner's requests go where they go, with everything that decides it, and what is known of an operation on both backends.
 * @param subject an owner, or the id of a journaled operation
 * @returns undefined for a subject that no lane can carry @throws StorageError
 */
export async function explain(
  parts: ExplainParts,
  service: ServiceRuntime,
  subject: string,
): Promise<object | undefined> {
  const write = UUID.test(subject) ? await parts.store.write(operationId(subject)) : undefined;
  const owner = write === undefined ? parseOwner(subject) : parseLaneKey(write.lane as LaneKey).owner;
  if (owner === undefined) return undefined;
  const key = laneKeyOf(service.name, owner);
  const { store } = parts;
  return {
    service: service.name,
    owner,
    ...(write !== undefined && { operation: await timelineOf(parts, service, { write, owner }) }),
    decisions: decisionsOf(parts, service, owner),
    inputs: await inputsOf(parts, service, key),
    writes: await store.writes(key, WRITES),
    differences: await store.differences(write === undefined ? key : operationId(subject), DIFFERENCES),
  };
}

/** What would be decided now, for each action that has an owner. */
function decisionsOf(parts: ExplainParts, { name, definition }: ServiceRuntime, owner: Owner): object {
  const { flags, limits, coverageOf } = parts;
  const isCovered = coverageOf(name) > 0;
  const lane = laneKeyOf(name, owner);
  const owned = Object.entries(definition.actions).filter(([, { kind }]) => kind !== 'passthrough');
  return Object.fromEntries(
    owned.map(([action, is]) => {
      const context = { service: name, owner, lane, action };
      const decision = decide(is, isCovered, { flags, context, limits });
      return [action, is.kind === 'read' ? { ...decision, limit: limits.cutover(name, action) } : decision];
    }),
  );
}

async function inputsOf(parts: ExplainParts, { name }: ServiceRuntime, key: LaneKey): Promise<object> {
  const { flags, guarding, coverageOf, store } = parts;
  const { owner } = parseLaneKey(key);
  const coverage = coverageOf(name);
  const lane = await store.lane(key);
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
    fence: fenceOf(lane, coverage),
    guard: guardStatus(guarding, name),
    ...(judged !== undefined && { interlocks: judged.verdict.flags, judged_by: judged.facts }),
  };
}

/** What keeps the lane's reads on legacy as the journal has it; whether its deliveries are through is asked at the read. */
function fenceOf(lane: StoredLane | undefined, coverage: number): string {
  if (lane === undefined || coverage === 0 || lane.seeded_coverage !== coverage) return 'not_seeded';
  if (lane.condition !== 'clean') return lane.condition;
  return lane.exceptions > 0 ? 'excepted' : 'open';
}

async function timelineOf(
  parts: ExplainParts,
  service: ServiceRuntime,
  { write, owner }: { write: StoredWrite; owner: Owner },
): Promise<object> {
  const steps = [
    { at: write.accepted_at, what: 'accepted, journaled', sequence: write.sequence, replica: write.replica },
    { at: write.outcome_at, what: `legacy: ${write.outcome ?? 'outcome not known yet'}` },
    ...(write.dead_letter === null
      ? []
      : [{ at: write.dead_letter_at, what: `orchestrator: refused for good (${write.dead_letter})` }]),
  ];
  return {
    id: write.operation_id,
    lane: write.lane,
    action: write.action,
    timeline: steps,
    legacy: write.outcome,
    orchestrator: {
      delivered: write.is_through,
      item: await itemOf(parts, service, { write, owner }),
    },
  };
}

/** Whether the orchestrator holds the item that the write makes, without its content. */
async function itemOf(
  { orchestrator, clock }: ExplainParts,
  { definition }: ServiceRuntime,
  { write, owner }: { write: StoredWrite; owner: Owner },
): Promise<object | string> {
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
    return error instanceof NotFoundError ? `${id} is not there` : 'the orchestrator does not answer';
  }
}
