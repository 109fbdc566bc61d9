import { type LaneKey, parseLaneKey, type ServiceName } from '../../src/domain/ids.ts';
import type {
  Approval,
  ForeignChange,
  LastForLegacy,
  ServiceWrites,
  ServiceWritesStore,
  VerifiedBackup,
} from '../../src/engine/ports/service-writes-ports.ts';
import { APPROVAL_HOURS, APPROVERS } from '../../src/engine/ports/service-writes-ports.ts';
import type { Database } from './database.ts';
import type { Statement } from './journal.ts';
import { mayBeThere, writesAbove, type LaneRow } from './lane-row.ts';

const OVERDUE_MS = 5_000;
const EXAMPLES = 20;

/** A row of `service_writes`, with what refers to it. */
export interface ServiceWritesRow extends ServiceWrites {
  /** `read_only_lanes`: the last sequence that legacy gets. */
  readonly lanes: ReadonlyMap<LaneKey, LastForLegacy>;
  readonly censusAtMs?: number;
}

/** What refers to the rows of `service_writes`. */
export class EndTables {
  readonly backups = new Map<ServiceName, (VerifiedBackup & { readonly restoredAtMs: number })[]>();
  readonly foreign = new Map<ServiceName, ForeignChange[]>();
  readonly approvals = new Map<ServiceName, Approval[]>();
}

/** `storage/service-writes.ts` over the tables in memory. */
export function createSimServiceWritesStore(database: Database, statement: Statement): ServiceWritesStore {
  const { serviceWrites, clock } = database;
  const { backups, foreign, approvals } = database.ends;
  const nowMs = (): number => clock.wallOf(clock.now());
  const change = (service: ServiceName, to: Partial<ServiceWritesRow>): void => {
    const row = serviceWrites.get(service);
    if (row !== undefined) serviceWrites.set(service, { ...row, ...to });
  };
  const readOnly = (service: ServiceName): ServiceWritesRow | undefined => {
    const row = serviceWrites.get(service);
    return row?.state === 'read_only' ? row : undefined;
  };
  const valid = (service: ServiceName): Approval[] =>
    (approvals.get(service) ?? []).filter(({ atMs }) => atMs > nowMs() - APPROVAL_HOURS * 3_600_000);
  return {
    all: () =>
      statement('service writes', () => [...serviceWrites.values()].filter(({ state }) => state !== 'open')),
    obstacles: (service, givenUp) => statement('obstacles', () => obstaclesOf(database, service, givenUp)),
    beginReadOnly: (service, { person, reason, givenUp }) =>
      statement(`read-only ${service}`, () => {
        const { notFlipped, overdue } = obstaclesOf(database, service, givenUp);
        if (notFlipped + overdue > 0 || database.isClosedTo(service)) return false;
        database.synced();
        approvals.delete(service);
        const lanes = new Map(
          lanesOf(database, service).map(({ key, sequence, primary }) => [
            key,
            { sequence, isGivenUp: primary === 'legacy' },
          ]),
        );
        const row = { service, person, reason, lanes, sinceMs: nowMs(), clockRestarts: 0 };
        serviceWrites.set(service, { ...row, state: 'read_only' });
        return true;
      }),
    settle: (service, afterMs) =>
      statement(`settle ${service}`, () => {
        const row = readOnly(service);
        if (row === undefined || row.settledAtMs !== undefined || row.sinceMs > nowMs() - afterMs)
          return false;
        if (!lanesOf(database, service).every((lane) => isSettled(lane, row))) return false;
        database.synced();
        change(service, { settledAtMs: nowMs() });
        return true;
      }),
    backedUp: (service, backup) =>
      statement(`backed up ${service}`, () => {
        backups.set(service, [...(backups.get(service) ?? []), { ...backup, restoredAtMs: nowMs() }]);
        const { settledAtMs, clockBeganAtMs } = readOnly(service) ?? {};
        if (settledAtMs !== undefined && clockBeganAtMs === undefined && settledAtMs < backup.madeAtMs)
          change(service, { clockBeganAtMs: nowMs() });
      }),
    newestBackup: (service) =>
      statement('newest backup', () =>
        backups.get(service)?.reduce((newest, one) => (one.madeAtMs > newest.madeAtMs ? one : newest)),
      ),
    lastForLegacy: (service) =>
      statement('last for legacy', () => {
        const lanes = serviceWrites.get(service)?.lanes ?? new Map();
        return new Map([...lanes].map(([key, last]) => [parseLaneKey(key).owner, last]));
      }),
    claimCensus: (service, everySeconds) =>
      statement(`census ${service}`, () => {
        const row = readOnly(service);
        if (row?.settledAtMs === undefined) return false;
        if ((row.censusAtMs ?? -Infinity) > nowMs() - everySeconds * 1_000) return false;
        change(service, { censusAtMs: nowMs() });
        return true;
      }),
    finishCensus: (service, census) =>
      statement(`census of ${service} ends`, () => {
        if (readOnly(service) !== undefined) change(service, { census });
      }),
    foundForeign: (service, found) =>
      statement(`foreign ${service}`, () => {
        const known = foreign.get(service) ?? [];
        const added = found.filter(
          (one) => !known.some(({ owner, digest }) => owner === one.owner && digest === one.digest),
        );
        foreign.set(service, [...known, ...added]);
        const { clockBeganAtMs, clockRestarts } = readOnly(service) ?? {};
        if (clockRestarts !== undefined && added.some(({ kind }) => kind === 'writer'))
          change(service, {
            clockRestarts: clockRestarts + 1,
            ...(clockBeganAtMs !== undefined && { clockBeganAtMs: nowMs() }),
          });
        return added;
      }),
    approve: (service, approval) =>
      statement(`approve ${service}`, () => {
        const others = (approvals.get(service) ?? []).filter(({ person }) => person !== approval.person);
        approvals.set(service, [...others, { ...approval, atMs: nowMs() }]);
      }),
    approvals: (service) => statement('approvals', () => valid(service)),
    complete: (service, { facts, requiredSeconds }) =>
      statement(`complete ${service}`, () => {
        const { clockBeganAtMs = Infinity } = readOnly(service) ?? {};
        const persons = valid(service).filter((approval) => approval.facts === facts);
        const isApproved = new Set(persons.map(({ person }) => person.toLowerCase())).size >= APPROVERS;
        const isBackedUp = (backups.get(service) ?? []).some(({ madeAtMs }) => madeAtMs >= clockBeganAtMs);
        if (!isApproved || !isBackedUp || clockBeganAtMs > nowMs() - requiredSeconds * 1_000) return false;
        database.synced();
        change(service, { state: 'complete', completedAtMs: nowMs() });
        for (const lane of lanesOf(database, service))
          if (lane.primary === 'orchestrator' && lane.outcomes.has(lane.sequence))
            lane.deliveredSequence = lane.sequence;
        return true;
      }),
    reopen: (service) =>
      statement(`reopen ${service}`, () => {
        const row = readOnly(service);
        if (row === undefined) return false;
        const moved = lanesOf(database, service).filter(({ primary }) => primary === 'orchestrator');
        const kept = moved.map(({ key, sequence }) => [key, { sequence, isGivenUp: false }] as const);
        change(service, { state: 'open', lanes: new Map([...row.lanes, ...kept]) });
        return true;
      }),
  };
}

