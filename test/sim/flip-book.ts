import type { LaneKey, ServiceName } from '../../src/domain/ids.ts';
import type { FlipBook, FlipCandidate, Unclean } from '../../src/engine/ports/flip-ports.ts';
import type { ReplicaIdentity } from '../../src/engine/ports/replica-ports.ts';
import type { Database } from './database.ts';
import type { Statement } from './journal.ts';
import { JournalTables } from './journal-tables.ts';
import { isBehind, unsettledOf, type LaneRow } from './lane-row.ts';

interface BookParts {
  readonly database: Database;
  readonly identity: ReplicaIdentity;
  readonly statement: Statement;
}

const MINUTE_MS = 60_000;

/** A lane that was born on the orchestrator has not moved. */
function movedSince({ flips }: LaneRow, ms: number): boolean {
  return flips.some(({ atMs, facts }) => atMs > ms && facts['is_born'] === undefined);
}

const flipOf = (lane: LaneKey, epoch: number): string => `${lane} ${epoch}`;

/** `storage/flip-book.ts` over the tables in memory. */
export function createSimFlipBook({ database, identity, statement }: BookParts): FlipBook {
  const tables = new JournalTables(database);
  const { flips, shares, replicas, spills, clock } = database;
  const lanesOf = (service: ServiceName): LaneRow[] =>
    database.lanes().filter((lane) => lane.service === service);
  const onLegacy = (service: ServiceName): LaneRow[] =>
    lanesOf(service).filter(({ primary }) => primary === 'legacy');
  const attemptsOf = (key: LaneKey) => {
    const attempts = flips.attempts.get(key);
    if (attempts === undefined) return undefined;
    const { failed, reason, nextMs } = attempts;
    return { failed, reason, dueInSeconds: Math.max(0, nextMs - clock.now()) / 1_000 };
  };
  const candidateOf = (lane: LaneRow, digest: string): FlipCandidate => {
    const unclean = uncleanOf(database, lane);
    const verified = flips.verified.get(lane.key);
    const attempts = attemptsOf(lane.key);
    return {
      id: lane.id,
      lane: lane.key,
      owner: lane.owner,
      ...(unclean && { unclean }),
      ...(tables.isClaimedByOther(lane, identity.id) && { isElsewhere: true as const }),
      ...(verified?.digest === digest && { verifiedAgoSeconds: (clock.now() - verified.atMs) / 1_000 }),
      ...(attempts && { attempts }),
    };
  };
  return {
    standing: (service) =>
      statement('how flips stand', () => {
        const share = shares.of(service);
        const flipped = lanesOf(service).filter(({ primary }) => primary === 'orchestrator');
        return {
          notReported: replicas.without((row) => (row.shares[service] ?? 0) === (share?.number ?? 0)),
          otherVersions: replicas.without((row) => row.versions[service] === share?.version),
          isAnySpilled: spills.isAnyOpen(),
          held: shares.holds.get(service),
          isAnyFlipped: flipped.length > 0,
          flippedDiffer: flipped.filter(
            ({ key, epoch }) => flips.compared.get(flipOf(key, epoch)) === 'different',
          ).length,
          movedLately: lanesOf(service).filter((lane) => movedSince(lane, clock.now() - MINUTE_MS)).length,
        };
      }),
    flipped: (service) =>
      statement(
        'the number of flipped lanes',
        () => lanesOf(service).filter(({ primary }) => primary === 'orchestrator').length,
      ),
    candidates: (service, { after, limit, digest, isEveryHome = false }) =>
      statement('lanes to flip', () =>
        onLegacy(service)
          .filter(({ id }) => id > after)
          .filter((lane) => isEveryHome || !tables.isClaimedByOther(lane, identity.id))
          .slice(0, limit)
          .map((lane) => candidateOf(lane, digest)),
      ),
    candidate: (key, digest) =>
      statement('a lane to flip', () => {
        const lane = database.lane(key);
        return lane?.primary === 'legacy' ? candidateOf(lane, digest) : undefined;
      }),
    among: (keys, digest) =>
      statement('some lanes on legacy', () =>
        keys.flatMap((key) => {
          const lane = database.lane(key);
          return lane?.primary === 'legacy' ? [candidateOf(lane, digest)] : [];
        }),
      ),
    // Nothing of the engine reads it.
    history: async () => [],
    verified: (keys, digest) =>
      statement('verified lanes', () => {
        database.synced();
        for (const key of keys) {
          const lane = database.lane(key);
          if (lane === undefined) continue;
          flips.verified.set(key, { digest, atMs: clock.now() });
          if (flips.compared.has(flipOf(key, lane.epoch)))
            flips.compared.set(flipOf(key, lane.epoch), 'equal');
        }
      }),
    failed: (key, reason, pauseSeconds) =>
      statement('a failed flip', () => {
        database.synced();
        if (database.lane(key)?.primary !== 'legacy') return;
        const failed = (flips.attempts.get(key)?.failed ?? 0) + 1;
        flips.attempts.set(key, { failed, reason, nextMs: clock.now() + pauseSeconds * 1_000 });
      }),
    uncompared: (services, limit) =>
      statement('flips to compare', () =>
        services
          .flatMap(lanesOf)
          .filter((lane) => lane.primary === 'orchestrator' && !isBehind(lane))
          .filter((lane) => !tables.isClaimedByOther(lane, identity.id))
          .filter(({ key, epoch }) => !flips.compared.has(flipOf(key, epoch)))
          .slice(0, limit)
          .map(({ key, owner, service, epoch }) => ({ lane: key, owner, service, epoch })),
      ),
    compared: ({ lane, epoch }, result) =>
      statement('a compared flip', () => {
        database.synced();
        flips.compared.set(flipOf(lane, epoch), result);
      }),
  };
}

/** The simulation has no runs at work on single lanes. */
function uncleanOf({ coverage, clock }: Database, lane: LaneRow): Unclean | undefined {
  const { number } = coverage.current(lane.service);
  if (lane.condition !== 'clean') return lane.condition;
  if (number === 0 || lane.seededCoverage !== number) return 'not_seeded';
  if (unsettledOf(lane).length > 0) return 'unknown_outcome';
  if (lane.repeatsUntilMs > clock.now()) return 'may_be_repeated';
  if (lane.exceptions > 0) return 'excepted';
  if (lane.finding > 0) return 'differs';
  return lane.deadLetters.size > 0 ? 'dead_letter' : undefined;
}