function lanesOf(database: Database, service: ServiceName): LaneRow[] {
  return database.lanes().filter((lane) => lane.service === service);
}

function obstaclesOf(database: Database, service: ServiceName, givenUp: readonly LaneKey[]) {
  const lanes = lanesOf(database, service);
  const legacy = lanes.filter(({ key, primary }) => primary === 'legacy' && !givenUp.includes(key));
  const beforeMs = database.clock.now() - OVERDUE_MS;
  const overdue = lanes
    .filter(({ primary }) => primary === 'orchestrator')
    .flatMap((lane) => owedOf(lane, lane.sequence))
    .filter(({ atMs }) => atMs < beforeMs);
  const examples = legacy
    .map(({ key }) => key)
    .toSorted()
    .slice(0, EXAMPLES);
  // The simulation judges no interlock by it.
  return { notFlipped: legacy.length, examples, overdue: overdue.length, bypassedAgoSeconds: null };
}

/** Writes up to a sequence that took effect and that legacy lacks. */
function owedOf(lane: LaneRow, through: number) {
  return writesAbove(lane, lane.deliveredSequence).filter(
    ({ sequence }) => sequence <= through && mayBeThere(lane, sequence),
  );
}

function isSettled(lane: LaneRow, { lanes }: ServiceWritesRow): boolean {
  const note = lanes.get(lane.key);
  if (lane.primary === 'orchestrator') return note === undefined || owedOf(lane, note.sequence).length === 0;
  if (note?.isGivenUp !== true) return false;
  const after = Math.max(lane.deliveredSequence, lane.settledSequence);
  return writesAbove(lane, after).every(({ sequence }) => lane.outcomes.has(sequence));
}
